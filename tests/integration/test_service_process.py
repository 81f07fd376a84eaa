"""The service as it really runs: BentoML's processes, a port, bytes on a socket."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPResponse
from pathlib import Path

import httpx
import psutil
import pytest

FILES = Path(__file__).parents[1] / "files"
ROOT = Path(__file__).parents[2]
SECRET = "비밀스러운-판매자-문구-zqjwxv"
JSON = {"content-type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
    }
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(FILES)]),
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
    } | more  # fmt: skip


class Served:
    def __init__(self, log: Path, target: str = "stub_service:service", **env: str) -> None:
        self.port, self.log = free_port(), log
        self.stream = log.open("wb")
        # BentoML empties the folder of the counters at a start: two services that tests run at once must not share it.
        own = {"BENTOML_HOME": str(log.with_name(f"bentoml-{self.port}"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bentoml", "serve", target, "--port", str(self.port)],
            cwd=FILES, env=environment(**own, **env), stdout=self.stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=90)

    def wait_ready(self, seconds: float = 60) -> float:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            assert self.process.poll() is None, self.output()
            try:
                if self.http.get("/readyz").status_code == 200:
                    return time.monotonic() - started
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.output())

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [c for c in children if "_bentoml_impl.worker.service" in c.cmdline()]

    def stop(self) -> int:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.stream.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served") / "log.txt")
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()


def listing(**fields):
    return {"id": "a-1", "title": "폭신한 곰 인형"} | fields


def test_it_listens_on_the_loopback_only(served):
    listening = {
        c.laddr.ip
        for p in [psutil.Process(served.process.pid), *served.workers()]
        for c in p.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_it_scores_one_and_many(served):
    one = served.http.post("/v1/score", json=listing(attributes={"p:lead": "0.9"}))
    assert one.status_code == 200 and one.json()["action"] == "lab_test"
    many = served.http.post(
        "/v1/score-many", json={"listings": [listing(), {"id": "bad"}, listing(title="🎈")]}
    )
    assert ["decision" in r for r in many.json()["results"]] == [True, False, True]


@pytest.mark.parametrize("path", ["/docs.json", "/schema.json", "/static_content/index.css", "/v1/Score"])
def test_the_frameworks_own_routes_are_not_there(served, path):
    response = served.http.get(path)
    assert response.status_code == 404 and response.headers["content-type"] == "application/problem+json"


def test_pages_are_ours(served):
    for path in ("/", "/docs"):
        page = served.http.get(path).text
        assert "listing-risk" in page and "<script" not in page


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b'{"id":"a","title":"a","id":"b"}', JSON, 422),
        (b"[" * 100_000, JSON, 400),
        (b'{"title": 1}', JSON, 422),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/vnd.bentoml+pickle"}, 415),
    ],
)
def test_bad_input_is_a_problem(served, content, headers, status):
    response = served.http.post("/v1/score", content=content, headers=headers)
    assert response.status_code == status and response.headers["content-type"] == "application/problem+json"


def test_who_is_refused_while_still_sending_gets_to_see_why(served):
    """A client that sends head and body apart: cut off in between, it would see a reset and not the answer."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(
            b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
        )
        refused = HTTPResponse(raw)
        refused.begin()
        assert refused.status == 415 and json.loads(refused.read())["status"] == 415
        raw.sendall(b"{}GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200")


def test_thirty_megabytes_are_refused_unread(served):
    response = served.http.post("/v1/score", content=b" " * 30_000_000, headers=JSON)
    assert response.status_code == 413 and response.json()["status"] == 413


