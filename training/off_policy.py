"""What a new model would have found, judged on history in which only chosen goods were tested.

With logged propensities: inverse propensity scores (Horvitz and Thompson 1952), their self-normalised form (Swaminathan
and Joachims 2015) and the doubly robust form (Dudík, Langford and Li 2011). For a policy that names goods to test,
these are the estimators of `training.estimators` over the goods it names. Without logged propensities no such estimate
exists; `bounds` says what is certain all the same (Manski 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t

from training.estimators import (
    Estimate,
    EstimateError,
    Population,
    difference,
    hajek,
    horvitz_thompson,
    sampled,
)
from training.intervals import Interval

OffPolicyMethod = Literal["ips", "self_normalised", "doubly_robust"]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Past goods, tested or not.

    Attributes
    ----------
    failed
        ndarray of shape (n,): 1, 0, or NaN where not tested.
    propensity
        ndarray of shape (n,): probability of having been tested; 0 where it could not be; NaN where not logged.
    stratum
        ndarray of shape (n,): stratum of the draw.
    predicted
        ndarray of shape (n,): predictions of a model that did not learn from these results; None without.
    """

    failed: np.ndarray
    propensity: np.ndarray
    stratum: np.ndarray
    predicted: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """Share of fails among the goods a policy would test.

    ``estimate`` is None where propensities are missing or 0 for any of them; ``bounds`` always holds. ``reason``
    says why.
    """

    estimate: Estimate | None
    bounds: Interval
    reason: str = ""


def evaluate_policy(history: History, target: np.ndarray, method: OffPolicyMethod) -> OffPolicy:
    """Estimate the precision of a policy on selectively tested history.

    Parameters
    ----------
    history
        Past goods.
    target
        ndarray of shape (n,), 0 to 1: probability with which the policy would test each.
    method
        ``ips``, ``self_normalised`` or ``doubly_robust``.

    Raises
    ------
    EstimateError
        When the policy tests nothing, or ``doubly_robust`` has no predictions.
    """
    target = np.asarray(target, dtype=np.float64)
    if target.shape != history.failed.shape or not target.sum() > 0:
        raise EstimateError(
            "Got a policy that tests none of the history; expected a probability a good, some above 0."
        )
    certain = bounds(history, target)
    wanted = target > 0
    unlogged = int(np.isnan(history.propensity[wanted]).sum())
    if unlogged:
        return OffPolicy(
            None, certain, f"{unlogged} goods of the policy have no logged propensity; only bounds hold"
        )
    never = int((history.propensity[wanted] <= 0).sum())
    if never:
        return OffPolicy(
            None, certain, f"{never} goods of the policy could never have been tested; only bounds hold"
        )
    seen = ~np.isnan(history.failed) & (np.nan_to_num(history.propensity) > 0)
    m = history.predicted
    sample = sampled(
        history.failed[seen],
        history.propensity[seen],
        history.stratum[seen],
        target[seen],
        None if m is None else m[seen],
    )
    rest = np.nan_to_num(history.propensity) < 1
    total = None if m is None else float(np.sum((target * m)[rest]))
    population = Population(float(target.sum()), total)
    estimator = {"ips": horvitz_thompson, "self_normalised": hajek, "doubly_robust": difference}[method]
    return OffPolicy(estimator(sample, population), certain)


def bounds(history: History, target: np.ndarray) -> Interval:
    """What is certain of a policy's precision without any assumption: untested goods all pass, or all fail."""
    weight = np.asarray(target, dtype=np.float64)
    known = ~np.isnan(history.failed)
    fails = float(np.sum(weight[known] * history.failed[known]))
    unknown = float(weight[~known].sum())
    return Interval(fails / float(weight.sum()), (fails + unknown) / float(weight.sum()))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more precise one policy is than another, on the same history, with a 95 % interval."""

    difference: float
    low: float
    high: float
    effective: float


def compare(history: History, new: np.ndarray, old: np.ndarray, level: float = 0.95) -> Difference:
    """Compare two policies pairwise; goods that both would test cancel out.

    Raises
    ------
    EstimateError
        When any good on which they differ has no logged propensity above 0.
    """
    contrast = np.asarray(new) / np.sum(new) - np.asarray(old) / np.sum(old)
    p = history.propensity
    if not np.all(p[contrast != 0] > 0):
        raise EstimateError(
            "Got goods without a logged propensity above 0 where the policies differ; no comparison holds, only bounds."
        )
    # The part that both test alike needs no propensity: it cancels.
    seen = ~np.isnan(history.failed) & (contrast != 0)
    a = contrast[seen] * history.failed[seen] / p[seen]
    c = 1 - p[seen]
    n = int(seen.sum())
    if n < 2:
        raise EstimateError(f"Got {n} tested goods on which the policies differ; expected 2 or more.")
    # Conservative: as if each good had been drawn by itself (Poisson), which never understates a fixed-size draw.
    variance = float(np.sum(c * a * a))
    weight = np.abs(a).sum() ** 2 / max(float(np.sum(a * a)), 1e-300) if np.any(a) else 0.0
    half = float(t.ppf((1 + level) / 2, max(weight - 1, 1))) * np.sqrt(variance)
    middle = float(a.sum())
    return Difference(middle, middle - half, middle + half, float(weight))


def retraining_weights(propensity: np.ndarray, cap: float = 10.0) -> np.ndarray:
    """Weights that let goods chosen for their risk stand for the whole catalogue in retraining.

    Parameters
    ----------
    propensity
        ndarray of shape (n,), in (0, 1]: of the goods whose results are learnt from.
    cap
        Largest weight as a multiple of the mean; a cut weight trades a little bias for steadiness (Ionides 2008).

    Returns
    -------
    ndarray of shape (n,), float64
        Mean 1.

    Raises
    ------
    EstimateError
        For propensities outside (0, 1] or a cap below 1.
    """
    p = np.asarray(propensity, dtype=np.float64)
    if not np.all((p > 0) & (p <= 1)):
        raise EstimateError("Got propensities outside (0, 1]; results without one cannot be weighted.")
    if not cap >= 1:
        raise EstimateError(f"Got cap {cap}; expected 1 or more.")
    if not len(p):
        return np.zeros(0)
    weight = 1 / p
    weight = np.minimum(weight / weight.mean(), cap)
    return weight / weight.mean()
