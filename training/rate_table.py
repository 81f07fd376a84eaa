"""Published rates: one row per category, platform and hazard, never-tested goods included.

Pure over the frame that the sampling plan wrote and the results that came back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.estimators import Estimate, EstimateError, Population, Sample, difference, hajek, naive, sampled
from training.rates import GroupCount, fit_concentration

ALL = "all"
ANY_HAZARD = "any"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """All goods a plan could choose from, with what is known of them.

    Attributes
    ----------
    units
        Identifier per good, shape (n,).
    propensity
        ndarray of shape (n,): probability of being chosen; above 0.
    stratum
        ndarray of shape (n,): stratum of the draw.
    domains
        By name (``category``, ``platform``): ndarray of str of shape (n,).
    hazards
        Column names of the matrices.
    covered
        ndarray of shape (n, n_hazards), bool: would be tested for the hazard if chosen. Where False the good is outside
        the claim for that hazard.
    chosen
        ndarray of shape (n,), bool.
    failed
        ndarray of shape (n, n_hazards), float64: 1 fail, 0 pass, NaN no result.
    predicted
        ndarray of shape (n, n_hazards), float64: the model's probability before the results; None without.
    """

    units: Sequence[str]
    propensity: np.ndarray
    stratum: np.ndarray
    domains: dict[str, np.ndarray]
    hazards: tuple[str, ...]
    covered: np.ndarray
    chosen: np.ndarray
    failed: np.ndarray
    predicted: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class RateRow:
    """The rate of one domain for one hazard.

    ``pooled`` draws a small group toward the whole catalogue and is model-based; the other estimates are not.
    ``missing`` counts chosen goods without a result, ``outside`` goods the claim does not cover.
    """

    by: str
    name: str
    hazard: str
    naive: Estimate
    hajek: Estimate
    difference: Estimate | None
    pooled: tuple[float, float, float]
    missing: int
    outside: int


def rate_table(frame: Frame, level: float = 0.95) -> list[RateRow]:
    """Estimate the failure rate of every domain for every hazard, and for any hazard at all.

    Chosen goods without a result are taken as missing at random within their stratum, and counted; their stratum's
    propensities are lowered by its share of results.

    Raises
    ------
    EstimateError
        For a frame whose parts do not fit together, or results of goods that were not chosen.
    """
    _check(frame)
    rows: list[RateRow] = []
    for column, hazard in enumerate((*frame.hazards, ANY_HAZARD)):
        failed, covered, predicted = _column(frame, column)
        rows.extend(_hazard_rows(frame, hazard, failed, covered, predicted, level))
    return rows


def _check(frame: Frame) -> None:
    n, h = len(frame.units), len(frame.hazards)
    shapes = {
        "propensity": (frame.propensity.shape, (n,)),
        "stratum": (frame.stratum.shape, (n,)),
        "chosen": (frame.chosen.shape, (n,)),
        "covered": (frame.covered.shape, (n, h)),
        "failed": (frame.failed.shape, (n, h)),
    } | {name: (values.shape, (n,)) for name, values in frame.domains.items()}
    for name, (got, expected) in shapes.items():
        if got != expected:
            raise EstimateError(f"Got {name} of shape {got}; expected {expected}.")
    if np.any(frame.propensity <= 0):
        raise EstimateError(
            "Got goods with propensity 0 in the frame; they belong outside it, in the list of those."
        )
    stray = ~np.isnan(frame.failed).all(axis=1) & ~frame.chosen
    if stray.any():
        raise EstimateError(
            f"Got results of {stray.sum()} goods that the plan did not choose; expected results of chosen goods only."
        )


def _column(frame: Frame, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if column < len(frame.hazards):
        m = None if frame.predicted is None else frame.predicted[:, column]
        return frame.failed[:, column], frame.covered[:, column], m
    covered = np.asarray(frame.covered.any(axis=1))
    # A fail for one hazard is a fail, also where a laboratory stopped there; a pass needs all results.
    known = np.where(frame.covered, frame.failed, 0.0)
    seen_fail = np.nansum(known, axis=1) > 0
    complete = ~np.isnan(known).any(axis=1)
    failed = np.where(seen_fail, 1.0, np.where(complete & covered, 0.0, np.nan))
    if frame.predicted is None:
        return failed, covered, None
    return failed, covered, 1 - np.prod(1 - np.where(frame.covered, frame.predicted, 0.0), axis=1)


def _hazard_rows(
    frame: Frame,
    hazard: str,
    failed: np.ndarray,
    covered: np.ndarray,
    predicted: np.ndarray | None,
    level: float,
) -> Iterator[RateRow]:
    seen = frame.chosen & covered & ~np.isnan(failed)
    propensity = respond(frame.propensity, frame.chosen & covered, seen, frame.stratum)
    found: list[tuple[str, str, np.ndarray, Estimate, Estimate, Estimate | None]] = []
    for by, name, members in _domains(frame):
        inside = members & covered
        if not inside.any():
            continue
        sample = sampled(
            failed[seen],
            propensity[seen],
            frame.stratum[seen],
            inside[seen],
            None if predicted is None else predicted[seen],
        )
        total = None if predicted is None else float(predicted[inside & (propensity < 1)].sum())
        population = Population(float(inside.sum()), total)
        assisted = difference(sample, population, level) if predicted is not None else None
        found.append((by, name, members, naive(sample, level), hajek(sample, population, level), assisted))
    pooled = _pooled([entry[4] for entry in found], level)
    for (by, name, members, plain, ratio, assisted), drawn in zip(found, pooled, strict=True):
        missing = int((frame.chosen & covered & members & ~seen).sum())
        outside = int((members & ~covered).sum())
        yield RateRow(by, name, hazard, plain, ratio, assisted, drawn, missing, outside)


def _domains(frame: Frame) -> Iterator[tuple[str, str, np.ndarray]]:
    yield ALL, ALL, np.ones(len(frame.units), dtype=bool)
    for by, values in frame.domains.items():
        for name in sorted(set(values.tolist())):
            yield by, name, values == name


def respond(propensity: np.ndarray, chosen: np.ndarray, seen: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Lower propensities by the share of chosen goods whose result came back, per stratum.

    Certain goods of a stratum are treated apart from its drawn ones. A stratum without any result keeps its own:
    nothing can be learnt from it either way.

    Returns
    -------
    ndarray of shape (n,)
    """
    found = propensity.copy()
    for certain in (True, False):
        for name in set(stratum[chosen].tolist()):
            rows = (stratum == name) & ((propensity >= 1) == certain)
            n, k = int((rows & chosen).sum()), int((rows & seen).sum())
            if 0 < k < n:
                found[rows] *= k / n
    return found


