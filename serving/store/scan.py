"""The audit's view of the store: everything that is chained, in order, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.ban_photos import wrong_photos
from serving.store.chain import Head, Link
from serving.store.engine import reading, unavailable
from serving.store.group import read_head
from serving.store.prepare import KINDS
from serving.store.store import Store

WINDOW = 4_000

_CONTENT = {kind: schema.metadata.tables[table] for table, kind in KINDS.items()}
_ROWS = schema.audit_rows


def _between(table: sa.Table, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    seq = table.c.seq
    chosen = columns or tuple(table.columns)
    return (
        sa.select(*chosen)
        .where(seq.between(sa.bindparam("first"), sa.bindparam("last")))
        .order_by(*table.primary_key.columns)
    )


_AUDIT = _between(_ROWS)
_CONTENTS = {kind: _between(table) for kind, table in _CONTENT.items()}
_INPUTS = _between(schema.inputs)
_IMAGES = _between(schema.images)


def _next(table: sa.Table) -> sa.Select[int | None]:
    # A plain comparison, so that it is one look into the primary key and not a walk through the table.
    return sa.select(sa.func.min(table.c.seq)).where(table.c.seq > sa.bindparam("after", type_=sa.BigInteger))


_BEFORE_ALL = -(2**63)
_NEXT = [_next(table) for table in (_ROWS, schema.inputs, schema.images, *_CONTENT.values())]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with sequence numbers ``first`` to ``last``, as tuples in the order of the tables' columns.

    ``contents`` are the audited rows by kind; ``inputs`` and ``images`` the erasable parts of decisions.
    """

    first: int
    last: int
    rows: Sequence[Any]
    contents: dict[str, Sequence[Any]]
    inputs: Sequence[Any]
    images: Sequence[Any]


class Scan:
    """One consistent view of a store for the audit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self) -> Head:
        """Where the chain ends."""
        return read_head(self._connection)

    def store_id(self) -> str:
        """The store's own name."""
        return self._connection.execute(sa.select(schema.identity.c.store_id)).scalar_one()

    def share(self) -> str:
        """Name this view, so that other connections can have the same; empty where that cannot be (SQLite)."""
        if self._connection.dialect.name == "sqlite":
            return ""
        return self._connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()

    def spans(self, size: int) -> Iterator[tuple[int, int]]:
        """Ranges of sequence numbers that cover every row there is, chained or not; empty stretches are jumped."""
        last = _BEFORE_ALL
        while True:
            found = [self._connection.execute(next_, {"after": last}).scalar() for next_ in _NEXT]
            ahead = [seq for seq in found if seq is not None]
            if not ahead:
                return
            first, last = min(ahead), min(ahead) + size - 1
            yield first, last

    def late_erasure(self, seq: int, subject: str) -> int | None:
        """How many inputs the audited erasure ``seq`` erased; None when there is none or it says another number."""
        body = sa.select(schema.notes.c.body).join(_ROWS, _ROWS.c.seq == schema.notes.c.seq)
        said = self._connection.execute(
            body.where(_ROWS.c.seq == seq, _ROWS.c.kind == "note", _ROWS.c.subject == subject)
        ).scalar()
        counted = sa.select(sa.func.count()).where(schema.inputs.c.erased_by == seq)
        count = self._connection.execute(counted).scalar_one()
        return count if said is not None and orjson.loads(said).get("count") == count else None

    def links(self) -> Iterator[tuple[Link, bytes]]:
        """Every link with the digest that is stored beside it, in order of number."""
        table = schema.audit_links
        result = self._connection.execute(
            sa.select(table).order_by(table.c.number), execution_options={"yield_per": 5_000}
        )
        for number, first, last, at, root, previous, digest in result:
            yield (
                Link(number, _whole(first), _whole(last), _whole(at), as_bytes(root), as_bytes(previous)),
                as_bytes(digest),
            )

    def window(self, first: int, last: int) -> Window:
        """Everything from ``first`` to ``last``."""
        span = {"first": first, "last": last}
        return Window(
            first,
            last,
            self._all(_AUDIT, span),
            {kind: self._all(statement, span) for kind, statement in _CONTENTS.items()},
            self._all(_INPUTS, span),
            self._all(_IMAGES, span),
        )

    def _all(self, statement: sa.Select[Any], span: dict[str, int]) -> Sequence[Any]:
        """Fetch by the driver itself: plain tuples, at twice the speed, and every row goes through here."""
        compiled = statement.compile(dialect=self._connection.dialect)
        order: Any = getattr(compiled, "positiontup", None)
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(str(compiled), [span[name] for name in order] if order else span)
            return cursor.fetchall()
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise unavailable(error) from None
        finally:
            cursor.close()

    def stale_listings(self) -> list[tuple[int, str, str]]:
        """Listings whose state is not what their last decision says: ``(seq, marketplace, listing)``."""
        q, d = schema.listings, schema.decisions
        differs = sa.or_(
            d.c.seq.is_(None),
            d.c.state != q.c.state,
            d.c.revision != q.c.revision,
            sa.func.coalesce(d.c.held_until, -1) != sa.func.coalesce(q.c.held_until, -1),
        )
        same = sa.and_(
            d.c.seq == q.c.decision_seq,
            d.c.marketplace == q.c.marketplace,
            d.c.listing_id == q.c.listing_id,
        )
        wrong = sa.select(q.c.decision_seq, q.c.marketplace, q.c.listing_id).outerjoin(d, same).where(differs)
        later = sa.select(q.c.decision_seq, q.c.marketplace, q.c.listing_id).join(
            d,
            sa.and_(
                d.c.marketplace == q.c.marketplace,
                d.c.listing_id == q.c.listing_id,
                d.c.seq > q.c.decision_seq,
                d.c.revision >= q.c.revision,
            ),
        )
        found = [*self._connection.execute(wrong), *self._connection.execute(later)]
        return [(row[0], row[1], row[2]) for row in found]

    def wrong_ban_photos(self) -> list[tuple[int, str]]:
        """Bans whose photos are not those that were recorded."""
        return list(wrong_photos(self._connection))


def as_bytes(value: Any) -> bytes:
    """Take what a column of bytes holds; SQLite lets a tampering hand put text or numbers there."""
    return bytes(value) if isinstance(value, bytes | memoryview) else b""


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _lenient(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


@contextmanager
def scanning(store: Store, lenient: bool = False, shared: str = "") -> Iterator[Scan]:
    """Open one consistent view of the store; writers go on meanwhile.

    Parameters
    ----------
    lenient
        Read text that is not UTF-8 instead of failing; several times slower.
    shared
        The view of another connection, from `Scan.share`.

    Raises
    ------
    DamagedTextError
        When a text is not UTF-8 and ``lenient`` is off.
    """
    with reading(store.engine) as connection:
        if shared:
            connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{shared}'")
        raw: Any = connection.connection.driver_connection
        sqlite = store.engine.dialect.name == "sqlite"
        if lenient and sqlite:
            raw.text_factory = _lenient
        try:
            yield Scan(connection)
        finally:
            if lenient and sqlite:
                raw.text_factory = str
