"""Counts and lists of what waits, for the overview, the filters and the sellers, quick with a million decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.records import microseconds, moment

# Written out, because a parameter would hide the partial index from SQLite.
_OFF_SALE = sa.literal_column("'off_sale'")
RECENT_MAX = 20_000
"""Most decisions that counts of recent ones look through."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What waits: by action, in all, overdue, the oldest; and how many listings are off sale."""

    by_action: Mapping[str, int]
    overdue: int
    oldest: datetime | None
    off_sale: int

    @property
    def waiting(self) -> int:
        """All that waits."""
        return sum(self.by_action.values())


@dataclass(frozen=True, slots=True)
class RecentCounts:
    """Decisions since a time, at most `RECENT_MAX` of them: in all, by action, by people, and matches with bans."""

    decisions: int
    by_action: Mapping[str, int]
    by_people: int
    relistings: int
    complete: bool


def queue_counts(connection: Connection, now: datetime) -> QueueCounts:
    """Count what waits."""
    q = schema.listings
    rows = connection.execute(
        sa.select(q.c.open_action, sa.func.count())
        .where(q.c.open_action.is_not(None))
        .group_by(q.c.open_action)
    )
    by_action = {str(row[0]): int(row[1]) for row in rows}
    late = sa.select(sa.func.count()).where(q.c.held_until < microseconds(now), q.c.state == "held")
    gone = (
        sa.select(sa.func.count()).select_from(q).where(q.c.state == sa.literal_column("'off_sale'"))
    )  # a parameter would hide the index from it
    first = connection.execute(
        sa.select(q.c.opened_at).where(q.c.open_action.is_not(None)).order_by(q.c.place).limit(1)
    ).scalar()
    return QueueCounts(
        by_action,
        connection.execute(late).scalar_one(),
        None if first is None else moment(first),
        connection.execute(gone).scalar_one(),
    )


def recent_counts(connection: Connection, since: datetime) -> RecentCounts:
    """Count the decisions since a time."""
    d = schema.decisions
    recent = (
        sa.select(d.c.action, d.c.actor, d.c.rules)
        .where(d.c.decided_at >= microseconds(since))
        .order_by(d.c.decided_at.desc())
        .limit(RECENT_MAX)
        .subquery()
    )
    person = sa.case((recent.c.actor != "system", 1), else_=0)
    back = sa.case((sa.and_(recent.c.actor == "system", recent.c.rules.like("%banned-item%")), 1), else_=0)
    rows = connection.execute(
        sa.select(recent.c.action, sa.func.count(), sa.func.sum(person), sa.func.sum(back)).group_by(
            recent.c.action
        )
    ).all()
    total = sum(row[1] for row in rows)
    return RecentCounts(
        total,
        {row[0]: row[1] for row in rows},
        int(sum(row[2] for row in rows)),
        int(sum(row[3] for row in rows)),
        total < RECENT_MAX,
    )


def sellers_with_most(
    connection: Connection, size: int = 100, within: int = 20_000
) -> tuple[tuple[str, str, int, int, float], ...]:
    """Read sellers by what waits of theirs among the ``within`` most urgent items.

    Returns
    -------
    tuple
        Marketplace, id, waiting, off sale, expected harm of what waits; the most harmful first.
    """
    q = schema.listings
    urgent = (
        sa.select(q.c.marketplace, q.c.seller_id, q.c.expected_harm)
        .where(q.c.open_action.is_not(None))
        .order_by(q.c.place, q.c.decision_seq)
        .limit(within)
        .subquery()
    )
    harm = sa.func.sum(urgent.c.expected_harm).label("harm")
    rows = connection.execute(
        sa.select(urgent.c.marketplace, urgent.c.seller_id, sa.func.count(), harm)
        .where(urgent.c.seller_id != "")
        .group_by(urgent.c.marketplace, urgent.c.seller_id)
        .order_by(harm.desc())
        .limit(size)
    ).all()
    gone = connection.execute(
        sa.select(q.c.marketplace, q.c.seller_id, sa.func.count())
        .where(q.c.seller_id.in_([row[1] for row in rows]), q.c.state == "off_sale")
        .group_by(q.c.marketplace, q.c.seller_id)
    )
    off_sale = {(row[0], row[1]): int(row[2]) for row in gone}
    return tuple(
        (row[0], row[1], int(row[2]), off_sale.get((row[0], row[1]), 0), float(row[3])) for row in rows
    )


def filter_values(connection: Connection) -> Mapping[str, tuple[str, ...]]:
    """Read the hazards, product groups, languages and marketplaces of what waits, for the filters.

    Each distinct value is found by a step in an index, so this takes as long as there are values, not items.
    """
    q = schema.listings
    waiting, names = q.c.open_action.is_not(None), ("top_hazard", "product_group", "language")
    return {name: distinct(connection, q.c[name], waiting) for name in names}


def distinct(
    connection: Connection, column: sa.Column[Any], where: sa.ColumnElement[bool], most: int = 200
) -> tuple[str, ...]:
    """Read the values of an indexed column, each found by one step in the index."""
    found: list[str] = []
    statement = sa.select(sa.func.min(column)).where(where)
    value = connection.execute(statement).scalar()
    while value is not None and len(found) < most:
        found.append(value)
        value = connection.execute(statement.where(column > value)).scalar()
    return tuple(one for one in found if one)
