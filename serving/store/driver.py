"""What every commit does, said to the driver itself: a quarter of the processor time that statements built anew take.

Values go as parameters; the texts are fixed or compiled once from the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from serving.store import schema
from serving.store.prepare import QUEUE_DOUBLING_US
from serving.store.records import Row

_EARLIER = (
    "SELECT d.caller, d.idempotency_key, d.seq, d.id, d.payload_digest, i.salt "
    "FROM decisions d JOIN inputs i ON i.seq = d.seq"
)
HEAD = "SELECT number, last, digest FROM audit_links ORDER BY number DESC LIMIT 1"
# Pair by pair: for a list of pairs SQLite reads the whole table.
EARLIER_SQLITE = f"{_EARLIER} WHERE d.caller = ? AND d.idempotency_key = ?"
EARLIER_POSTGRESQL = (
    f"{_EARLIER} JOIN unnest(%s::text[], %s::text[]) AS k(caller, key) "
    "ON d.caller = k.caller AND d.idempotency_key = k.key WHERE d.idempotency_key IS NOT NULL"
)


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    """Give a cursor of the driver, in the transaction that is open; its errors come out as SQLAlchemy's."""
    dialect = connection.dialect
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)  # type: ignore[arg-type]
        raise _wrapped(error, dialect, lost) from None
    finally:
        cursor.close()


def fetch_head(connection: Connection) -> tuple[int, int, bytes] | None:
    """Number, last row and digest of the last link."""
    with _cursor(connection) as cursor:
        cursor.execute(HEAD)
        return cursor.fetchone()


def fetch_earlier(connection: Connection, keys: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """Decisions recorded under these callers and keys: caller, key, seq, id, payload digest, salt."""
    with _cursor(connection) as cursor:
        if connection.dialect.name == "sqlite":
            return [row for key in keys for row in cursor.execute(EARLIER_SQLITE, key).fetchall()]
        cursor.execute(EARLIER_POSTGRESQL, [[caller for caller, _ in keys], [key for _, key in keys]])
        return cursor.fetchall()


def insert_rows(connection: Connection, rows: Mapping[str, Sequence[Row]]) -> None:
    """Insert rows by table; on PostgreSQL in one round trip.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        As if SQLAlchemy had executed it.
    """
    driver: Any = connection.connection.driver_connection
    name = connection.dialect.name
    # A pipeline sends everything before it waits for the first answer.
    with _cursor(connection) as cursor, driver.pipeline() if name == "postgresql" else nullcontext():
        for table, found in rows.items():
            statement, order = _statement(name, table)
            if order is None:
                cursor.executemany(statement, found)
            else:
                cursor.executemany(statement, [[row[column] for column in order] for row in found])


def _wrapped(error: Any, dialect: Dialect, lost: bool) -> BaseException:
    return exc.DBAPIError.instance(
        "a statement of the store",
        None,  # parameters hold listing text
        error,
        dialect.loaded_dbapi.Error,  # type: ignore[arg-type]
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )


@cache
def _statement(dialect: str, table: str) -> tuple[str, tuple[str, ...] | None]:
    """The text of an insert and the order of its parameters, None where they go by name."""
    if dialect == "sqlite":
        insert, engine_dialect = sqlite.insert, sqlite.dialect(paramstyle="qmark")
    else:
        from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect

        insert, engine_dialect = postgresql.insert, psycopg_dialect()
    made = _upsert(insert) if table == "listings" else insert(schema.metadata.tables[table]).inline()
    names = None if table != "events" else [c.name for c in schema.events.columns if c.name != "position"]
    compiled = made.compile(dialect=engine_dialect, column_keys=names)
    order = getattr(compiled, "positiontup", None)
    return str(compiled), tuple(order) if order else None


def _upsert(insert: Any) -> Any:
    table = schema.listings
    statement = insert(table)
    new = statement.excluded
    still_open = sa.and_(table.c.open_action.is_not(None), new.open_action.is_not(None))
    kept = {
        # An edit does not send a waiting item to the end of the queue.
        "opened_at": sa.case((still_open, table.c.opened_at), else_=new.opened_at),
        "place": sa.case(
            (
                still_open,
                new.place
                - table.c.boost
                + (table.c.opened_at - new.opened_at) / sa.literal_column(f"{QUEUE_DOUBLING_US}.0"),
            ),
            else_=new.place - table.c.boost,
        ),
        # Complaints still count when the listing is decided anew.
        "boost": table.c.boost,
    }
    plain = {
        column.name: new[column.name]
        for column in table.columns
        if column.name not in {"marketplace", "listing_id", *kept}
    }
    return statement.on_conflict_do_update(
        index_elements=[table.c.marketplace, table.c.listing_id],
        set_={**plain, **kept},
        # A late answer about an old revision does not overrule the newer one.
        where=new.revision >= table.c.revision,
    )
