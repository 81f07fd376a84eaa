"""How strict each laboratory is, beyond what it was sent: a mixed-effects fit, and how to take it out of labels.

Pass or fail is regressed on the laboratory (fixed, deviations that sum to zero) with the log-odds that the model gave
before the result as a known part, and random intercepts for product group and sample:
``logit P(fail) = a + b x logit p + laboratory + group + sample``. Groups and samples that several laboratories tested
tell laboratories apart; what only one of them tested tells nothing of its strictness. The fit is statsmodels'
``BinomialBayesMixedGLM`` (variational Bayes). Where laboratories share nothing there is no estimate.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from features.errors import UserError
from training.heads import logit, sigmoid

# Standard deviations of the priors on the log-odds scale: a laboratory rarely differs by more than twice this.
_FIXED_SD = 2.0
_RANDOM_SD = 1.0
# Where samples number in the hundreds, the dense second derivative of statsmodels' own choice takes most of the time.
_SEARCH = {"maxiter": 5_000, "maxfun": 50_000, "ftol": 1e-12, "gtol": 1e-5}
LEAST_SHARED = 2


class StrictnessError(UserError):
    """Results from which no strictness can be told; says what is missing."""


@dataclass(frozen=True, slots=True)
class Strictness:
    """One laboratory.

    Attributes
    ----------
    effect, low, high
        Log-odds by which it fails more than the mean laboratory, with a 95 % interval.
    odds
        The same as a factor on the odds.
    tested, failed, shared
        Results behind it, and those of groups or samples that another laboratory tested too.
    told
        Whether the interval leaves out 0.
    """

    laboratory: str
    effect: float
    low: float
    high: float
    odds: float
    tested: int
    failed: int
    shared: int
    told: bool


@dataclass(frozen=True, slots=True)
class StrictnessFit:
    """All laboratories, and the spread of groups and samples on the log-odds scale."""

    laboratories: tuple[Strictness, ...]
    group_sd: float
    sample_sd: float

    def effect(self, laboratory: str) -> float:
        """Return a laboratory's effect; 0 for one that was not fitted."""
        return next((one.effect for one in self.laboratories if one.laboratory == laboratory), 0.0)


def fit_strictness(
    laboratory: Sequence[str],
    group: Sequence[str],
    sample: Sequence[str],
    failed: np.ndarray,
    predicted: np.ndarray,
    level: float = 0.95,
) -> StrictnessFit:
    """Fit the strictness of laboratories.

    Parameters
    ----------
    laboratory, group, sample
        Per result: who tested, product group (with the hazard where groups differ by it), and which goods; two
        laboratories that tested the same goods give the same ``sample``.
    failed
        ndarray of shape (n,): 1 failed, 0 passed.
    predicted
        ndarray of shape (n,): the model's probability before the result.

    Raises
    ------
    StrictnessError
        With fewer than two laboratories, without fails or passes, or where laboratories share no group.
    """
    labs = sorted(set(laboratory))
    y = np.asarray(failed, dtype=float)
    p = np.asarray(predicted, dtype=float)
    if not len(y) == len(p) == len(laboratory) == len(group) == len(sample):
        raise StrictnessError("Got columns of different lengths; expected one entry a result in each.")
    if len(labs) < 2 or not 0 < y.sum() < len(y):
        raise StrictnessError(
            f"Got {len(labs)} laboratories with {int(y.sum())} fails of {len(y)} results; "
            "expected two laboratories or more, fails and passes."
        )
    lab = np.array([labs.index(name) for name in laboratory])
    shared = _shared(lab, group) | _shared(lab, sample)
    if shared.sum() < LEAST_SHARED * len(labs):
        raise StrictnessError(
            f"Got {int(shared.sum())} results of groups or goods that two laboratories tested; expected "
            f"{LEAST_SHARED * len(labs)} or more: plan an overlap (overlap: N in plan.yaml)."
        )
    mean, covariance, spreads = _fit(y, lab, len(labs), p, group, sample)
    z = float(ndtri((1 + level) / 2))
    contrast = _contrasts(len(labs))
    effects = contrast @ mean
    errors = np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance, contrast))
    return StrictnessFit(
        tuple(
            Strictness(
                name, float(effect), float(effect - z * error), float(effect + z * error), float(np.exp(effect)),
                int((lab == k).sum()), int(y[lab == k].sum()), int((shared & (lab == k)).sum()),
                bool(abs(effect) > z * error),
            )
            for k, (name, effect, error) in enumerate(zip(labs, effects, errors, strict=True))
        ),
        *spreads,
    )  # fmt: skip


