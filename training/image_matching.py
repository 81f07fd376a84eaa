"""Fit the photo matcher: how evidence is weighed, and from where on a match counts.

What it is fitted on are pairs that the index brought up: copies of a bank photo, and photos of other products. The
products must be others than those it is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.image_match import FACTORS, Limits, PairEvidence, PhotoMatcher, factors
from training.calibration import fit_platt

BASE_RATE = 0.05
"""Share of true copies among the pairs that the index brings up, which probabilities are calibrated to (assumption)."""

EVEN = 0.5
"""The exact tier, which may block, never rests on less than an even chance."""

_RIDGE = 0.02
_LEAST = 30
_BY_PLACE = ("points", "many_points", "spread", "tiles_and_points")
_BY_LOOK = ("tiles", "correlation", "cosine", "hash", "tiles_and_points")


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair that the index brought up.

    Attributes
    ----------
    evidence
        As the index gave it.
    same
        Whether it is a copy.
    query
        Name of the query; queries are innocent or not as a whole.
    """

    evidence: PairEvidence
    same: bool
    query: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """Which errors the exact tier may make on the photos it is fitted on.

    Attributes
    ----------
    pair
        Share of pairs of different products.
    query
        Share of innocent queries with any match.
    near
        Share of pairs in the near tier.
    """

    pair: float = 5e-5
    query: float = 2.5e-3
    near: float = 5e-4


def fit_photo_matcher(
    pairs: Sequence[JudgedPair],
    *,
    n_negative_pairs: int,
    n_innocent_queries: int,
    allowance: Allowance | None = None,
    limits: Limits | None = None,
    fitted_on: str = "",
) -> PhotoMatcher:
    """Fit weights, calibration and the two thresholds.

    Parameters
    ----------
    pairs
        What the index brought up.
    n_negative_pairs
        Pairs of different products that were searched, those not brought up included.
    n_innocent_queries
        Queries whose pairs of different products are among them.
    allowance
        Errors allowed to the tiers; half of the aim where None, since other photos differ.
    limits
        The shortlist that brought the pairs up.
    fitted_on
        Said in the matcher.

    Returns
    -------
    PhotoMatcher

    Raises
    ------
    ValueError
        With fewer than 30 pairs of either kind.

    Notes
    -----
    Logistic regression with weights that cannot be negative: more evidence never makes a match less probable. Each
    pair is also shown without what speaks for it by place, and without what speaks for it by look: an edit that no one
    has seen may take either away, and the other must carry the match.
    """
    allowance = allowance or Allowance()
    x = np.array([factors(pair.evidence) for pair in pairs]).reshape(len(pairs), len(FACTORS))
    y = np.array([pair.same for pair in pairs], bool)
    if min(y.sum(), (~y).sum()) < _LEAST:
        raise ValueError(f"got {y.sum()} copies and {(~y).sum()} others; expected at least {_LEAST} of each")
    weights, offset = _logistic(np.concatenate([x, *_without(x)]), np.tile(y, 3))
    slope, shift = fit_platt(x @ weights + offset, y.astype(float), weight=_shares(y))
    weights, offset = weights * slope, offset * slope + shift
    odds = x @ weights + offset
    by_pair = _threshold(odds[~y], allowance.pair * n_negative_pairs)
    by_query = _threshold(_worst(pairs, odds, y), allowance.query * n_innocent_queries)
    exact, near = max(by_pair, by_query), _threshold(odds[~y], allowance.near * n_negative_pairs)
    return PhotoMatcher(
        weights=tuple(float(one) for one in weights),
        offset=float(offset),
        exact=max(EVEN, _sigmoid(exact)),
        near=_sigmoid(min(near, exact)),
        fitted_on=fitted_on,
        limits=limits or Limits(),
    )


def _without(x: np.ndarray) -> list[np.ndarray]:
    """Give the pairs with one kind of evidence missing, for either kind."""
    return [x * [name not in kind for name in FACTORS] for kind in (_BY_PLACE, _BY_LOOK)]


def _worst(pairs: Sequence[JudgedPair], odds: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Per query, the log-odds of its most convincing wrong pair."""
    worst: dict[str, float] = {}
    for pair, value, same in zip(pairs, odds, y, strict=True):
        if not same:
            worst[pair.query] = max(worst.get(pair.query, -np.inf), float(value))
    return np.array(list(worst.values()))


def _threshold(wrong: np.ndarray, allowed: float) -> float:
    """Give a value that at most ``allowed`` of the wrong ones reach."""
    ordered = np.sort(wrong)[::-1]
    place = int(allowed)
    if place >= len(ordered):
        return float(ordered[-1]) if len(ordered) else 0.0
    return float(np.nextafter(ordered[place], np.inf)) + 1e-6


def _shares(y: np.ndarray) -> np.ndarray:
    """Weights that bring the pairs to the base rate; their mean is 1."""
    return np.where(y, BASE_RATE / y.mean(), (1 - BASE_RATE) / (1 - y.mean()))


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    from scipy.optimize import minimize

    share = _shares(y)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ theta[:-1] + theta[-1]
        error = share * (_sigmoids(z) - y)
        value = np.mean(share * (np.logaddexp(0, z) - y * z)) + _RIDGE / len(x) * np.sum(theta[:-1] ** 2)
        slope = np.append(x.T @ error / len(x) + 2 * _RIDGE / len(x) * theta[:-1], error.mean())
        return float(value), slope

    start = np.append(np.ones(x.shape[1]), -3.0)
    bounds = [(0.0, None)] * x.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2_000})
    return found.x[:-1], float(found.x[-1])


def _sigmoids(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -60, 60)))


def _sigmoid(z: float) -> float:
    return float(_sigmoids(np.array([z]))[0])
