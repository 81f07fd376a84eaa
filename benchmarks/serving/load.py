"""Many clients of one service, in a process of its own: ``python -m benchmarks.serving.load ADDRESS BODIES OPTIONS``.

Speaks HTTP/1.1 over kept connections with as little of its own work as asyncio allows, since it shares the machine
with what it measures; says how much processor time it took itself. Closed: so many clients, each with one request in
flight. Open: requests arrive at a rate whatever the service does, and a latency counts from when its request was due.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

MOST_CONNECTIONS = 512
"""Open load takes so many connections at most; requests that are due while all are busy wait, and the wait counts."""

_DRAIN_S = 20.0


@dataclass(slots=True)
class Tally:
    """What came back: seconds of every answer by status; ``late`` are good ones after the time was over."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    late: int = 0
    unanswered: int = 0
    retry_after: Counter[str] = field(default_factory=Counter)

    def add(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.seconds.setdefault(status, []).append(seconds)


class Connection(asyncio.Protocol):
    """One kept connection with at most one request in flight."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._needed = -1
        self._due = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue]

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a time."""
        if self._transport is None or self._transport.is_closing():
            raise RuntimeError("got a request for a connection that is closed; expected an open one")
        self.busy, self._due = True, due
        self._transport.write(request)

    def close(self) -> None:
        """Give the connection up."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        if self._needed < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                raise RuntimeError(f"got an answer without a Content-Length: {head[:300]!r}")
            self._needed = end + 4 + int(head[at + 15 :].split(b"\r", 1)[0])
        if len(self._buffer) >= self._needed:
            self._finish()

    def _finish(self) -> None:
        answer, self._buffer = self._buffer[: self._needed], self._buffer[self._needed :]
        self._needed, self.busy = -1, False
        self._load.answered(self, answer, self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._load.lost(self)


class Load:
    """Sends requests until its time is over.

    Parameters
    ----------
    address
        Of the service.
    requests
        Whole requests, each sent once; when they run out the load ends.
    """

    def __init__(self, address: str, requests: Iterator[bytes]) -> None:
        self.host, _, port = urlsplit(address).netloc.partition(":")
        self.port = int(port)
        self.requests = requests
        self.tally = Tally()
        self.idle: deque[Connection] = deque()
        self.opened = 0
        self.due: deque[float] = deque()
        self.ends = 0.0
        self.closed_load = True
        self.done = asyncio.Event()
        self.in_flight = 0
        self._openings: set[asyncio.Future[None]] = set()

    async def connect(self) -> Connection:
        """Open a connection."""
        self.opened += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), self.host, self.port)
        return connection

    def answered(self, connection: Connection, answer: bytes, due: float) -> None:
        """Count an answer and give its connection the next request."""
        now = time.perf_counter()
        self.in_flight -= 1
        status = int(answer[9:12])
        self.tally.add(status, now - due)
        self.tally.late += status == 200 and now > self.ends
        if status == 429:
            self.tally.retry_after[_header(answer, b"retry-after:")] += 1
        if _header(answer, b"connection:") == "close":
            # As a client would: the connection is over, the next request takes a new one.
            self.done.set()
            opening = asyncio.ensure_future(self._reopen(connection))
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)
        elif self.closed_load:
            self._next(connection, now)
        elif self.due:
            self._next(connection, self.due.popleft())
        else:
            self.idle.append(connection)
        if not self.in_flight:
            self.done.set()

    async def _reopen(self, over: Connection) -> None:
        over.close()
        if time.perf_counter() > self.ends:
            return
        connection = await self.connect()
        if self.closed_load:
            self._next(connection, time.perf_counter())
        else:
            self.idle.append(connection)

    def _next(self, connection: Connection, due: float) -> None:
        request = (
            next(self.requests, None) if time.perf_counter() < self.ends or not self.closed_load else None
        )
        if request is not None:
            self.in_flight += 1
            connection.send(request, due)

    def lost(self, connection: Connection) -> None:
        """Count a request whose connection broke off."""
        self.opened -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.busy:
            self.tally.unanswered += 1
            self.in_flight -= 1
            self.done.set()

    async def closed(self, clients: int, seconds: float) -> float:
        """Keep so many requests in flight; returns the seconds it took."""
        connections = [await self.connect() for _ in range(clients)]
        started = time.perf_counter()
        self.ends = started + seconds
        for connection in connections:
            self._next(connection, started)
        await self._drain()
        # Every client finishes what it began, so the time until then counts, and all that came in it.
        self.tally.late = 0
        return time.perf_counter() - started

    async def open(self, rate: float, seconds: float, chance: random.Random) -> float:
        """Send at a rate, at times that know nothing of each other (Poisson)."""
        self.closed_load = False
        # Connections are there before the load begins, as a marketplace's own would be.
        self.idle.extend([await self.connect() for _ in range(MOST_CONNECTIONS)])
        started = at = time.perf_counter()
        self.ends = started + seconds
        while at < self.ends:
            at += chance.expovariate(rate)
            wait = at - time.perf_counter()
            if wait > 0.0005:
                await asyncio.sleep(wait)
            if self.idle:
                self._next(self.idle.popleft(), at)
            else:
                self.due.append(at)
                if len(self.due) % 64 == 0:
                    await asyncio.sleep(0)
        self.due.clear()
        await self._drain()
        return seconds

    async def _drain(self) -> None:
        while self.in_flight or self._openings:
            if self._openings:
                await asyncio.wait(self._openings)
                continue
            self.done.clear()
            await asyncio.wait_for(self.done.wait(), _DRAIN_S + max(0.0, self.ends - time.perf_counter()))


def _header(answer: bytes, name: bytes) -> str:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    at = head.find(name)
    return head[at + len(name) :].split(b"\r", 1)[0].strip().decode() if at >= 0 else "(none)"


def requests_of(bodies: Path, path: str, host: str, skip: int = 0) -> Iterator[bytes]:
    """Whole requests from a file with one JSON body a line."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
    start = head.encode()
    with bodies.open("rb") as stream:
        for number, line in enumerate(stream):
            if number >= skip:
                body = line.rstrip(b"\n")
                yield start + str(len(body)).encode() + b"\r\n\r\n" + body


async def _run(
    address: str, requests: Iterator[bytes], clients: int, rate: float, seconds: float
) -> dict[str, Any]:
    load = Load(address, requests)
    began = resource.getrusage(resource.RUSAGE_SELF)
    took = await (load.open(rate, seconds, random.Random(2026)) if rate else load.closed(clients, seconds))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": took,
        "cpu_seconds": used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime,
        "latencies_ms": {
            str(s): [round(1e3 * one, 3) for one in all_] for s, all_ in load.tally.seconds.items()
        },
        "late": load.tally.late,
        "unanswered": load.tally.unanswered,
        "retry_after": dict(load.tally.retry_after),
    }


@click.command()
@click.argument("address")
@click.argument("bodies", type=click.Path(path_type=Path))
@click.option("--path", default="/v1/score")
@click.option("--clients", default=1)
@click.option("--rate", default=0.0, help="Requests a second, open load; 0 for closed.")
@click.option("--seconds", default=5.0)
@click.option("--skip", default=0, help="Bodies that were sent before.")
def main(address: str, bodies: Path, path: str, clients: int, rate: float, seconds: float, skip: int) -> None:
    """Send load and print what came back as JSON."""
    requests = requests_of(bodies, path, urlsplit(address).netloc, skip)
    try:
        import uvloop
    except ImportError:
        found = asyncio.run(_run(address, requests, clients, rate, seconds))
    else:
        found = uvloop.run(_run(address, requests, clients, rate, seconds))
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
