"""A champion is swapped under 100 requests a second in a service with several worker processes.

No request fails, each answer names the model that decided, every worker takes the new one; a damaged one is refused by
all of them and the service goes on.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from serving.models import promotion
from serving.settings import STARTER
from serving.store import Store
from training.manifest import read_manifest, write_manifest

RATE, WORKERS, PATIENCE_S = 100, 2, 180.0
LISTING = {"title": "나무 딸랑이"}


def version_of(folder: Path) -> str:
    manifest = read_manifest(folder)
    return f"{manifest.name}+{manifest.digest[:8]}"


def bundle_named(name: str, folder: Path) -> Path:
    shutil.copytree(STARTER, folder)
    write_manifest(folder, read_manifest(folder).model_copy(update={"name": name}))
    return folder


@pytest.fixture
def served(tmp_path):
    """Address and store of a service that `listing-risk serve` started with several workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
    }
    environ = kept | {
        "LISTING_RISK_WORKERS": str(WORKERS),
        "LISTING_RISK_PER_MINUTE": "1000000",
        "LISTING_RISK_LOG": "off",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "1",
    }
    log, store = tmp_path / "log.txt", tmp_path / "store.db"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.cli", "serve", "--port", str(port), "--store", str(store)],
            cwd=tmp_path, env=environ, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:

        def ready():
            assert process.poll() is None, log.read_text()[-3000:]
            return deciding(address).get(version_of(STARTER)) == WORKERS

        until(ready, lambda: log.read_text()[-3000:])
        yield address, str(store)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def deciding(address: str) -> dict[str, int]:
    """How many workers decide with which model, by the counters; nothing while nobody answers."""
    try:
        text = httpx.get(f"{address}/metrics", timeout=30).text
    except httpx.TransportError:
        return {}
    found = re.findall(r'^listing_risk_info\{model_version="([^"]+)".*\} ([\d.]+)$', text, re.M)
    return {version: int(float(count)) for version, count in found if float(count)}


def until(found, said=lambda: ""):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.3)
    raise AssertionError(f"not within {PATIENCE_S} s: {said()}")


async def load(address, act):
    """Ask at a steady pace while ``act`` runs in a thread, and a second longer; a slow machine asks less often."""
    gate, answers = asyncio.Semaphore(32), []

    async with httpx.AsyncClient(base_url=address, timeout=120) as http, asyncio.TaskGroup() as group:

        async def ask(number):
            async with gate:
                began = time.monotonic()
                answer = await http.post("/v1/score", json={"id": f"l{number}"} | LISTING)
                answers.append((began, answer))

        began = time.monotonic()
        acting = group.create_task(asyncio.to_thread(act))
        number, last = 0, None
        while last is None or time.monotonic() < last:
            if acting.done() and last is None:
                last = time.monotonic() + 1
            group.create_task(ask(number))
            number += 1
            await asyncio.sleep(max(0.001, began + number / RATE - time.monotonic()))
            while number - len(answers) > 200:
                await asyncio.sleep(0.01)
    return answers


@pytest.mark.long
def test_every_worker_takes_the_new_champion_and_none_a_damaged_one(served, tmp_path):
    address, database = served
    good = bundle_named("other", tmp_path / "other")
    old, new = version_of(STARTER), version_of(good)
    bad = promotion.keep(bundle_named("broken", tmp_path / "broken"), tmp_path / "shelf")
    (bad.folder / "terms.json").write_text("{}")
    everybody = []

    def promote():
        with Store(database) as store:
            kept = promotion.keep(good, tmp_path / "shelf")
            promotion.promote(store, kept, "ann", verdict=None, why="a test")
            until(lambda: deciding(address) == {new: WORKERS}, lambda: deciding(address))
            everybody.append(time.monotonic())
            promotion.promote(store, bad, "ann", verdict=None, why="a test")
            refused = until(lambda: promotion.events_of(store, promotion.REFUSED))
            assert refused[0].version == bad.version
            assert "terms.json" in refused[0].body["why"]
            time.sleep(2.5)  # longer than a worker's look at the store, so that each has met the damaged one

    answers = asyncio.run(load(address, promote))
    assert {answer.status_code for _, answer in answers} == {200}
    named = [(began, answer.json()["model_version"]) for began, answer in answers]
    assert {version for _, version in named} == {old, new}
    assert {version for began, version in named if began > everybody[0]} == {new}
    assert deciding(address) == {new: WORKERS}
    with Store(database) as store:
        for _, answer in answers[
            :: max(1, len(answers) // 50)
        ]:  # the record names the model that the answer named
            body = answer.json()
            assert store.decision(body["decision_id"]).model_version == body["model_version"]
        assert [spell.version for spell in promotion.spells(store)] == [new, old]
        assert len(promotion.events_of(store, promotion.REFUSED)) <= WORKERS
