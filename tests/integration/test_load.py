"""More than the service can do: it says so and goes on; what it took it answers and records."""

from __future__ import annotations

import importlib.util
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 1.5


def beside() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "process_of", Path(__file__).with_name("test_service_process.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("load") / "store.db"


@pytest.fixture(scope="module")
def served(store: Path) -> Iterator[Any]:
    made = beside().Served(
        store.with_name("log.txt"),
        LISTING_RISK_STORE=str(store),
        LISTING_RISK_WAIT_SECONDS="0.001",
        LISTING_RISK_BLOCK="2",
        LISTING_RISK_WAITING_MANY="3",
    )
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()


def bodies(path: Path, many: int = 0) -> Path:
    """A file of requests, none twice: single listings, or so many a request."""

    def listing(number: int) -> dict[str, Any]:
        return {"id": f"{path.stem}-{number}", "title": f"wooden toy train number {number}"}

    rows = (
        {"listings": [listing(many * n + i) for i in range(many)]} if many else listing(n)
        for n in range(400 if many else 20_000)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def start_load(served: Any, file: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.serving.load", f"http://127.0.0.1:{served.port}", str(file)]
    return subprocess.Popen(
        [*command, "--seconds", str(SECONDS), *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def end_of(load: subprocess.Popen[str]) -> tuple[dict[str, int], dict[str, Any]]:
    out, _ = load.communicate(timeout=120)
    assert load.returncode == 0
    found = json.loads(out)
    return {status: len(times) for status, times in found["latencies_ms"].items()}, found


def recorded(store: Path, name: str) -> int:
    with sqlite3.connect(store) as connection:
        counting = "SELECT count(*) FROM decisions WHERE listing_id LIKE ?"
        return connection.execute(counting, (f"{name}-%",)).fetchone()[0]


def test_beyond_its_capacity_it_says_when_to_come_back(served, store, tmp_path):
    counts, found = end_of(start_load(served, bodies(tmp_path / "flood.jsonl"), "--rate", "3000"))
    assert set(counts) == {"200", "429"}, "never a 5xx from inside"
    assert found["unanswered"] == 0
    assert all(1 <= int(seconds) <= 60 for seconds in found["retry_after"])
    assert sum(found["retry_after"].values()) == counts["429"]
    assert recorded(store, "flood") == counts["200"], "what was taken is on disk, what was turned away is not"
    counted = 'listing_risk_requests_total{method="POST",route="/v1/score",status="429"}'
    until = time.monotonic() + 60
    while counted not in (text := served.http.get("/metrics").text):
        assert time.monotonic() < until, text
        time.sleep(0.2)
    assert 'listing_risk_line_listings{kind="one",lane="words"}' in text
    answer = served.http.post("/v1/score", json={"id": "after", "title": "a wooden train"})
    assert answer.status_code == 200, "and then all is well again"
    assert "turned away" in served.output()


def test_both_kinds_of_request_get_on(served, store, tmp_path):
    single = start_load(served, bodies(tmp_path / "one.jsonl"), "--clients", "12")
    many = start_load(
        served, bodies(tmp_path / "many.jsonl", 64), "--clients", "4", "--path", "/v1/score-many"
    )
    ones, _ = end_of(single)
    manys, found = end_of(many)
    assert set(ones) <= {"200", "429"} and set(manys) <= {"200", "429"}
    assert ones["200"] > 0 and manys["200"] > 0
    assert found["unanswered"] == 0
    assert (recorded(store, "one"), recorded(store, "many")) == (ones["200"], 64 * manys["200"])


def test_a_head_without_end_is_cut_off(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        sent = 0
        try:
            while sent < 8_000_000:
                sent += connection.send(b"X-Long: " + b"a" * 8_000 + b"\r\n")
            answer = connection.recv(1_000)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert sent < 8_000_000 or answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:80]
    assert not answer.startswith(b"HTTP/1.1 200")
    assert served.http.get("/livez").status_code == 200
