"""Intervals for rates estimated from weighted samples.

Wilson's interval (Wilson 1927, JASA 22, 209-212) with the number of tests replaced by the effective number, as
recommended for complex samples by Franco, Little, Louis and Slud 2019 (J. Surv. Stat. Methodol. 7, 334-364), and with
a t quantile, since the effective number is itself estimated from few fails. With few fails it is joined with the gamma
interval for weighted counts of Fay and Feuer 1997 (Stat. Med. 16, 791-801), so that it errs on the wide side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit


class Interval(NamedTuple):
    """Two ends of a rate, 0 to 1."""

    low: float
    high: float

    def joined(self, other: Interval) -> Interval:
        """Return the smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


def _clipped(low: float, high: float) -> Interval:
    return Interval(float(min(max(low, 0.0), 1.0)), float(min(max(high, 0.0), 1.0)))


def wilson(rate: float, tests: float, level: float = 0.95, freedom: float = np.inf) -> Interval:
    """Wilson's interval.

    Parameters
    ----------
    rate
        Estimated rate, 0 to 1.
    tests
        Number of tests, or the effective number; above 0.
    level
        Confidence level.
    freedom
        Degrees of freedom of the variance behind an effective number; infinite for a plain count.
    """
    tail = (1 + level) / 2
    z = float(ndtri(tail) if np.isinf(freedom) else stdtrit(max(freedom, 1.0), tail))
    middle = (rate + z * z / (2 * tests)) / (1 + z * z / tests)
    half = z / (1 + z * z / tests) * np.sqrt(rate * (1 - rate) / tests + z * z / (4 * tests * tests))
    return _clipped(middle - half, middle + half)


def clopper_pearson(failed: float, tests: float, level: float = 0.95) -> Interval:
    """Clopper and Pearson's exact interval; with effective counts that of Korn and Graubard 1998."""
    tail = (1 - level) / 2
    low = 0.0 if failed <= 0 else float(betaincinv(failed, tests - failed + 1, tail))
    high = 1.0 if failed >= tests else float(betaincinv(failed + 1, tests - failed, 1 - tail))
    return _clipped(low, high)


def gamma_interval(rate: float, variance: float, one_more: float, level: float = 0.95) -> Interval:
    """Fay and Feuer's interval for a weighted sum of rare counts.

    Parameters
    ----------
    rate
        Sum of weight x fails.
    variance
        Sum of weight^2 x fails.
    one_more
        What a single further fail would add: the weight it would carry. The root mean square of the weights, or their
        maximum for the interval that is never too short.
    """
    tail = (1 - level) / 2
    low = 0.0
    if rate > 0 and variance > 0:
        low = variance / rate * float(gammaincinv(rate * rate / variance, tail))
    v, y = variance + one_more**2, rate + one_more
    return _clipped(low, v / y * float(gammaincinv(y * y / v, 1 - tail)))
