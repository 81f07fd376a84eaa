"""A bound on the failing share that is let through: lead, chosen on 2017-2018, measured on 2019-2020, and unshifted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.baselines import logistic, tfidf
from benchmarks.quality.lab_lead import read_samples
from benchmarks.quality.lab_rows import FILE, HERE, RECALLS, Sample, listing_of, outcomes, tokens
from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.resample import SEED, Interval, draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from training.conformal import let_through, next_level
from training.heads import sigmoid

LEARNED = date(2016, 12, 31)
LEVELS = (0.05, 0.10, 0.20)
HALVES = 400
# Quarters whose failing goods choose the threshold, and how fast the level follows; set before anything was measured.
WINDOW, STEP = 8, 0.2


@cache
def split(data: Path) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Return the rows to learn from and the later ones: those to choose by, then those to measure on."""
    before, after = read_samples(data)
    learned = tuple(sample for sample in before if sample.day <= LEARNED)
    return learned, (*(sample for sample in before if sample.day > LEARNED), *after)


def labels(data: Path) -> Labels:
    """Read the labels of all later rows; ``chosen_on`` are those of 2017-2018."""
    _, later = split(data)
    chosen = np.array([sample.day.year <= 2018 for sample in later])
    parts = {"chosen_on": chosen, "measured_on": ~chosen}
    quarter = np.array(
        [4 * (sample.day.year - LEARNED.year - 1) + (sample.day.month - 1) // 3 for sample in later]
    )
    parts |= {f"quarter_{k:02}": quarter == k for k in range(int(quarter.max(initial=0)) + 1)}
    return Labels(tuple(s.id for s in later), ("",), outcomes(later), parts)


def _tfidf_lr(data: Path) -> np.ndarray:
    learned, later = split(data)
    left, right = tfidf([tokens(sample) for sample in learned], [tokens(sample) for sample in later])
    return sigmoid(logistic(left, outcomes(learned), right, 10.0))


def _ours(data: Path) -> np.ndarray:
    listings = [listing_of(sample) for sample in split(data)[1]]
    scores = train_and_batch(HERE / "lab_lead.yaml", data, LEARNED, listings)
    return np.asarray(scores["p_lead"], dtype=np.float64)[:, None]


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return, for each level, the share of failing goods let through and the share of all goods that this clears."""
    failed = truth.Y[:, 0] > 0
    chosen, measured = truth.parts["chosen_on"], truth.parts["measured_on"]
    rows: list[Row | None] = []
    for system, S in scores.items():
        s = S[:, 0]
        for level in LEVELS:
            at = f"{level * 100:.0f}"
            bound = let_through(s[chosen & failed], level)
            below = (s < bound.threshold).astype(float)
            for metric, part in (("let_through", measured & failed), ("cleared", measured)):
                spread = _mean_draws(below[part])
                rows.append(
                    figure(system, f"{metric}_at_{at}", float(below[part].mean()), spread, int(part.sum()))
                )
            renewed = _renewed(s, failed, truth.parts, level)
            for metric, part in (("let_through_renewed", measured & failed), ("cleared_renewed", measured)):
                spread = _mean_draws(renewed[part])
                rows.append(
                    figure(system, f"{metric}_at_{at}", float(renewed[part].mean()), spread, int(part.sum()))
                )
            apart = _halves(s, failed, measured, level)
            rows.append(
                figure(system, f"let_through_no_shift_at_{at}", float(apart.mean()), None, len(apart))
            )
    rows.append(
        figure(LABELS, "failing_chosen_on", float((failed & chosen).sum()), None, int(chosen.sum()), "rows")
    )
    rows.append(
        figure(
            LABELS, "failing_measured_on", float((failed & measured).sum()), None, int(measured.sum()), "rows"
        )
    )
    return existing(rows)


def _mean_draws(values: np.ndarray) -> Interval:
    return interval(draw_counts(len(values)) @ values / len(values))


def _renewed(s: np.ndarray, failed: np.ndarray, parts: Mapping[str, np.ndarray], level: float) -> np.ndarray:
    """Mark what is let through when the threshold is chosen again every quarter, on results known by then.

    The failing goods of the last two years count, and the level follows what slipped through (`next_level`).
    """
    quarters = [parts[name] for name in sorted(parts) if name.startswith("quarter_")]
    below = np.zeros(len(s))
    asked = level
    for at, quarter in enumerate(quarters):
        if not (quarter & parts["measured_on"]).any():
            continue
        known = np.any(quarters[max(at - WINDOW, 0) : at], axis=0) & failed
        below[quarter] = s[quarter] < let_through(s[known], asked).threshold
        slipped = below[quarter & failed]
        asked = next_level(asked, level, float(slipped.mean()) if len(slipped) else float("nan"), STEP)
    return below


def _halves(s: np.ndarray, failed: np.ndarray, measured: np.ndarray, level: float) -> np.ndarray:
    """Choose on one random half of the measured years' failing rows and measure on the other: nothing shifts."""
    rng = np.random.default_rng(SEED)
    rows = np.flatnonzero(measured & failed)
    shares = []
    for _ in range(HALVES):
        drawn = rng.permutation(rows)
        left, right = drawn[: len(rows) // 2], drawn[len(rows) // 2 :]
        shares.append(np.mean(s[right] < let_through(s[left], level).threshold))
    return np.array(shares)


SYSTEMS: Mapping[str, Callable[[Path], np.ndarray]] = {"tfidf_lr": _tfidf_lr, OURS: _ours}
TASK = Task(
    name="lead_risk_control",
    files=(FILE, RECALLS),
    labels=labels,
    systems=SYSTEMS,
    measure=measure,
    note="New York lead results 2017-2020, threshold chosen on the first two years",
)
