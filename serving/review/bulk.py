"""Many items decided at once: looked at first, as one recorded action, and taken back as one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson

from serving.review.desk import ReviewDesk
from serving.review.records import records_of, undo_records
from serving.review.rules import (
    Person,
    ReviewError,
    Said,
    choice_named,
    harm_of,
    needs_second,
    outcome,
)
from serving.store import NoteRecord, QueueFilter, QueueItem, StoredDecision, desk
from serving.store.desk import Bulk
from serving.store.engine import reading, writing

_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """What a bulk action would do.

    Attributes
    ----------
    items
        What it would decide.
    left_out
        Items found that it may not decide, with why: ``claimed``, ``second`` (needs or waits for a second person),
        ``hazard`` (the choice does not fit).
    mark
        Digest of what was looked at; applying asks for the same.
    """

    choice: str
    items: tuple[QueueItem, ...]
    left_out: tuple[tuple[QueueItem, str], ...]
    harm: float
    mark: str


@dataclass(frozen=True, slots=True)
class BulkDone:
    """What a bulk action, or its undoing, did; ``left`` items had been decided otherwise meanwhile."""

    bulk_id: str
    done: int
    left: int


class BulkDesk:
    """Bulk actions at a review desk."""

    def __init__(self, review: ReviewDesk) -> None:
        self.review = review
        self.store = review.store

    def preview(self, actor: str, only: QueueFilter, choice: str, hazard: str = "") -> BulkPreview:
        """Look at what a bulk action would do; nothing is changed.

        Raises
        ------
        ReviewError
            When the filter is empty: nobody means the whole queue.
        """
        if all(value is None for value in asdict(only).values()):
            raise ReviewError("got a bulk action without any filter, expected at least one")
        if "bulk" in self.review.rules.two_person:
            raise ReviewError("bulk actions are switched off here: each item needs a second person")
        said = Said(choice_named(choice), hazard)
        page = self.store.queue_page(size=self.review.rules.bulk_max, only=only)
        keys = [(item.marketplace, item.listing_id) for item in page]
        with reading(self.store.engine) as connection:
            held = desk.claims_among(connection, keys, self.review.now())
            proposed = desk.proposed_among(connection, keys)
        items: list[QueueItem] = []
        left_out: list[tuple[QueueItem, str]] = []
        for item, key in zip(page, keys, strict=True):
            claim = held.get(key)
            if claim is not None and claim.actor != actor:
                left_out.append((item, "claimed"))
            elif key in proposed:
                left_out.append((item, "second"))
            elif why := self._against(item, said):
                left_out.append((item, why))
            else:
                items.append(item)
        return BulkPreview(
            choice, tuple(items), tuple(left_out), harm_of(items), _mark(choice, hazard, items)
        )

    def _against(self, item: QueueItem, said: Said) -> str:
        if said.choice == "block" or said.choice == "lab_test":
            return ""
        stored = self.store.decision(item.decision_id)
        try:
            outcome(said, stored, self.review.clock(), self.review.rules)
        except ReviewError:
            return "hazard"
        return "second" if needs_second(said, stored, self.review.rules) else ""

    def apply(
        self, actor: str, only: QueueFilter, choice: str, mark: str, hazard: str = "", note: str = ""
    ) -> BulkDone:
        """Do what was looked at.

        Raises
        ------
        ReviewError
            When the queue changed since: then it has to be looked at again.
        """
        shown = self.preview(actor, only, choice, hazard)
        if shown.mark != mark:
            raise ReviewError("got a bulk action whose items changed since the preview: look at it again")
        if not shown.items:
            raise ReviewError("got a bulk action without items")
        bulk_id = uuid.uuid4().hex
        found = orjson.dumps({k: v for k, v in asdict(only).items() if v is not None}).decode()
        body = {
            "what": "bulk",
            "choice": choice,
            "hazard": hazard,
            "items": len(shown.items),
            "filter": found,
        }
        self.store.change(NoteRecord(f"bulk:{bulk_id}", actor, body), timeout_s=30)
        bulk = Bulk(bulk_id, actor, choice, found, note, self.review.now())
        # The list of what it touches is on disk before anything is touched, so that it can be undone after a crash.
        said, person, now = (
            Said(choice_named(choice), hazard, note, bulk_id),
            Person(actor),
            self.review.clock(),
        )
        planned = []
        for item in shown.items:
            stored = self.store.decision(item.decision_id)
            planned.append((stored, records_of(said, stored, person, now, self.review.rules)))
        made = [(stored.id, records[0].id) for stored, records in planned if hasattr(records[0], "id")]
        with writing(self.store.engine) as connection:
            desk.put_bulk(connection, bulk, made)
        done = 0
        for start in range(0, len(planned), _TOGETHER):
            part = [(s, r) for s, r in planned[start : start + _TOGETHER] if self._in_force(s)]
            self.store.together([record for _, records in part for record in records], timeout_s=60)
            done += len(part)
        return BulkDone(bulk_id, done, len(planned) - done)

    def _in_force(self, stored: StoredDecision) -> bool:
        latest = self.store.latest(stored.marketplace, stored.listing_id)
        return latest is not None and latest.id == stored.id

    def undo(self, actor: str, bulk_id: str) -> BulkDone:
        """Take a bulk action back: what was in force before, again; labels withdrawn. Later decisions stay.

        Raises
        ------
        ReviewError
            When there is none, or it was undone before.
        """
        with reading(self.store.engine) as connection:
            bulk, items = desk.read_bulk(connection, bulk_id), desk.read_bulk_items(connection, bulk_id)
        if bulk is None or bulk.undone_at is not None:
            raise ReviewError("got a bulk action that does not exist or was undone before")
        self.store.change(NoteRecord(f"bulk:{bulk_id}", actor, {"what": "bulk undone"}), timeout_s=30)
        # Marked at the end: an undoing that broke off can be asked for again, and what is back already stays.
        parts = (items[at : at + _TOGETHER] for at in range(0, len(items), _TOGETHER))
        done = sum(self._undo_part(actor, bulk_id, part) for part in parts)
        with writing(self.store.engine) as connection:
            desk.mark_undone(connection, bulk_id, actor, self.review.now())
        return BulkDone(bulk_id, done, len(items) - done)

    def _undo_part(self, actor: str, bulk_id: str, items: Sequence[tuple[str, str]]) -> int:
        records, done = [], 0
        for before_id, made_id in items:
            before = self.store.decision(before_id)
            latest = self.store.latest(before.marketplace, before.listing_id)
            if latest is None or latest.id != made_id:
                continue
            records += undo_records(before, latest, actor, self.review.clock(), bulk_id)
            done += 1
        self.store.together(records, timeout_s=60)
        return done


def _mark(choice: str, hazard: str, items: Sequence[QueueItem]) -> str:
    seen = "\n".join([choice, hazard, *(item.decision_id for item in items)])
    return hashlib.sha256(seen.encode()).hexdigest()[:32]
