"""A service of its own in a process, Chromium in front of it, and a receiver of events behind it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

PASSWORD = "four words make one"
PEOPLE = {"mina": "reviewer", "jun": "compliance", "sol": "administrator", "dae": "data_scientist"}
FIGURES = Path(__file__).parents[2] / "docs" / "figures"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass
class Receiver:
    """Takes events and checks their signatures with the secret that the service gave."""

    port: int
    secret: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        from standardwebhooks import Webhook

        try:
            Webhook(self.secret).verify(body, headers)
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
            return 400
        self.got.append(json.loads(body))
        return 204

    def wait_for(self, kind: str, seconds: float = 20.0, **data: Any) -> dict[str, Any]:
        """Wait for an event with a valid signature."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in self.got:
                if one["type"] == kind and all(
                    one["data"].get(name) == value for name, value in data.items()
                ):
                    return one
            time.sleep(0.1)
        raise AssertionError(
            f"no {kind} with {data} came; got {[one['type'] for one in self.got]}, {self.wrong}"
        )


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    found = Receiver(free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(found.take(body, headers))
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", found.port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    server.shutdown()


@dataclass(frozen=True)
class Service:
    """A running service with accounts, sample listings and a registered receiver."""

    address: str
    store: str
    key: str

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.request(method, self.address + path, headers=headers, timeout=60, **more)
        assert answer.status_code < 400, answer.text
        return answer


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Service]:
    from serving.access.door import AccessDoor
    from serving.access.secrets import Cost
    from serving.run import sample_listings
    from serving.store import Store

    store, port = str(tmp_path_factory.mktemp("browser") / "store.db"), free_port()
    with Store(store) as opened:
        door = AccessDoor(opened, cost=Cost(2**10, 8, 1))
        for name, role in PEOPLE.items():
            door.add_account(name, role, PASSWORD, "test")
        _, key = door.issue_key("test", "administrator", (), 1, "test")
    environ = os.environ | {
        "LISTING_RISK_STORE": store,
        "LISTING_RISK_LOG": "off",
        "LISTING_RISK_GOLDEN_SHARE": "0",
        "LISTING_RISK_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "serving.app:from_environment"]
    log = tmp_path_factory.mktemp("log") / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environ,
        )
    made = Service(f"http://127.0.0.1:{port}", store, key)
    try:
        wait_ready(made.address, process, log)
        url = f"http://127.0.0.1:{receiver.port}/events"
        answer = made.call("POST", "/v1/endpoints", json={"url": url}).json()
        receiver.secret = answer["secret"]
        listings = sample_listings()[:160]
        made.call("POST", "/v1/score-many", json={"listings": listings})
        yield made
    finally:
        process.terminate()
        process.wait(20)


def wait_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/readyz", timeout=2, verify=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8")[-2_000:])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real Chromium, driven by Playwright; a skip that says what is missing where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("no Playwright: pip install playwright")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody at the console in a browser of their own; notes what the page tried that it must not."""

    def __init__(self, browser: Any, service: Service, name: str, language: str = "ko-KR") -> None:
        self.context = browser.new_context(locale=language, viewport={"width": 1366, "height": 860})
        self.service, self.name = service, name
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._note)
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def _note(self, request: Any) -> None:
        if not request.url.startswith(self.service.address):
            self.outside.append(request.url)

    def go(self, path: str) -> None:
        self.page.goto(self.service.address + path)

    def sign_in(self) -> None:
        self.go("/console/login")
        self.page.fill('input[name="name"]', self.name)
        self.page.fill('input[name="password"]', PASSWORD)
        self.page.click("main button.main")
        self.page.wait_for_url("**/console")

    def shot(self, name: str, full: bool = False) -> None:
        """Keep a picture for the documents, where LISTING_RISK_FIGURES asks for it; only of the sample catalogue."""
        if os.environ.get("LISTING_RISK_FIGURES"):
            FIGURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=FIGURES / f"console_{name}.png", full_page=full)


@pytest.fixture
def person(chromium: Any, service: Service) -> Iterator[Any]:
    """Make people; at the end none of their pages may have asked outside or complained."""
    made: list[Person] = []

    def make(name: str, language: str = "ko-KR") -> Person:
        made.append(Person(chromium, service, name, language))
        made[-1].sign_in()
        return made[-1]

    yield make
    for one in made:
        one.context.close()
        assert one.outside == [], "the console works without outside hosts"
        assert one.complaints == []
