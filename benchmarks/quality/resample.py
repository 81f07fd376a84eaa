"""Bootstrap over items, the same draws for every system, so that differences of systems are paired.

A draw is a count per item. Figures under counts equal those of the items written out that often; a test holds that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

DRAWS = 1_000
SEED = 20_100_101


@dataclass(frozen=True, slots=True)
class Interval:
    """The central 95 % of a bootstrap."""

    low: float
    high: float


def draw_counts(n: int, draws: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Return how often each of n items is drawn, n at a time with replacement; shape (draws, n), float64."""
    return _drawn(n, draws, seed).astype(np.float64)


@lru_cache(maxsize=64)  # systems and attacks are measured on the same sets of items; a large one takes 10 MB
def _drawn(n: int, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.uint16 if n < 2**16 else np.uint32)


def interval(values: np.ndarray) -> Interval:
    """Return the central 95 % of values, leaving out NaN: draws without a positive."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(kept, [0.025, 0.975])
    return Interval(float(low), float(high))


def _cumulated(y: np.ndarray, score: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positives and items down to the ends of runs of scores, the highest first; each (draws, n_runs).

    A run is one score, or several next to each other without a positive: no figure changes within those.
    """
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    hit = np.add.reduceat(y[order], starts) > 0
    kept = hit | np.append(True, hit[:-1])
    starts, hit = starts[kept], hit[kept]
    ordered = counts[:, order]
    items = np.cumsum(np.add.reduceat(ordered, starts, axis=1), axis=1)
    positive = np.flatnonzero(y[order])
    first = np.searchsorted(positive, starts[hit])
    hits = np.zeros_like(items)
    if len(positive):
        hits[:, hit] = np.add.reduceat(ordered[:, positive], first, axis=1)
    return np.cumsum(hits, axis=1), items


def average_precision_draws(y: np.ndarray, score: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the average precision of each draw, NaN without a positive; shape (draws,)."""
    hits, items = _cumulated(y, score, counts)
    precision = np.divide(hits, items, out=np.zeros_like(hits), where=items > 0)
    total = hits[:, -1]
    gained = np.diff(hits, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (precision * gained).sum(axis=1) / total, np.nan)


def roc_auc_draws(y: np.ndarray, score: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each draw, NaN with one class only; shape (draws,)."""
    hits, items = _cumulated(y, score, counts)
    misses = items - hits
    zero = np.zeros((len(counts), 1))
    hits, misses = np.hstack([zero, hits]), np.hstack([zero, misses])
    area = (np.diff(misses, axis=1) * (hits[:, 1:] + hits[:, :-1]) / 2).sum(axis=1)
    pairs = hits[:, -1] * misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, area / pairs, np.nan)


def brier_skill_draws(y: np.ndarray, p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return 1 - Brier / Brier of the draw's own mean outcome; NaN with one class only; shape (draws,)."""
    n = counts.sum(axis=1)
    mean = counts @ y / n
    base = mean * (1 - mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(base > 0, 1 - (counts @ (p - y) ** 2 / n) / base, np.nan)


def at_budgets_draws(
    Y: np.ndarray, score: np.ndarray, counts: np.ndarray, budgets: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall of each draw when its best-scored shares are looked at.

    Items of equal score are taken in their order; recall is NaN without a positive.

    Parameters
    ----------
    Y
        ndarray of shape (n, k): outcomes that are found or missed.
    budgets
        b shares of the items.

    Returns
    -------
    precision, recall : ndarray of shape (b, k, draws)
    """
    order = np.argsort(-score, kind="stable")
    ordered, Y = counts[:, order], Y[order]
    before = np.cumsum(ordered, axis=1)
    before -= ordered
    total = (ordered @ Y).T
    found = []
    sizes = [max(1, round(budget * len(Y))) for budget in budgets]
    for size in sizes:
        taken = np.subtract(size, before)
        np.clip(taken, 0, ordered, out=taken)
        found.append((taken @ Y).T)
    hits = np.array(found)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / np.array(sizes)[:, None, None], np.where(total > 0, hits / total, np.nan)


def written_out_draws(
    metric: Callable[[np.ndarray, np.ndarray], float], y: np.ndarray, score: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return any metric of each draw, with the items written out; slow, for metrics that have no count form."""
    rows = np.arange(len(y))
    drawn = (np.repeat(rows, count.astype(int)) for count in counts)
    return np.array([metric(y[taken], score[taken]) for taken in drawn])
