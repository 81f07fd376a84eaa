"""The fetcher against a real server that tries to lead it astray."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from features.image_fetch import Fetcher, is_public
from features.image_intake import IntakeLimits, Unusable

LOCAL = "127.0.0.1"
BODY = b"a photo's bytes" * 100


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        kind, _, rest = self.path[1:].partition("/")
        port = self.server.server_port
        targets = {
            "to-loopback": f"http://127.0.0.1:{port}/secret",
            "to-name": f"http://localhost:{port}/secret",
            "to-metadata": "http://169.254.169.254/latest/meta-data/",
            "to-private": "http://10.0.0.1/",
            "to-link-six": f"http://[fe80::1]:{port}/secret",
            "to-six": f"http://[::1]:{port}/secret",
            "to-mapped": f"http://[::ffff:127.0.0.1]:{port}/secret",
            "to-number": f"http://2130706433:{port}/secret",
            "to-file": "file:///etc/passwd",
            "around": "/around",
            "relative": "photo",
        }
        if kind in targets:
            self.answer(302, b"", Location=targets[kind])
        elif kind == "status":
            self.answer(int(rest), b"no")
        elif kind == "endless":
            self.answer(200, None)
            self.drip(b"x" * 65_536, 0.0)
        elif kind == "drip":
            self.answer(200, None)
            self.drip(b"x", 0.05)
        elif kind == "drip-head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.drip(b"X-A: b\r\n", 0.05)
        elif kind == "announced":
            self.send_response(200)
            self.send_header("Content-Length", "999999999")
            self.end_headers()
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY) + 50))
            self.end_headers()
            self.wfile.write(BODY)
        elif kind == "packed":
            self.answer(200, BODY, **{"Content-Encoding": "gzip"})
        elif kind == "nowhere":
            self.answer(302, b"")
        else:
            self.answer(200, BODY)

    def answer(self, status: int, body: bytes | None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

    def drip(self, block: bytes, pause: float) -> None:
        try:
            while not self.server.ended:
                self.wfile.write(block)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__((LOCAL, 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.ended = False


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.ended = True
    running.shutdown()
    running.server_close()


def fetcher(server: Server, **changes) -> Fetcher:
    port = server.server_port
    hosts = [
        f"{host}:{port}" for host in (LOCAL, "localhost", "::1", "::ffff:127.0.0.1", "fe80::1", "2130706433")
    ]
    limits = IntakeLimits(max_bytes=changes.pop("max_bytes", 100_000), seconds=changes.pop("seconds", 5.0))
    return Fetcher([*hosts, "169.254.169.254", "10.0.0.1"], limits, **{"first_hop": [LOCAL], **changes})


def address(server: Server, path: str) -> str:
    return f"http://{LOCAL}:{server.server_port}/{path}"


def test_off_without_hosts(server):
    assert Fetcher([]).fetch(address(server, "photo")).reason == "fetching_off"
    assert server.asked == []


def test_an_allowed_host_is_asked_under_its_name(server):
    assert fetcher(server).fetch(address(server, "photo")) == BODY
    assert (
        fetcher(server).fetch(address(server, "relative")).__class__ is Unusable
    )  # the second hop is local too
    assert server.asked[0] == ("/photo", f"{LOCAL}:{server.server_port}")


def test_a_local_address_is_refused_without_the_allowance_for_tests(server):
    found = fetcher(server, first_hop=()).fetch(address(server, "photo"))
    assert found.reason == "address_refused"
    assert server.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "to-loopback",
        "to-name",
        "to-metadata",
        "to-private",
        "to-six",
        "to-link-six",
        "to-mapped",
        "to-number",
        "around",
    ],
)
def test_no_redirect_leads_inside(server, path):
    """All these hosts are on the list, so that only the check of the address stands in the way."""
    found = fetcher(server).fetch(address(server, path))
    assert found.reason == "address_refused"
    assert [asked for asked, _ in server.asked] == [f"/{path}"]


def test_a_redirect_to_another_kind_of_address_is_refused(server):
    assert fetcher(server).fetch(address(server, "to-file")).reason == "host_not_allowed"
    assert fetcher(server).fetch(address(server, "nowhere")).reason == "http_error"


def test_one_private_answer_among_public_ones_is_enough(server, monkeypatch):
    """The resolver is the one part replaced: no name of ours has such answers."""
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "192.168.0.7")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert Fetcher(["img.example.com"]).fetch("http://img.example.com/a.jpg").reason == "address_refused"


def test_the_connection_goes_to_the_checked_address_and_not_to_the_name_again(server, monkeypatch):
    """A name that answers well once and with a private address ever after."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host, port, *rest, **more):
        if host == "rebind.example.com":
            asked.append(host)
            ip = LOCAL if len(asked) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = server.server_port
    found = Fetcher([f"rebind.example.com:{port}"], first_hop=[LOCAL]).fetch(
        f"http://rebind.example.com:{port}/photo"
    )
    assert found == BODY
    assert asked == ["rebind.example.com"]
    assert server.asked == [("/photo", f"rebind.example.com:{port}")]


