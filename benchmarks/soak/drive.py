"""Drives traffic against a service, as fast as it answers and then at a rate, and notes what came back."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from benchmarks.soak.client import Answer, BrokenError, Client
from benchmarks.soak.losses import Ledger
from benchmarks.soak.traffic import Ask, Traffic

MOST_AT_ONCE = 256
"""Requests in flight; what is due beyond them is counted as not sent and not waited for."""
IN_FORCE_S = 2.0
"""After a ban was acknowledged, the item is offered again so much later."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: when, since the beginning, of what kind, after how long, and its status (0: none came)."""

    at: float
    kind: str
    seconds: float
    status: int


@dataclass(slots=True)
class Record:
    """What came back.

    Attributes
    ----------
    wrong
        Answers that contradict what was acknowledged before: a repetition decided anew, a ban that did not hold.
    """

    seen: list[Seen] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    bans: int = 0
    not_sent: int = 0
    reconnected: int = 0

    def statuses(self) -> Counter[tuple[str, int]]:
        """How many answers there were by kind and status."""
        return Counter((one.kind, one.status) for one in self.seen)

    def count(self, *statuses: int) -> int:
        """How many answers had one of these statuses."""
        return sum(one.status in statuses for one in self.seen)

    @property
    def errors(self) -> int:
        """Answers that are neither a decision nor a plain refusal for want of room, and those that never came."""
        return sum(one.status not in (200, 201, 429) for one in self.seen)


class Driver:
    """Sends one stream of traffic.

    Parameters
    ----------
    address
        Of the service.
    traffic
        Makes requests.
    ledger
        Takes down every decision that an answer gave.
    """

    def __init__(self, address: str, traffic: Traffic, ledger: Ledger) -> None:
        self._client = Client(address)
        self._traffic = traffic
        self._ledger = ledger
        self._told: dict[str, str] = {}
        self._began = time.perf_counter()
        self.record = Record()

    async def fast(self, clients: int, seconds: float) -> float:
        """Keep so many requests in flight; returns how many a second were answered with a decision."""
        self._begin()
        end = self._began + seconds

        async def one() -> None:
            while time.perf_counter() < end:
                answer = await self._send(next(self._traffic))
                if answer is None or answer.status != 200:
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(one() for _ in range(clients)))
        return self.record.count(200) / (time.perf_counter() - self._began)

    async def steady(self, rate: float, seconds: float, ban_every_s: float, chance: random.Random) -> Record:
        """Send at a rate, at times that know nothing of each other; bans in between."""
        self._begin()
        end, due = self._began + seconds, self._began
        running: set[asyncio.Task[object]] = set()
        bans = asyncio.create_task(self._bans(end, ban_every_s))
        while (due := due + chance.expovariate(rate)) < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if len(running) >= MOST_AT_ONCE:
                self.record.not_sent += 1
                continue
            task = asyncio.create_task(self._send(next(self._traffic), due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(bans, *running)
        self.record.reconnected = self._client.reconnected
        return self.record

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _begin(self) -> None:
        self._began, self.record = time.perf_counter(), Record()

    async def _bans(self, end: float, every_s: float) -> None:
        while time.perf_counter() + every_s + IN_FORCE_S < end:
            await asyncio.sleep(every_s)
            ban, returned = self._traffic.ban()
            answer = await self._send(ban)
            if answer is None or answer.status != 201:
                continue
            self.record.bans += 1
            await asyncio.sleep(IN_FORCE_S)
            found = await self._send(returned)
            if found is not None and found.status == 200 and not orjson.loads(found.body)["matches"]:
                self.record.wrong["a banned item came back unseen"] += 1

    async def _send(self, ask: Ask, due: float | None = None) -> Answer | None:
        due = time.perf_counter() if due is None else due
        try:
            answer = await self._client.post(ask.path, ask.body, {"Idempotency-Key": ask.key})
        except BrokenError:
            answer = None
        now = time.perf_counter()
        self.record.seen.append(Seen(now - self._began, ask.kind, now - due, answer.status if answer else 0))
        if answer is not None and answer.status == 200:
            self._note(ask, answer)
        return answer

    def _note(self, ask: Ask, answer: Answer) -> None:
        body = orjson.loads(answer.body)
        for key, decision in _decisions(ask, body):
            earlier = self._told.get(key)
            if earlier is not None and earlier != decision["decision_id"]:
                self.record.wrong["a repetition was decided anew"] += 1
            if earlier is None:
                self._ledger.note(key, decision["decision_id"], decision["action"])
            if ask.kind == "single":
                self._told[key] = decision["decision_id"]
                for old in itertools.islice(self._told, max(0, len(self._told) - 10_000)):
                    del self._told[old]
                    break
        if ask.kind == "bulk" and sum("decision" in one for one in body["results"]) != ask.listings:
            self.record.wrong["a block with listings that were not decided"] += 1
        self._traffic.sent(ask)


def _decisions(ask: Ask, body: dict) -> Iterator[tuple[str, dict]]:
    if ask.kind != "bulk":
        yield ask.key, body
        return
    for one in body["results"]:
        if "decision" in one:
            yield f"{ask.key}/{one['index']}", one["decision"]
