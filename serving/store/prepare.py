"""Turn records into rows, hashed and ready; done by the caller's thread, so that the writer only writes."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.store import laboratory_tables, notice_tables
from serving.store.canonical import canonical, canonical_row
from serving.store.chain import CONTENT, PAYLOAD, REASONS, SALT_BYTES, salted
from serving.store.errors import InvalidRecordError
from serving.store.records import ChangeRecord, DecisionRecord, OutboxEvent, Row, microseconds

OPEN_ACTIONS = frozenset({"review", "lab_test", "block"})
# An item that waits this long weighs twice as much in the queue as a new one of the same expected harm.
QUEUE_DOUBLING_US = 7 * 24 * 3600 * 1_000_000
_LEAST_HARM = 1e-9
# PostgreSQL cannot hold NUL in text, no database can hold half a surrogate pair in UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TEXT_MAX = 2_000


def queue_place(expected_harm: float, opened_at: int) -> float:
    """Place in the queue, smallest first.

    Harm times 2^(age / doubling time) orders the same at every moment as its logarithm less the growth that all
    items share, so the place of an item is one fixed number that an index can hold.
    """
    return opened_at / QUEUE_DOUBLING_US - math.log2(max(expected_harm, _LEAST_HARM))


def content_digest(kind: str, salt: bytes, values: Sequence[Any]) -> bytes:
    """Salted digest of a stored row: the columns between ``seq`` and ``salt`` in the order of the table."""
    flat: list[Any] = [kind]
    for value in values:
        cls = type(value)
        if cls is bytes or cls is float:
            flat.append(value.hex())  # exact for floats, where decimal text depends on who prints it
        else:
            flat.append(int(value) if cls is bool else value)
    return salted(CONTENT, salt, canonical_row(flat))


KINDS = {
    "decisions": "decision",
    "labels": "label",
    "bans": "ban",
    "policies": "policy",
    "models": "model",
    "notes": "note",
    **notice_tables.KINDS,
    **laboratory_tables.KINDS,
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record as rows, hashed and ready; only the sequence number is missing.

    ``beside`` are rows of other tables that belong to it.
    """

    kind: str
    table: str
    actor: str
    subject: str
    digest: bytes
    row: Row
    beside: tuple[tuple[str, Row], ...] = ()
    payload: bytes = b""
    size: int = 0


def _check(name: str, value: str) -> None:
    if len(value) > _TEXT_MAX or _UNSTORABLE.search(value):
        raise InvalidRecordError(
            f"{name}: got text of length {len(value)}, expected at most {_TEXT_MAX} characters without NUL "
            "or lone surrogates"
        )


def _check_row(row: Row, skip: frozenset[str] = frozenset({"body", "rules", "image_digests"})) -> None:
    for name, value in row.items():
        if type(value) is str and name not in skip:
            _check(name, value)
        elif type(value) is float and not math.isfinite(value):
            raise InvalidRecordError(f"{name}: got {value}, expected a finite number")


def prepare_change(record: ChangeRecord, now: int | None = None) -> Prepared:
    """Turn a label, ban, policy, model, note, notice, strike or the like into rows.

    Parameters
    ----------
    record
        May also have ``events`` (of `OutboxEvent`) and ``beside`` (rows of other tables), written with it.
    now
        Microseconds since 1970 (UTC), for its events; by default the clock's.

    Raises
    ------
    InvalidRecordError
        When a value cannot be stored.
    """
    table, subject, row = record.place()
    body = canonical(record.body).decode()
    row = {**row, "body": body, "salt": os.urandom(SALT_BYTES)}
    _check_row(row)
    _check("actor", record.actor)
    kind = KINDS[table]
    digest = content_digest(kind, row["salt"], list(row.values())[:-1])
    now = time.time_ns() // 1_000 if now is None else now
    events = [("events", _event_row(event, now)) for event in getattr(record, "events", ())]
    beside = (*getattr(record, "beside", ()), *events)
    return Prepared(kind, table, record.actor, subject, digest, row, beside, size=len(body))