def test_redirects_are_counted(server):
    class Trusting(Fetcher):
        """Every hop counts as the first, so that the circle is walked."""

        def _resolve(self, host, port, hop, until):
            return super()._resolve(host, port, 0, until)

    port = server.server_port
    found = Trusting([f"{LOCAL}:{port}"], first_hop=[LOCAL]).fetch(address(server, "around"))
    assert found.reason == "too_many_redirects"
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("status/404", "http_error"),
        ("status/500", "http_error"),
        ("announced", "too_many_bytes"),
        ("endless", "too_many_bytes"),
        ("cut", "truncated"),
        ("packed", "http_error"),
    ],
)
def test_answers_that_are_no_photo(server, path, reason):
    assert fetcher(server).fetch(address(server, path)).reason == reason


@pytest.mark.parametrize("path", ["drip", "drip-head"])
def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_us(server, path):
    assert fetcher(server, seconds=0.5).fetch(address(server, path)).reason == "too_slow"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("http://other.example.com/a.jpg", "host_not_allowed"),
        ("http://example.com/a.jpg", "host_not_allowed"),
        ("http://img.example.com.evil.net/a.jpg", "host_not_allowed"),
        ("http://img.example.com:22/a.jpg", "host_not_allowed"),
        ("http://user:pass@img.example.com/a.jpg", "host_not_allowed"),
        ("ftp://img.example.com/a.jpg", "host_not_allowed"),
        ("http:///a.jpg", "host_not_allowed"),
        ("http://img.example.com/a b.jpg", "not_reached"),
        ("http://img.example.com\\@evil.net/a.jpg", "not_reached"),
        ("http://img.example.com/\r\nHost: evil.net", "not_reached"),
        ("http://img.example.com:99999/", "not_reached"),
        ("http://[::1/", "not_reached"),
        ("http://그림.example.com/", "not_reached"),
        ("http://img.example.com/" + "a" * 5_000, "not_reached"),
    ],
)
def test_addresses_that_are_not_asked(asked, reason, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was resolved"))
    assert Fetcher(["img.example.com", "*.shop.example"]).fetch(asked).reason == reason


def test_a_star_allows_what_lies_below_a_name(monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.1.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert Fetcher(["*.shop.example"]).fetch("http://a.b.shop.example/x").reason == "address_refused"
    assert Fetcher(["*.shop.example"]).fetch("http://shop.example/x").reason == "host_not_allowed"
    assert Fetcher(["*.shop.example"]).fetch("http://ashop.example/x").reason == "host_not_allowed"


@pytest.mark.parametrize(
    ("ip", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::", False),
        ("not an address", False),
    ],
)
def test_which_addresses_are_public(ip, public):
    assert is_public(ip) is public