def _shared(lab: np.ndarray, of: Sequence[str]) -> np.ndarray:
    """Mark results whose group or goods more than one laboratory tested."""
    seen: dict[str, set[int]] = {}
    for name, who in zip(of, lab.tolist(), strict=True):
        seen.setdefault(name, set()).add(who)
    return np.array([len(seen[name]) > 1 for name in of])


def _contrasts(count: int) -> np.ndarray:
    """Return the matrix that turns the fitted deviations into effects that sum to zero."""
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])


def _fit(
    y: np.ndarray, lab: np.ndarray, count: int, p: np.ndarray, group: Sequence[str], sample: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Return the deviations of all but the last laboratory, their covariance, and the spreads."""
    from scipy import sparse
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    known = logit(p)
    deviation = _contrasts(count)[lab]
    fixed = np.column_stack([np.ones(len(y)), known - known.mean(), deviation])
    goods = _indicator(_repeated(sample))
    random = [_indicator(list(group)), *([goods] if goods is not None else [])]
    kinds = np.concatenate(
        [np.full(part.shape[1], kind) for kind, part in enumerate(random) if part is not None]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spread_of_priors: dict[str, Any] = {"vcp_p": _RANDOM_SD, "fe_p": _FIXED_SD}
        model = BinomialBayesMixedGLM(y, fixed, sparse.hstack(random).tocsr(), kinds, **spread_of_priors)
        found = model.fit_vb(fit_method="L-BFGS-B", minim_opts=_SEARCH)
    width = fixed.shape[1]
    spread = np.exp(np.asarray(found.vcp_mean))
    spreads = (float(spread[0]), float(spread[1]) if len(spread) > 1 else 0.0)
    covariance = _covariance(fixed, sparse.hstack(random).tocsr(), kinds, found, spread)
    return np.asarray(found.fe_mean)[2:width], covariance[2:width, 2:width], spreads


def _covariance(
    fixed: np.ndarray, random: Any, kinds: np.ndarray, found: Any, spread: np.ndarray
) -> np.ndarray:
    """Return the covariance of the fixed part with what groups and samples leave open taken in (Laplace).

    Variational Bayes treats every coefficient as independent of the others, so its own intervals are too short where a
    laboratory was sent the riskier goods.
    """
    mean = fixed @ np.asarray(found.fe_mean) + random @ np.asarray(found.vc_mean)
    weight = sigmoid(mean) * (1 - sigmoid(mean))
    weighted = random.multiply(weight[:, None]).tocsr()
    top = fixed.T @ (weight[:, None] * fixed) + np.eye(fixed.shape[1]) / _FIXED_SD**2
    side = np.asarray(weighted.T @ fixed)
    low = np.asarray((random.T @ weighted).todense()) + np.diag(1 / spread[kinds] ** 2)
    return np.linalg.inv(top - side.T @ np.linalg.solve(low, side))


def _repeated(names: Sequence[str]) -> list[str]:
    """Keep the names that occur more than once; goods tested once have no intercept that could be told from chance."""
    count = Counter(names)
    return [name if count[name] > 1 else "" for name in names]


def _indicator(names: Sequence[str]) -> Any:
    """Return rows x names, one where the row has the name; None where every name is empty."""
    from scipy import sparse

    kept = sorted({name for name in names if name})
    if not kept:
        return None
    place = {name: column for column, name in enumerate(kept)}
    rows = [row for row, name in enumerate(names) if name]
    columns = [place[names[row]] for row in rows]
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(kept)))


def without_strictness(p: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Return what the mean laboratory would find, of probabilities at laboratories with these effects."""
    return sigmoid(logit(np.asarray(p, dtype=float)) - np.asarray(effect, dtype=float))


def strictness_weights(failed: np.ndarray, p: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Weights that let a model learn what the mean laboratory would find, whoever tested.

    A fail from a strict laboratory counts less, a pass from it more: each result is weighted by how likely it is at
    the mean laboratory over how likely it is where it was made.

    Parameters
    ----------
    failed
        ndarray of shape (n,).
    p
        ndarray of shape (n,): probability of a fail at the laboratory that tested.
    effect
        ndarray of shape (n,): its effect.

    Returns
    -------
    ndarray of shape (n,), float64
        Mean 1.
    """
    p = np.clip(np.asarray(p, dtype=float), 1e-6, 1 - 1e-6)
    fair = np.clip(without_strictness(p, effect), 1e-6, 1 - 1e-6)
    weight = np.where(np.asarray(failed) > 0, fair / p, (1 - fair) / (1 - p))
    return weight / weight.mean() if len(weight) else weight
