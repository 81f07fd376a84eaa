"""Training, from a configuration and a data folder to a bundle."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.cache import CachedEncoder, EmbeddingCache
from features.encoders import Encoder, load_encoder
from features.expectations import Expectations, expected_words
from features.groups import of_cpsc
from features.taxonomy import Taxonomy, load_taxonomy
from features.text import NgramVocabulary
from training.bundle import LabHeads, Model, save_bundle
from training.calibration import fit_platt
from training.config import Config
from training.dataset import Dataset, decimal_years, load_dataset
from training.heads import HazardTypeHeads, TextHeads, sigmoid
from training.image_training import learn_from_photos
from training.labels import LabelMatrix
from training.manifest import EncoderRef, Manifest
from training.model import (
    HeadSettings,
    TypeData,
    calibrate_hazard_type,
    design_matrix,
    fit_binary_heads,
    fit_hazard_type,
)
from training.model_card import model_card
from training.operating_points import Evidence, operating_points, usual_rate
from training.past import PastResults, principal_basis, quantise
from training.rates import GroupRate, group_rates
from training.reading import Reader, Reading
from training.scores import PastResult
from training.splits import clusters, group_folds
from training.stages import Stages
from training.untaught import untaught_type_heads

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Labels with what a model may read of each item.

    Attributes
    ----------
    labels
        n items.
    readings
        One per item.
    embeddings
        ndarray of shape (n, n_dimensions), float32.
    groups
        ndarray of shape (n,), int: items that share maker, number or near-duplicate name.
    """

    labels: LabelMatrix
    readings: list[Reading]
    embeddings: np.ndarray
    groups: np.ndarray


def prepare(labels: LabelMatrix, reader: Reader, encoder: Encoder) -> Prepared:
    """Read and encode every labelled item as if it were listed."""
    readings = [reader.read_item(item) for item in labels.items]
    views = [reading.view.text for reading in readings]
    embeddings = encoder.encode(views) if views else np.zeros((0, encoder.identity.dim), np.float32)
    groups = clusters(views, [item.keys for item in labels.items]) if views else np.zeros(0, dtype=int)
    return Prepared(labels, readings, embeddings, groups)


def kinds_of(labels: LabelMatrix) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number each item's kind of product, from the regulator's own product type; -1 where it gives none.

    Returns
    -------
    kinds : ndarray of shape (n,), int
    names : tuple of str
        The product types that occur at least three times, in alphabetical order, then the product groups of the rest.
    """
    types = [item.product_types[0] if item.product_types else "" for item in labels.items]
    names, counts = np.unique([name for name in types if name], return_counts=True)
    kept = {str(name) for name, count in zip(names, counts, strict=True) if count >= 3}
    named = [name if name in kept else next(iter(of_cpsc(name)), "") for name in types]
    order = tuple(sorted(set(named) - {""}))
    position = {name: i for i, name in enumerate(order)}
    return np.array([position.get(name, -1) for name in named], dtype=int), order


def group_priors(
    taxonomy: Taxonomy, recalls: Prepared, rates: Mapping[str, GroupRate], smoothing: float = 10.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return P(h | non-compliant, group) and P(non-compliant | group), the last row for no group.

    The first is the group's test prior from the taxonomy; for hazards that it does not name, the share of recalls in
    the group, drawn toward their share of all recalls.
    """
    codes = tuple(taxonomy.groups)
    Y = recalls.labels.value * recalls.labels.known
    overall = Y.mean(axis=0) if len(Y) else _mean_stated(taxonomy)
    prior = np.zeros((len(codes) + 1, len(taxonomy.codes)), dtype=np.float32)
    prior[-1] = overall
    found = np.array([reading.group for reading in recalls.readings])
    for i, code in enumerate(codes):
        rows = found == code
        prior[i] = (Y[rows].sum(axis=0) + smoothing * overall) / (rows.sum() + smoothing)
        for hazard, weight in _stated_prior(taxonomy, code).items():
            prior[i, taxonomy.index(hazard)] = weight
    rate = np.array([*(rates[code].rate for code in codes), rates[""].rate], dtype=np.float32)
    return prior, rate


def _mean_stated(taxonomy: Taxonomy) -> np.ndarray:
    """Return the mean test prior over the product groups that have one, for training without recalls."""
    stated = [group.hazard_prior for group in taxonomy.groups.values() if group.hazard_prior]
    mean = np.zeros(len(taxonomy.codes))
    for prior in stated:
        for hazard, weight in prior.items():
            mean[taxonomy.index(hazard)] += weight / len(stated)
    return mean


def _stated_prior(taxonomy: Taxonomy, code: str) -> Mapping[str, float]:
    """Return the nearest test prior on the way from a group to its root."""
    at: str | None = code
    while at is not None:
        group = taxonomy.groups[at]
        if group.hazard_prior:
            return group.hazard_prior
        at = group.parent
    return {}


