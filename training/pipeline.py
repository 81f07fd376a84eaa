"""Training, from a configuration and a data folder to a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from features.cache import CachedEncoder, EmbeddingCache
from features.encoders import load_encoder
from features.encoding import Encoder
from features.taxonomy import Taxonomy, load_taxonomy
from training.config import Config
from training.dataset import load_dataset
from training.fitting import fit_lab_model, fit_type_model
from training.image_training import learn_from_photos
from training.manifest import Manifest
from training.manifest_making import (
    bare_manifest,
    base_rates,
    evidence_of,
    held_out_metrics,
)
from training.model_card import model_card
from training.operating_points import operating_points
from training.prepare import past_results, prepare
from training.priors import group_priors
from training.rates import group_rates
from training.reading import Reader
from training.stages import Stages
from training.taxonomy_mark import taxonomy_hash
from training.weights import Model, save_bundle

Say = Callable[[str], None]


def train(
    config: Config,
    data: Path,
    output: Path,
    *,
    taxonomy: Taxonomy | None = None,
    encoder: Encoder | None = None,
    work: Path | None = None,
    say: Say = lambda _: None,
) -> Manifest:
    """Train a bundle and write it to ``output``.

    Parameters
    ----------
    config
        What to train; see `training.config`.
    data
        Folder of the source files.
    output
        Folder of the bundle; an older bundle there is replaced once the new one is whole.
    work
        Folder of finished steps; a run whose data, settings and code are those of an earlier one takes its steps from
        there. None does every step.
    say
        Called with each step, for a progress display.

    Returns
    -------
    Manifest
        Of the bundle as written.
    """
    taxonomy = taxonomy or load_taxonomy()
    encoder = encoder or load_encoder(config.encoder)
    stages = Stages(work, say)
    if work is not None:
        encoder = CachedEncoder(encoder, EmbeddingCache(work / "embeddings"))
    say("reading sources")
    dataset = load_dataset(config, data, taxonomy)
    reader = Reader(taxonomy)
    say(f"reading and encoding {len(dataset.recalls)} recalls")
    recalls = prepare(dataset.recalls, reader, encoder)
    say(f"reading and encoding {len(dataset.lab)} laboratory results")
    lab = prepare(dataset.lab, reader, encoder)
    say("fitting which hazard a non-compliant product has")
    common = (config.folds, config.seed, encoder.identity.sha256, taxonomy_hash(taxonomy))
    hazard_type, held_out, kinds = stages.once(
        "hazard_type",
        (dataset.recalls.content_hash(), config.heads.model_dump(), *common),
        lambda: fit_type_model(recalls, taxonomy, config),
    )
    say("fitting hazards with laboratory results")
    lab_model, lab_figures = stages.once(
        "laboratory",
        (
            dataset.lab.content_hash(),
            hashlib.sha256(dataset.lab.measured.tobytes()).hexdigest(),
            config.model_dump(mode="json", exclude={"sources", "name"}),
            *common,
        ),
        lambda: fit_lab_model(lab, taxonomy, config),
    )
    say("failure rates of product groups")
    parents: dict[str, str | None] = {code: group.parent for code, group in taxonomy.groups.items()}
    stated = {code: g.failure_rate for code, g in taxonomy.groups.items() if g.failure_rate is not None}
    rates = group_rates(dataset.rounds, parents | {"": None}, root_rate=config.root_rate, stated=stated)
    prior, rate = group_priors(taxonomy, recalls, rates)
    views = [reading.view.text for reading in recalls.readings]
    learnt = learn_from_photos(config, data, recalls.labels, views, held_out, tuple(taxonomy.codes), say)
    model = Model(hazard_type, lab_model, prior, rate, learnt.heads)
    past = past_results([recalls, lab], taxonomy)
    say("writing the bundle")
    evidence = evidence_of(taxonomy, config, recalls, held_out, model)
    manifest = bare_manifest(config, dataset, taxonomy, encoder, model, kinds)
    manifest = manifest.model_copy(
        update={
            "image_encoder": learnt.encoder,
            "operating_points": operating_points(evidence),
            "base_rate": base_rates(evidence, model, lab),
            "metrics": held_out_metrics(taxonomy, recalls, held_out, lab_figures, rates, dataset)
            | dict(learnt.figures),
        }
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / "card.md").write_text(model_card(manifest, taxonomy), encoding="utf-8")
    return save_bundle(output, manifest, model, past)
