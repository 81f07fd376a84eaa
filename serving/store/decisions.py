"""Reading decisions: one with all that is known of it, and the page of those that wait for somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.errors import NotFoundError
from serving.store.records import microseconds, moment

PAGE_MAX = 500


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it stands in the store.

    Attributes
    ----------
    listing, reasons
        None once retention has erased them; ``erased_at`` says when.
    received_at, decided_at, held_until, recorded_at, erased_at
        UTC.
    """

    seq: int
    id: str
    marketplace: str
    listing_id: str
    revision: int
    caller: str
    idempotency_key: str | None
    actor: str
    action: str
    state: str
    held_until: datetime | None
    risk_level: str
    top_hazard: str
    expected_harm: float
    p_noncompliant: float
    scores: bytes
    rules: tuple[str, ...]
    body: Mapping[str, Any]
    model_version: str
    policy_version: str
    received_at: datetime
    decided_at: datetime
    recorded_at: datetime
    listing: Mapping[str, Any] | None
    reasons: Any
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One listing that waits for somebody, with what a reviewer sorts by.

    ``place`` and ``seq`` together are the position to continue from.
    """

    marketplace: str
    listing_id: str
    revision: int
    decision_id: str
    seq: int
    action: str
    state: str
    risk_level: str
    top_hazard: str
    product_group: str
    language: str
    seller_id: str
    expected_harm: float
    opened_at: datetime
    held_until: datetime | None
    title: str | None
    place: float


@dataclass(frozen=True, slots=True)
class ExpiredHold:
    """A listing that is still held although its time is up: what its policy falls to must be decided now."""

    marketplace: str
    listing_id: str
    decision_id: str
    held_until: datetime


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which waiting listings to show; None does not filter."""

    action: str | None = None
    hazard: str | None = None
    product_group: str | None = None
    language: str | None = None
    seller_id: str | None = None
    marketplace: str | None = None


def _when(at: int | None) -> datetime | None:
    return None if at is None else moment(at)


