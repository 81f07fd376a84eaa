"""Starting the service as a process, and the first look at it with the sample catalogue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import httpx

from features.errors import OutsideError
from features.weights import cache_folder
from serving.policy.evaluation import ACTIONS
from serving.settings import Settings

READY_SECONDS = 120.0


def service_command(settings: Settings) -> list[str]:
    """Return the command that serves with BentoML on the host and port of the settings."""
    where = ["--host", settings.host, "--port", str(settings.port)]
    return [sys.executable, "-m", "bentoml", "serve", "serving.service:service", *where]


def _environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    # One compute thread a worker: on few cores more threads fight each other (measured in benchmarks/serving). And one
    # arena of memory: with one for each thread a worker takes a hundred megabytes more and is no faster.
    spare = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    quiet = {"OTEL_SDK_DISABLED": "true", "BENTOML_DO_NOT_TRACK": "true"}
    # The workers' counters lie there, and BentoML empties it at a start: two services of a machine must not share it.
    own = {"BENTOML_HOME": str(cache_folder() / f"service-{settings.port}")}
    named = {
        "LISTING_RISK_HOST": settings.host,
        "LISTING_RISK_PORT": str(settings.port),
        "LISTING_RISK_STORE": settings.store,
    }
    return quiet | spare | own | dict(environ) | named


def serve_forever(settings: Settings, environ: Mapping[str, str]) -> NoReturn:
    """Become the service; signals go straight to it."""
    command = service_command(settings)
    os.execve(command[0], command, _environment(environ, settings))  # noqa: S606


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers: its process and address."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def stop(self) -> None:
        """Ask the service to finish, and insist after ten seconds."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its workers too
            self.process.wait()


def start(settings: Settings, environ: Mapping[str, str], log: Path) -> Running:
    """Start the service in the background and wait until it is ready.

    Raises
    ------
    OutsideError
        When it ends or is not ready in `READY_SECONDS`; the message quotes the end of its log.
    """
    address = f"http://{settings.host}:{settings.port}"
    if _answers(address):
        raise OutsideError(
            f"Something already answers at {address}; stop it or choose another port with --port."
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603
            service_command(settings),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=_environment(environ, settings),
            start_new_session=True,
        )
    running = Running(process, address, log)
    try:
        _wait_until_ready(running)
    except BaseException:
        running.stop()
        raise
    return running


def _wait_until_ready(running: Running) -> None:
    log, deadline = running.log, time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise OutsideError(f"The service ended while starting. The end of {log}:\n{_tail(log)}")
        if _answers(running.address, "/readyz"):
            return
        time.sleep(0.1)
    raise OutsideError(f"The service was not ready in {READY_SECONDS:.0f} s. The end of {log}:\n{_tail(log)}")


def _answers(address: str, path: str = "/livez") -> bool:
    try:
        # Nothing is encrypted here, and reading all certificates takes longer than asking.
        return httpx.get(address + path, timeout=2.0, verify=False).status_code == 200  # noqa: S501
    except httpx.HTTPError:
        return False


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def sample_listings() -> list[dict[str, Any]]:
    """Return the sample catalogue that comes with the package; all of it is invented."""
    text = resources.files("features.sample").joinpath("catalogue.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def most_urgent_first(
    decided: list[tuple[dict[str, Any], dict[str, Any]]],
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Order listings with their decisions: the strictest action first, within it the highest expected harm."""
    return sorted(decided, key=lambda pair: (-ACTIONS.index(pair[1]["action"]), -pair[1]["expected_harm"]))