def _pooled(estimates: Sequence[Estimate], level: float) -> list[tuple[float, float, float]]:
    """Draw each domain toward the first (all goods): beta-binomial on effective counts; rate, low, high."""
    from scipy.stats import beta

    whole = estimates[0].rate if estimates and np.isfinite(estimates[0].rate) else float("nan")
    if not 0 < whole < 1:
        return [(e.rate, e.low, e.high) for e in estimates]
    counts = []
    for estimate in estimates:
        n = min(estimate.effective, estimate.tested) if np.isfinite(estimate.rate) else 0.0
        counts.append((n, 0.0 if n == 0 else estimate.rate * n))
    groups = [
        GroupCount(str(i), round(n), round(min(k, n))) for i, (n, k) in enumerate(counts[1:], 1) if n >= 1
    ]
    strength = fit_concentration(groups, whole) if len(groups) > 1 else 10.0
    drawn = [(estimates[0].rate, estimates[0].low, estimates[0].high)]
    tail = (1 - level) / 2
    for n, k in counts[1:]:
        a, b = k + strength * whole, n - k + strength * (1 - whole)
        drawn.append((a / (a + b), float(beta.ppf(tail, a, b)), float(beta.ppf(1 - tail, a, b))))
    return drawn


def sample_of(frame: Frame, hazard: str) -> Sample:
    """The tested goods of a frame for one hazard; see `training.estimators.sampled`.

    Raises
    ------
    EstimateError
        When the frame has no such hazard.
    """
    names = (*frame.hazards, ANY_HAZARD)
    if hazard not in names:
        raise EstimateError(f"Got hazard {hazard!r}; expected one of {', '.join(names)}.")
    failed, covered, predicted = _column(frame, names.index(hazard))
    seen = frame.chosen & covered & ~np.isnan(failed)
    p = respond(frame.propensity, frame.chosen & covered, seen, frame.stratum)
    return sampled(
        failed[seen], p[seen], frame.stratum[seen], None, None if predicted is None else predicted[seen]
    )
