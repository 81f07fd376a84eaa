"""Unequal-probability samples of a fixed size whose inclusion probabilities are exact.

Probabilities proportional to a score with a floor above zero, then the random pivotal method (Deville and Tillé 1998,
"Unequal probability sampling without replacement through a splitting method", Biometrika 85, 89-101): units meet two
at a time, one takes what the other has, and each keeps its probability on average. Visiting the units in random order
keeps the entropy high, which the variance formula of `training.estimators` needs (Matei and Tillé 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.errors import UserError

_TINY = 1e-9


class DesignError(UserError):
    """A sample that cannot be drawn as asked; says what was got, what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """A stratified sample.

    Attributes
    ----------
    chosen
        ndarray of shape (n_units,), bool.
    propensity
        ndarray of shape (n_units,), float64: the exact probability with which each unit could be chosen.
    """

    chosen: np.ndarray
    propensity: np.ndarray


def inclusion_probabilities(scores: np.ndarray, size: int, floor: float) -> np.ndarray:
    """Probabilities proportional to a score, none below a floor, none above 1, that sum to the sample size.

    Parameters
    ----------
    scores
        ndarray of shape (n_units,), finite and 0 or more.
    size
        Units to draw, 1 to n_units.
    floor
        Lowest probability, as a share of ``size / n_units``: 0.2 says that no unit has less than a fifth of the chance
        it would have if all were alike. Above 0, at most 1.

    Returns
    -------
    ndarray of shape (n_units,), float64
        They sum to ``size`` to 1e-9; 1 where a unit is certain.

    Raises
    ------
    DesignError
        For a score, a size or a floor outside its range.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not np.all(np.isfinite(scores)) or np.any(scores < 0):
        raise DesignError(
            "Got scores that are not finite numbers of 0 or more; expected one such number a unit."
        )
    n = len(scores)
    if not 1 <= size <= n:
        raise DesignError(f"Got a sample of {size} from {n} units; expected 1 to {n}.")
    if not 0 < floor <= 1:
        raise DesignError(
            f"Got floor {floor}; expected above 0 and at most 1: a unit that cannot be drawn is lost."
        )
    least = floor * size / n
    if size == n or least >= 1:
        return np.ones(n)
    if not scores.any():
        return np.full(n, size / n)
    return _fit(scores / scores.max(), size, least)


def _fit(scores: np.ndarray, size: int, least: float) -> np.ndarray:
    """Find the factor c for which clip(c * score, least, 1) sums to the size; the sum grows with c."""

    def at(log_c: float) -> np.ndarray:
        return np.clip(np.exp(log_c) * scores, least, 1.0)

    # A score below a billionth of the highest makes no difference to where the floor ends.
    scores = np.where(scores < 1e-9, 0.0, scores)
    positive = scores[scores > 0]
    low, high = np.log(least / positive.max()) - 1, -np.log(positive.min()) + 1
    if at(high).sum() < size:
        # Units without any score share what the certain ones leave.
        rest = scores == 0
        found = np.ones(len(scores))
        found[rest] = (size - (~rest).sum()) / rest.sum()
        return found
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() < size else (low, middle)
    found = at(high)
    free = (found > least) & (found < 1)
    if free.any():
        found[free] *= (size - found[~free].sum()) / found[free].sum()
    return np.clip(found, least, 1.0)


def pivotal(propensity: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw units with the given probabilities by the random pivotal method.

    Parameters
    ----------
    propensity
        ndarray of shape (n_units,), 0 to 1, summing to a whole number.
    random
        Source of chance; the same state gives the same sample.

    Returns
    -------
    ndarray of shape (n_units,), bool
        As many True as the probabilities sum to; each unit True with exactly its probability.

    Raises
    ------
    DesignError
        For probabilities outside 0 to 1 or with a sum that is no whole number.
    """
    p = np.asarray(propensity, dtype=np.float64)
    total = float(p.sum())
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)) or abs(total - round(total)) > 1e-6:
        raise DesignError(f"Got probabilities that sum to {total:.6g}; expected 0 to 1 each and a whole sum.")
    chosen = p >= 1 - _TINY
    open_units = np.flatnonzero((p > _TINY) & ~chosen)
    if not len(open_units):
        return chosen
    order = random.permutation(open_units)
    holder, held = _meet(order.tolist(), p[order].tolist(), random.random(len(order)).tolist(), chosen)
    # What the last unit holds is 0 or 1 but for rounding.
    chosen[holder] = held > 0.5
    return chosen


def _meet(units: list[int], p: list[float], chance: list[float], chosen: np.ndarray) -> tuple[int, float]:
    """Let units meet in turn; returns the last one still open and what it holds."""
    holder, a = units[0], p[0]
    for unit, b, u in zip(units[1:], p[1:], chance[1:], strict=True):
        if a <= _TINY or a >= 1 - _TINY:
            chosen[holder] = a > 0.5
            holder, a = unit, b
            continue
        both = a + b
        if both < 1:
            # One takes all that both hold; the other is out.
            holder, a = (holder if u * both < a else unit), both
        elif u * (2 - both) < 1 - b:
            # One is chosen, the other keeps the rest.
            chosen[holder] = True
            holder, a = unit, both - 1
        else:
            chosen[unit] = True
            a = both - 1
    return holder, a


def draw(
    scores: np.ndarray, strata: np.ndarray, sizes: dict[str, int], floor: float, random: np.random.Generator
) -> Draw:
    """Draw a fixed number of units from each stratum.

    Parameters
    ----------
    scores
        ndarray of shape (n_units,): what probabilities are proportional to within a stratum.
    strata
        ndarray of str of shape (n_units,).
    sizes
        Units to draw per stratum, for every stratum that occurs.
    floor
        See `inclusion_probabilities`.
    random
        Source of chance.

    Raises
    ------
    DesignError
        When a stratum has no size, or one that cannot be drawn.
    """
    strata = np.asarray(strata)
    chosen, propensity = np.zeros(len(strata), dtype=bool), np.zeros(len(strata))
    for stratum in dict.fromkeys(strata.tolist()):
        if stratum not in sizes:
            raise DesignError(f"Got units in stratum {stratum!r} but no sample size for it; expected one.")
        rows = np.flatnonzero(strata == stratum)
        propensity[rows] = inclusion_probabilities(np.asarray(scores)[rows], sizes[stratum], floor)
        chosen[rows] = pivotal(propensity[rows], random)
    return Draw(chosen, propensity)
