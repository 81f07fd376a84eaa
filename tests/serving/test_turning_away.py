"""What a full service refuses at its door, and that whoever was let in is counted until in the line or gone."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from serving.http.edge import Edge
from serving.http.line import FullError, Line, LineLimits
from serving.http.problems import ProblemError
from serving.http.scoring import overloaded
from serving.http.turning_away import KNOCK, Knock, Refusal, TurningAway
from serving.metrics import Metrics

HEADERS = ((b"content-type", b"application/json"), (b"content-length", b"20"))


def door(most: int) -> TurningAway:
    """A door that lets so many knock at once."""

    def full(knocking: int) -> ProblemError | None:
        return overloaded("full", 2.0) if knocking >= most else None

    return TurningAway(Metrics(), full, log=False)


def test_a_burst_is_let_in_only_as_far_as_there_is_room():
    at = door(3)
    found = [at.ask("POST", "/v1/score", HEADERS) for _ in range(10)]
    assert [type(one) for one in found] == [Knock] * 3 + [Refusal] * 7
    for knock in found[:3]:
        assert isinstance(knock, Knock)
        knock.over()
        knock.over()
    assert at.knocking == 0


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/score"), ("POST", "/v1/score-many"), ("POST", "/")]
)
def test_other_requests_do_not_knock(method, path):
    assert door(0).ask(method, path, HEADERS) is None


@pytest.mark.parametrize(
    ("headers", "close"),
    [
        (HEADERS, False),
        (((b"content-length", b"123456"),), True),
        (((b"transfer-encoding", b"chunked"),), True),
        ((*HEADERS, (b"expect", b"100-continue")), True),
    ],
)
def test_a_refusal_is_a_whole_answer_and_closes_before_a_long_body(headers, close):
    refusal = door(0).ask("POST", "/v1/score", headers)
    assert isinstance(refusal, Refusal) and refusal.close is close
    head, _, content = refusal.raw().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ") and b"retry-after: 2" in head
    assert b"content-length: %d" % len(content) in head and (b"connection: close" in head) is close
    assert orjson.loads(content)["status"] == 429


@pytest.mark.parametrize("fails", [False, True])
def test_a_request_that_ends_before_the_line_knocks_no_more(fails):
    at = door(1)
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(at.knocking)
        if fails:
            raise RuntimeError("broken")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def once() -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": list(HEADERS)}
        await Edge(app, Metrics(), log=False, turning_away=at)(scope, lambda: None, send)  # pyright: ignore[reportArgumentType]
        assert isinstance(scope[KNOCK], Knock)
        return sent[0]["status"]

    assert [asyncio.run(once()) for _ in range(3)] == [500 if fails else 200] * 3
    assert seen == [1, 1, 1] and at.knocking == 0


def test_a_line_counts_those_who_knock():
    line: Line[int] = Line(LineLimits(block=4, one_s=0.0))
    line.check("one", 3)
    with pytest.raises(FullError):
        line.check("one", 4)
    line.enter("one", 2, 0.0)
    with pytest.raises(FullError):
        line.check("one", 2)
