"""Failure rates of a whole catalogue from the few goods that were tested, each with a known chance of being chosen.

Goods chosen with certainty count as themselves. For the rest three estimators are offered: Horvitz-Thompson (1952), the
ratio form of Hájek (1971), and the model-assisted difference estimator (Särndal, Swensson and Wretman 1992, ch. 6),
which adds what the model predicts for all and corrects it by what the tests show. Variances are those of Hájek for
fixed-size unequal-probability designs of high entropy, which need no joint probabilities (Matei and Tillé 2005). None
assumes that the model is right. The naive share of fails among the tested stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from features.errors import UserError
from training.intervals import Interval, gamma_interval, wilson

Method = Literal["naive", "horvitz_thompson", "hajek", "difference"]
FEW_FAILS = 5
# Degrees of freedom per effective fail, chosen by simulation over designs and rates.
_FREEDOM_PER_FAIL = 4.0


class EstimateError(UserError):
    """Numbers from which no rate can be estimated; says what was got, what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The goods that were tested.

    Attributes
    ----------
    failed
        ndarray of shape (n,): 1 failed, 0 passed.
    propensity
        ndarray of shape (n,): the probability with which each was chosen, above 0, at most 1.
    stratum
        ndarray of shape (n,): stratum of the draw; goods of one stratum were drawn as one fixed-size sample.
    members
        ndarray of shape (n,), 0 to 1: how much of each belongs to the domain that is estimated; 1 everywhere for all.
    predicted
        ndarray of shape (n,): what a model that did NOT learn from these results gives; None without one.
    """

    failed: np.ndarray
    propensity: np.ndarray
    stratum: np.ndarray
    members: np.ndarray
    predicted: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """The goods the rate is about, tested ones included.

    Attributes
    ----------
    size
        Goods of the domain (sum of their membership).
    predicted_total
        Sum of the model's predictions over those NOT chosen with certainty; None without a model.
    """

    size: float
    predicted_total: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its interval.

    Attributes
    ----------
    method
        Which estimator.
    rate, low, high
        The rate of the whole population and its interval; NaN and certain bounds when nothing was drawn at random.
    tested, failed
        Counts behind it.
    certain
        Of the tested, those chosen with certainty.
    population
        Goods the rate is about.
    effective
        Effective number of random tests (Kish's where no variance can be had).
    conservative
        True where fewer than `FEW_FAILS` fails were seen among the random tests: the interval errs on the wide side.
    level
        Confidence level.
    """

    method: Method
    rate: float
    low: float
    high: float
    tested: int
    failed: int
    certain: int
    population: float
    effective: float
    conservative: bool
    level: float = 0.95


def sampled(
    failed: np.ndarray,
    propensity: np.ndarray,
    stratum: np.ndarray | None = None,
    members: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
) -> Sample:
    """Check and collect the tested goods; see `Sample`.

    Raises
    ------
    EstimateError
        For lengths that differ, results other than 0 and 1, or probabilities outside (0, 1].
    """
    y, p = np.asarray(failed, dtype=np.float64), np.asarray(propensity, dtype=np.float64)
    strata = np.zeros(len(y), dtype=np.int64) if stratum is None else np.asarray(stratum)
    inside = np.ones(len(y)) if members is None else np.asarray(members, dtype=np.float64)
    m = None if predicted is None else np.asarray(predicted, dtype=np.float64)
    lengths = {len(part) for part in (y, p, strata, inside, y if m is None else m)}
    if len(lengths) != 1:
        raise EstimateError(
            f"Got {sorted(lengths)} results, propensities, strata and so on; expected one each."
        )
    if not np.all(np.isin(y, (0.0, 1.0))):
        raise EstimateError("Got results other than 0 and 1; expected 1 for a fail and 0 for a pass.")
    if not np.all((p > 0) & (p <= 1)):
        raise EstimateError(
            "Got propensities outside (0, 1]; goods without a logged propensity allow no estimate."
        )
    if not np.all((inside >= 0) & (inside <= 1)) or (m is not None and not np.all((m >= 0) & (m <= 1))):
        raise EstimateError(
            "Got memberships or predictions outside 0 to 1; expected shares and probabilities."
        )
    return Sample(y, p, strata, inside, m)


