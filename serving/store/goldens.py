"""Rows of golden items and of what reviewers answered to them, and counts of what people did."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.desk import Proposal
from serving.store.desk_tables import golden_answers, goldens, proposals


@dataclass(frozen=True, slots=True)
class Golden:
    """A decided item whose right answer is known."""

    id: str
    decision_id: str
    choice: str
    why: str
    added_by: str
    added_at: int
    retired_at: int | None = None


def put_golden(connection: Connection, golden: Golden) -> None:
    """Add a golden item."""
    connection.execute(
        goldens.insert(), {name: getattr(golden, name) for name in Golden.__dataclass_fields__}
    )


def read_golden(connection: Connection, golden_id: str) -> Golden | None:
    """Read one golden item."""
    row = connection.execute(sa.select(goldens).where(goldens.c.id == golden_id)).mappings().one_or_none()
    return None if row is None else Golden(**row)


def golden_of_decision(connection: Connection, decision_id: str) -> Golden | None:
    """Read the golden item that shows a decision."""
    row = (
        connection.execute(sa.select(goldens).where(goldens.c.decision_id == decision_id))
        .mappings()
        .one_or_none()
    )
    return None if row is None else Golden(**row)


def read_goldens(connection: Connection) -> tuple[Golden, ...]:
    """Read every golden item, the newest first."""
    rows = connection.execute(sa.select(goldens).order_by(goldens.c.added_at.desc())).mappings()
    return tuple(Golden(**row) for row in rows)


def retire_golden(connection: Connection, golden_id: str, now: int) -> None:
    """Show a golden item no more; its answers stay."""
    connection.execute(goldens.update().where(goldens.c.id == golden_id).values(retired_at=now))


def unanswered_goldens(connection: Connection, actor: str, size: int = 100) -> tuple[Golden, ...]:
    """Read golden items that somebody has not answered, and did not add, the oldest first."""
    answered = sa.select(golden_answers.c.golden_id).where(golden_answers.c.actor == actor)
    rows = connection.execute(
        sa.select(goldens)
        .where(goldens.c.retired_at.is_(None), goldens.c.added_by != actor, goldens.c.id.not_in(answered))
        .order_by(goldens.c.added_at)
        .limit(size)
    ).mappings()
    return tuple(Golden(**row) for row in rows)


def put_golden_answer(connection: Connection, golden_id: str, actor: str, choice: str, now: int) -> None:
    """Add an answer."""
    connection.execute(
        golden_answers.insert(), {"golden_id": golden_id, "actor": actor, "choice": choice, "at": now}
    )


def read_golden_answers(connection: Connection, since: int = 0) -> tuple[tuple[str, str, str], ...]:
    """Read answers: who, what, and what was right."""
    rows = connection.execute(
        sa.select(golden_answers.c.actor, golden_answers.c.choice, goldens.c.choice.label("right"))
        .join(goldens, goldens.c.id == golden_answers.c.golden_id)
        .where(golden_answers.c.at >= since)
    )
    return tuple((row[0], row[1], row[2]) for row in rows)


def closed_proposals(connection: Connection, since: int = 0) -> tuple[Proposal, ...]:
    """Read proposals that a second person looked at."""
    rows = connection.execute(
        sa.select(proposals).where(
            proposals.c.state.in_(("agreed", "declined")), proposals.c.closed_at >= since
        )
    ).mappings()
    return tuple(Proposal(**row) for row in rows)


def decided_by_people(connection: Connection, since: int, size: int = 200_000) -> tuple[tuple[str, int], ...]:
    """Count decisions per person among the last ``size`` decisions made since a time."""
    d = schema.decisions
    recent = (
        sa.select(d.c.actor)
        .where(d.c.decided_at >= since)
        .order_by(d.c.decided_at.desc())
        .limit(size)
        .subquery()
    )
    rows = connection.execute(
        sa.select(recent.c.actor, sa.func.count()).where(recent.c.actor != "system").group_by(recent.c.actor)
    )
    return tuple((row[0], row[1]) for row in rows)
