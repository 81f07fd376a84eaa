"""The two systems measured, each as it is used: in process, as a service, over a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.results_file import OURS, ROOT
from serving.run import start
from serving.settings import Settings

HERE = Path(__file__).parent
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running service: where it answers, its first process, and how long it took from start to ready."""

    address: str
    pid: int
    ready_s: float


class System(Protocol):
    """Something that scores listings."""

    @property
    def name(self) -> str:
        """What the rows of the results call it."""
        ...

    def single(self, listings: Path) -> dict[str, Any]:
        """Score one by one on one core; lists ``wall`` and ``cpu`` of milliseconds, and ``torch``."""
        ...

    @contextmanager
    def served(self) -> Iterator[Served]:
        """Serve over HTTP while the block lasts."""
        ...

    def batch(self, listings: Path, output: Path) -> tuple[float, float]:
        """Score a file; seconds of wall and of processor time, from starting the command to its end."""
        ...


def _one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _single(command: list[str]) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, preexec_fn=_one_core, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _timed(command: list[str]) -> tuple[float, float]:
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


@dataclass(frozen=True, slots=True)
class Ours:
    """listing-risk with a bundle."""

    bundle: Path
    port: int
    folder: Path
    name: str = OURS

    def single(self, listings: Path) -> dict[str, Any]:
        """See `System`."""
        return _single([sys.executable, "-m", "benchmarks.serving.probe", str(self.bundle), str(listings)])

    @contextmanager
    def served(self) -> Iterator[Served]:
        """See `System`; default settings but for port and bundle."""
        settings = Settings(bundle=self.bundle, port=self.port)
        environment = os.environ | {"LISTING_RISK_BUNDLE": str(self.bundle)}
        started = time.perf_counter()
        running = start(settings, environment, self.folder / "service.log")
        try:
            yield Served(running.address, running.process.pid, time.perf_counter() - started)
        finally:
            running.stop()

    def batch(self, listings: Path, output: Path) -> tuple[float, float]:
        """See `System`."""
        command = [str(Path(sys.executable).with_name("listing-risk")), "batch", str(listings)]
        return _timed([*command, "--output", str(output), "--bundle", str(self.bundle)])


@dataclass(frozen=True, slots=True)
class Peer:
    """The pipeline of ``peer.py`` under an interpreter that has its packages."""

    python: Path
    port: int
    folder: Path
    name: str = "sentence-transformers+sklearn"

    @property
    def model(self) -> Path:
        """Where `fit` leaves its heads."""
        return self.folder / "peer.pickle"

    def _command(self, what: str, *paths: Path) -> list[str]:
        return [str(self.python), str(HERE / "peer.py"), what, str(self.model), *map(str, paths)]

    def fit(self, past: Path) -> None:
        """Fit the heads once."""
        subprocess.run(self._command("fit", past), check=True)

    def single(self, listings: Path) -> dict[str, Any]:
        """See `System`."""
        return _single(self._command("probe", listings))

    @contextmanager
    def served(self) -> Iterator[Served]:
        """See `System`; uvicorn's defaults."""
        address = f"http://127.0.0.1:{self.port}"
        command = [str(self.python), "-m", "uvicorn", "peer:app", "--port", str(self.port)]
        environment = os.environ | {"PEER_MODEL": str(self.model)}
        started = time.perf_counter()
        with (self.folder / "peer.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--log-level", "warning"], cwd=HERE, env=environment, stdout=log, stderr=log
            )
        try:
            _wait(address, process)
            yield Served(address, process.pid, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait(20)

    def batch(self, listings: Path, output: Path) -> tuple[float, float]:
        """See `System`."""
        return _timed(self._command("batch", listings, output))


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"{address} did not become ready; see the log beside the peer's model")
