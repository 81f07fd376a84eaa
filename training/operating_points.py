"""Named thresholds of a bundle, from how past non-compliant products would have scored."""

from __future__ import annotations

import numpy as np

# Share of past positives of a hazard that a point still catches: the further down, the surer and the fewer.
CAUGHT = {"monitor": 0.9, "review": 0.75, "lab_test": 0.5, "block": 0.25}
# The covert-camera detector gives probabilities set by hand with its evidence weights.
COVERT = {"monitor": 0.2, "review": 0.35, "lab_test": 0.5, "block": 0.7}
# Above the rate of goods nobody singled out, below that of what inspectors choose to test.
FEWEST = 15


def operating_points(
    codes: tuple[str, ...],
    laboratory: np.ndarray,
    positives: list[np.ndarray],
    group_p: np.ndarray,
    group_rate: np.ndarray,
    root_rate: float,
) -> dict[str, dict[str, float]]:
    """Choose the points.

    Parameters
    ----------
    codes
        Hazards in taxonomy order.
    laboratory
        ndarray of shape (n_hazards,), bool.
    positives
        Per hazard, the held-out joint probabilities of its past positives.
    group_p
        ndarray of shape (n_groups, n_hazards): prior joint probability of each group.
    group_rate
        ndarray of shape (n_groups,).
    root_rate
        Failure rate of goods that nobody singled out.

    Returns
    -------
    dict
        Point -> hazard code or ``p_noncompliant`` -> probability. A hazard with fewer than `FEWEST` past positives
        takes its points from the groups that the law tests for it.
    """
    points: dict[str, dict[str, float]] = {}
    risky = group_rate[group_rate > root_rate]
    for name, caught in CAUGHT.items():
        at: dict[str, float] = {}
        for k, code in enumerate(codes):
            if not laboratory[k]:
                at[code] = COVERT[name]
                continue
            seen = positives[k] if len(positives[k]) >= FEWEST else group_p[group_p[:, k] > 0, k]
            if len(seen):
                at[code] = float(np.quantile(seen, 1 - caught))
        at["p_noncompliant"] = float(np.quantile(risky, 1 - caught)) if len(risky) else root_rate
        points[name] = at
    return points
