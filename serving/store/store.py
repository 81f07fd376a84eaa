"""The store as others see it: record, read, and hand the audit its rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from serving.store import decisions as reads
from serving.store import schema
from serving.store.chain import Head
from serving.store.engine import (
    Durability,
    durability,
    migrate,
    open_engine,
    reading,
    require_durable,
    revision,
    writing,
)
from serving.store.group import Recorded, read_head
from serving.store.prepare import Prepared, prepare_change, prepare_decision
from serving.store.records import ChangeRecord, DecisionRecord
from serving.store.wal import WalKeeper
from serving.store.writer import Clock, Writer, WriterLimits, WriterState, wall_clock


class Store:
    """Decisions and everything audited, in SQLite or PostgreSQL.

    Nothing is opened before `open`. One `Store` per process; several processes may share a database.

    Parameters
    ----------
    url
        ``sqlite:///path``, ``postgresql://user@host/database`` or a path to a SQLite file.
    limits
        How much may wait to be written.
    clock
        Microseconds since 1970 (UTC).

    Examples
    --------
    >>> import tempfile
    >>> from datetime import datetime, UTC
    >>> folder = tempfile.mkdtemp()
    >>> with Store(f"sqlite:///{folder}/store.db") as store:
    ...     record = DecisionRecord(id="d1", listing={"id": "a", "title": "rattle"}, action="review", state="held",
    ...                             model_version="m", policy_version="p", decided_at=datetime.now(UTC))
    ...     store.record([record])[0].seq
    1
    """

    def __init__(self, url: str, limits: WriterLimits | None = None, clock: Clock = wall_clock) -> None:
        self.url = url
        self._limits = limits
        self._clock = clock
        self._writer: Writer | None = None
        self._wal: WalKeeper | None = None
        self.engine = open_engine(url)

    def open(self) -> Self:
        """Bring the tables up to date, check that commits are durable, start the writer.

        Raises
        ------
        StoreUnavailableError, SchemaError, NotDurableError
        """
        if self._writer is None:
            require_durable(self.engine)
            migrate(self.engine)
            self._name()
            self._writer = Writer(self.engine, self._limits, self._clock)
            if self.engine.dialect.name == "sqlite":
                self._wal = WalKeeper(str(self.engine.url.database))
        return self

    def _name(self) -> None:
        with writing(self.engine) as connection:
            if connection.execute(sa.select(schema.identity.c.id)).first() is None:
                now = self._clock()
                row = {"id": 1, "store_id": uuid.uuid4().hex, "created_at": now, "probed_at": now}
                connection.execute(schema.identity.insert(), row)

    def close(self) -> None:
        """Write what is waiting, stop the writer, close all connections."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._wal is not None:
            self._wal.close()
            self._wal = None
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def writer(self) -> Writer:
        """The writer of an open store.

        Raises
        ------
        RuntimeError
            When the store was not opened.
        """
        if self._writer is None:
            raise RuntimeError("got a store that is not open: call open() or use it in a with statement")
        return self._writer

    def state(self) -> WriterState:
        """Whether records are taken now, and how many wait."""
        return self.writer.state()

    def durability(self) -> Durability:
        """Read back how durable a commit is."""
        return durability(self.engine)

    def prepare(self, records: Sequence[DecisionRecord]) -> tuple[Prepared, ...]:
        """Hash and encode decisions, outside the writer's thread."""
        now = self._clock()
        return tuple(prepare_decision(record, now) for record in records)

    def record(
        self, records: Sequence[DecisionRecord], timeout_s: float | None = None
    ) -> tuple[Recorded, ...]:
        """Write decisions, all or none, and return when they are on disk.

        Raises
        ------
        BusyError, ConflictError, InvalidRecordError, StoreUnavailableError
        """
        return self.writer.submit(self.prepare(records)).result(timeout_s)

    def change(self, record: ChangeRecord, timeout_s: float | None = None) -> Recorded:
        """Write a label, ban, policy, model or note, and return when it is on disk.

        Raises
        ------
        BusyError, InvalidRecordError, StoreUnavailableError
        """
        return self.writer.submit([prepare_change(record, self._clock())]).result(timeout_s)[0]

    def together(
        self, records: Sequence[DecisionRecord | ChangeRecord], timeout_s: float | None = None
    ) -> tuple[Recorded, ...]:
        """Write decisions and changes as one: all are on disk, or none is.

        Raises
        ------
        BusyError, ConflictError, InvalidRecordError, StoreUnavailableError
        """
        now = self._clock()
        prepared = [
            prepare_decision(record, now)
            if isinstance(record, DecisionRecord)
            else prepare_change(record, now)
            for record in records
        ]
        return self.writer.submit(prepared).result(timeout_s)

    def decision(self, decision_id: str) -> reads.StoredDecision:
        """Read one decision.

        Raises
        ------
        NotFoundError, StoreUnavailableError
        """
        with reading(self.engine) as connection:
            return reads.read_decision(connection, decision_id)

    def latest(self, marketplace: str, listing_id: str) -> reads.StoredDecision | None:
        """Read the decision in force for a listing, None when there is none yet.

        Raises
        ------
        StoreUnavailableError
        """
        with reading(self.engine) as connection:
            return reads.read_latest(connection, marketplace, listing_id)

    def queue_page(
        self,
        *,
        size: int = 50,
        after: tuple[float, int] | None = None,
        only: reads.QueueFilter | None = None,
    ) -> tuple[reads.QueueItem, ...]:
        """Read a page of what waits for somebody, the most urgent first; see `read_queue`."""
        with reading(self.engine) as connection:
            return reads.read_queue(connection, size=size, after=after, only=only)

    def expired_holds(self, now: datetime, size: int = 500) -> tuple[reads.ExpiredHold, ...]:
        """Read listings whose hold ended before ``now`` and that nobody decided since."""
        with reading(self.engine) as connection:
            return reads.read_expired(connection, now, size)

    def head(self) -> Head:
        """Where the audit chain ends."""
        with reading(self.engine) as connection:
            return read_head(connection)

    def is_made(self) -> bool:
        """Whether there are tables: whether anything was ever opened for writing here.

        Raises
        ------
        StoreUnavailableError
        """
        with reading(self.engine) as connection:
            return revision(connection) is not None

    def store_id(self) -> str:
        """The store's own name, which its checkpoints carry."""
        with reading(self.engine) as connection:
            return connection.execute(sa.select(schema.identity.c.store_id)).scalar_one()
