"""Rows of the laboratory loop: plans, results, orders, steps. Append-only and audited like decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.engine import reading
from serving.store.errors import NotFoundError
from serving.store.laboratory_tables import laboratory, laboratory_files
from serving.store.records import OutboxEvent, Row, moment
from serving.store.store import Store

LabKind = Literal["plan", "results", "orders", "case", "step"]
FILES = "files"


@dataclass(frozen=True, slots=True)
class LabRecord:
    """Something that happened in the loop; made by `lab_record`.

    Attributes
    ----------
    kind, subject
        What happened, and to which plan, results file or case.
    body
        JSON values.
    beside, events
        Files and events, written in the same transaction.
    """

    kind: LabKind
    subject: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[tuple[str, Row], ...] = ()
    events: tuple[OutboxEvent, ...] = ()

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return "laboratory", self.subject, {"kind": self.kind, "subject": self.subject}


def lab_record(
    kind: LabKind,
    subject: str,
    actor: str,
    body: Mapping[str, Any],
    files: Mapping[str, bytes] | None = None,
    events: Sequence[OutboxEvent] = (),
) -> LabRecord:
    """Make a record; the SHA-256 of every file goes into its body, so that the audit vouches for it too."""
    files = files or {}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    whole = {**body, FILES: digests} if digests else dict(body)
    rows = tuple(("laboratory_files", {"name": name, "content": data}) for name, data in files.items())
    return LabRecord(kind, subject, actor, whole, rows, tuple(events))


@dataclass(frozen=True, slots=True)
class LabRow:
    """A row of the loop as it stands in the store; ``at`` is when it was written, UTC."""

    seq: int
    kind: str
    subject: str
    body: Mapping[str, Any]
    actor: str
    at: datetime


def read_rows(connection: Connection, after: int = 0) -> tuple[LabRow, ...]:
    """Read rows later than ``after``, the oldest first."""
    t, a = laboratory, schema.audit_rows
    statement = (
        sa.select(t.c.seq, t.c.kind, t.c.subject, t.c.body, a.c.actor, a.c.at)
        .join(a, a.c.seq == t.c.seq)
        .where(t.c.seq > after)
        .order_by(t.c.seq)
    )
    return tuple(
        LabRow(seq, kind, subject, orjson.loads(body), actor, moment(at))
        for seq, kind, subject, body, actor, at in connection.execute(statement)
    )


def read_laboratory(store: Store, after: int = 0) -> tuple[LabRow, ...]:
    """Read rows of an open store, see `read_rows`."""
    with reading(store.engine) as connection:
        return read_rows(connection, after)


def read_file(store: Store, seq: int, name: str) -> bytes:
    """Read a file kept beside a row.

    Raises
    ------
    NotFoundError
        When there is none of that name.
    """
    t = laboratory_files
    with reading(store.engine) as connection:
        found = connection.execute(
            sa.select(t.c.content).where(t.c.seq == seq, t.c.name == name)
        ).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"no file {name[:80]!r} is kept with row {seq}: check the identifier")
    return bytes(found)
