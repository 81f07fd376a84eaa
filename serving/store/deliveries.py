"""Events on their way: handed from the outbox to endpoints, claimed, ended, replayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import notice_tables as tables
from serving.store import schema
from serving.store.records import OutboxEvent, microseconds, moment

WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this worker's to try until its lease ends."""

    position: int
    endpoint_id: str
    attempts: int
    event: OutboxEvent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt; ``next_attempt_at`` is None where there is none to come."""

    position: int
    status: str
    attempts: int
    last_answer: str
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as people see it."""

    position: int
    event_id: str
    type: str
    subject: str
    endpoint_id: str
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None
    last_answer: str


def fan_out(
    connection: Connection, wanted: Mapping[str, frozenset[str]], now: datetime, size: int = 500
) -> int:
    """Make a delivery for every event not handed on yet and every endpoint that wants its kind.

    Parameters
    ----------
    wanted
        Endpoint id -> kinds, empty for all.

    Returns
    -------
    int
        Events handed on; fewer than ``size`` means that none is left.
    """
    e, at = schema.events, microseconds(now)
    found = connection.execute(
        sa.select(e.c.position, e.c.type)
        .where(e.c.delivered_at.is_(None))
        .order_by(e.c.next_attempt_at, e.c.position)
        .limit(size)
    ).all()
    if not found:
        return 0
    _insert(
        connection,
        [
            (position, endpoint)
            for position, kind in found
            for endpoint, kinds in wanted.items()
            if not kinds or kind in kinds
        ],
        at,
    )
    connection.execute(
        e.update().where(e.c.position.in_([position for position, _ in found])).values(delivered_at=at)
    )
    return len(found)


def _insert(connection: Connection, pairs: Sequence[tuple[int, str]], at: int) -> None:
    if pairs:
        connection.execute(
            tables.deliveries.insert(),
            [
                {
                    "event_position": position,
                    "endpoint_id": endpoint,
                    "status": WAITING,
                    "attempts": 0,
                    "next_attempt_at": at,
                    "leased_until": 0,
                    "created_at": at,
                    "last_answer": "",
                }
                for position, endpoint in pairs
            ],
        )


def claim(
    connection: Connection, endpoint_id: str, now: datetime, until: datetime, size: int = 50
) -> tuple[Claimed, ...]:
    """Take deliveries of an endpoint that are due; inside a write transaction nobody else takes the same."""
    d, e, at = tables.deliveries, schema.events, microseconds(now)
    due = (
        sa.select(d.c.position, d.c.endpoint_id, d.c.attempts, e.c.id, e.c.type, e.c.subject, e.c.body)
        .join(e, e.c.position == d.c.event_position)
        .where(
            d.c.endpoint_id == endpoint_id,
            d.c.status == WAITING,
            d.c.next_attempt_at <= at,
            d.c.leased_until <= at,
        )
        .order_by(d.c.next_attempt_at, d.c.position)
        .limit(size)
    )
    rows = connection.execute(due).all()
    if rows:
        connection.execute(
            d.update()
            .where(d.c.position.in_([row[0] for row in rows]))
            .values(leased_until=microseconds(until))
        )
    return tuple(
        Claimed(position, endpoint, attempts, OutboxEvent(event_id, kind, subject, orjson.loads(body)))
        for position, endpoint, attempts, event_id, kind, subject, body in rows
    )


def anything_new(connection: Connection) -> bool:
    """Whether an event was not handed on yet."""
    e = schema.events
    return (
        connection.execute(sa.select(e.c.position).where(e.c.delivered_at.is_(None)).limit(1)).first()
        is not None
    )


def prune(connection: Connection, before: datetime, size: int = 5_000) -> int:
    """Remove events older than a time whose deliveries have all ended, the oldest ``size`` at a time; return how many.

    Decisions and their audit stay; only what was told about them goes, and cannot be replayed any more.
    """
    d, e = tables.deliveries, schema.events
    oldest = (
        sa.select(e.c.position, e.c.created_at, e.c.delivered_at)
        .order_by(e.c.position)
        .limit(size)
        .subquery()
    )
    waiting = sa.exists().where(d.c.event_position == oldest.c.position, d.c.status == WAITING)
    gone = list(
        connection.execute(
            sa.select(oldest.c.position).where(
                oldest.c.created_at < microseconds(before), oldest.c.delivered_at.is_not(None), ~waiting
            )
        ).scalars()
    )
    for start in range(0, len(gone), 500):
        part = gone[start : start + 500]
        connection.execute(d.delete().where(d.c.event_position.in_(part)))
        connection.execute(e.delete().where(e.c.position.in_(part)))
    return len(gone)