def naive(sample: Sample, level: float = 0.95) -> Estimate:
    """Share of fails among the tested, as if picked blindly: shown for comparison, not to be published."""
    inside = sample.members > 0
    n, k = int(inside.sum()), int(sample.failed[inside].sum())
    rate = k / n if n else float("nan")
    low, high = wilson(rate, n, level) if n else (0.0, 1.0)
    certain = int((sample.propensity[inside] >= 1).sum())
    return Estimate("naive", rate, low, high, n, k, certain, n, n, False, level)


def horvitz_thompson(sample: Sample, population: Population, level: float = 0.95) -> Estimate:
    """Horvitz-Thompson estimate: every fail counts for the goods it stands for. Exactly unbiased."""
    return _estimate("horvitz_thompson", sample, population, level, _ht)


def hajek(sample: Sample, population: Population, level: float = 0.95) -> Estimate:
    """Hájek's ratio estimate: as Horvitz-Thompson, divided by the goods the tests stand for; steadier."""
    return _estimate("hajek", sample, population, level, _ratio)


def difference(sample: Sample, population: Population, level: float = 0.95) -> Estimate:
    """Model-assisted difference estimate: mean prediction plus the weighted mean of (result - prediction).

    Raises
    ------
    EstimateError
        Without predictions of the tested or their total over the population.
    """
    if sample.predicted is None or population.predicted_total is None:
        raise EstimateError(
            "Got no predictions; expected one a tested item and their sum over the population."
        )
    return _estimate("difference", sample, population, level, _assisted)


@dataclass(frozen=True, slots=True, eq=False)
class _Random:
    """The random part of a sample: weights, results and the size of what it stands for."""

    y: np.ndarray
    p: np.ndarray
    w: np.ndarray
    stratum: np.ndarray
    predicted: np.ndarray | None
    size: float
    predicted_total: float | None


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over all goods, such as the harm of everything that would fail, with its interval."""

    value: float
    low: float
    high: float


def total(
    amounts: np.ndarray, propensity: np.ndarray, stratum: np.ndarray | None = None, level: float = 0.95
) -> Total:
    """Horvitz-Thompson estimate of the sum of an amount over all goods of the frame.

    Amounts are skewed, so the interval is that of the normal distribution for the drawn part's logarithm, and what was
    chosen with certainty is its floor.

    Parameters
    ----------
    amounts
        ndarray of shape (n,), 0 or more: of each tested good, 0 where it passed.
    propensity, stratum
        As in `sampled`.
    level
        Confidence level.

    Raises
    ------
    EstimateError
        For amounts below 0 or propensities outside (0, 1].
    """
    y = np.asarray(amounts, dtype=np.float64)
    part = sampled(np.zeros(len(y)), propensity, stratum)
    if not np.all(np.isfinite(y) & (y >= 0)):
        raise EstimateError(
            "Got amounts that are not finite numbers of 0 or more; expected one a tested good."
        )
    sure = part.propensity >= 1
    certain = float(y[sure].sum())
    rest = _Random(
        y[~sure], part.propensity[~sure], 1 / part.propensity[~sure], part.stratum[~sure], None, 1.0, None
    )
    drawn = float(np.sum(rest.w * rest.y))
    if drawn <= 0:
        return Total(certain, certain, float("inf") if len(rest.y) else certain)
    spread = np.sqrt(_variance(rest.w * rest.y, rest)) / drawn
    reach = np.exp(float(ndtri((1 + level) / 2)) * np.sqrt(np.log1p(spread * spread)))
    return Total(certain + drawn, certain + drawn / reach, certain + drawn * reach)


def _ht(part: _Random) -> tuple[float, float]:
    rate = float(np.sum(part.w * part.y) / part.size)
    return rate, _variance(part.w * part.y, part) / part.size**2


def _ratio(part: _Random) -> tuple[float, float]:
    total = float(part.w.sum())
    rate = float(np.sum(part.w * part.y) / total)
    return rate, _variance(part.w * (part.y - rate), part) / total**2


def _assisted(part: _Random) -> tuple[float, float]:
    assert part.predicted is not None and part.predicted_total is not None
    total = float(part.w.sum())
    residual = part.y - part.predicted
    shift = float(np.sum(part.w * residual) / total)
    return part.predicted_total / part.size + shift, _variance(part.w * (residual - shift), part) / total**2


def _variance(weighted: np.ndarray, part: _Random) -> float:
    """Return Hájek's variance of the sum of `weighted` (value x membership / propensity), stratum by stratum."""
    total, single = 0.0, np.zeros(len(weighted), dtype=bool)
    for stratum in np.unique(part.stratum):
        rows = part.stratum == stratum
        if rows.sum() < 2:
            # A stratum with one test shows no spread of its own: such strata are taken together.
            single |= rows
        else:
            total += _fixed_size_variance(weighted[rows], part.p[rows])
    return total + (_fixed_size_variance(weighted[single], part.p[single]) if single.any() else 0.0)


