"""Named thresholds of a bundle: how many past positives a point still catches, and how far above the usual it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """What a point asks for.

    Attributes
    ----------
    caught
        Share of past positives of the hazard that would still reach it: the further down, the surer and the fewer.
    lift
        At least so many times the probability of goods that nobody singled out. Without it a hazard that no past
        result points to clearly would flag everything.
    covert
        For the covert-camera detector, whose probabilities are set by hand with its weights.
    """

    caught: float
    lift: float
    covert: float


POINTS: Mapping[str, Point] = {
    "monitor": Point(caught=0.90, lift=3, covert=0.20),
    "review": Point(caught=0.75, lift=6, covert=0.35),
    "lab_test": Point(caught=0.40, lift=15, covert=0.50),
    "block": Point(caught=0.25, lift=25, covert=0.70),
}
# With fewer past positives the groups that the law tests stand in for them.
FEWEST = 15
# A hazard without recalls has no usual rate: goods of no group are assumed to have it this rarely.
_RARE = 0.02


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the points are chosen from.

    Attributes
    ----------
    codes
        Hazards in taxonomy order.
    laboratory
        ndarray of shape (n_hazards,), bool.
    positives
        Per hazard, the held-out joint probabilities of its past positives.
    group_prior
        ndarray of shape (n_groups, n_hazards): P(h | non-compliant, group).
    group_rate
        ndarray of shape (n_groups,): P(non-compliant | group).
    mix
        ndarray of shape (n_hazards,): share of each hazard among all past non-compliant goods.
    root_rate
        Failure rate of goods that nobody singled out.
    """

    codes: tuple[str, ...]
    laboratory: np.ndarray
    positives: list[np.ndarray]
    group_prior: np.ndarray
    group_rate: np.ndarray
    mix: np.ndarray
    root_rate: float


def usual_rate(evidence: Evidence) -> np.ndarray:
    """Return the joint probability of goods that nobody singled out, shape (n_hazards,)."""
    share = np.maximum(evidence.mix, evidence.group_prior.mean(axis=0))
    return evidence.root_rate * np.maximum(share, _RARE)


def operating_points(evidence: Evidence) -> dict[str, dict[str, float]]:
    """Choose the points.

    Returns
    -------
    dict
        Point -> hazard code or ``p_noncompliant`` -> probability; the points of a hazard never fall from one to the
        next stricter.
    """
    usual = usual_rate(evidence)
    joint = evidence.group_rate[:, None] * evidence.group_prior
    risky = evidence.group_rate[evidence.group_rate > evidence.root_rate]
    points: dict[str, dict[str, float]] = {}
    for name, point in POINTS.items():
        at: dict[str, float] = {}
        for k, code in enumerate(evidence.codes):
            if not evidence.laboratory[k]:
                at[code] = point.covert
                continue
            past = evidence.positives[k]
            seen = past if len(past) >= FEWEST else joint[joint[:, k] > usual[k], k]
            caught = float(np.quantile(seen, 1 - point.caught)) if len(seen) else 0.0
            at[code] = min(max(caught, point.lift * float(usual[k])), 0.99)
        at["p_noncompliant"] = (
            float(np.quantile(risky, 1 - point.caught)) if len(risky) else evidence.root_rate
        )
        points[name] = at
    return points
