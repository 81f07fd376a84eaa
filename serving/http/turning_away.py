"""Refusing what a full service cannot take, for next to nothing: when there is too much to do, refusals are most of it.

A refusal is found by a look at a number and written as bytes. Where the service runs under uvicorn's fast parser it
leaves before anything else is made of the request (`serving.protocol`); elsewhere `serving.http.edge` sends it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson
from prometheus_client import Counter, Histogram

from serving.http.problems import CONTENT_TYPE, ProblemError, body
from serving.http.reading import is_short
from serving.logs import event
from serving.metrics import Metrics

ONE = "/v1/score"
"""The path whose listings wait in the line one by one."""
KNOCK = "knock"
"""Where the scope of a request has its `Knock`."""

_METHOD = "POST"

log = logging.getLogger("serving.access")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of bytes; ``close`` where the connection ends with it, so that a long body need not be read."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes
    close: bool

    def raw(self) -> bytes:
        """Return it as it goes over the wire."""
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        return b"HTTP/1.1 %d Too Many Requests\r\n%s\r\n%s" % (self.status, lines, self.content)


@dataclass(slots=True)
class TurnedAway:
    """Counts requests that were turned away, for one log line a second: a line for each would cost what it saves."""

    count: int = 0
    said: float = float("-inf")

    def add(self, now: float) -> int:
        """Count one; returns how many there were since the last line where one is due, else 0."""
        self.count += 1
        if now - self.said < 1.0:
            return 0
        self.said, due, self.count = now, self.count, 0
        return due


def never_full(knocking: int) -> ProblemError | None:
    """Let everything in."""
    return None


@dataclass(slots=True)
class Knock:
    """A request that was let in and is not at the line yet: it counts, or a burst would all be let in at once."""

    at: TurningAway
    waits: bool = True

    def over(self) -> None:
        """Say that it is at the line, or will never be; said again, nothing."""
        if self.waits:
            self.waits = False
            self.at.knocking -= 1


@dataclass(slots=True)
class TurningAway:
    """Decides whether a request is let in, and writes the answer where it is not.

    Attributes
    ----------
    metrics
        Count refusals like any other answer.
    full
        Given how many are knocking, says whether no further listing is let in.
    log
        Whether refusals are logged, once a second.
    knocking
        Requests let in that are not at the line yet.
    """

    metrics: Metrics
    full: Callable[[int], ProblemError | None] = never_full
    log: bool = True
    knocking: int = 0
    _since: TurnedAway = field(default_factory=TurnedAway)
    _counters: dict[tuple[str, int, str], tuple[Counter, Histogram, Counter]] = field(default_factory=dict)

    def ask(self, method: str, path: str, headers: Headers) -> Refusal | Knock | None:
        """Return the refusal of a request, counted; or its knock; or None where it is not for the line."""
        if path != ONE or method != _METHOD:
            return None
        problem = self.full(self.knocking)
        if problem is None:
            self.knocking += 1
            return Knock(self)
        began = time.perf_counter()
        given = dict(headers)
        short = is_short(given.get(b"content-length", b"")) and b"expect" not in given
        made = _refusal(problem, str(uuid.uuid4()), close=not short)
        self._note(path, problem, began)
        return made

    def _note(self, path: str, problem: ProblemError, began: float) -> None:
        key = path, problem.kind.status, problem.kind.slug
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = (
                self.metrics.requests.labels(path, _METHOD, problem.kind.status),
                self.metrics.seconds.labels(path),
                self.metrics.problems.labels(problem.kind.slug),
            )
        requests, seconds, problems = found
        requests.inc()
        problems.inc()
        seconds.observe(time.perf_counter() - began)
        due = self._since.add(began)
        if due and self.log:
            event(log, logging.WARNING, "turned away", {"requests": due, "problem": problem.kind.slug})


def _refusal(problem: ProblemError, request_id: str, *, close: bool) -> Refusal:
    content = orjson.dumps(body(problem, request_id))
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(content)),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    if close:
        headers.append((b"connection", b"close"))
    return Refusal(problem.kind.status, tuple(headers), content, close)
