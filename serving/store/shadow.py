"""Rows of policies in shadow, and the stored decisions that a policy is tried on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.decisions import StoredDecision, read_decisions
from serving.store.desk_tables import shadow_results
from serving.store.engine import reading
from serving.store.records import microseconds
from serving.store.store import Store

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """What a policy in shadow would have said of one decision."""

    policy_version: str
    decision_id: str
    action: str
    shadow_action: str
    hazard: str
    seller_id: str
    at: int


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What a policy in shadow would have done: decisions seen by (action, shadow action); hazards where they differ."""

    version: str
    seen: int
    actions: tuple[tuple[str, str, int], ...]
    hazards: tuple[tuple[str, int], ...]
    sellers: tuple[tuple[str, int], ...]

    @property
    def changed(self) -> int:
        """Decisions that would have come out otherwise."""
        return sum(number for action, other, number in self.actions if action != other)


def put_shadow_rows(connection: Connection, rows: Sequence[ShadowRow]) -> None:
    """Add rows; one that is there already stays."""
    if not rows:
        return
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = [{name: getattr(row, name) for name in ShadowRow.__dataclass_fields__} for row in rows]
    connection.execute(insert(shadow_results).on_conflict_do_nothing(), values)


def read_report(connection: Connection, version: str, most: int = 20) -> ShadowReport:
    """Count what a policy in shadow would have done."""
    t = shadow_results
    of = t.c.policy_version == version
    actions = connection.execute(
        sa.select(t.c.action, t.c.shadow_action, sa.func.count())
        .where(of)
        .group_by(t.c.action, t.c.shadow_action)
    ).all()
    differs = sa.and_(of, t.c.action != t.c.shadow_action)

    def ranked(column: sa.Column[Any]) -> tuple[tuple[str, int], ...]:
        number = sa.func.count().label("number")
        rows = connection.execute(
            sa.select(column, number).where(differs).group_by(column).order_by(number.desc()).limit(most)
        )
        return tuple((str(row[0]), int(row[1])) for row in rows)

    found = tuple((str(a), str(b), int(n)) for a, b, n in actions)
    return ShadowReport(
        version, sum(n for _, _, n in found), found, ranked(t.c.hazard), ranked(t.c.seller_id)
    )


def system_decisions(store: Store, since: datetime, limit: int) -> Iterator[StoredDecision]:
    """Yield what the system decided since a time, the newest first, in blocks that hold no long transaction."""
    d, left, before = schema.decisions, limit, None
    while left > 0:
        statement = sa.select(d.c.seq).where(d.c.decided_at >= microseconds(since), d.c.actor == "system")
        if before is not None:
            statement = statement.where(d.c.seq < before)
        with reading(store.engine) as connection:
            seqs = list(
                connection.execute(statement.order_by(d.c.seq.desc()).limit(min(_BLOCK, left))).scalars()
            )
            found = read_decisions(connection, seqs)
        yield from found
        left -= len(seqs)
        if len(seqs) < _BLOCK:
            return
        before = seqs[-1]
