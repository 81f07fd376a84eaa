"""The systems measured, each as it is used: in process, as a service, over a file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.results_file import OURS, ROOT
from benchmarks.serving.world import copy_world
from serving.run import start
from serving.settings import Settings

HERE = Path(__file__).parent
PEER = "sentence-transformers+sklearn"
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running service: where it answers, its first process, and how long it took from start to ready."""

    address: str
    pid: int
    ready_s: float


@dataclass(frozen=True, slots=True)
class Talk:
    """How a service is spoken to: the path and body of one title, and of a block of them."""

    path: str
    one: Callable[[str, str], Any]
    path_many: str
    many: Callable[[Sequence[tuple[str, str]]], Any]


def _listing(identifier: str, title: str) -> dict[str, str]:
    return {"id": identifier, "title": title}


LIKE_OURS = Talk(
    "/v1/score",
    _listing,
    "/v1/score-many",
    lambda rows: {"listings": [_listing(*row) for row in rows]},
)
LIKE_MLFLOW = Talk(
    "/invocations",
    lambda _, title: {"dataframe_records": [{"title": title}]},
    "/invocations",
    lambda rows: {"dataframe_records": [{"title": title} for _, title in rows]},
)
LIKE_BENTO = Talk(
    "/score",
    lambda _, title: {"titles": [title]},
    "/score",
    lambda rows: {"titles": [title for _, title in rows]},
)


class System(Protocol):
    """Something that scores listings."""

    @property
    def name(self) -> str:
        """What the rows of the results call it."""
        ...

    @property
    def talk(self) -> Talk:
        """How it is spoken to."""
        ...

    @contextmanager
    def served(self) -> Iterator[Served]:
        """Serve over HTTP while the block lasts."""
        ...


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    """listing-risk with a bundle.

    Attributes
    ----------
    world
        A store to start with a copy of, bans and all; None serves without a store.
    settings
        More ``LISTING_RISK_*`` variables.
    """

    bundle: Path
    folder: Path
    world: Path | None
    name: str = OURS
    talk: Talk = LIKE_OURS
    settings: Mapping[str, str] = field(default_factory=dict)

    def single(self, listings: Path) -> dict[str, Any]:
        """Score one by one on one core; lists ``wall`` and ``cpu`` of milliseconds."""
        return _single([sys.executable, "-m", "benchmarks.serving.probe", str(self.bundle), str(listings)])

    @contextmanager
    def served(self) -> Iterator[Served]:
        """See `System`."""
        store = "" if self.world is None else str(copy_world(self.world, self.folder / "served.db"))
        settings = Settings(bundle=self.bundle, port=free_port(), store=store)
        environment = os.environ | {"LISTING_RISK_BUNDLE": str(self.bundle)} | dict(self.settings)
        started = time.perf_counter()
        running = start(settings, environment, self.folder / "service.log")
        try:
            yield Served(running.address, running.process.pid, time.perf_counter() - started)
        finally:
            running.stop()

    def batch(self, listings: Path, output: Path) -> tuple[float, float]:
        """Score a file; seconds of wall and of processor time, from starting the command to its end."""
        command = [str(Path(sys.executable).with_name("listing-risk")), "batch", str(listings)]
        return _timed([*command, "--output", str(output), "--bundle", str(self.bundle)])


@dataclass(frozen=True, slots=True)
class Peer:
    """A service of another interpreter.

    Attributes
    ----------
    model
        What it loads; goes into ``PEER_MODEL``.
    command
        Starts it, but for the port.
    port_option
        Comes before the port.
    ready
        Path that answers 200 once it is ready.
    """

    name: str
    model: Path
    command: tuple[str, ...]
    folder: Path
    talk: Talk = LIKE_OURS
    port_option: str = "--port"
    ready: str = "/readyz"

    @contextmanager
    def served(self) -> Iterator[Served]:
        """See `System`."""
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        environment = os.environ | {"PEER_MODEL": str(self.model), "BENTOML_DO_NOT_TRACK": "true"}
        environment["PATH"] = f"{Path(self.command[0]).parent}{os.pathsep}{environment.get('PATH', '')}"
        started = time.perf_counter()
        with (self.folder / "peer.log").open("wb") as log:
            process = subprocess.Popen(
                [*self.command, self.port_option, str(port)],
                cwd=HERE,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            _wait(address + self.ready, process, self.folder / "peer.log")
            yield Served(address, process.pid, time.perf_counter() - started)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class DayPeer(Peer):
    """The pipeline of ``peer.py``, which can also be measured without a server."""

    def _command(self, what: str, *paths: Path) -> list[str]:
        return [self.command[0], str(HERE / "peer.py"), what, *map(str, paths)]

    def single(self, listings: Path) -> dict[str, Any]:
        """As `Ours.single`."""
        return _single(self._command("probe", self.model, listings))

    def batch(self, listings: Path, output: Path) -> tuple[float, float]:
        """As `Ours.batch`."""
        return _timed(self._command("batch", self.model, listings, output))


def peers_of(python: Path, past: Path, folder: Path) -> list[Peer]:
    """Fit the peer's model unless it is there and return the three ways of serving it."""
    model, packed = folder / "peer.pickle", folder / "peer_mlflow"
    run = [str(python), str(HERE / "peer.py")]
    if not model.exists():
        subprocess.run([*run, "fit", str(model), str(past)], check=True, capture_output=True)
    found: list[Peer] = [
        DayPeer(PEER, model, (str(python), "-m", "uvicorn", "peer:app", "--log-level", "warning"), folder)
    ]
    asked = (
        "import importlib.util as u; print([int(u.find_spec(m) is not None) for m in ('mlflow', 'bentoml')])"
    )
    there = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=True).stdout
    has_mlflow, has_bento = json.loads(there)
    if has_mlflow:
        if not packed.exists():
            subprocess.run([*run, "mlflow", str(model), str(packed)], check=True, capture_output=True)
        command = (
            str(python),
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            str(packed),
            "--env-manager",
            "local",
        )
        found.append(Peer("mlflow-models-serve", model, command, folder, LIKE_MLFLOW, "-p", "/ping"))
    if has_bento:
        command = (str(python), "-m", "bentoml", "serve", "peer_bento:PeerService", "--host", "127.0.0.1")
        found.append(Peer("bentoml-adaptive", model, command, folder, LIKE_BENTO))
    return found


def autogluon_of(python: Path, past: Path, folder: Path) -> Peer:
    """Fit AutoGluon's predictor unless it is there and return the service around it."""
    model = folder / "autogluon"
    fit = [str(python), str(HERE / "peer_autogluon.py"), "fit", str(model), str(past)]
    if not model.exists():
        subprocess.run(fit, check=True, capture_output=True, cwd=folder)
    command = (str(python), "-m", "uvicorn", "peer_autogluon:app", "--log-level", "warning")
    return Peer("autogluon-tabular", model, command, folder)


def make_environment(target: Path, packages: Sequence[str], constraints: Path | None) -> Path:
    """Make a virtual environment where there is none; returns its interpreter."""
    python = target / "bin" / "python"
    if not python.exists():
        subprocess.run([shutil.which("python3") or sys.executable, "-m", "venv", str(target)], check=True)
        pins = [] if constraints is None else ["-c", str(constraints)]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins, *packages], check=True)
    return python


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(address, timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise RuntimeError(f"{address} did not become ready; the end of its log:\n{tail}")
