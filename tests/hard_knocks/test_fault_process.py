"""Faults of the processes themselves: killed workers, no file handles, a clock that jumps, no memory for a photo."""

from __future__ import annotations

import importlib.util
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest


def test_workers_killed_under_load_are_replaced(faults, victim, long):
    """One after the other; the second answers meanwhile."""
    for number in range(12 if long else 1):
        before = {worker.pid for worker in victim.workers()}
        victim.workers()[number % 2].kill()
        victim.wait_more()
        faults.wait_until(
            lambda before=before: len(now := {w.pid for w in victim.workers()}) == 2 and now != before,
            "another worker",
        )
    victim.wait_ready()
    victim.wait_more()
    victim.check(stop=False)


@pytest.mark.long
def test_the_first_process_killed_leaves_nothing_behind(faults, services, victim):
    """Its workers end with it, one that is not ready too, so that it can be started again on the same port."""
    killed = victim.workers()[0]
    killed.kill()
    faults.wait_until(
        lambda: len(now := victim.workers()) == 2 and killed not in now,
        "another worker in place of a killed one",
    )
    workers = victim.workers()
    victim.process.kill()
    victim.process.wait()
    faults.wait_until(lambda: not any(map(faults.runs, workers)), "the workers' end")
    victim.rest()
    second = faults.Victim(victim.store, victim.log.with_name("second"), port=victim.port)
    services.append(second)
    second.inherit(victim)
    second.wait_ready()
    second.check(stop=False)


@contextmanager
def flood(port: int, most: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    held: list[socket.socket] = []
    try:
        for _ in range(most):
            wire = socket.socket()
            wire.setblocking(False)
            wire.connect_ex(("127.0.0.1", port))
            held.append(wire)
        yield held
    finally:
        for wire in held:
            wire.close()


def turned_away(wire: socket.socket) -> bool:
    """Whether the other side closed it: with its last handle a server takes connections only to close them."""
    try:
        return wire.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def none_left(worker: psutil.Process) -> bool:
    """Whether nearly every handle that it may have is taken."""
    return worker.num_fds() >= resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)[0] - 3


def test_no_file_handle_is_left(faults, victim, long):
    """Idle connections take every handle of the workers; clients that are connected are answered or refused."""
    for _ in range(3 if long else 1):
        few = faults.limited(victim.workers(), resource.RLIMIT_NOFILE, lambda one: one.num_fds() + 12)
        with few, flood(victim.port, 300) as wires:
            said = len(victim.answers) + victim.refused
            faults.wait_until(
                lambda wires=wires: any(map(turned_away, wires)) or any(map(none_left, victim.workers())),
                "no handle left",
            )
            faults.wait_until(
                lambda said=said: len(victim.answers) + victim.refused > said + 40,
                "40 answers or refusals meanwhile",
            )
        victim.wait_ready()
        victim.wait_more()
    victim.check(stop=False)


def faketime() -> Path | None:
    """The library that fakes the time of a process, where it works here."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or not found.origin:
        return None
    library = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    program = "import time; print(time.time() < 1e9)"
    env = os.environ | {"LD_PRELOAD": str(library), "FAKETIME": "2001-01-01 00:00:00"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    return library if done.stdout == "True\n" else None


@pytest.fixture
def start(faults, tmp_path: Path) -> Iterator[object]:
    started = []

    def begin(**env: str):
        started.append(faults.Victim(str(tmp_path / "store.db"), tmp_path / "service", **env))
        started[0].wait_ready()
        return started[0]

    yield begin
    for victim in started:
        victim.stop()


@pytest.mark.long
def test_the_clock_jumps(faults, start, tmp_path, long):
    """Back by an hour and on again, by days too: order comes from numbers, so the chain verifies and nothing stops."""
    library = faketime()
    if library is None:
        pytest.skip("libfaketime does not work here: pip install libfaketime")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    victim = start(
        LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_DONT_RESET="1", LISTING_RISK_WORKERS="2" if long else "1",
    )  # fmt: skip
    victim.load()
    victim.wait_more()
    for jump in ("-1h", "+1h", "-5d", "+0") * 5 if long else ("-1h", "+1h", "+0"):
        new = offset.with_suffix(".new")
        new.write_text(f"{jump}\n")
        new.replace(offset)
        victim.wait_more()
        victim.wait_ready()
    assert not victim.refused, "a clock that jumps is no reason to refuse"
    victim.check()
    from serving.audit.verification import verify
    from serving.store import Store

    with Store(victim.store) as store:
        report = verify(store)
    assert report.intact and report.clock_steps_back >= 2
