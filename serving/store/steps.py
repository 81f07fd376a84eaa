"""Reading what is kept step by step: notices, strikes, appeals, endpoints. Writing goes through `Store.together`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import notice_tables as tables
from serving.store import schema
from serving.store.records import moment

_NAMES = frozenset({"seq", "body", "salt", "step", "status"})


@dataclass(frozen=True, slots=True)
class StepRow:
    """One audited row: what it is about, which step, who and when (UTC)."""

    seq: int
    subject: str
    step: int
    status: str
    columns: Mapping[str, str]
    body: Mapping[str, Any]
    actor: str
    at: datetime


def _read(connection: Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> tuple[StepRow, ...]:
    a = schema.audit_rows
    statement = (
        sa.select(table, a.c.actor, a.c.at, a.c.subject)
        .join(a, a.c.seq == table.c.seq)
        .where(*where)
        .order_by(table.c.seq)
    )
    return tuple(
        StepRow(
            seq=row["seq"],
            subject=row["subject"],
            step=row.get("step", 0),
            status=row.get("status", ""),
            columns={c.name: row[c.name] for c in table.columns if c.name not in _NAMES},
            body=orjson.loads(row["body"]),
            actor=row["actor"],
            at=moment(row["at"]),
        )
        for row in connection.execute(statement).mappings()
    )


def last_step(connection: Connection, table: sa.Table) -> int:
    """Number of the newest row, 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(table.c.seq))).scalar_one() or 0


def read_notices(connection: Connection, after: int = 0, notice_id: str | None = None) -> tuple[StepRow, ...]:
    """Steps of notices later than ``after``, the oldest first."""
    t = tables.notices
    where = [t.c.seq > after] + ([t.c.notice_id == notice_id] if notice_id is not None else [])
    return _read(connection, t, *where)


def read_endpoints(connection: Connection) -> tuple[StepRow, ...]:
    """Steps of all endpoints."""
    return _read(connection, tables.endpoints)


def read_strikes(
    connection: Connection,
    *,
    seller: tuple[str, str] | None = None,
    listing: tuple[str, str] | None = None,
    decision_id: str | None = None,
) -> tuple[StepRow, ...]:
    """Steps of strikes of a seller, a listing (both with their marketplace first) or a decision."""
    t = tables.strikes
    where: list[sa.ColumnElement[bool]] = []
    if seller is not None:
        where += [t.c.marketplace == seller[0], t.c.seller_id == seller[1]]
    if listing is not None:
        where += [t.c.marketplace == listing[0], t.c.listing_id == listing[1]]
    if decision_id is not None:
        where += [t.c.decision_id == decision_id]
    return _read(connection, t, *where)


def read_appeals(
    connection: Connection,
    *,
    appeal_id: str | None = None,
    decision_id: str | None = None,
    seller: tuple[str, str] | None = None,
) -> tuple[StepRow, ...]:
    """Steps of appeals: of one, of a decision, of a seller, or of all."""
    t = tables.appeals
    where: list[sa.ColumnElement[bool]] = []
    if appeal_id is not None:
        where.append(t.c.appeal_id == appeal_id)
    if decision_id is not None:
        where.append(t.c.decision_id == decision_id)
    if seller is not None:
        where += [t.c.marketplace == seller[0], t.c.seller_id == seller[1]]
    return _read(connection, t, *where)


def read_complaints(connection: Connection, listing: tuple[str, str] | None = None) -> tuple[StepRow, ...]:
    """Complaints, of one listing or all."""
    t = tables.complaints
    where = [t.c.marketplace == listing[0], t.c.listing_id == listing[1]] if listing is not None else []
    return _read(connection, t, *where)


def has_complaint(connection: Connection, complaint_id: str) -> bool:
    """Whether a complaint was recorded."""
    t = tables.complaints
    found = connection.execute(sa.select(t.c.seq).where(t.c.complaint_id == complaint_id))
    return found.first() is not None


def read_acknowledgements(
    connection: Connection, listing: tuple[str, str] | None = None
) -> tuple[StepRow, ...]:
    """The marketplace's words about a listing, or about all."""
    t = tables.acknowledgements
    where = [t.c.marketplace == listing[0], t.c.listing_id == listing[1]] if listing is not None else []
    return _read(connection, t, *where)


def read_said(connection: Connection, seq: int) -> str | None:
    """What a person wrote with an audited row; None once it was erased or where nothing was."""
    return connection.execute(sa.select(tables.said.c.payload).where(tables.said.c.seq == seq)).scalar()


def erase_said(connection: Connection, before: int) -> int:
    """Erase what people wrote before a time (microseconds since 1970, UTC); return how many texts went."""
    t = tables.said
    found = connection.execute(
        t.update().where(t.c.received_at < before, t.c.payload.is_not(None)).values(payload=None, salt=None)
    )
    return found.rowcount


def read_mark(connection: Connection, name: str) -> int:
    """How far a sweep has come, 0 at first."""
    t = tables.marks
    return connection.execute(sa.select(t.c.seq).where(t.c.name == name)).scalar() or 0


def set_mark(connection: Connection, name: str, seq: int) -> None:
    """Note how far a sweep has come."""
    t = tables.marks
    if connection.execute(t.update().where(t.c.name == name).values(seq=seq)).rowcount == 0:
        connection.execute(t.insert(), {"name": name, "seq": seq})
