"""Does a product hold 100 ppm of lead or more: New York's laboratory results, learned to 2018, tested on 2019-2020."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.quality.lab_rows import (
    CUT,
    FILE,
    HERE,
    PROBABILITIES,
    RECALLS,
    Sample,
    lab_systems,
    labels_of,
    limits,
    listing_of,
    outcomes,
    read_results,
    tokens,
)
from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.resample import (
    average_precision_draws,
    brier_skill_draws,
    draw_counts,
    interval,
    roc_auc_draws,
    written_out_draws,
)
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from training.metrics import average_precision, brier_skill, calibration_error, roc_auc

__all__ = ["CUT", "HERE", "TASK", "labels", "listing_of", "measure", "outcomes", "read_samples", "tokens"]
PPM = 100.0


def read_samples(data: Path) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Read the training and the test rows of the task."""
    return read_results(data, frozenset({"Lead"}), PPM)


def labels(data: Path) -> Labels:
    """Read the labels of the test part, and which rows are over the limit of their own product type."""
    train, test = read_samples(data)
    found = labels_of(train, test)
    return replace(found, parts={**found.parts, **limits(test)})


def _ours(data: Path) -> np.ndarray:
    listings = [listing_of(sample) for sample in read_samples(data)[1]]
    scores = train_and_batch(HERE / "lab_lead.yaml", data, CUT, listings)
    return np.asarray(scores["p_lead"], dtype=np.float64)[:, None]


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return AP over all rows, over unseen names and by product type, with calibration and our paired gains."""
    y = truth.Y[:, 0]
    everything = np.ones(len(y), dtype=bool)
    parts = {"ap_all": everything, "ap_unseen_names": truth.parts["unseen_names"]}
    parts |= {
        f"ap_{name}": rows for name, rows in truth.parts.items() if name.startswith(("type_", "metal_"))
    }
    counts = {metric: draw_counts(int(rows.sum())) for metric, rows in parts.items() if rows.any()}
    rows: list[Row | None] = []
    draws: dict[tuple[str, str], np.ndarray] = {}
    for system, S in scores.items():
        s = S[:, 0]
        for metric, drawn in counts.items():
            part = parts[metric]
            found = average_precision_draws(y[part], s[part], drawn)
            draws[system, metric] = found
            value = average_precision(y[part], s[part])
            rows.append(figure(system, metric, value, interval(found), int(part.sum())))
        spread = interval(roc_auc_draws(y, s, counts["ap_all"]))
        rows.append(figure(system, "auc_all", roc_auc(y, s), spread, len(y)))
        if system in PROBABILITIES:
            rows += _calibration(y, s, system, counts["ap_all"])
    rows += _gains(rows, draws)
    rows += _over_limits(truth, scores)
    for metric in counts:
        part = parts[metric]
        name = metric.removeprefix("ap_")
        rows.append(figure(LABELS, f"positives_{name}", float(y[part].sum()), None, int(part.sum()), "rows"))
    return existing(rows)


def _over_limits(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row | None]:
    """Return how well each type's rows are ordered by whether they are over a limit of their own."""
    rows: list[Row | None] = []
    for name, part in truth.parts.items():
        if not name.startswith("limit_"):
            continue
        code = name.removeprefix("limit_")
        over = truth.parts[f"over_{code}"][part].astype(float)
        counts = draw_counts(len(over)) if over.any() else None
        for system, S in scores.items() if counts is not None else ():
            s = S[part, 0]
            spread = interval(average_precision_draws(over, s, counts))
            rows.append(figure(system, f"ap_limit_{code}", average_precision(over, s), spread, len(over)))
        rows.append(figure(LABELS, f"over_limit_{code}", float(over.sum()), None, len(over), "rows"))
    return rows


def _calibration(y: np.ndarray, p: np.ndarray, system: str, counts: np.ndarray) -> list[Row | None]:
    """Return Brier skill against the test years' own failure rate, and the adaptive calibration error."""
    n = len(y)
    skill = interval(brier_skill_draws(y, p, counts))
    error = interval(written_out_draws(calibration_error, y, p, counts[:300]))
    top = np.argsort(-p, kind="stable")[: max(1, n // 10)]
    return [
        figure(system, "brier_skill", brier_skill(y, p), skill, n),
        figure(system, "ece", calibration_error(y, p), error, n),
        figure(system, "mean_probability", float(p.mean()), None, n),
        figure(system, "top_decile_probability", float(p[top].mean()), None, len(top)),
        figure(system, "top_decile_failed", float(y[top].mean()), None, len(top)),
    ]


def _gains(rows: list[Row | None], draws: Mapping[tuple[str, str], np.ndarray]) -> list[Row | None]:
    """Return our AP less each baseline's, over all rows and over unseen names; paired."""
    found = {(row.system, row.metric): row for row in existing(rows)}
    gains: list[Row | None] = []
    for system, metric in draws:
        if system == OURS or metric not in ("ap_all", "ap_unseen_names") or (OURS, metric) not in draws:
            continue
        if (system, metric) not in found or (OURS, metric) not in found:
            continue
        row = found[OURS, metric]
        gain = row.value - found[system, metric].value
        spread = interval(draws[OURS, metric] - draws[system, metric])
        gains.append(figure(OURS, f"{metric}_over_{system}", gain, spread, row.n or 0, "difference"))
    return gains


TASK = Task(
    name="lab_lead",
    files=(FILE, RECALLS),
    labels=labels,
    systems=lab_systems(read_samples) | {OURS: _ours},
    measure=measure,
    note="New York lead results 2019-2020",
)