def fit_type_model(
    recalls: Prepared, taxonomy: Taxonomy, config: Config
) -> tuple[HazardTypeHeads, np.ndarray, tuple[str, ...]]:
    """Fit and calibrate the second factor; also its held-out probabilities and the kinds of product."""
    n_hazards = len(taxonomy.codes)
    if len(recalls.labels) < 2 * config.folds:
        heads = untaught_type_heads(n_hazards, recalls.embeddings.shape[1])
        return heads, np.full((len(recalls.labels), n_hazards), np.nan), ()
    settings = HeadSettings(**config.heads.model_dump())
    kinds, names = kinds_of(recalls.labels)
    data = TypeData(
        [reading.type_text for reading in recalls.readings],
        recalls.embeddings,
        recalls.labels.value,
        recalls.labels.known,
        kinds,
        decimal_years(recalls.labels),
    )
    expectations = Expectations(expected_words(), tuple(taxonomy.codes))
    heads = fit_hazard_type(data, len(names), settings, expectations)
    folds = group_folds(recalls.groups, config.folds, np.random.default_rng(config.seed))
    calibrated, held_out = calibrate_hazard_type(heads, data, folds, len(names), settings)
    return calibrated, held_out, names


def fit_lab_model(
    lab: Prepared, taxonomy: Taxonomy, config: Config
) -> tuple[LabHeads | None, dict[str, dict[str, float]]]:
    """Fit direct models for hazards with enough failed and passed results, with held-out figures of each."""
    failed = (lab.labels.value * lab.labels.known).sum(axis=0)
    passed = lab.labels.known.sum(axis=0) - failed
    hazards = np.flatnonzero((failed >= config.lab.min_failed) & (passed >= config.lab.min_failed))
    if not len(hazards):
        return None, {}
    texts = [reading.lab_text for reading in lab.readings]
    rng = np.random.default_rng(config.seed)
    folds = group_folds(lab.groups, config.folds, rng)
    heads, held_out = _lab_heads(lab, texts, hazards, folds, config)
    slope, offset, figures = [], [], {}
    for j, k in enumerate(hazards):
        rows = np.flatnonzero(lab.labels.known[:, k] & ~np.isnan(held_out[:, j]))
        y = lab.labels.value[rows, k]
        a, b = fit_platt(held_out[rows, j], y)
        slope.append(a)
        offset.append(b)
        figures[taxonomy.codes[k]] = held_out_figures(y, sigmoid(a * held_out[rows, j] + b))
    codes = tuple(taxonomy.groups)
    support = np.zeros((len(codes) + 1, len(hazards)), dtype=np.float32)
    for reading, known in zip(lab.readings, lab.labels.known[:, hazards], strict=True):
        for row in _line(taxonomy, codes, reading.group):
            support[row] += known
    return LabHeads(heads, hazards.astype(np.int64), np.array(slope), np.array(offset), support), figures


def _line(taxonomy: Taxonomy, codes: tuple[str, ...], group: str) -> list[int]:
    """Return the row of a group. Results without a group vouch for no listing: it may be anything."""
    return [codes.index(group)] if group in taxonomy.groups else []


def _lab_heads(
    lab: Prepared, texts: list[str], hazards: np.ndarray, folds: Sequence[np.ndarray], config: Config
) -> tuple[TextHeads, np.ndarray]:
    Y, known = lab.labels.value[:, hazards], lab.labels.known[:, hazards]
    weight = np.array([item.weight for item in lab.labels.items])

    def fit(rows: np.ndarray) -> TextHeads:
        part = [texts[i] for i in rows]
        vocabulary = NgramVocabulary.fit(part, min_documents=config.lab.min_documents)
        X = design_matrix(vocabulary, part, lab.embeddings[rows])
        weights, intercept = fit_binary_heads(X, Y[rows], known[rows], weight[rows], config.lab.strength)
        cut = len(vocabulary)
        return TextHeads(vocabulary, weights[:cut], weights[cut:], intercept)

    everything = np.arange(len(texts))
    held_out = np.full(Y.shape, np.nan)
    for fold in folds:
        heads = fit(np.setdiff1d(everything, fold))
        for i in fold:
            held_out[i] = heads.logits(texts[i], lab.embeddings[i])
    return fit(everything), held_out


