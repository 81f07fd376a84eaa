"""`make run` as a process: the console opens with the sample at work, and a second run adds nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from serving.demo.seed import BANNED, seed
from serving.run import sample_listings
from serving.store import Store, schema
from serving.store.engine import reading

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demonstration, left running: its address, its store, what it printed."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO"))}
    # What other commands use must not be touched by the demonstration.
    environment |= {
        "XDG_STATE_HOME": str(home),
        "LISTING_RISK_STORE": "/nowhere/else.db",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "serving.cli", "demo", "--port", str(port)]
    done = subprocess.run(
        [*command, "--detach"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    try:
        assert done.returncode == 0, done.stderr
        yield f"http://127.0.0.1:{port}", str(home / "listing-risk" / "demo.db"), done.stderr
    finally:
        subprocess.run([*command, "--stop"], cwd=ROOT, env=environment, check=True, capture_output=True)


def test_the_first_page_is_the_console_and_the_sample_waits_in_it(shown):
    address, _, said = shown
    page = httpx.get(address, follow_redirects=True)
    assert page.status_code == 200 and page.url.path == "/console"
    assert f"{len(sample_listings())} sample listings" in said and "/console" in said
    queue = httpx.get(f"{address}/console/queue")
    assert queue.status_code == 200 and "Mini Cube" in queue.text


def test_bans_are_in_force_and_an_edited_copy_was_blocked(shown):
    address, store, _ = shown
    bans = httpx.get(f"{address}/v1/bans").json()["bans"]
    assert len(bans) == len(BANNED) + 1 and all(ban["state"] == "active" for ban in bans)
    with Store(store) as opened:
        stood = opened.latest("hanbada", "copy-of-the-tiles")
    assert stood is not None and stood.action == "block"
    (match,) = stood.body["matches"]
    assert match["tier"] == "exact" and match["photos"][0]["verified"] and match["words"]


def decided(store):
    """How many decisions the demonstration asked for; other rows come from what goes on beside answering."""
    d = schema.decisions.c
    with Store(store) as opened, reading(opened.engine) as connection:
        return connection.execute(
            sa.select(sa.func.count()).where(d.idempotency_key.like("sample-%"))
        ).scalar_one()


def test_a_second_run_adds_no_decision(shown):
    address, store, _ = shown
    before = decided(store)
    again = seed(address, store)
    assert again is not None and len(again.ranked) == len(sample_listings()) and again.bans == len(BANNED) + 1
    assert decided(store) == before == len(sample_listings()) + 1


@pytest.mark.long
def test_a_demonstration_that_is_terminated_takes_its_service_along(tmp_path):
    port = free_port()
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "serving.cli", "demo", "--port", str(port)]
    address = f"http://127.0.0.1:{port}/livez"
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as shown:
        until = time.monotonic() + 120
        while not answers(address):
            assert shown.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        shown.terminate()
        shown.wait(120)
    until = time.monotonic() + 60
    while answers(address):
        assert time.monotonic() < until, "the service lives on"
        time.sleep(0.1)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
