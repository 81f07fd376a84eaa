"""What a run knows of the bundle it made: thresholds, base rates, held-out figures, hashes, commit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.encoding import Encoder
from features.taxonomy import Taxonomy
from training.config import Config
from training.dataset import Dataset
from training.fitting import held_out_figures
from training.manifest import EncoderRef, Manifest
from training.operating_points import Evidence, usual_rate
from training.prepare import Prepared
from training.rates import GroupRate
from training.stages import code_hash
from training.taxonomy_mark import reading_hash, taxonomy_hash
from training.weights import Model


def bare_manifest(
    config: Config,
    dataset: Dataset,
    taxonomy: Taxonomy,
    encoder: Encoder,
    model: Model,
    kinds: tuple[str, ...],
) -> Manifest:
    """Return what is known before anything is measured: names, hashes, settings."""
    identity = encoder.identity
    lab = () if model.lab is None else tuple(taxonomy.codes[k] for k in model.lab.hazards)
    return Manifest(
        name=config.name,
        created_at=datetime.now(UTC).replace(microsecond=0),
        code_commit=code_commit(),
        code_sha256=code_hash(),
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
        reading_sha256=reading_hash(taxonomy),
        settings=config.model_dump(mode="json"),
        metrics={},
    )


def evidence_of(
    taxonomy: Taxonomy, config: Config, recalls: Prepared, held_out: np.ndarray, model: Model
) -> Evidence:
    """Return what operating points are chosen on: held-out probabilities of recalls, and the groups' own rates."""
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


def base_rates(evidence: Evidence, model: Model, lab: Prepared) -> dict[str, float]:
    """Return the rate each probability is calibrated to: that of goods nobody singled out, or the laboratory's own."""
    base = dict(zip(evidence.codes, usual_rate(evidence).tolist(), strict=True))
    if model.lab is not None:
        for k in model.lab.hazards:
            known = lab.labels.known[:, k]
            base[evidence.codes[k]] = float(lab.labels.value[known, k].mean())
    return base


def held_out_metrics(
    taxonomy: Taxonomy,
    recalls: Prepared,
    held_out: np.ndarray,
    lab: Mapping[str, Mapping[str, float]],
    rates: Mapping[str, GroupRate],
    dataset: Dataset,
) -> dict[str, Any]:
    """Return held-out figures per hazard, rates of product groups, and how many records were used and left out."""
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