def held_out_figures(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return average precision, Brier score and counts of held-out probabilities."""
    from sklearn.metrics import average_precision_score

    figures = {"positives": float(y.sum()), "n": float(len(y)), "brier": float(np.mean((p - y) ** 2))}
    if 0 < y.sum() < len(y):
        figures["average_precision"] = float(average_precision_score(y, p))
    return figures


def past_results(parts: Sequence[Prepared], taxonomy: Taxonomy) -> PastResults:
    """Collect what a reason may point to: recalls, and laboratory results that failed."""
    results: list[PastResult] = []
    vectors: list[np.ndarray] = []
    for part in parts:
        for i, item in enumerate(part.labels.items):
            hazards = tuple(
                taxonomy.codes[k] for k in np.flatnonzero(part.labels.value[i] * part.labels.known[i])
            )
            if hazards:
                day = "" if item.time is None else item.time.isoformat()
                number = item.id.split(":", 1)[1]
                results.append(
                    PastResult(
                        item.regulator or item.source, number, day, item.name[:200], hazards, 0.0, item.url
                    )
                )
                vectors.append(part.embeddings[i])
    stacked = np.array(vectors) if vectors else np.zeros((0, parts[0].embeddings.shape[1]), np.float32)
    return PastResults.of(tuple(results), quantise(stacked), principal_basis(stacked))


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
        (dataset.lab.content_hash(), config.model_dump(mode="json", exclude={"sources", "name"}), *common),
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
    evidence = _evidence(taxonomy, config, recalls, held_out, model)
    manifest = _manifest(config, dataset, taxonomy, encoder, model, kinds)
    manifest = manifest.model_copy(
        update={
            "image_encoder": learnt.encoder,
            "operating_points": operating_points(evidence),
            "base_rate": _base_rates(evidence, model, lab),
            "metrics": _metrics(taxonomy, recalls, held_out, lab_figures, rates, dataset)
            | dict(learnt.figures),
        }
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / "card.md").write_text(model_card(manifest, taxonomy), encoding="utf-8")
    return save_bundle(output, manifest, model, past)


def _manifest(
    config: Config,
    dataset: Dataset,
    taxonomy: Taxonomy,
    encoder: Encoder,
    model: Model,
    kinds: tuple[str, ...],
) -> Manifest:
    identity = encoder.identity
    lab = () if model.lab is None else tuple(taxonomy.codes[k] for k in model.lab.hazards)
    return Manifest(
        name=config.name,
        created_at=datetime.now(UTC).replace(microsecond=0),
        code_commit=code_commit(),
        as_of=None if config.as_of is None else config.as_of.isoformat(),
        encoder=EncoderRef(spec=config.encoder, name=identity.name, sha256=identity.sha256, dim=identity.dim),
        hazards=tuple(taxonomy.codes),
        kinds=kinds,
        lab_hazards=lab,
        operating_points={},
        base_rate={},
        data=dict(dataset.files),
        labels_sha256=dataset.recalls.content_hash() + dataset.lab.content_hash(),
        taxonomy_sha256=taxonomy_hash(taxonomy),
        settings=config.model_dump(mode="json"),
        metrics={},
    )


def _evidence(
    taxonomy: Taxonomy, config: Config, recalls: Prepared, held_out: np.ndarray, model: Model
) -> Evidence:
    rows = {code: i for i, code in enumerate(taxonomy.groups)}
    rate = model.group_rate[[rows.get(reading.group, -1) for reading in recalls.readings]]
    joint = rate[:, None] * held_out
    labels = recalls.labels
    positives = [
        joint[(labels.value[:, k] > 0) & labels.known[:, k] & ~np.isnan(joint[:, k]), k]
        for k in range(len(taxonomy.codes))
    ]
    return Evidence(
        codes=tuple(taxonomy.codes),
        laboratory=taxonomy.laboratory_mask,
        positives=positives,
        group_prior=model.group_prior[:-1],
        group_rate=model.group_rate[:-1],
        mix=model.group_prior[-1],
        root_rate=config.root_rate,
    )


def _base_rates(evidence: Evidence, model: Model, lab: Prepared) -> dict[str, float]:
    """Return the rate each probability is calibrated to: that of goods nobody singled out, or the laboratory's own."""
    base = dict(zip(evidence.codes, usual_rate(evidence).tolist(), strict=True))
    if model.lab is not None:
        for k in model.lab.hazards:
            known = lab.labels.known[:, k]
            base[evidence.codes[k]] = float(lab.labels.value[known, k].mean())
    return base


def _metrics(
    taxonomy: Taxonomy,
    recalls: Prepared,
    held_out: np.ndarray,
    lab: Mapping[str, Mapping[str, float]],
    rates: Mapping[str, GroupRate],
    dataset: Dataset,
) -> dict[str, Any]:
    labels = recalls.labels
    by_hazard = {}
    for k, code in enumerate(taxonomy.codes):
        rows = labels.known[:, k] & ~np.isnan(held_out[:, k])
        if labels.value[rows, k].sum() >= 5:
            by_hazard[code] = held_out_figures(labels.value[rows, k], held_out[rows, k])
    precisions = [figures["average_precision"] for figures in by_hazard.values()]
    return {
        "hazard_type_held_out": by_hazard,
        "hazard_type_macro_ap": float(np.mean(precisions)) if precisions else None,
        "lab_held_out": {code: dict(figures) for code, figures in lab.items()},
        "group_rates": {
            code: {
                "rate": round(r.rate, 4),
                "low": round(r.low, 4),
                "high": round(r.high, 4),
                "tested": r.tested,
            }
            for code, r in rates.items()
        },
        "records": {"recalls": len(dataset.recalls), "lab": len(dataset.lab), "rounds": len(dataset.rounds)},
        "left_out": dict(dataset.left_out),
    }


def taxonomy_hash(taxonomy: Taxonomy) -> str:
    """Return the SHA-256 of the hazards and product groups as loaded."""
    content = repr((taxonomy.hazards, sorted(taxonomy.groups.items())))
    return hashlib.sha256(content.encode()).hexdigest()


def code_commit() -> str:
    """Return the commit of the code that runs, "unknown" outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
