"""Erasing listing text and photos after their time, so that the chain still verifies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.engine import writing
from serving.store.group import begin_group
from serving.store.prepare import prepare_change
from serving.store.records import NoteRecord, microseconds
from serving.store.store import Store

ERASURE = "erasure"
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased: number of decisions' inputs, and the audited rows that say so."""

    inputs: int
    rows: tuple[int, ...]
    cutoff: datetime


def erase_expired(
    store: Store, now: datetime, keep: timedelta, actor: str = "system", batch: int = _BATCH
) -> Erasure:
    """Erase listing text, reasons and photos received more than ``keep`` ago.

    Digests, actions, scores, times and who decided stay. Text, salt and photos go, so that nobody can test a guess
    against a digest. Each batch is a commit of its own with its audited row, so that recording goes on meanwhile.

    Parameters
    ----------
    store
        An open store.
    now
        With a zone; UTC without one.
    keep
        Retention setting.
    batch
        Decisions per transaction.

    Raises
    ------
    ValueError
        When ``keep`` is negative.
    StoreUnavailableError
        Batches that were committed stay erased.
    """
    if keep < timedelta(0):
        raise ValueError(f"got keep={keep}, expected a retention of zero or more")
    cutoff = now - keep
    erased, rows = 0, []
    while True:
        count, seq = _erase_batch(store, microseconds(cutoff), microseconds(now), actor, batch)
        if not count:
            break
        erased += count
        rows.append(seq)
    if erased:
        _sweep(store)
    return Erasure(erased, tuple(rows), cutoff)


def _erase_batch(store: Store, cutoff: int, now: int, actor: str, batch: int) -> tuple[int, int]:
    table = schema.inputs
    expired = (
        sa.select(table.c.seq)
        .where(table.c.erased_by.is_(None), table.c.received_at < cutoff)
        .order_by(table.c.received_at)
        .limit(batch)
    )
    with writing(store.engine) as connection:
        seqs = sorted(connection.execute(expired).scalars())
        if not seqs:
            return 0, 0
        group = begin_group(connection, [], now)
        body = {"cutoff": cutoff, "count": len(seqs), "first": seqs[0], "through": seqs[-1]}
        (recorded,) = group.add([prepare_change(NoteRecord(ERASURE, actor, body))])
        _erase(connection, seqs, recorded.seq)
        group.write(connection)
    return len(seqs), recorded.seq


def _erase(connection: Connection, seqs: list[int], by: int) -> None:
    gone = {"payload": None, "reasons": None, "salt": None, "erased_by": by}
    connection.execute(
        sa.update(schema.inputs).where(schema.inputs.c.seq == sa.bindparam("which")).values(**gone),
        [{"which": seq} for seq in seqs],
    )
    connection.execute(
        sa.update(schema.images).where(schema.images.c.seq == sa.bindparam("which")).values(content=None),
        [{"which": seq} for seq in seqs],
    )


def _sweep(store: Store) -> None:
    """Get the erased bytes out of the files too: write-ahead log (SQLite), dead rows (PostgreSQL)."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if store.engine.dialect.name == "sqlite":
            raw = connection.connection.driver_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            return
        connection.exec_driver_sql("VACUUM inputs")
        connection.exec_driver_sql("VACUUM images")