HEAD = b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@pytest.mark.parametrize("declared", [True, False])
def test_who_sends_too_much_can_send_it_all_and_read_why(served, declared):
    """Cut off in the middle of sending, a client sees a broken connection and sends it all again."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(
            HEAD
            + (b"Content-Length: 20000000\r\n\r\n" if declared else b"Transfer-Encoding: chunked\r\n\r\n")
        )
        for _ in range(200):
            raw.sendall(b" " * 100_000 if declared else CHUNK)
        refused = HTTPResponse(raw)
        refused.begin()
        assert refused.status == 413 and json.loads(refused.read())["status"] == 413
        assert raw.recv(1) == b""


def test_an_endless_undeclared_body_is_cut_off(served):
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while sent < 1_000_000_000:
                raw.sendall(CHUNK)
                sent += 0x10000
    assert sent < 100_000_000
    assert served.http.post("/v1/score", json=listing()).status_code == 200


def test_who_is_refused_and_then_silent_is_left(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(HEAD + b"Content-Length: 20000000\r\n\r\n")
        while raw.recv(65_536):
            pass  # the answer, and the end of it at once
        with pytest.raises(OSError, match=r"[Bb]roken pipe|reset"):
            for _ in range(600):
                time.sleep(0.1)
                raw.sendall(b" ")


def test_requests_that_are_no_http_do_not_stop_it(served):
    for junk in (b"\x00\xff" * 100 + b"\r\n\r\n", b"POST /v1/score HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=5) as raw:
            raw.sendall(junk)
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
    assert served.http.get("/livez").status_code == 200


def test_counters_sum_over_requests_and_stay_few(served):
    for i in range(10):
        served.http.get(f"/nothing-{i}")
    text = served.http.get("/metrics").text
    assert 'route="/v1/score"' in text and "(unmatched)" in text and "nothing-" not in text
    assert "bentoml" not in text


def test_many_clients_get_an_answer_or_a_429(served):
    def ask(_: int) -> int:
        return httpx.post(f"http://127.0.0.1:{served.port}/v1/score", json=listing(), timeout=90).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(ask, range(200)))
    assert statuses <= {200, 429} and 200 in statuses


def test_no_listing_text_in_its_output(served):
    served.http.post("/v1/score", json=listing(title=SECRET, attributes={"explode": "1"}))
    served.http.post("/v1/score", json=listing(title=SECRET, **{SECRET: SECRET}))
    served.http.post("/v1/score", json=listing(title=SECRET, description=SECRET))
    served.http.post("/v1/score", content=f'{{"title": "{SECRET}" x'.encode(), headers=JSON)
    failed = served.http.post("/v1/score", json=listing(title=SECRET, attributes={"explode": "1"}))
    assert failed.status_code == 500 and SECRET not in failed.text
    time.sleep(0.2)
    output = served.output()
    assert failed.headers["x-request-id"] in output
    assert SECRET not in output and "zqjwxv" not in output


def test_serving_imports_no_training_library(served):
    """What the worker mapped tells what it loaded, late imports included."""
    [worker] = served.workers()
    loaded = " ".join(region.path for region in worker.memory_maps())
    assert "onnxruntime" in loaded or "numpy" in loaded
    for heavy in ("/torch/", "/sklearn/", "/scipy/", "/pandas/", "/mlflow/", "/sentence_transformers/"):
        assert heavy not in loaded, heavy


def test_requests_for_another_protocol_do_not_fill_the_line(served):
    """They are let in by nobody, so nobody would say that they are over."""
    head = (
        b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(80):
        with socket.create_connection(("127.0.0.1", served.port)) as wire:
            for _ in range(2):
                with suppress(OSError):
                    wire.sendall(head)
                    wire.recv(1000)
    assert served.http.post("/v1/score", json=listing()).status_code == 200


def test_a_killed_worker_comes_back(served):
    [worker] = served.workers()
    worker.kill()
    time.sleep(0.3)
    served.wait_ready(30)
    assert served.http.post("/v1/score", json=listing()).status_code == 200


def test_it_drains_on_sigterm_and_several_workers_share_their_counters(tmp_path):
    made = Served(tmp_path / "log.txt", LISTING_RISK_WORKERS="2")
    try:
        made.wait_ready()
        assert len(made.workers()) == 2
        for _ in range(20):
            assert httpx.get(f"http://127.0.0.1:{made.port}/livez").status_code == 200
        line = next(
            line
            for line in made.http.get("/metrics").text.splitlines()
            if "requests_total" in line and "/livez" in line
        )
        assert float(line.split()[-1]) == 20
    finally:
        code = made.stop()
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in made.output()


def test_workers_share_the_connections_that_come_at_once(tmp_path):
    made = Served(tmp_path / "log.txt", LISTING_RISK_WORKERS="2")
    try:
        made.wait_ready()
        until = time.monotonic() + 60
        # The first worker may answer for a while before the second can.
        while min(shares := shares_of_connections(made, 30)) < 5:
            assert time.monotonic() < until, shares
            time.sleep(0.5)
    finally:
        made.stop()


def test_clients_whose_bodies_do_not_come_take_no_place_in_the_line(tmp_path):
    made = Served(tmp_path / "log.txt", LISTING_RISK_BLOCK="4", LISTING_RISK_WAIT_SECONDS="0.0001")
    head = b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n"
    try:
        made.wait_ready()
        with ExitStack() as held:
            for _ in range(20):
                wire = held.enter_context(socket.create_connection(("127.0.0.1", made.port)))
                wire.sendall(head + b"\r\n{")
            time.sleep(0.5)
            for _ in range(3):
                assert made.http.post("/v1/score", json=listing()).status_code == 200
    finally:
        made.stop()


def shares_of_connections(made: Served, count: int) -> list[int]:
    """How many of so many connections, made at once, each worker has."""
    with ExitStack() as held:
        connections = [
            held.enter_context(socket.create_connection(("127.0.0.1", made.port))) for _ in range(count)
        ]
        for one in connections:
            one.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert all(b"200 OK" in one.recv(4096) for one in connections)
        ports = {one.getsockname()[1] for one in connections}
        return [
            sum(one.raddr[1] in ports for one in worker.net_connections("tcp") if one.raddr)
            for worker in made.workers()
        ]


def test_importing_the_application_loads_no_training_library():
    found = subprocess.run(
        [
            sys.executable, "-c",
            "import sys, serving.app, serving.service, training.bundle\n"
            "heavy = {'torch', 'sklearn', 'scipy', 'pandas', 'mlflow', 'sentence_transformers', 'transformers'}\n"
            "print(sorted(heavy & set(sys.modules)))",
        ],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "[]"


def test_importing_the_service_reads_no_setting():
    subprocess.run(
        [sys.executable, "-c", "import serving.service"],
        cwd=ROOT, env=environment(LISTING_RISK_PORT="nonsense"), check=True,
    )  # fmt: skip