def prepare_decision(record: DecisionRecord, now: int) -> Prepared:
    """Turn a decision into rows; done by the caller's thread, so the writer only numbers and writes.

    Parameters
    ----------
    record
        The decision.
    now
        Time of receipt where the record names none, microseconds since 1970 (UTC).

    Raises
    ------
    InvalidRecordError
        When a value cannot be stored.
    """
    salt = os.urandom(SALT_BYTES)
    payload, reasons = canonical(record.listing), canonical(record.reasons)
    pictures = [(picture, salted(PAYLOAD, salt, picture.content)) for picture in record.images]
    received = microseconds(record.received_at) if record.received_at else now
    row = _decision_row(record, received)
    row["payload_digest"] = salted(PAYLOAD, salt, payload)
    row["reasons_digest"] = salted(REASONS, salt, reasons)
    row["image_digests"] = canonical_row([digest.hex() for _, digest in pictures]).decode()
    row["model_version"], row["policy_version"] = record.model_version, record.policy_version
    row["decided_at"] = microseconds(record.decided_at)
    row["salt"] = os.urandom(SALT_BYTES)
    _check_row(row)
    beside: list[tuple[str, Row]] = [
        (
            "inputs",
            {
                "received_at": received,
                "payload": payload.decode(),
                "reasons": reasons.decode(),
                "salt": salt,
                "erased_by": None,
            },
        ),
        ("listings", _listing_row(record, row)),
    ]
    beside += [
        (
            "images",
            {
                "position": position if picture.position is None else picture.position,
                "media_type": picture.media_type,
                "digest": digest,
                "content": picture.content,
            },
        )
        for position, (picture, digest) in enumerate(pictures)
    ]
    beside += [("events", _event_row(event, now)) for event in record.events]
    return Prepared(
        "decision",
        "decisions",
        record.actor,
        record.id,
        content_digest("decision", row["salt"], list(row.values())[:-1]),
        row,
        tuple(beside),
        payload,
        len(payload) + len(reasons) + sum(len(picture.content) for picture in record.images),
    )


def _decision_row(record: DecisionRecord, received: int) -> Row:
    """Columns in the order of the table, up to ``received_at``."""
    return {
        "id": record.id,
        "marketplace": str(record.listing.get("marketplace") or ""),
        "listing_id": str(record.listing.get("id") or ""),
        "revision": int(record.listing.get("revision") or 1),
        "caller": record.caller,
        "idempotency_key": record.idempotency_key,
        "actor": record.actor,
        "action": record.action,
        "state": record.state,
        "held_until": microseconds(record.held_until) if record.held_until else None,
        "risk_level": record.risk_level,
        "top_hazard": record.top_hazard,
        "expected_harm": float(record.expected_harm),
        "p_noncompliant": float(record.p_noncompliant),
        "scores": bytes(record.scores),
        "rules": canonical(record.rules).decode(),
        "body": canonical(record.body).decode(),
        "received_at": received,
    }


def _listing_row(record: DecisionRecord, row: Row) -> Row:
    needs_work = record.needs_work
    if needs_work is None:
        needs_work = record.actor == "system" and record.action in OPEN_ACTIONS
    seller = record.listing.get("seller")
    listing = {
        "marketplace": row["marketplace"],
        "listing_id": row["listing_id"],
        "revision": row["revision"],
        "seller_id": str((isinstance(seller, Mapping) and seller.get("id")) or ""),
        "state": record.state,
        "held_until": row["held_until"],
        "open_action": record.action if needs_work else None,
        "top_hazard": record.top_hazard,
        "product_group": record.product_group,
        "language": record.language,
        "expected_harm": row["expected_harm"],
        "place": queue_place(row["expected_harm"], row["decided_at"]),
        "opened_at": row["decided_at"] if needs_work else None,
        "boost": 0.0,
    }
    _check_row(listing)
    return listing


def _event_row(event: OutboxEvent, now: int) -> Row:
    _check("event", event.id + event.type + event.subject)
    return {
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "body": canonical(event.body).decode(),
        "created_at": now,
        "delivered_at": None,
        "next_attempt_at": now,
        "attempts": 0,
    }