def _fixed_size_variance(weighted: np.ndarray, p: np.ndarray) -> float:
    n = len(weighted)
    c = (1 - p) * (n / (n - 1) if n > 1 else 1.0)
    if c.sum() <= 0:
        return 0.0
    centre = np.sum(c * weighted) / c.sum() if n > 1 else 0.0
    return float(np.sum(c * (weighted - centre) ** 2))


def _estimate(
    method: Method,
    sample: Sample,
    population: Population,
    level: float,
    estimator: Callable[[_Random], tuple[float, float]],
) -> Estimate:
    sure = sample.propensity >= 1
    sure_size, sure_fails = _sum(sample.members, sure), _sum(sample.members * sample.failed, sure)
    rest = population.size - sure_size
    if rest < -1e-6:
        raise EstimateError(
            f"Got a population of {population.size:g} with {sure_size:g} chosen with certainty; expected more goods."
        )
    inside = sample.members > 0
    counts = {
        "tested": int(inside.sum()),
        "failed": int(sample.failed[inside].sum()),
        "certain": int((inside & sure).sum()),
        "population": population.size,
        "level": level,
    }
    if rest <= 1e-6:
        rate = sure_fails / sure_size if sure_size else float("nan")
        ends = (rate, rate) if sure_size else (0.0, 1.0)
        return Estimate(method, rate, *ends, effective=float("inf"), conservative=False, **counts)
    part = _random_part(sample, ~sure, rest, population.predicted_total)
    if not part.w.any():
        low, high = sure_fails / population.size, (sure_fails + rest) / population.size
        return Estimate(method, float("nan"), low, high, effective=0.0, conservative=True, **counts)
    rate, variance = estimator(part)
    rate = min(max(rate, 0.0), 1.0)
    interval, effective, conservative = _interval(rate, variance, part, level)
    scale, base = rest / population.size, sure_fails / population.size
    return Estimate(
        method,
        base + scale * rate,
        base + scale * min(interval.low, rate),
        base + scale * max(interval.high, rate),
        effective=effective,
        conservative=conservative,
        **counts,
    )


def _sum(values: np.ndarray, rows: np.ndarray) -> float:
    return float(values[rows].sum())


def _random_part(sample: Sample, rows: np.ndarray, size: float, predicted: float | None) -> _Random:
    p = sample.propensity[rows]
    m = None if sample.predicted is None else sample.predicted[rows]
    return _Random(sample.failed[rows], p, sample.members[rows] / p, sample.stratum[rows], m, size, predicted)


def _interval(rate: float, variance: float, part: _Random, level: float) -> tuple[Interval, float, bool]:
    """Return the interval of the random part, the effective number of tests, and whether it errs on the wide side."""
    w, fails = part.w / part.w.sum(), part.y * (part.w > 0)
    count = float(fails.sum())
    kish = float(1 / np.sum(w * w))
    spread = float(np.sum(w * w * fails))
    known = variance > 0 and 0 < rate < 1
    effective = rate * (1 - rate) / variance if known else kish
    fails_effective = float(np.sum(w * fails)) ** 2 / spread if spread > 0 else 0.0
    interval = wilson(rate, effective, level, _FREEDOM_PER_FAIL * fails_effective + 1 if known else np.inf)
    few = count < FEW_FAILS or (part.w > 0).sum() - count < FEW_FAILS
    if count < FEW_FAILS:
        one_more = float(np.sqrt(np.mean(w[w > 0] ** 2)))
        interval = interval.joined(gamma_interval(float(np.sum(w * fails)), spread, one_more, level))
    return interval, effective, few
