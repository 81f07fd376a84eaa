"""From a catalogue to what a plan chooses from: scored listings, their clusters, what was tested of them before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from features.risk import exposure_of, injury_probability
from features.schema import Listing
from features.taxonomy import Taxonomy
from serving.plans.types import Candidates, PlanError
from serving.predictor import Predictor
from training.scores import Scores

BLOCK = 512
# A hazard that the law does not name for the group is tested all the same from this probability on.
LIKELY = 0.02
Key = tuple[str, str]
"""Marketplace and listing id."""


@dataclass(frozen=True, slots=True)
class PastTests:
    """What the laboratories did so far.

    Attributes
    ----------
    last_tested
        Day of the last test, by listing.
    group_tested
        Tests so far, by product group.
    ordered
        Listings whose open decision asks for a laboratory test.
    off_sale
        Listings that are banned or off sale; they are left out.
    """

    last_tested: Mapping[Key, date] = field(default_factory=dict)
    group_tested: Mapping[str, int] = field(default_factory=dict)
    ordered: frozenset[Key] = frozenset()
    off_sale: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCatalogue:
    """Listings with their scores, one row each.

    Attributes
    ----------
    listings
        As given, without those that are off sale.
    candidates
        What the plan chooses from.
    audiences
        One per listing.
    left_out
        Listings that are banned or off sale.
    """

    listings: tuple[Listing, ...]
    candidates: Candidates
    audiences: tuple[str, ...]
    model_version: str
    left_out: tuple[str, ...] = ()


def key_of(listing: Listing) -> Key:
    """Marketplace and id of a listing."""
    return listing.marketplace or "", listing.id


def score_catalogue(
    listings: Sequence[Listing],
    clusters: Sequence[str],
    predictor: Predictor,
    past: PastTests,
    today: date,
    *,
    category_by: str = "path",
    progress: Callable[[int], None] = lambda _: None,
) -> ScoredCatalogue:
    """Score a catalogue for a plan.

    Parameters
    ----------
    listings
        Each id once.
    clusters
        Cluster of each, see `serving.plans.clusters`.
    predictor
        Gives the probabilities.
    past
        What was tested and decided.
    today
        Day of the plan, for the law in force.
    category_by
        ``path``: the first part of the seller's category; ``group``: the widest product group that was recognised,
        which is the same on every platform.
    progress
        Called with the number of listings scored since the last call.

    Raises
    ------
    PlanError
        When a listing occurs twice or nothing is left.
    """
    ids = [listing.id for listing in listings]
    if len(set(ids)) != len(ids):
        twice = [one for one, count in Counter(ids).items() if count > 1][:3]
        raise PlanError(
            f"Got listing ids more than once ({', '.join(twice)}); expected each once, in its latest revision."
        )
    kept = [row for row, listing in enumerate(listings) if key_of(listing) not in past.off_sale]
    if not kept:
        raise PlanError("Got a catalogue in which nothing is on sale; expected listings to choose from.")
    chosen = [listings[row] for row in kept]
    scores = _score(chosen, predictor, progress)
    candidates = _candidates(
        chosen, [clusters[row] for row in kept], scores, predictor.taxonomy, past, today, category_by
    )
    left = set(kept)
    return ScoredCatalogue(
        tuple(chosen), candidates, scores.audiences, predictor.model_version,
        tuple(listing.id for row, listing in enumerate(listings) if row not in left),
    )  # fmt: skip


def _score(listings: Sequence[Listing], predictor: Predictor, progress: Callable[[int], None]) -> Scores:
    parts: list[Scores] = []
    for start in range(0, len(listings), BLOCK):
        parts.append(predictor.bundle.score(listings[start : start + BLOCK]))
        progress(len(parts[-1].listing_ids))
    return Scores(
        listing_ids=tuple(listing.id for listing in listings),
        p_noncompliant=np.concatenate([part.p_noncompliant for part in parts]),
        p=np.concatenate([part.p for part in parts]),
        q=np.concatenate([part.q for part in parts]),
        basis=np.concatenate([part.basis for part in parts]),
        base_rate=parts[0].base_rate,
        groups=tuple(group for part in parts for group in part.groups),
        audiences=tuple(audience for part in parts for audience in part.audiences),
        languages=tuple(language for part in parts for language in part.languages),
    )


def _candidates(
    listings: Sequence[Listing],
    clusters: Sequence[str],
    scores: Scores,
    taxonomy: Taxonomy,
    past: PastTests,
    today: date,
    category_by: str,
) -> Candidates:
    sold = exposure_of([listing.units_sold for listing in listings])
    p = np.where(taxonomy.laboratory_mask, scores.p, 0.0)
    weight = np.asarray(taxonomy.harm_weights)[taxonomy.severities - 1]
    harm = injury_probability(p, taxonomy, scores.audiences) * weight * sold[:, None]
    keys = [key_of(listing) for listing in listings]
    return Candidates(
        ids=tuple(listing.id for listing in listings),
        clusters=tuple(clusters),
        sellers=tuple(_seller(listing) for listing in listings),
        categories=tuple(
            _widest(group, taxonomy) if category_by == "group" else (listing.category or [""])[0]
            for listing, group in zip(listings, scores.groups, strict=True)
        ),
        platforms=tuple(listing.marketplace or "" for listing in listings),
        groups=scores.groups,
        units_sold=np.array([listing.units_sold or 0 for listing in listings], dtype=np.int64),
        p=p,
        harm=harm,
        panel=panels(scores.groups, scores.audiences, [one.market for one in listings], p, taxonomy, today),
        ordered=np.array([key in past.ordered for key in keys], dtype=bool),
        last_tested=tuple(past.last_tested.get(key) for key in keys),
        group_tested=np.array([past.group_tested.get(group, 0) for group in scores.groups], dtype=np.float64),
    )


def _seller(listing: Listing) -> str:
    return f"{listing.marketplace or ''}/{listing.seller.id}" if listing.seller and listing.seller.id else ""


def _widest(group: str, taxonomy: Taxonomy) -> str:
    """Return the widest group above a group, below the root that holds everything."""
    seen: set[str] = set()
    while group in taxonomy.groups and group not in seen:
        seen.add(group)
        parent = taxonomy.groups[group].parent
        if not parent or not taxonomy.groups[parent].parent:
            return group
        group = parent
    return ""


def panels(
    groups: Sequence[str],
    audiences: Sequence[str],
    markets: Sequence[str],
    p: np.ndarray,
    taxonomy: Taxonomy,
    today: date,
) -> np.ndarray:
    """Return what a full test of each listing covers: what the law asks of its group, and what is likely anyway.

    Returns
    -------
    ndarray of shape (n_listings, n_hazards), bool
    """
    lawful: dict[tuple[str, str, str], np.ndarray] = {}
    for key in set(zip(groups, audiences, markets, strict=True)):
        group, audience, market = key
        named = taxonomy.tested_hazards(group, market, today, audience)
        lawful[key] = np.array([code in named for code in taxonomy.codes])
    rows = np.stack([lawful[key] for key in zip(groups, audiences, markets, strict=True)])
    return (rows | (p >= LIKELY)) & taxonomy.laboratory_mask
