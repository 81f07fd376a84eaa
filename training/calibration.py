"""Probabilities that mean something: one scaling per hazard, chosen by how many positives there are."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from training.heads import logit, sigmoid

FEW = 15


def fit_platt(
    scores: np.ndarray, labels: np.ndarray, *, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Fit slope and offset of a logistic curve to out-of-fold log-odds.

    Labels are smoothed as Platt (1999) proposed, and the slope is drawn toward 1 by a weak normal prior, so that a
    hazard with few positives keeps its order and only its level is moved. Below `FEW` positives the slope stays 1.

    Parameters
    ----------
    scores, labels, weight
        ndarrays of shape (n,): log-odds, 0 or 1, and non-negative weights.

    Returns
    -------
    tuple of float
        (slope, offset), slope > 0.
    """
    w = np.ones(len(labels)) if weight is None else weight
    positives, negatives = labels.sum(), (1 - labels).sum()
    target = np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    free_slope = positives >= FEW

    def loss(theta: np.ndarray) -> float:
        slope = np.exp(theta[0]) if free_slope else 1.0
        z = slope * scores + theta[1]
        nll = np.sum(w * (np.logaddexp(0, z) - target * z))
        return float(nll + 0.5 * (theta[0] / 0.5) ** 2 + 0.5 * (theta[1] / 5.0) ** 2)

    start = np.array([0.0, logit(np.array(labels.mean())) - np.mean(scores)]) * [1, 0.1]
    found = minimize(
        loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-6, "maxiter": 2000}
    )
    slope = float(np.exp(found.x[0])) if free_slope else 1.0
    return slope, float(found.x[1])


def rebase(p: np.ndarray, base_from: float, base_to: float) -> np.ndarray:
    """Move probabilities from one base rate to another (prior shift; Saerens et al., 2002).

    Raises
    ------
    ValueError
        When a base rate is not inside (0, 1).
    """
    for name, rate in (("base_from", base_from), ("base_to", base_to)):
        if not 0 < rate < 1:
            raise ValueError(f"Got {name}={rate} but expected a rate between 0 and 1, both excluded.")
    shift = logit(np.array(base_to)) - logit(np.array(base_from))
    return sigmoid(logit(p) + shift)
