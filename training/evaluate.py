"""Measuring a bundle on results that came later than what it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from features.taxonomy import Taxonomy
from training.bundle import Bundle
from training.config import Config
from training.conformal import let_through, share_let_through
from training.dataset import load_dataset
from training.label_noise import audit_labels
from training.labels import LabelMatrix
from training.metrics import (
    BUDGETS,
    Figure,
    at_budget,
    average_precision,
    bootstrap,
    brier,
    brier_skill,
    calibration_error,
    macro_bootstrap,
    roc_auc,
)
from training.reading import item_as_listing
from training.scores import Scores

FEWEST = 5
# Shares of failing goods that may be let through, for which thresholds are given.
LET_THROUGH = (0.05, 0.10, 0.20)
METRICS = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "brier": brier,
    "brier_skill": brier_skill,
    "calibration_error": calibration_error,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One factor of the score on held-out items.

    Attributes
    ----------
    name
        ``hazard_type`` (q on recalls) or ``laboratory`` (p on laboratory results).
    labels
        n items.
    score
        ndarray of shape (n, n_hazards).
    scores
        Everything the bundle said of them.
    seen
        ndarray of shape (n,), bool: the name-only view stood in the training data word for word.
    """

    name: str
    labels: LabelMatrix
    score: np.ndarray
    scores: Scores
    seen: np.ndarray


def later_than(labels: LabelMatrix, after: date | None, until: date | None) -> LabelMatrix:
    """Return the items dated later than ``after`` up to and including ``until``."""
    rows = [
        i
        for i, day in enumerate(labels.dates)
        if day is not None and (after is None or day > after) and (until is None or day <= until)
    ]
    return labels.take(rows)


def _names(bundle: Bundle, labels: LabelMatrix) -> list[str]:
    readings, _ = bundle.read([item_as_listing(item) for item in labels.items]) if len(labels) else ([], None)
    return [reading.view.text for reading in readings]


def measure(bundle: Bundle, data: Path, after: date | None, until: date | None) -> list[Measured]:
    """Score every labelled item that came after ``after``; by default after the bundle's own as-of day.

    A bundle without an as-of day was trained on everything: its figures are then on its own training data, and
    the report says so.
    """
    config = Config.model_validate(bundle.manifest.settings).model_copy(update={"as_of": None})
    cut = after or (date.fromisoformat(bundle.manifest.as_of) if bundle.manifest.as_of else None)
    dataset = load_dataset(config, data, bundle.taxonomy)
    parts = []
    for name, labels in (("hazard_type", dataset.recalls), ("laboratory", dataset.lab)):
        later = later_than(labels, cut, until)
        if not len(later):
            continue
        earlier = labels.take([i for i, day in enumerate(labels.dates) if cut and day and day <= cut])
        known = set(_names(bundle, earlier))
        seen = np.array([view in known for view in _names(bundle, later)])
        scores = bundle.score([item_as_listing(item) for item in later.items])
        parts.append(Measured(name, later, scores.q if name == "hazard_type" else scores.p, scores, seen))
    return parts


