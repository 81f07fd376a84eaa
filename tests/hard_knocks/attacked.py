"""A real service for the attacks: a process of its own, a store with keys of every role, no fixed port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
READY_SECONDS = 120.0
ROLES = ("viewer", "reviewer", "laboratory", "compliance", "data_scientist", "administrator")


@dataclass
class Attacked:
    """A running service and the keys to it."""

    port: int
    store: str
    log: Path
    process: subprocess.Popen[bytes]
    keys: dict[str, str] = field(default_factory=dict)
    key_ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address, timeout=120)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, role: str = "administrator", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[role]}"} | more.pop("headers", {})
        return self.http.request(method, path, headers=headers, **more)

    def raw(self, content: bytes, seconds: float = 60.0, end: bool = False) -> bytes:
        """Send bytes as they are; return everything that comes until the other side closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as wire:
            try:
                wire.sendall(content)
                if end:
                    wire.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused while it came
            return everything(wire)

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")


def everything(wire: socket.socket) -> bytes:
    """Read until the other side closes; a reset or a long silence ends it too."""
    found = b""
    try:
        while block := wire.recv(65_536):
            found += block
    except OSError:
        pass
    return found


@contextmanager
def attacked(folder: Path, store: str = "", **settings: str) -> Iterator[Attacked]:
    """Start the service with the starter bundle and a store, SQLite unless another is named; end it afterwards."""
    from serving.access.door import AccessDoor
    from serving.access.secrets import Cost
    from serving.store import Store

    store = store or str(folder / "store.db")
    keys: dict[str, str] = {}
    ids: dict[str, str] = {}
    with Store(store) as opened:
        door = AccessDoor(opened, cost=Cost(2**10, 8, 1))
        for role in ROLES:
            record, keys[role] = door.issue_key(f"{role}-key", role, (), 1, "test")
            ids[role] = record.id
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
    }
    environ = kept | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "LISTING_RISK_STORE": store,
        "LISTING_RISK_LOG": "off",
        "LISTING_RISK_PER_MINUTE": "1000000",
        "LISTING_RISK_STRANGERS_PER_MINUTE": "1000000",
        "XDG_STATE_HOME": str(folder),
    } | settings  # fmt: skip
    log = folder / "service.log"
    with socket.socket() as listening, log.open("wb") as out:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("listening.py")), str(listening.fileno())],
            cwd=ROOT, env=environ, pass_fds=[listening.fileno()], stdout=out, stderr=out,
        )  # fmt: skip
    made = Attacked(port, store, log, process, keys, ids)
    try:
        _wait_ready(made)
        yield made
    finally:
        made.http.close()
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(made: Attacked) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and made.process.poll() is None:
        try:
            if made.http.get("/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(made.output()[-2_000:])
