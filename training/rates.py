"""How often each product group fails, from inspection rounds, drawn toward the group's parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaln


@dataclass(frozen=True, slots=True)
class GroupCount:
    """One leaf row of an inspection round: of ``tested`` goods of ``group``, ``failed`` failed."""

    group: str
    tested: int
    failed: int


@dataclass(frozen=True, slots=True)
class GroupRate:
    """Posterior mean failure rate of a group with a central 90 % interval and the goods behind it."""

    rate: float
    low: float
    high: float
    tested: int


def fit_concentration(counts: Sequence[GroupCount], mean: float) -> float:
    """Return the beta-binomial concentration (alpha + beta) that makes the rounds most likely around ``mean``.

    A small value says that rounds differ far more than chance: the few rounds there are were chosen because suspect.
    """
    n = np.array([count.tested for count in counts], dtype=float)
    k = np.array([count.failed for count in counts], dtype=float)

    def loss(log_s: float) -> float:
        s = np.exp(log_s)
        a, b = mean * s, (1 - mean) * s
        return float(-np.sum(betaln(k + a, n - k + b) - betaln(a, b)))

    found = minimize_scalar(loss, bounds=(np.log(0.5), np.log(500.0)), method="bounded")
    return float(np.exp(found.x))


def group_rates(
    counts: Sequence[GroupCount],
    parents: Mapping[str, str | None],
    *,
    root_rate: float,
    stated: Mapping[str, float] | None = None,
    concentration: float | None = None,
) -> dict[str, GroupRate]:
    """Estimate the failure rate of every group, each drawn toward its parent.

    A group's own rounds are weighed against ``concentration`` imaginary goods that fail at the parent's rate. What a
    round says of a group is overdispersed, so each round counts as ``n (s + 1) / (s + n)`` goods: a round
    of 400 is not 40 rounds of 10.

    Parameters
    ----------
    counts
        Leaf rows only; rows that repeat a total would count twice.
    parents
        Every group and its parent, None for a root. An unknown group in ``counts`` is an error.
    root_rate
        Failure rate of goods that nobody singled out, the rate of a root without rounds.
    stated
        Assumed rates of groups that no round reaches; such a group is drawn toward this instead of its parent.
    concentration
        Fitted from ``counts`` where None.

    Returns
    -------
    dict
        Group code to rate, for every group in ``parents``.

    Raises
    ------
    ValueError
        When ``counts`` names a group that ``parents`` lacks, or parents form a circle.
    """
    unknown = sorted({count.group for count in counts} - set(parents))
    if unknown:
        raise ValueError(f"Got rounds of unknown groups {unknown}; expected codes of the product groups.")
    total = sum(count.tested for count in counts)
    pooled = sum(count.failed for count in counts) / total if total else root_rate
    s = (
        concentration
        if concentration is not None
        else (fit_concentration(counts, pooled) if counts else 20.0)
    )
    own: dict[str, tuple[float, float, int]] = {}
    for count in counts:
        effective = count.tested * (s + 1) / (s + count.tested) if count.tested else 0.0
        n, k, raw = own.get(count.group, (0.0, 0.0, 0))
        share = count.failed / count.tested if count.tested else 0.0
        own[count.group] = (n + effective, k + effective * share, raw + count.tested)
    rates: dict[str, GroupRate] = {}

    def rate_of(group: str, seen: frozenset[str]) -> GroupRate:
        if group in rates:
            return rates[group]
        if group in seen:
            raise ValueError(f"The parents of {group!r} form a circle; expected a tree.")
        parent = parents[group]
        prior = root_rate if parent is None else rate_of(parent, seen | {group}).rate
        prior = (stated or {}).get(group, prior)
        n, k, raw = own.get(group, (0.0, 0.0, 0))
        a, b = k + s * prior, n - k + s * (1 - prior)
        low, high = _beta_interval(a, b)
        rates[group] = GroupRate(a / (a + b), low, high, raw)
        return rates[group]

    for group in parents:
        rate_of(group, frozenset())
    return rates


def _beta_interval(a: float, b: float) -> tuple[float, float]:
    from scipy.stats import beta

    low, high = beta.ppf([0.05, 0.95], a, b)
    return float(low), float(high)
