"""Figures of a ranking and of probabilities, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from training.quick_figures import quick_average_precision, quick_roc_auc

BUDGETS = (0.01, 0.02, 0.05, 0.10)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with the central 95 % of its bootstrap; NaN where it cannot be had."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain JSON values; NaN becomes null."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(x) else round(float(x), 6) for name, x in numbers.items()} | {
            "n": self.n
        }


Metric = Callable[[np.ndarray, np.ndarray], float]


def average_precision(y: np.ndarray, score: np.ndarray) -> float:
    """Return the average precision, NaN without a positive."""
    return float(average_precision_score(y, score)) if y.sum() else float("nan")


def roc_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve, NaN with one class only."""
    return float(roc_auc_score(y, score)) if 0 < y.sum() < len(y) else float("nan")


def brier(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean squared difference of probability and outcome."""
    return float(np.mean((p - y) ** 2))


def brier_skill(y: np.ndarray, p: np.ndarray) -> float:
    """Return 1 - Brier / Brier of the constant mean outcome; above 0 is better than that constant."""
    base = float(np.mean((y.mean() - y) ** 2))
    return 1 - brier(y, p) / base if base > 0 else float("nan")


def calibration_error(y: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """Return the mean gap of probability and outcome over bins that hold equally many items (adaptive ECE)."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(p[part].mean() - y[part].mean()) for part in parts) / len(y))


def at_budget(y: np.ndarray, score: np.ndarray, budget: float) -> tuple[float, float]:
    """Return precision and recall when the best-scored share ``budget`` of items is looked at (at least one)."""
    taken = np.argsort(-score, kind="stable")[: max(1, round(budget * len(y)))]
    found = y[taken].sum()
    return float(found / len(taken)), float(found / y.sum()) if y.sum() else float("nan")


# scikit-learn checks its arguments longer than it computes on few items, and a redraw is of what was checked.
_REDRAWN: dict[Metric, Metric] = {average_precision: quick_average_precision, roc_auc: quick_roc_auc}


def bootstrap(
    metric: Metric, y: np.ndarray, score: np.ndarray, *, rng: np.random.Generator, draws: int = 300
) -> Figure:
    """Give a metric with the interval of redrawn items."""
    n = len(y)
    if n == 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    redrawn = _REDRAWN.get(metric, metric)
    values = np.array([redrawn(y[rows], score[rows]) for rows in rng.integers(0, n, (draws, n))])
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (float("nan"),) * 2
    return Figure(metric(y, score), float(low), float(high), n)


def macro_bootstrap(
    Y: np.ndarray,
    S: np.ndarray,
    *,
    rng: np.random.Generator,
    draws: int = 300,
    metric: Metric = average_precision,
) -> Figure:
    """Give the mean of a metric over columns, redrawing whole rows so that columns stay paired.

    Parameters
    ----------
    Y, S
        ndarrays of shape (n_items, n_classes): outcomes and scores.
    """

    def macro(rows: np.ndarray, metric: Metric) -> float:
        values = [metric(Y[rows, k], S[rows, k]) for k in range(Y.shape[1])]
        known = [value for value in values if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")

    n = len(Y)
    redrawn = _REDRAWN.get(metric, metric)
    values = np.array([macro(rows, redrawn) for rows in rng.integers(0, n, (draws, n))])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Figure(macro(np.arange(n), metric), float(low), float(high), n)
