"""A ban looks back: what is already on sale and matches is decided anew; lifting gives back what it alone held."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from features.schema import Listing, parse_listing
from serving.bans.book import BanRequest, Entry
from serving.bans.catalogue import Catalogue, CatalogueSearch
from serving.bans.desk import BanDesk
from serving.bans.match import PhotoSearch
from serving.bans.matching import MatchCheck, MatchFinder
from serving.bans.photos import pictures_of
from serving.decisions import Decision
from serving.events.kinds import decision_events
from serving.judging import Checks, Explain
from serving.store import Store
from serving.store.bans import read_decided_on
from serving.store.catalogue import Key
from serving.store.decided import decision_record
from serving.store.earlier import read_earlier
from serving.store.engine import reading

FIRST_LOOK = 200
LAST_LOOK = 20_000
_BLOCK = 64


class Decider(Protocol):
    """What decides about listings; its match check must see the same bans."""

    def decide(self, listings: Sequence[Listing], explain: Explain = "acted") -> list[Decision]:
        """Decide about a block of listings."""
        ...


@dataclass(frozen=True, slots=True)
class Retroaction:
    """What a new ban found on sale.

    Attributes
    ----------
    searched
        Listings in the catalogue.
    seconds
        From the ban being on disk to the last decision being on disk.
    search_seconds
        The part of it that searched and compared.
    """

    entry: Entry
    decisions: tuple[Decision, ...]
    searched: int
    seconds: float
    search_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the ban and what it found, as JSON values."""
        return {
            "ban": self.entry.to_json(),
            "searched": self.searched,
            "seconds": round(self.seconds, 4),
            "decisions": [decision.to_json() for decision in self.decisions],
        }