def due_endpoints(connection: Connection, now: datetime) -> frozenset[str]:
    """Endpoints with something to deliver now."""
    d, at = tables.deliveries, microseconds(now)
    found = connection.execute(
        sa.select(d.c.endpoint_id)
        .distinct()
        .where(d.c.status == WAITING, d.c.next_attempt_at <= at, d.c.leased_until <= at)
    )
    return frozenset(found.scalars())


def end(connection: Connection, outcomes: Iterable[Outcome], now: datetime) -> None:
    """Write what became of attempts."""
    d, at = tables.deliveries, microseconds(now)
    for one in outcomes:
        later = one.next_attempt_at
        connection.execute(
            d.update()
            .where(d.c.position == one.position, d.c.status == WAITING)
            .values(
                status=one.status,
                attempts=one.attempts,
                last_answer=one.last_answer,
                leased_until=0,
                next_attempt_at=microseconds(later) if later else at,
                ended_at=None if one.status == WAITING else at,
            )
        )


def answered_since(connection: Connection, endpoint_id: str, since: datetime) -> bool:
    """Whether anything was delivered to an endpoint since a time."""
    d = tables.deliveries
    found = connection.execute(
        sa.select(d.c.position)
        .where(d.c.endpoint_id == endpoint_id, d.c.status == DELIVERED, d.c.ended_at >= microseconds(since))
        .limit(1)
    )
    return found.first() is not None


def read_deliveries(
    connection: Connection,
    *,
    endpoint_id: str | None = None,
    status: str | None = None,
    subject: str | None = None,
    size: int = 100,
) -> tuple[Delivery, ...]:
    """Read deliveries, the newest first."""
    d, e = tables.deliveries, schema.events
    statement = sa.select(d, e.c.id, e.c.type, e.c.subject).join(e, e.c.position == d.c.event_position)
    for column, value in ((d.c.endpoint_id, endpoint_id), (d.c.status, status), (e.c.subject, subject)):
        if value is not None:
            statement = statement.where(column == value)
    rows = connection.execute(statement.order_by(d.c.position.desc()).limit(size)).mappings()
    return tuple(_delivery(row) for row in rows)


def _delivery(row: Mapping[Any, Any]) -> Delivery:
    waiting = row["status"] == WAITING
    return Delivery(
        position=row["position"],
        event_id=row["id"],
        type=row["type"],
        subject=row["subject"],
        endpoint_id=row["endpoint_id"],
        status=row["status"],
        attempts=row["attempts"],
        created_at=moment(row["created_at"]),
        next_attempt_at=moment(row["next_attempt_at"]) if waiting else None,
        ended_at=None if row["ended_at"] is None else moment(row["ended_at"]),
        last_answer=row["last_answer"],
    )


def count_deliveries(connection: Connection) -> dict[tuple[str, str], int]:
    """Count deliveries by endpoint and status."""
    d = tables.deliveries
    rows = connection.execute(
        sa.select(d.c.endpoint_id, d.c.status, sa.func.count()).group_by(d.c.endpoint_id, d.c.status)
    )
    return {(endpoint, status): count for endpoint, status, count in rows}


def revive(connection: Connection, endpoint_id: str, now: datetime) -> int:
    """Send what died for an endpoint once more, with all its attempts."""
    d = tables.deliveries
    found = connection.execute(
        d.update()
        .where(d.c.endpoint_id == endpoint_id, d.c.status == DEAD)
        .values(status=WAITING, attempts=0, next_attempt_at=microseconds(now), leased_until=0, ended_at=None)
    )
    return found.rowcount


def send_again(
    connection: Connection, endpoint_id: str, kinds: frozenset[str], since: datetime, now: datetime
) -> int:
    """Deliver all events since a time once more, whether or not they arrived; consumers know them by their id."""
    e = schema.events
    statement = sa.select(e.c.position).where(e.c.created_at >= microseconds(since))
    if kinds:
        statement = statement.where(e.c.type.in_(sorted(kinds)))
    # What was never handed on comes by itself.
    positions = list(connection.execute(statement.where(e.c.delivered_at.is_not(None))).scalars())
    _insert(connection, [(position, endpoint_id) for position in positions], microseconds(now))
    return len(positions)
