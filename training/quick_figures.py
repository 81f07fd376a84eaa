"""Average precision and ROC area in plain numpy, for the thousands of redraws of an interval.

The same values as scikit-learn's, ties included (a test holds that), without its checks of every call.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def quick_average_precision(y: np.ndarray, score: np.ndarray) -> float:
    """Return the average precision, NaN without a positive.

    Parameters
    ----------
    y
        ndarray of shape (n,), 0 or 1.
    score
        ndarray of shape (n,).
    """
    positives = float(y.sum())
    if not positives:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(y[order], dtype=np.float64)[ends]
    precision = hits / (ends + 1)
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / positives)


def quick_roc_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve, NaN with one class only (Mann and Whitney 1947)."""
    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[y > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))
