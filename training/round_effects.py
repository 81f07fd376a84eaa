"""How far a new inspection round lies from what was expected of its groups: a beta-binomial with a round effect.

A round shares an agency, a season and a reason why goods were chosen, so its groups fail more or less often together.
The effect is normal in log-odds, the rest of the spread beta-binomial; both are fitted by maximum marginal likelihood
and integrated over a grid (Skellam 1948 for the beta-binomial; Breslow and Clayton 1993 for the effect).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, logsumexp

from training.heads import logit, sigmoid

_GRID = np.linspace(-4, 4, 41)
_DEVIATIONS = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.4)
_CONCENTRATIONS = tuple(np.exp(np.linspace(np.log(1.0), np.log(300.0), 24)))


@dataclass(frozen=True, slots=True)
class RoundCount:
    """One group of a round: the rate expected of it, and what was found."""

    round: str
    expected: float
    tested: int
    failed: int


@dataclass(frozen=True, slots=True)
class RoundEffect:
    """How rounds differ.

    Attributes
    ----------
    shift
        Mean log-odds of rounds above expectation.
    deviation
        Standard deviation of a round's log-odds around that.
    concentration
        alpha + beta of the beta-binomial within a round.
    """

    shift: float
    deviation: float
    concentration: float


def fit_round_effect(rows: Sequence[RoundCount]) -> RoundEffect:
    """Fit shift, deviation and concentration.

    Parameters
    ----------
    rows
        Expected rates must come from OTHER rounds than the row's own.
    """
    if not rows:
        return RoundEffect(0.0, 0.5, 10.0)
    expected = logit(np.array([row.expected for row in rows]))
    n, k = (np.array([getattr(row, name) for row in rows], dtype=float) for name in ("tested", "failed"))
    rounds = np.unique([row.round for row in rows], return_inverse=True)[1]
    best, chosen = -np.inf, RoundEffect(0.0, 0.5, 10.0)
    for s in _CONCENTRATIONS:
        # Log-likelihood of each row at each shift of the log-odds, then of each round.
        p = sigmoid(expected[:, None] + _GRID)
        rows_at = betaln(k[:, None] + s * p, (n - k)[:, None] + s * (1 - p)) - betaln(s * p, s * (1 - p))
        rounds_at = np.zeros((rounds.max() + 1, len(_GRID)))
        np.add.at(rounds_at, rounds, rows_at)
        for shift in np.linspace(-1.5, 1.5, 31):
            for deviation in _DEVIATIONS:
                joint = np.asarray(logsumexp(rounds_at + _log_weights(shift, deviation), axis=1))
                value = float(joint.sum())
                if value > best:
                    best, chosen = value, RoundEffect(float(shift), deviation, float(s))
    return chosen


def _log_weights(shift: float, deviation: float) -> np.ndarray:
    """Return log weights of a normal on the grid; without deviation, of the point nearest to the shift."""
    step = _GRID[1] - _GRID[0]
    w = -0.5 * ((_GRID - shift) / max(deviation, step / 2)) ** 2
    return w - np.log(np.exp(w).sum())


def predict_round(effect: RoundEffect, expected: float) -> tuple[float, float]:
    """Return (alpha, beta) of a group of a new round: the beta with the mixture's mean and variance."""
    w = np.exp(_log_weights(effect.shift, effect.deviation))
    p = sigmoid(logit(np.array(expected)) + _GRID)
    mean = float(w @ p)
    within = w @ (p * (1 - p)) / (effect.concentration + 1)
    variance = float(within + w @ (p - mean) ** 2)
    total = max(mean * (1 - mean) / variance - 1, 0.2)
    return mean * total, (1 - mean) * total