def read_decision(connection: Connection, decision_id: str) -> StoredDecision:
    """Read one decision with its input.

    Raises
    ------
    NotFoundError
    """
    row = connection.execute(_decision().where(schema.decisions.c.id == decision_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no decision {decision_id[:80]!r} is stored: check the identifier")
    return _stored(row)


def read_decisions(connection: Connection, seqs: Sequence[int]) -> tuple[StoredDecision, ...]:
    """Read decisions by their numbers, in that order."""
    if not seqs:
        return ()
    rows = connection.execute(_decision().where(schema.decisions.c.seq.in_(seqs))).mappings()
    found = {row["seq"]: _stored(row) for row in rows}
    return tuple(found[seq] for seq in seqs if seq in found)


def read_latest(connection: Connection, marketplace: str, listing_id: str) -> StoredDecision | None:
    """Read the decision in force for a listing, None when there is none yet."""
    q = schema.listings
    statement = (
        _decision()
        .join(q, q.c.decision_seq == schema.decisions.c.seq)
        .where(q.c.marketplace == marketplace, q.c.listing_id == listing_id)
    )
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _stored(row)


def _decision() -> sa.Select[Any]:
    d, i, a = schema.decisions, schema.inputs, schema.audit_rows
    erasure = a.alias("erasure")
    return (
        sa.select(
            *d.columns,
            i.c.payload,
            i.c.reasons,
            a.c.at.label("recorded_at"),
            erasure.c.at.label("erased_at"),
        )
        .join(i, i.c.seq == d.c.seq)
        .join(a, a.c.seq == d.c.seq)
        .outerjoin(erasure, erasure.c.seq == i.c.erased_by)
    )


def _stored(row: Mapping[Any, Any]) -> StoredDecision:
    return StoredDecision(
        seq=row["seq"],
        id=row["id"],
        marketplace=row["marketplace"],
        listing_id=row["listing_id"],
        revision=row["revision"],
        caller=row["caller"],
        idempotency_key=row["idempotency_key"],
        actor=row["actor"],
        action=row["action"],
        state=row["state"],
        held_until=_when(row["held_until"]),
        risk_level=row["risk_level"],
        top_hazard=row["top_hazard"],
        expected_harm=row["expected_harm"],
        p_noncompliant=row["p_noncompliant"],
        scores=bytes(row["scores"]),
        rules=tuple(orjson.loads(row["rules"])),
        body=orjson.loads(row["body"]),
        model_version=row["model_version"],
        policy_version=row["policy_version"],
        received_at=moment(row["received_at"]),
        decided_at=moment(row["decided_at"]),
        recorded_at=moment(row["recorded_at"]),
        listing=None if row["payload"] is None else orjson.loads(row["payload"]),
        reasons=None if row["reasons"] is None else orjson.loads(row["reasons"]),
        erased_at=_when(row["erased_at"]),
    )


def read_queue(
    connection: Connection,
    *,
    size: int = 50,
    after: tuple[float, int] | None = None,
    only: QueueFilter | None = None,
) -> tuple[QueueItem, ...]:
    """Read a page of open items, the most urgent first.

    Order is expected harm, doubled for every week of waiting (`serving.store.prepare.queue_place`).

    Parameters
    ----------
    size
        Items on the page, 1 to 500.
    after
        ``(place, seq)`` of the last item of the page before; None starts at the top.
    only
        Filters.

    Raises
    ------
    ValueError
        When ``size`` is out of range.
    """
    if not 1 <= size <= PAGE_MAX:
        raise ValueError(f"got size={size}, expected 1 to {PAGE_MAX}")
    q, d, i = schema.listings, schema.decisions, schema.inputs
    page = sa.select(q).where(q.c.open_action.is_not(None))
    if after is not None:
        page = page.where(sa.tuple_(q.c.place, q.c.decision_seq) > sa.tuple_(*map(sa.literal, after)))
    for name, value in _filters(only or QueueFilter()):
        page = page.where(q.c[name] == value)
    # The page is cut before the joins, so that only its own rows are looked up.
    top = page.order_by(q.c.place, q.c.decision_seq).limit(size).subquery()
    rows = connection.execute(
        sa.select(top, d.c.id.label("decision_id"), d.c.risk_level, i.c.payload)
        .join(d, d.c.seq == top.c.decision_seq)
        .join(i, i.c.seq == top.c.decision_seq)
        .order_by(top.c.place, top.c.decision_seq)
    ).mappings()
    return tuple(_queue_item(row) for row in rows)


def read_expired(connection: Connection, now: datetime, size: int = PAGE_MAX) -> tuple[ExpiredHold, ...]:
    """Read listings whose hold ended before ``now`` and that nobody decided since, the longest overdue first."""
    q, d = schema.listings, schema.decisions
    rows = connection.execute(
        sa.select(q.c.marketplace, q.c.listing_id, d.c.id, q.c.held_until)
        .join(d, d.c.seq == q.c.decision_seq)
        .where(q.c.held_until < microseconds(now), q.c.state == "held")
        .order_by(q.c.held_until)
        .limit(size)
    )
    return tuple(
        ExpiredHold(marketplace, listing, decision, moment(until))
        for marketplace, listing, decision, until in rows
    )


def _filters(only: QueueFilter) -> list[tuple[str, str]]:
    pairs = (
        ("open_action", only.action),
        ("top_hazard", only.hazard),
        ("product_group", only.product_group),
        ("language", only.language),
        ("seller_id", only.seller_id),
        ("marketplace", only.marketplace),
    )
    return [(name, value) for name, value in pairs if value is not None]


def _queue_item(row: Mapping[Any, Any]) -> QueueItem:
    payload = row["payload"]
    return QueueItem(
        marketplace=row["marketplace"],
        listing_id=row["listing_id"],
        revision=row["revision"],
        decision_id=row["decision_id"],
        seq=row["decision_seq"],
        action=row["open_action"],
        state=row["state"],
        risk_level=row["risk_level"],
        top_hazard=row["top_hazard"],
        product_group=row["product_group"],
        language=row["language"],
        seller_id=row["seller_id"],
        expected_harm=row["expected_harm"],
        opened_at=moment(row["opened_at"]),
        held_until=_when(row["held_until"]),
        title=None if payload is None else orjson.loads(payload).get("title"),
        place=row["place"],
    )
