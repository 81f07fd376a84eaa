"""Complaints of one store: recorded, and felt in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.notices.complaints import ComplaintRequest, aware, boost, read_complaint
from serving.store import Store
from serving.store.engine import reading, writing
from serving.store.notice_records import ComplaintRecord, say
from serving.store.queue_boost import raise_place
from serving.store.records import microseconds
from serving.store.steps import StepRow, has_complaint, read_complaints, read_said


@dataclass(frozen=True, slots=True)
class Complained:
    """What became of a complaint.

    Attributes
    ----------
    known
        Whether the same complaint was there already; nothing changed then.
    boost
        Log2 of what complaints multiply the listing's expected harm by now.
    queued
        Whether the listing waits in the queue now; False where it was never decided.
    """

    complaint_id: str
    hazards: tuple[str, ...]
    kind: str
    known: bool
    boost: float
    queued: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "id": self.complaint_id,
            "hazards": list(self.hazards),
            "kind": self.kind,
            "known": self.known,
            "boost": round(self.boost, 4),
            "queued": self.queued,
        }


class ComplaintDesk:
    """Complaints of one store.

    Parameters
    ----------
    store
        An open store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def take_in(self, request: ComplaintRequest, actor: str, now: datetime) -> Complained:
        """Record a complaint and move its listing up the queue.

        One that names a hazard or an injury brings a listing into the queue that was not in it.
        """
        key = (request.marketplace, request.listing_id)
        complaint_id = f"{request.marketplace}:{request.id}"
        reading_ = read_complaint(request)
        with reading(self.store.engine) as connection:
            known = has_complaint(connection, complaint_id)
        if not known:
            digest, beside = say(request.text, microseconds(now))
            body = {
                "hazards": list(reading_.hazards),
                "terms": reading_.terms,
                "kind": reading_.kind,
                "weight": reading_.weight,
                "received_at": aware(request.received_at, now).isoformat(timespec="seconds"),
                "text_digest": digest,
            }
            record = ComplaintRecord(complaint_id, *key, actor, body, beside)
            self.store.change(record, timeout_s=30)
        added = boost(row.body["weight"] for row in self.about(key))
        enters = reading_.kind != "other" and not known
        with writing(self.store.engine) as connection:
            queued = raise_place(connection, key, added, microseconds(now), enters=enters)
        return Complained(complaint_id, reading_.hazards, reading_.kind, known, added, queued)

    def about(self, key: tuple[str, str]) -> tuple[StepRow, ...]:
        """Complaints about a listing, the oldest first."""
        with reading(self.store.engine) as connection:
            return read_complaints(connection, key)

    def text(self, seq: int) -> str | None:
        """What the consumer wrote; None once erased."""
        with reading(self.store.engine) as connection:
            return read_said(connection, seq)
