"""What goes into a sampling plan and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from features.errors import UserError
from serving.plans.config import PlanConfig

Role = Literal["ordered", "certainty", "exploration", "overlap"]
OUT_RECENT, OUT_NO_TEST = "tested_recently", "no_laboratory"


class PlanError(UserError):
    """Candidates from which no plan can be made; says what was got, what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """A scored catalogue.

    Attributes
    ----------
    ids, clusters, sellers, categories, platforms, groups
        One text per listing; an unknown seller is "". Listings of one cluster are the same goods offered again.
    units_sold
        ndarray of shape (n,): units sold, 0 where unknown.
    p
        ndarray of shape (n, n_hazards), taxonomy order: calibrated P(fails for h).
    harm
        ndarray of shape (n, n_hazards): expected harm that a test for h would find.
    panel
        ndarray of shape (n, n_hazards), bool: hazards that a full test of the goods covers.
    ordered
        ndarray of shape (n,), bool: an open decision wants a laboratory test.
    last_tested
        Day of the last test per listing, None where never.
    group_tested
        ndarray of shape (n,): tests of the listing's product group so far.
    """

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    sellers: tuple[str, ...]
    categories: tuple[str, ...]
    platforms: tuple[str, ...]
    groups: tuple[str, ...]
    units_sold: np.ndarray
    p: np.ndarray
    harm: np.ndarray
    panel: np.ndarray
    ordered: np.ndarray
    last_tested: tuple[date | None, ...]
    group_tested: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        n = len(self.ids)
        for name in ("clusters", "sellers", "categories", "platforms", "groups", "units_sold", "ordered",
                     "last_tested", "group_tested", "p", "harm", "panel"):  # fmt: skip
            if len(getattr(self, name)) != n:
                raise PlanError(f"Got {len(getattr(self, name))} {name} for {n} listings; expected one each.")
        if self.p.shape != self.harm.shape or self.p.shape != self.panel.shape:
            raise PlanError(f"Got p {self.p.shape}, harm {self.harm.shape}, panel {self.panel.shape}.")
        if not np.all((self.p >= 0) & (self.p <= 1)) or not np.all(np.isfinite(self.harm) & (self.harm >= 0)):
            raise PlanError(
                "Got probabilities outside 0 to 1 or harm below 0; expected the scores of a bundle."
            )
        if len(set(self.ids)) != n:
            raise PlanError("Got a listing twice; expected each once, in its latest revision.")


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One item to test.

    Attributes
    ----------
    sample_id
        What the laboratory writes on its results.
    hazards, tests
        What it is tested for, and the order positions.
    propensity
        Probability with which its cluster was chosen; 1 in the certainty set.
    stratum
        Stratum of the draw; ``certainty`` for what was not drawn.
    harm, p
        Expected harm a test finds, and P(fails any tested hazard) if hazards were independent.
    reason
        Why it is in the plan, as a code of `REASONS` in ``plan_words``.
    """

    sample_id: str
    listing_id: str
    cluster: str
    role: Role
    laboratory: str
    hazards: tuple[str, ...]
    tests: tuple[str, ...]
    cost: int
    propensity: float
    stratum: str
    harm: float
    p: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class FrameRow:
    """One cluster of the frame: what the estimator needs, chosen or not.

    ``covered``, ``p`` and ``harm`` have shape (n_hazards,): tested for if chosen, P(fails) and expected harm before
    any result.
    """

    cluster: str
    listing_id: str
    category: str
    platform: str
    propensity: float
    stratum: str
    covered: np.ndarray
    p: np.ndarray
    harm: np.ndarray
    chosen: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan.

    Attributes
    ----------
    period
        Name of the period, which starts every sample id.
    items
        What to test.
    frame
        Every cluster that could be chosen.
    outside
        Listings outside the frame with the reason; the estimates say nothing of them. Other offers of a chosen
        cluster's goods are not listed: they are covered by it.
    objective, bound, gap
        Value of ordered and certain items, what no choice could exceed, and the relative difference.
    shortfalls
        Quotas that could not be met, with the missing items.
    unplaced
        Ordered listings that did not fit in.
    """

    period: str
    made: date
    seed: int
    config: PlanConfig
    hazards: tuple[str, ...]
    items: tuple[PlannedItem, ...]
    frame: tuple[FrameRow, ...]
    outside: tuple[tuple[str, str], ...]
    objective: float
    bound: float
    gap: float
    shortfalls: dict[str, int]
    unplaced: tuple[str, ...]
    seconds: float

    def spent(self, laboratory: str | None = None) -> int:
        """Money for all items, or for one laboratory's."""
        return sum(item.cost for item in self.items if laboratory in (None, item.laboratory))
