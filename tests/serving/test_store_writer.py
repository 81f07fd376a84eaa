"""The writer when there is too much, and when the database is away: clear answers, and back by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from pathlib import Path

import pytest

from serving.audit.verification import verify
from serving.store import BusyError, Store, StoreSink, StoreUnavailableError, WriterLimits
from serving.store import engine as engines

FAST = WriterLimits(first_retry_s=0.02, last_retry_s=0.1)


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 100)
    return tmp_path / "store.db"


def locked(file: Path) -> sqlite3.Connection:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_too_much_waiting_is_refused_with_a_time(tmp_path, new_record):
    file = tmp_path / "s.db"
    with Store(str(file), WriterLimits(waiting_records=5)) as store:
        other = locked(file)  # the writer takes the first and waits for the lock
        first = store.writer.submit(store.prepare([new_record(0)]))
        wait_until(lambda: store.state().waiting == 0)
        futures = [store.writer.submit(store.prepare([new_record(n)])) for n in range(1, 6)]
        with pytest.raises(BusyError, match="the limit is 5") as caught:
            store.writer.submit(store.prepare([new_record(9)]))
        assert caught.value.retry_after_s > 0
        other.execute("ROLLBACK")
        assert [future.result(10)[0].seq for future in [first, *futures]] == [1, 2, 3, 4, 5, 6]


def test_too_many_bytes_waiting_are_refused_too(tmp_path, new_record):
    file = tmp_path / "s.db"
    with Store(str(file), WriterLimits(waiting_bytes=10_000)) as store:
        other = locked(file)
        futures = [store.writer.submit(store.prepare([new_record(0)]))]
        wait_until(lambda: store.state().waiting == 0)
        futures.append(store.writer.submit(store.prepare([new_record(1, title="가" * 2_000)])))
        with pytest.raises(BusyError):
            store.writer.submit(store.prepare([new_record(2, title="가" * 2_000)]))
        other.execute("ROLLBACK")
        assert all(future.result(10) for future in futures)


def test_locked_out_then_back_by_itself(file, new_record):
    with Store(str(file), FAST) as store:
        store.record([new_record(1)])
        other = locked(file)
        with pytest.raises(StoreUnavailableError, match="nothing was acknowledged"):
            store.record([new_record(2)])
        assert not store.state().up
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            store.record([new_record(3)])
        assert time.monotonic() - started < 0.05  # known to be down: nobody waits
        other.execute("ROLLBACK")
        wait_until(lambda: store.state().up)
        assert store.record([new_record(4)])[0].seq == 2
        assert verify(store).intact


def test_disk_full_then_back_by_itself(file, new_record):
    with Store(str(file), FAST) as store:
        store.record([new_record(1)])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{file}-wal").stat().st_size, hard))
        try:
            with pytest.raises(StoreUnavailableError):
                store.record([new_record(2)])
            assert not store.state().up
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        wait_until(lambda: store.state().up)
        assert store.record([new_record(3)])[0].seq == 2
        report = verify(store)
        assert (report.intact, report.rows) == (True, 2)


def test_no_file_handles_left_then_back_by_itself(file, new_record):
    with Store(str(file), FAST) as store:
        store.record([new_record(1)])
        store.engine.dispose()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # all numbers from 3 on are beyond the limit
        try:
            with pytest.raises(StoreUnavailableError):
                store.record([new_record(2)])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        wait_until(lambda: store.state().up)
        assert store.record([new_record(3)])[0].seq == 2


def test_a_read_only_database_then_back_by_itself(postgresql_url, new_record):
    with Store(postgresql_url, FAST) as store:
        store.record([new_record(1)])
        name = store.engine.url.database
        for switch in ("on", "off"):
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("SET default_transaction_read_only = off")
                connection.exec_driver_sql(
                    f"ALTER DATABASE {name} SET default_transaction_read_only = {switch}"
                )
            store.engine.dispose()
            if switch == "on":
                with pytest.raises(StoreUnavailableError, match="read-only"):
                    store.record([new_record(2)])
        wait_until(lambda: store.state().up)
        assert store.record([new_record(3)])[0].seq == 2


def test_a_damaged_file_is_an_outage_not_a_crash(file, new_record):
    with Store(str(file), FAST) as store:
        store.record([new_record(1)])
    for name in (file, Path(f"{file}-wal")):
        if name.exists():
            name.write_bytes(b"this is no database" * 1_000)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        Store(str(file)).open()


def test_a_broken_connection_is_replaced(postgresql_url, new_record):
    with Store(postgresql_url, FAST) as store:
        store.record([new_record(1)])
        with store.engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        wait_until(lambda: _recorded(store, new_record))
        assert verify(store).intact


def _recorded(store, new_record):
    try:
        store.record([new_record(2)])
    except StoreUnavailableError:
        return False
    return True


def test_a_caller_that_left_before_its_turn_is_not_recorded(tmp_path, new_record):
    file = tmp_path / "s.db"
    with Store(str(file)) as store:
        other = locked(file)
        first = store.writer.submit(store.prepare([new_record(0)]))
        wait_until(lambda: store.state().waiting == 0)

        async def leave():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(StoreSink(store).record_all([new_record(1)]), 0.05)

        asyncio.run(leave())
        other.execute("ROLLBACK")
        assert first.result(10)[0].seq == 1
        assert store.record([new_record(2)])[0].seq == 2


def test_closing_while_the_database_is_away_ends(file, new_record):
    store = Store(str(file), FAST).open()
    other = locked(file)
    with pytest.raises(StoreUnavailableError):
        store.record([new_record(1)])
    started = time.monotonic()
    store.close()
    assert time.monotonic() - started < 5
    other.close()
