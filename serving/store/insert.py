"""Insert a group's rows by the driver itself: on PostgreSQL in one round trip, on both at half the processor time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from serving.store import schema
from serving.store.prepare import QUEUE_DOUBLING_US
from serving.store.records import Row


def insert_rows(connection: Connection, rows: Mapping[str, Sequence[Row]]) -> None:
    """Insert rows by table, in the transaction that is open on the connection.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        As if SQLAlchemy had executed it.
    """
    dialect = connection.dialect
    driver: Any = connection.connection.driver_connection
    cursor = connection.connection.cursor()
    try:
        # A pipeline sends everything before it waits for the first answer.
        with driver.pipeline() if dialect.name == "postgresql" else nullcontext():
            for table, found in rows.items():
                statement, order = _statement(dialect.name, table)
                if order is None:
                    cursor.executemany(statement, found)
                else:
                    cursor.executemany(statement, [[row[name] for name in order] for row in found])
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, driver, None)
        raise _wrapped(error, dialect, lost) from None
    finally:
        cursor.close()


def _wrapped(error: Any, dialect: Dialect, lost: bool) -> BaseException:
    return exc.DBAPIError.instance(
        "INSERT",
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
                new.place + (table.c.opened_at - new.opened_at) / sa.literal_column(f"{QUEUE_DOUBLING_US}.0"),
            ),
            else_=new.place,
        ),
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
