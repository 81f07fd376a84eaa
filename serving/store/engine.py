"""Connections: what each database must be told so that an acknowledged decision is on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from serving.store.errors import DamagedTextError, NotDurableError, SchemaError, StoreUnavailableError
from serving.store.outage import cause_of
from serving.store.turns import Turns
from serving.store.visits import Visits

BUSY_TIMEOUT_MS = 5_000
# Any fixed number: every writer of one PostgreSQL database queues for this lock, so the chain stays one line.
WRITER_LOCK = 0x6C72_6175_6469_74
HEAD_REVISION = "0007"
_WRITES = "listing_risk_writes"
_TURNS = "listing_risk_turns"
_VISITS = "listing_risk_visits"
_SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",  # what retention erases is overwritten, not just unlinked
    "cache_size=-32768",
    "wal_autocheckpoint=4000",  # pages; `serving.store.wal` has most of them moved before it comes to that
)
_POSTGRESQL_OPTIONS = (
    "-c synchronous_commit=on -c timezone=UTC -c lock_timeout=10s "
    "-c idle_in_transaction_session_timeout=60s -c client_encoding=utf8"
)


@dataclass(frozen=True, slots=True)
class Durability:
    """What the database itself says of its promise to be on disk before it answers.

    ``settings`` are read back from a connection as the writer uses it.
    """

    dialect: str
    settings: dict[str, str]
    durable: bool


def store_url(url: str) -> URL:
    """Read a store address: ``sqlite:///path``, ``postgresql://...`` or a plain path to a SQLite file.

    Raises
    ------
    SchemaError
        When it is neither, or SQLite without a file, which could keep nothing.

    """
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
    except (exc.ArgumentError, ValueError):
        raise SchemaError(
            f"got a store address of {len(url)} characters, expected sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE"
        ) from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise SchemaError(
                "got SQLite without a file, expected sqlite:///PATH: decisions must outlive the process"
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise SchemaError(f"got a store on {backend!r}, expected sqlite or postgresql")


def open_engine(url: str) -> Engine:
    """Make an engine whose write transactions are durable; connects on first use.

    Parameters
    ----------
    url
        See `store_url`. The folder of a SQLite file must exist.

    """
    parsed = store_url(url)
    if parsed.get_backend_name() == "sqlite":
        folder = Path(str(parsed.database)).resolve().parent
        if not folder.is_dir():
            raise StoreUnavailableError(
                f"got a store in {folder}, which is no folder: make it or change the address", "away"
            )
        engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        turns = Turns(str(parsed.database))
        event.listen(engine, "engine_disposed", lambda _: turns.close())
        return engine.execution_options(**{_TURNS: turns, _VISITS: Visits()})
    engine = sa.create_engine(
        parsed,
        connect_args={"options": _POSTGRESQL_OPTIONS, "connect_timeout": 5},
        pool_pre_ping=True,
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours to say, see below
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", *_SQLITE_PRAGMAS):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads the head and then writes can fail or, worse, read a head that is old by
    # the time it writes; taking the write lock first keeps the chain one line across processes.
    immediate = connection.get_execution_options().get(_WRITES, False)
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN").close()


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, rather than the record."""
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError):
        return True
    if isinstance(error, exc.ProgrammingError):
        # Our statements are fixed: a table or a right is missing.
        return True
    if isinstance(error, exc.DBAPIError):
        # sqlite3 reports a damaged file as plain DatabaseError.
        return error.connection_invalidated or type(error.orig) is sqlite3.DatabaseError
    return isinstance(error, OSError | sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def unavailable(error: BaseException) -> StoreUnavailableError:
    """Say what failed without repeating statement or parameters, which hold listing text."""
    cause = getattr(error, "orig", None) or error
    if "Could not decode" in str(cause):  # SQLite's message goes on with the text itself
        said = "a stored text is not UTF-8: something other than this program wrote it"
        return DamagedTextError(said, "damaged")
    words = str(cause).strip().splitlines()
    return StoreUnavailableError(
        f"the database did not answer as it must ({type(cause).__name__}: {words[0][:200] if words else ''}): "
        "nothing was acknowledged; try again when it is back",
        cause_of(error),
    )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a write transaction that holds the writers' lock until it ends."""
    turns: Turns | None = engine.get_execution_options().get(_TURNS)
    courtesy = turns.turn(BUSY_TIMEOUT_MS / 1000) if turns else nullcontext()
    try:
        with (
            _visit(engine),
            courtesy,
            engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection
    except (exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        if is_outage(error):
            raise unavailable(error) from None
        raise


def _visit(engine: Engine) -> AbstractContextManager[None]:
    visits: Visits | None = engine.get_execution_options().get(_VISITS)
    return visits.visit() if visits else nullcontext()


@contextmanager
def afresh(engine: Engine, *, alone: bool) -> Iterator[None]:
    """Let go of all connections; what is done within is done with new ones.

    Parameters
    ----------
    alone
        On SQLite, with no other connection beside them. Reads that take long are not waited for.
    """
    visits: Visits | None = engine.get_execution_options().get(_VISITS)
    with visits.alone() if visits and alone else nullcontext():
        engine.dispose()
        yield


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read transaction: one consistent view, however long it is read."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    try:
        with _visit(engine), engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection
    except (exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        if is_outage(error):
            raise unavailable(error) from None
        raise


_SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}


def durability(engine: Engine) -> Durability:
    """Read back how durable a commit is.

    Returns
    -------
    Durability
        SQLite: ``synchronous`` and ``journal_mode``; PostgreSQL: ``synchronous_commit`` and ``fsync``.

    """
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
            settings = {
                "synchronous": _SYNCHRONOUS.get(synchronous, str(synchronous)),
                "journal_mode": str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()),
            }
            return Durability("sqlite", settings, settings["synchronous"] in {"full", "extra"})
        settings = {
            name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())
            for name in ("synchronous_commit", "fsync")
        }
        durable = settings["fsync"] == "on" and settings["synchronous_commit"] in {"on", "remote_apply"}
        return Durability("postgresql", settings, durable)


def require_durable(engine: Engine) -> Durability:
    """Refuse a database that acknowledges before data is on disk.

    Raises
    ------
    NotDurableError

    """
    found = durability(engine)
    if not found.durable:
        raise NotDurableError(
            f"got {found.dialect} with {found.settings}, expected synchronous=full (SQLite) or "
            "synchronous_commit=on and fsync=on (PostgreSQL): change the server's settings"
        )
    return found


def migrate(engine: Engine, target: str = "head") -> str:
    """Bring the tables to the version of this code, all steps in one transaction under the writers' lock.

    Several workers may call it at once: the first does it, the others find it done.

    Returns
    -------
    str
        The revision that the database is at.

    Raises
    ------
    SchemaError
        When the database was made by a later version than this code.

    """
    with writing(engine) as connection:
        current = revision(connection)
        if current == HEAD_REVISION and target == "head":
            return current
        # Alembic is loaded only when there is something to do: starting a worker stays fast.
        from alembic import command, util
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, target)
        except util.CommandError as error:
            raise SchemaError(
                f"got a database at revision {current!r}, expected {HEAD_REVISION!r} or an earlier one: "
                f"use the version of the program that made it ({error})"
            ) from None
        return revision(connection) or ""


def revision(connection: Connection) -> str | None:
    """Version of the tables, None where there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