@dataclass(frozen=True, slots=True)
class Lifting:
    """What lifting a ban changed.

    Attributes
    ----------
    released
        Listings that nothing holds any more.
    kept
        Listings that something else holds or asks to look at.
    by_people
        Listing ids whose decision in force is a person's: left as it is.
    unknown
        Listing ids whose text retention has erased, so that nothing can be decided anew.
    """

    entry: Entry
    released: tuple[Decision, ...]
    kept: tuple[Decision, ...]
    by_people: tuple[str, ...]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what lifting changed, as JSON values."""
        return {
            "ban": self.entry.to_json(),
            "released": [decision.to_json() for decision in self.released],
            "kept": [decision.to_json() for decision in self.kept],
            "by_people": list(self.by_people),
            "unknown": list(self.unknown),
        }


class BanOffice:
    """Places and lifts bans with all that follows from it.

    Parameters
    ----------
    desk, catalogue
        Of the same store.
    decider
        Decides about hits as about any listing, so that policy and reasons are the same.
    photos
        Photo matching; None leaves the words alone to decide.
    """

    def __init__(
        self, desk: BanDesk, catalogue: Catalogue, decider: Decider, photos: PhotoSearch | None = None
    ) -> None:
        self.desk = desk
        self.catalogue = catalogue
        self.decider = decider
        self.photos = photos

    @property
    def store(self) -> Store:
        """Where bans and decisions are recorded."""
        return self.desk.store

    def place(self, request: BanRequest, actor: str) -> Retroaction:
        """Ban an item and decide about everything on sale that matches it.

        Raises
        ------
        UserError, StoreError
            Before the ban is recorded: nothing happened. Afterwards the ban stands, and `look_back` can be repeated.
        """
        return self.look_back(self.desk.place(request, actor), actor)

    def look_back(self, entry: Entry, actor: str) -> Retroaction:
        """Search the catalogue for a ban and record a decision for every hit."""
        began = time.perf_counter()
        search = self.catalogue.search()
        hits = self._hits(entry, search) | self._photo_hits(entry)
        found = time.perf_counter()
        decisions = self._decide(list(hits.values()), entry.ban_id, actor)
        return Retroaction(entry, decisions, len(search), time.perf_counter() - began, found - began)

    def lift(self, ban_id: str, actor: str, reason: str = "") -> Lifting:
        """Lift a ban and decide anew about what it held."""
        entry = self.desk.lift(ban_id, actor, reason)
        with reading(self.store.engine) as connection:
            stood = read_decided_on(connection, ban_id)
        machine = [one for one in stood if one.actor == "system"]
        known = [parse_listing(one.listing) for one in machine if one.listing is not None]
        decisions = self._decide(known, None, actor)
        return Lifting(
            entry,
            released=tuple(
                one for one in decisions if one.state == "live" and one.action in ("allow", "monitor")
            ),
            kept=tuple(
                one for one in decisions if one.state != "live" or one.action not in ("allow", "monitor")
            ),
            by_people=tuple(one.listing_id for one in stood if one.actor != "system"),
            unknown=tuple(one.listing_id for one in machine if one.listing is None),
        )

    def _hits(self, entry: Entry, search: CatalogueSearch) -> dict[Key, Listing]:
        """Live listings that the matcher takes for the banned item; looks further while the last ones still match."""
        reader = self.desk.bank.reader
        read = reader.read([entry.item])[0]
        query = reader.query(read)
        compared: dict[Key, float] = {}
        hits: dict[Key, Listing] = {}
        k = FIRST_LOOK
        while True:
            near = [found for found in search.nearest(query, k) if found.key not in compared]
            listings = self.catalogue.listings([found.key for found in near])
            near = [found for found in near if found.key in listings]
            p = reader.compare(read, [one.near for one in near], [listings[one.key] for one in near])
            fresh = dict(zip((found.key for found in near), p.tolist(), strict=True))
            compared |= fresh
            hits |= {key: listings[key] for key, value in fresh.items() if value >= reader.matcher.near}
            if k >= min(LAST_LOOK, len(search)) or 4 * len(hits) < len(compared):
                return hits
            k *= 4

    def _record(self, decided: Sequence[tuple[Listing, Decision]], actor: str) -> None:
        """Record decisions, with what others are told of them."""
        keys = [(listing.marketplace or "", listing.id) for listing, _ in decided]
        with reading(self.store.engine) as connection:
            before = read_earlier(connection, keys)
        records = []
        for (listing, decision), key in zip(decided, keys, strict=True):
            state = before[key].state if key in before else None
            told = decision_events(decision, marketplace=key[0], earlier_state=state)
            images = pictures_of(decision)
            records.append(decision_record(listing, decision, caller=actor, events=told, images=images))
        self.store.record(records, timeout_s=60)

    def _photo_hits(self, entry: Entry) -> dict[Key, Listing]:
        """Live listings with a photo that may be a copy of one of the banned item's."""
        live, banned = self.catalogue.photos, self.desk.photos
        if live is None or banned is None or not entry.photos:
            return {}
        return self.catalogue.listings(list(live.hits(banned.features_of(entry.ban_id))))

    def _decide(self, listings: Sequence[Listing], ban_id: str | None, actor: str) -> tuple[Decision, ...]:
        made: list[Decision] = []
        for start in range(0, len(listings), _BLOCK):
            block = listings[start : start + _BLOCK]
            decided = [
                (listing, decision)
                for listing, decision in zip(block, self.decider.decide(block), strict=True)
                if ban_id is None or any(match.ban_id == ban_id for match in decision.matches)
            ]
            self._record(decided, actor)
            made.extend(decision for _, decision in decided)
        return tuple(made)

    def close(self) -> None:
        """Let go of the indexes of photos."""
        for photos in (self.desk.photos, self.catalogue.photos):
            if photos is not None:
                photos.index.close()

    def check(self) -> MatchCheck:
        """Return the look-up that the predictor is to use."""
        return MatchCheck(MatchFinder(self.desk.bank, self.photos), self.desk.refresh)

    def checks(self, usual: Checks) -> Checks:
        """Return what a predictor is to look up, with the bank among it."""
        check = self.check()
        return replace(usual, matches=check, before=check.announce)
