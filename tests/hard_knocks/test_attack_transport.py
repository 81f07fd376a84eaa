"""Bytes on the socket: smuggled requests, endless heads and bodies, slow clients and floods of connections."""

from __future__ import annotations

import socket

import psutil
import pytest

HEAD = b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Smuggled: 1\r\n\r\n"
CHUNKED = b"0\r\n\r\n"
AMBIGUOUS = {
    "both lengths, chunked last": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "both lengths, chunked first": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "two lengths": b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}",
    "a list of lengths": b"Content-Length: 2, 60\r\n\r\n{}",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a negative length": b"Content-Length: -2\r\n\r\n{}",
    "a length in hexadecimal": b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond 64 bits": b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "a space before the colon": b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "a folded line": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "a bare line feed": b"Content-Length: 5\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a chunk size without end": b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 40 + b"\r\n{}\r\n" + CHUNKED,
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n" + CHUNKED,
    "a null in the head": b"Content-Length: 2\x00\r\n\r\n{}",
}


def statuses(answer: bytes) -> list[int]:
    """The status of every answer that came, in order."""
    return [int(part[1:4]) for part in answer.split(b"HTTP/1.1")[1:]]


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_no_second_request_hides_in_an_ambiguous_first(service, kind):
    """Where two readers could see two ends, ours refuses and closes, so that nothing after it is ever answered."""
    answer = service.raw(HEAD + AMBIGUOUS[kind] + INNER, end=True)
    seen = statuses(answer)
    assert len(seen) <= 1 and all(400 <= status < 500 for status in seen), (kind, seen)
    assert service.http.get("/livez").status_code == 200


ENDLESS = {
    "one header of half a megabyte": b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 500_000 + b"\r\n\r\n",
    "twenty thousand headers": b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
    "an address of half a megabyte": b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of half a megabyte": b"G" * 500_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_head_leaves_the_service_as_it_was(service, kind):
    before = psutil.Process(service.process.pid).memory_info().rss
    for _ in range(5):
        seen = statuses(service.raw(ENDLESS[kind], end=True))
        assert len(seen) <= 1 and all(200 <= status < 500 for status in seen), (kind, seen)
    assert psutil.Process(service.process.pid).memory_info().rss - before < 200_000_000
    assert service.http.get("/livez").status_code == 200


def test_a_chunked_body_beyond_the_limit_is_cut_off_and_the_connection_with_it(service):
    """What follows the cut body on the same connection is never read as a request."""
    head = (
        b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer "
        + service.keys["administrator"].encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    block = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
    answer = service.raw(head + block * 8 + CHUNKED + INNER)
    # The answer may be lost to the reset of a client that keeps sending; a second one must never come.
    assert statuses(answer) in ([], [413])
    assert service.http.get("/livez").status_code == 200


def test_hundreds_of_clients_that_never_finish_do_not_keep_others_out(service):
    """Heads that drip, bodies that never come, connections that say nothing."""
    kinds = [b"POST /v1/score HTTP/1.1\r\nHost: a\r\nX-", HEAD + b"Content-Length: 100\r\n\r\n{", b""]
    wires: list[socket.socket] = []
    try:
        for number in range(300):
            wire = socket.create_connection(("127.0.0.1", service.port), timeout=60)
            wires.append(wire)
            wire.sendall(kinds[number % len(kinds)])
        for number in range(20):
            for wire in wires[number::20]:
                wire.sendall(b"a") if wires.index(wire) % len(kinds) == 0 else None
            listing = {"id": f"slow-{number}", "title": "폭신한 곰 인형"}
            assert service.call("POST", "/v1/score", json=listing).status_code == 200
    finally:
        for wire in wires:
            wire.close()
    assert service.call("GET", "/readyz").status_code == 200


def test_a_flood_of_connections_passes(service):
    """A thousand that come and go at once, half of them with a reset."""
    for number in range(1_000):
        wire = socket.create_connection(("127.0.0.1", service.port), timeout=60)
        if number % 2:
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            wire.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        wire.close()
    assert service.call("POST", "/v1/score", json={"id": "after", "title": "doll"}).status_code == 200
    assert "Traceback" not in service.output()


def test_headers_of_the_answer_cannot_be_made_by_the_caller(service):
    """Line breaks in what comes back in headers: ids of decisions, names of files, addresses."""
    for path in (
        "/v1/decisions/a%0d%0aX-Evil:%201",
        "/v1/plans/p/files/a%0d%0aX-Evil:%201",
        "/console/login?next=%0d%0aX-Evil:1",
    ):
        answer = service.call("GET", path)
        assert "x-evil" not in answer.headers, path
    odd = service.call(
        "POST", "/v1/score", json={"id": "a", "title": "b"}, headers={"Idempotency-Key": "a\tb"}
    )
    assert odd.status_code in (200, 422) and "x-evil" not in odd.headers
