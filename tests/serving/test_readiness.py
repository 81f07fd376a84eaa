"""What ``/readyz`` says when the store takes nothing or the bundle cannot be loaded, and that it is tried again."""

from __future__ import annotations

import sqlite3
import threading
from typing import get_args

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from features.errors import OutsideError, UserError
from serving.doors import Doors, Engine
from serving.metrics import Metrics
from serving.readiness import ADVICE, Trouble, of_start, of_store
from serving.settings import Settings
from serving.starting import Start
from serving.store.errors import NotDurableError, SchemaError, StoreError, StoreUnavailableError
from serving.store.outage import Cause, cause_of
from serving.store.writer import WriterState


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("words")
    error.sqlite_errorcode = code
    return error


def postgresql_error(state: str) -> psycopg.Error:
    return psycopg.errors.lookup(state)("words")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), "full"),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), "full"),
        (sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), "read-only"),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), "locked"),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), "away"),
        (sqlite_error(sqlite3.SQLITE_IOERR_READ), "away"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), "damaged"),
        (sqlite_error(sqlite3.SQLITE_NOTADB), "damaged"),
        (sqlite_error(sqlite3.SQLITE_ERROR), "tables"),
        (sqlite_error(sqlite3.SQLITE_INTERRUPT), "other"),
        (postgresql_error("53100"), "full"),
        (postgresql_error("25006"), "read-only"),
        (postgresql_error("55P03"), "locked"),
        (postgresql_error("57P01"), "away"),
        (postgresql_error("53300"), "away"),
        (postgresql_error("XX001"), "damaged"),
        (postgresql_error("42P01"), "tables"),
        (postgresql_error("22003"), "other"),
        (psycopg.OperationalError("connection refused"), "away"),
        (OSError(24, "Too many open files"), "no-handles"),
        (ValueError("words"), "other"),
    ],
)
def test_every_cause_is_told_apart(error: Exception, cause: Cause) -> None:
    assert cause_of(error) == cause
    wrapped = exc.DBAPIError("a statement", None, error)
    assert cause_of(wrapped) == cause
    assert ADVICE[cause]


def test_a_real_error_of_sqlite_carries_its_cause(tmp_path) -> None:
    from serving.store.engine import open_engine, writing

    (tmp_path / "store.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnavailableError) as caught, writing(open_engine(str(tmp_path / "store.db"))):
        pass
    assert caught.value.cause == "damaged"


def test_every_cause_has_advice() -> None:
    assert set(ADVICE) == set(get_args(Cause))


def test_a_store_that_is_up_is_no_trouble() -> None:
    assert of_store(WriterState(True, 0, 1, 1, 0, "")) is None
    trouble = of_store(WriterState(False, 0, 1, 1, 1, "words of a driver", "full"))
    assert trouble == Trouble("store", "full", ADVICE["full"])
    document = trouble.problem()
    assert "words of a driver" not in document.detail and document.headers["Retry-After"] == "2"
    assert [(one.field, one.got) for one in document.errors] == [("store", "full")]


@pytest.mark.parametrize(
    ("error", "part", "cause", "words"),
    [
        (StoreUnavailableError("host db.secret refused", "away"), "store", "away", "Start it"),
        (
            SchemaError("got a database at revision '9': use a later version"),
            "store",
            "settings",
            "revision '9'",
        ),
        (NotDurableError("got synchronous=off: change it"), "store", "settings", "synchronous"),
        (StoreError("words"), "store", "other", "log"),
        (
            UserError("got a bundle that was changed: copy it again"),
            "bundle",
            "refused",
            "Got a bundle that was",
        ),
        (OutsideError("the registry does not answer"), "bundle", "refused", "registry"),
        (MemoryError(), "bundle", "memory", "memory"),
        (KeyError("a seller's words"), "bundle", "failed", "log"),
    ],
)
def test_what_could_not_be_loaded_is_said(error: Exception, part: str, cause: str, words: str) -> None:
    trouble = of_start(error)
    assert (trouble.part, trouble.cause) == (part, cause)
    assert words in trouble.advice
    assert "secret" not in trouble.advice and "seller" not in trouble.advice


def test_what_cannot_be_loaded_is_tried_again_until_it_can(predictor) -> None:
    doors = Doors(Settings(), Metrics())
    failures = iter([MemoryError(), UserError("got no bundle"), StoreUnavailableError("away", "away")])
    ready, said, ended = threading.Event(), [], []

    def load() -> Engine:
        for error in failures:
            said.append(doors.trouble.cause if doors.trouble else None)
            raise error
        return Engine(predictor)

    def work(_: Doors):
        from contextlib import contextmanager

        @contextmanager
        def goes_on():
            ready.set()
            yield
            ended.append(True)

        return goes_on()

    start = Start(load, doors, [work], first_s=0.01, last_s=0.02)
    start.begin()
    assert ready.wait(90)
    start.end()
    assert said == [None, "memory", "refused"]
    assert ended == [True] and doors.loaded is None


def test_a_start_that_never_succeeds_can_be_ended() -> None:
    doors = Doors(Settings(), Metrics())

    def load() -> Engine:
        raise OSError(24, "Too many open files")

    start = Start(load, doors, [], first_s=60, last_s=60)
    start.begin()
    assert doors.trouble is not None and doors.loaded is None
    start.end()


def test_what_was_begun_ends_where_the_rest_cannot_begin(predictor) -> None:
    """An engine whose works cannot begin is closed again: nothing is left open by attempts."""
    doors = Doors(Settings(), Metrics())
    closed: list[bool] = []

    class Bans:
        photos = None

        def close(self) -> None:
            closed.append(True)

    def fails(_: Doors):
        raise StoreUnavailableError("away", "away")

    start = Start(lambda: Engine(predictor, bans=Bans()), doors, [fails], first_s=60, last_s=60)
    start.begin()
    assert closed == [True] and doors.loaded is None and doors.trouble.cause == "away"
    start.end()


def test_an_idle_writer_notices_and_comes_back(store_url) -> None:
    """Nobody asks for anything; the state follows the database all the same."""
    from serving.store import Store, WriterLimits

    def wait(up: bool) -> None:
        end = threading.Event()
        for _ in range(4_500):
            if store.state().up is up:
                return
            end.wait(0.02)
        raise AssertionError(store.state())

    with Store(store_url, WriterLimits(first_retry_s=0.01, last_retry_s=0.02, idle_s=0.05)) as store:
        for name, new, up in (("identity", "away", False), ("away", "identity", True)):
            with store.engine.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO {new}"))
            wait(up)
        assert store.state().cause is None


def test_a_failed_read_has_the_writer_look(store_url) -> None:
    from serving.store import Store, WriterLimits

    with Store(store_url, WriterLimits(first_retry_s=0.01, last_retry_s=0.02, idle_s=3_600)) as store:
        with store.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE identity RENAME TO away"))
        store.writer.doubt()
        pause = threading.Event()
        for _ in range(4_500):
            if not store.state().up:
                break
            pause.wait(0.02)
        assert store.state().cause == "tables"
        with store.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO identity"))
