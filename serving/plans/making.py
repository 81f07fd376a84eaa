"""One way from a catalogue to a plan, for the command line, the service and the console alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from features.schema import Listing
from features.taxonomy import Taxonomy
from serving.bans.bank import OfferReader
from serving.plans.candidates import PastTests, ScoredCatalogue, score_catalogue
from serving.plans.clusters import cluster_listings
from serving.plans.config import PlanConfig
from serving.plans.file import plan_body
from serving.plans.planning import plan
from serving.plans.types import Plan
from serving.predictor import Predictor

Say = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A plan with the catalogue it was made from."""

    plan: Plan
    scored: ScoredCatalogue

    @property
    def body(self) -> dict[str, Any]:
        """The plan as it is recorded."""
        return plan_body(self.plan, f"plan-{self.plan.period}", self.scored)

    @property
    def harm(self) -> dict[str, float]:
        """Expected harm of every cluster's listing."""
        return {row.listing_id: float((row.harm * row.covered).sum()) for row in self.plan.frame}

    @property
    def listings(self) -> dict[str, Listing]:
        """Listings by id."""
        return {listing.id: listing for listing in self.scored.listings}


def make_plan(
    listings: Sequence[Listing],
    predictor: Predictor,
    reader: OfferReader,
    config: PlanConfig,
    past: PastTests,
    *,
    period: str,
    today: date,
    seed: int,
    clusters: Mapping[str, str] | None = None,
    say: Say = lambda step, count: None,
) -> Made:
    """Cluster, score and plan.

    Parameters
    ----------
    listings
        A catalogue, each id once.
    predictor, reader
        Score and compare listings.
    config
        Budget, laboratories, rules.
    past
        What was tested and decided so far.
    period, today, seed
        See `serving.plans.planning.plan`.
    clusters
        Cluster of listings that the caller knows; the others are compared here.
    say
        Called with a step and how many listings it has done since the last call.

    Raises
    ------
    PlanError, PlanConfigError
        For a catalogue or a configuration that cannot be used.
    """
    found = cluster_listings(listings, reader, lambda count: say("comparing", count))
    if clusters:
        found = tuple(clusters.get(one.id, cluster) for one, cluster in zip(listings, found, strict=True))
    scored = score_catalogue(
        listings, found, predictor, past, today,
        category_by=config.category_by, progress=lambda count: say("scoring", count),
    )  # fmt: skip
    say("optimising", 0)
    return Made(
        plan(scored.candidates, config, predictor.taxonomy, period=period, today=today, seed=seed), scored
    )


def usual_seed(period: str, taxonomy: Taxonomy) -> int:
    """Return a seed that follows from the period alone, so that nobody chose it."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{period}/{len(taxonomy.codes)}".encode()).digest()[:4], "big")


def next_period(today: date) -> str:
    """Return the name of the next month, such as ``2026-12``."""
    return f"{today.year + today.month // 12}-{today.month % 12 + 1:02d}"
