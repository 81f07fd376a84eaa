"""A service of real processes to which things happen, clients that never stop asking, and what must hold after it."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.soak.losses import Acknowledged, losses

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "files"
CLIENTS = 4
PATIENCE_S = 180.0
"""How long anything is waited for: long enough for a machine with other work; no test measures time."""
PAUSE_S = 0.02
"""How long a client rests between its questions: a fault is waited for beside other work."""
RISKY, FINE = "lab_test", "allow"


def wait_until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s for: {what}"
        time.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    """Whether it still runs; where nobody reaps orphans the dead stay in the list."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Victim:
    """The service as `serve` starts it, around the stub bundle unless ``target`` says otherwise."""

    def __init__(
        self, store: str, folder: Path, target: str = "stub_service:service", port: int = 0, **env: str
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = port or probe.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        self.store, self.log = store, folder / "service.log"
        ours = ("LISTING_RISK_", "BENTO", "PROMETHEUS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment = kept | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(FILES)]), "BENTOML_DO_NOT_TRACK": "true",
            "OMP_NUM_THREADS": "1", "LISTING_RISK_LOG": "json", "LISTING_RISK_STORE": store,
            "LISTING_RISK_WORKERS": "2", "XDG_STATE_HOME": str(folder),
            "BENTOML_HOME": str(folder / f"bentoml-{self.port}"),
        } | env  # fmt: skip
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bentoml", "serve", target, "--port", str(self.port)],
                cwd=FILES, env=environment, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.known = target.startswith("stub")
        self.answers: dict[str, tuple[str, str]] = {}
        self._risky: dict[str, bool] = {}
        self.refused = 0
        self.broken = 0
        self.wrong: list[str] = []
        self._clients = itertools.count()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    # ---- how it is ---------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def ready(self) -> httpx.Response | None:
        """What a new connection is told; None where there was no answer."""
        try:
            return httpx.get(
                f"{self.address}/readyz", timeout=30, verify=False
            )  # certificates take their time
        except httpx.TransportError:
            return None

    def reason(self) -> tuple[str, str, str] | None:
        """Part, cause and advice of one answer that is not ready."""
        answer = self.ready()
        if answer is None or answer.status_code != 503 or "errors" not in answer.json():
            return None
        (trouble,) = answer.json()["errors"]
        return trouble["field"], trouble["got"], trouble["problem"]

    def wait_ready(self, times: int = 6) -> None:
        """Wait until several askings in a row find it ready: each may reach another worker."""
        row = itertools.count()
        so_far = [0]

        def again() -> bool:
            next(row)
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode}: {self.output()[-3000:]}"
            )
            answer = self.ready()
            so_far[0] = so_far[0] + 1 if answer is not None and answer.status_code == 200 else 0
            return so_far[0] >= times

        wait_until(again, f"ready; the log ends with {self.output()[-1500:]}")

    def wait_reason(self, *causes: str) -> str:
        """Wait until it says that it is not ready for one of these causes; returns the advice."""
        said: list[str] = []

        def found() -> bool:
            reason = self.reason()
            said.extend([reason[2]] if reason and reason[1] in causes else [])
            return bool(said)

        wait_until(found, f"not ready because of {causes}; the last reason is {self.reason()}")
        return said[-1]

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = []
        for child in children:
            try:
                if "_bentoml_impl.worker.service" in child.cmdline():
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    # ---- clients -----------------------------------------------------------------------------------------------

    def load(self, clients: int = CLIENTS) -> None:
        self._stopping.clear()
        for number in itertools.islice(self._clients, clients):
            thread = threading.Thread(target=self._ask_on, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _ask_on(self, client: int) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as http:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                self.ask(http, f"{self.port}-{client}-{number}", risky=bool(number % 2))
                time.sleep(PAUSE_S)

    def ask(self, http: httpx.Client, key: str, *, risky: bool) -> httpx.Response | None:
        """Ask about a listing whose answer is known; note what was acknowledged and what is wrong."""
        listing: dict[str, Any] = {"id": key, "title": "폭신한 곰 인형"}
        if risky:
            listing["attributes"] = {"p:lead": "0.9"}
        try:
            answer = http.post("/v1/score", json=listing, headers={"idempotency-key": key})
        except httpx.TransportError:
            self.broken += 1
            time.sleep(0.05)
            return None
        if answer.status_code == 200:
            found = answer.json()
            expected = (RISKY if risky else FINE) if self.known else found["action"]
            if found["action"] != expected or found["listing_id"] != key:
                self.wrong.append(f"{key}: {found['action']}")
            self._risky[key] = risky
            self.answers[key] = found["decision_id"], found["action"]
            return answer
        if answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
            self.wrong.append(f"{key}: {answer.status_code} {answer.text[:300]}")
        self.refused += 1
        time.sleep(0.05)
        return answer

    def wait_more(self, count: int = 40) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, f"{count} more answers ({self.refused} refused)")

    def wait_refused(self, count: int = CLIENTS) -> None:
        wanted = self.refused + count
        wait_until(lambda: self.refused >= wanted, f"{count} more refusals ({len(self.answers)} answered)")

    # ---- the end -----------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Have the clients stop asking."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._threads.clear()

    def stop(self) -> None:
        self.rest()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                for one in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                    one.kill()
                self.process.wait()

    def check(self, *, stop: bool = True) -> None:
        """Nothing wrong was said, everything that was said is on record, and the chain verifies."""
        self.repeats()
        if stop:
            self.stop()
        assert not self.wrong, self.wrong[:5]
        assert self.answers
        told = [Acknowledged(key, *said) for key, said in self.answers.items()]
        found = losses(self.store if "://" in self.store else f"sqlite:///{self.store}", told)
        assert found.none, found

    def inherit(self, other: Victim) -> None:
        """Answer for what another service on the same store said; new clients use no key of its own."""
        self._clients = other._clients
        self.answers |= other.answers
        self._risky |= other._risky
        self.wrong += other.wrong

    def repeats(self) -> None:
        """Whoever repeats a request that was answered gets that answer."""
        self.rest()
        with httpx.Client(base_url=self.address, timeout=60) as http:
            for key in sorted(self.answers)[:4]:
                before = self.answers[key]
                answer = self.ask(http, key, risky=self._risky[key])
                assert answer is not None and answer.status_code == 200, answer
                assert self.answers[key] == before