def _figures(y: np.ndarray, p: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    figures: dict[str, Any] = {"n": len(y), "positives": int(y.sum()), "base_rate": float(y.mean())}
    figures |= {name: bootstrap(metric, y, p, rng=rng).as_dict() for name, metric in METRICS.items()}
    budgets = {}
    for budget in BUDGETS:
        precision, recall = at_budget(y, p, budget)
        budgets[f"{budget:.0%}"] = {"precision": precision, "recall": recall}
    return figures | {"budgets": budgets}


def _bounds(y: np.ndarray, p: np.ndarray) -> list[dict[str, Any]]:
    """Return, for each level, below which probability goods may pass, on how many failing goods, and what it clears."""
    found = []
    for level in LET_THROUGH:
        bound = let_through(p[y > 0], level)
        found.append(
            {
                "level": level,
                "threshold": round(bound.threshold, 6) if bound.possible else None,
                "failing": bound.failing,
                "cleared": round(share_let_through(p, bound), 4) if bound.possible else None,
            }
        )
    return found


def _by_hazard(part: Measured, taxonomy: Taxonomy, rng: np.random.Generator) -> dict[str, Any]:
    figures = {}
    for k, code in enumerate(taxonomy.codes):
        rows = part.labels.known[:, k]
        y, p = part.labels.value[rows, k], part.score[rows, k]
        if y.sum() >= FEWEST and not np.isnan(p).any():
            figures[code] = _figures(y, p, rng)
            if part.name == "laboratory":
                figures[code]["let_through"] = _bounds(y, p)
    return figures


def _macro(
    part: Measured, columns: Sequence[int], rows: np.ndarray, rng: np.random.Generator
) -> Figure | None:
    """Return macro average precision over hazards with enough positives among ``rows``."""
    usable = [k for k in columns if part.labels.value[rows, k].sum() >= FEWEST]
    if not usable:
        return None
    return macro_bootstrap(
        part.labels.value[rows][:, usable], part.score[rows][:, usable], rng=rng, draws=200
    )


def _slices(part: Measured, columns: Sequence[int], rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    values: dict[str, Sequence[Any]] = {
        "language": part.scores.languages,
        "group": part.scores.groups,
        "audience": part.scores.audiences,
        "name": ["seen in training" if seen else "unseen" for seen in part.seen],
        "source": [item.source for item in part.labels.items],
    }
    found: dict[str, dict[str, Any]] = {}
    for slice_name, labels in values.items():
        array = np.array(labels, dtype=object)
        for label in sorted({str(value) for value in labels}):
            rows = np.flatnonzero(array == label)
            figure = _macro(part, columns, rows, rng) if len(rows) >= 30 else None
            entry = {"n": len(rows), "macro_average_precision": None if figure is None else figure.as_dict()}
            found.setdefault(slice_name, {})[label or "(none)"] = entry
    return found


def style_probe(bundle: Bundle, parts: Sequence[Measured], rng: np.random.Generator) -> dict[str, Any]:
    """Ask whether a classifier tells the sources apart from the embeddings that the model sees.

    An AUC near 0.5 says that the views look alike; near 1, that a model could learn who wrote a text. It is
    reported for what is inside one bundle: recalls against laboratory names, both in English.
    """
    if len(parts) < 2:
        return {"auc": None, "why": "needs two kinds of source"}
    size = min(1000, *(len(part.labels) for part in parts))
    if size < 50:
        return {"auc": None, "why": f"needs 50 items of each kind, got {size}"}
    embeddings, origin = [], []
    for number, part in enumerate(parts[:2]):
        rows = rng.choice(len(part.labels), size, replace=False)
        _, vectors = bundle.read([item_as_listing(part.labels.items[i]) for i in rows])
        embeddings.append(vectors)
        origin += [number] * size
    y, folds = np.array(origin), StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=500)
    p = np.asarray(cross_val_predict(model, np.vstack(embeddings), y, cv=folds, method="predict_proba"))[:, 1]
    return {"auc": roc_auc(y, p), "sources": [part.name for part in parts[:2]], "n": 2 * size}


def _reliability(part: Measured, taxonomy: Taxonomy) -> list[dict[str, float]]:
    """Return ten bins with equally many cells over all hazards: mean probability, share that came true, count."""
    mask = part.labels.known & taxonomy.laboratory_mask & ~np.isnan(part.score)
    y, p = part.labels.value[mask], part.score[mask]
    order = np.argsort(p, kind="stable")
    return [
        {"p": float(p[rows].mean()), "share": float(y[rows].mean()), "n": len(rows)}
        for rows in np.array_split(order, 10)
        if len(rows)
    ]


def evaluate_bundle(
    folder: Path,
    data: Path,
    output: Path,
    *,
    after: date | None = None,
    until: date | None = None,
    seed: int = 0,
) -> Mapping[str, Any]:
    """Measure a bundle and write ``report.json`` and ``report.png``.

    Parameters
    ----------
    folder
        A bundle; its own configuration says which sources are read from ``data``.
    after, until
        Only results dated later than ``after`` (default: the bundle's as-of day) up to ``until``.

    Returns
    -------
    mapping
        The content of ``report.json``.
    """
    bundle = Bundle.load(folder)
    rng = np.random.default_rng(seed)
    parts = measure(bundle, data, after, until)
    columns = np.flatnonzero(bundle.taxonomy.laboratory_mask).tolist()
    report: dict[str, Any] = {
        "model_version": bundle.version,
        "as_of": bundle.manifest.as_of,
        "after": None if after is None else after.isoformat(),
        "until": None if until is None else until.isoformat(),
        "held_out": bool(after or bundle.manifest.as_of),
        "parts": {},
        "style_probe": style_probe(bundle, parts, rng),
    }
    for part in parts:
        everything = np.arange(len(part.labels))
        macro = _macro(part, columns, everything, rng)
        report["parts"][part.name] = {
            "n": len(part.labels),
            "macro_average_precision": None if macro is None else macro.as_dict(),
            "hazards": _by_hazard(part, bundle.taxonomy, rng),
            "slices": _slices(part, columns, rng),
            "reliability": _reliability(part, bundle.taxonomy),
            "label_noise": {
                noise.source: noise.as_dict()
                for noise in audit_labels(part.labels, part.score, bundle.taxonomy.codes)
            },
        }
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (output / "report.json").write_text(text + "\n", encoding="utf-8")
    from training.report import draw_report

    draw_report(report, output / "report.png")
    return report