# ---- what happens ------------------------------------------------------------------------------------------------


@contextmanager
def limited(
    processes: list[psutil.Process], kind: int, limit: Callable[[psutil.Process], int]
) -> Iterator[None]:
    """Lower a limit of running processes, and give it back."""
    before = {}
    for process in processes:
        soft, hard = resource.prlimit(process.pid, kind)
        before[process.pid] = soft, hard
        resource.prlimit(process.pid, kind, (limit(process), hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            if psutil.pid_exists(pid):
                resource.prlimit(pid, kind, limits)


@contextmanager
def lock_held(store: str) -> Iterator[None]:
    """Another process holds the SQLite file's write lock, longer than anybody waits for it."""
    program = (
        "import sqlite3, sys\n"
        f"c = sqlite3.connect({store!r}, timeout=120, isolation_level=None)\n"
        "c.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "held\n"
        yield
        other.stdin.close()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """A disk of its own in memory; None where mounting is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def disk_full(folder: Path) -> Iterator[None]:
    """Somebody else fills the disk to the last byte, and makes room again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while stream.write(b"\0" * size):
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


def flip_bit(path: Path, position: int, bit: int = 0) -> Callable[[], None]:
    """Change one bit of a file; returns what changes it back."""
    whole = bytearray(path.read_bytes())
    whole[position] ^= 1 << bit
    path.write_bytes(bytes(whole))

    def back() -> None:
        whole[position] ^= 1 << bit
        path.write_bytes(bytes(whole))

    return back
