"""Delivers events: from the outbox to every endpoint that wants them, again until they arrive or die.

At least once, in order of time as far as answers allow; consumers know a repetition by ``webhook-id``. Several
processes may deliver at once: each takes what it sends on a lease, and what a dead process held comes back when the
lease ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import orjson

from serving.events.kinds import CONTENT_TYPE, envelope
from serving.events.vault import VaultError
from serving.events.webhooks import Endpoint, EndpointDesk, EndpointError, sign, utc_now
from serving.events.webhooks_address import AddressError, Target, check_address
from serving.store import InvalidRecordError, Store
from serving.store import deliveries as rows
from serving.store.deliveries import DEAD, DELIVERED, WAITING, Claimed, Outcome
from serving.store.engine import reading, writing

log = logging.getLogger("serving.outbox")

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses after each failed attempt, in seconds, as Standard Webhooks suggests; after the last one it is dead."""
_JITTER = 0.1
_LONGEST_RETRY_AFTER_S = 86_400
_ANSWER_READ = 65_536
_IDLE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How delivery behaves.

    Attributes
    ----------
    timeout_s
        For one attempt, from connecting to the answer's first line and headers, however slowly it comes.
    lease_s
        How long a claimed delivery is nobody else's.
    together
        Attempts at one endpoint at the same time.
    every_s
        Pause between looks at the outbox.
    """

    timeout_s: float = 15.0
    lease_s: float = 120.0
    together: int = 8
    batch: int = 48
    every_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at the outbox did."""

    handed_on: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0

    def __add__(self, other: Round) -> Round:
        return Round(
            self.handed_on + other.handed_on,
            self.delivered + other.delivered,
            self.failed + other.failed,
            self.dead + other.dead,
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an endpoint said to one attempt; ``status`` 0 where nothing came back."""

    status: int
    words: str
    retry_after_s: float = 0.0


def pause_after(attempts: int, retry_after_s: float = 0.0, noise: float = 0.0) -> float | None:
    """Seconds until the next attempt; None when there is none.

    Parameters
    ----------
    attempts
        Failed so far, at least 1.
    retry_after_s
        What the endpoint asked for; honoured up to a day, never to come back sooner.
    noise
        -1 to 1, so that many deliveries do not come back at the same moment.
    """
    if attempts > len(SCHEDULE_S):
        return None
    pause = SCHEDULE_S[attempts - 1] * (1 + _JITTER * noise)
    return max(pause, min(retry_after_s, _LONGEST_RETRY_AFTER_S))


class Outbox:
    """Hands events on and delivers them.

    Parameters
    ----------
    desk
        Endpoints, and the store.
    limits
        See `OutboxLimits`.
    clock
        Time, UTC.
    noise
        Gives numbers from -1 to 1.
    tls
        What to trust; the system's certificates by default.
    """

    def __init__(
        self,
        desk: EndpointDesk,
        limits: OutboxLimits | None = None,
        clock: Callable[[], datetime] = utc_now,
        noise: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - spreads load, hides nothing
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.desk = desk
        self.store: Store = desk.store
        self.limits = limits or OutboxLimits()
        self._clock = clock
        self._noise = noise
        self._tls = tls
        self._source = ""
        self._put_aside = datetime.min.replace(tzinfo=UTC)

    def hand_on(self) -> int:
        """Make deliveries of everything in the outbox; returns how many events.

        While nobody wants events they are put aside now and then, not at every look: that is a commit each time.
        """
        active = self._active()
        now = self._clock()
        if not active and now - self._put_aside < _IDLE:
            return 0
        with reading(self.store.engine) as connection:
            if not rows.anything_new(connection):
                return 0
        if not active:
            self._put_aside = now
        wanted = {endpoint_id: endpoint.kinds for endpoint_id, endpoint in active.items()}
        total = 0
        while True:
            with writing(self.store.engine) as connection:
                found = rows.fan_out(connection, wanted, self._clock())
            total += found
            if found < 500:
                return total

    async def once(self) -> Round:
        """Hand on, then try everything that is due until nothing is."""
        handed = await asyncio.to_thread(self.hand_on)
        done = await asyncio.gather(*(self.drain(endpoint) for endpoint in await self.due()))
        return sum(done, Round(handed_on=handed))

    async def due(self) -> list[Endpoint]:
        """Endpoints with something to deliver now."""

        def look() -> list[Endpoint]:
            with reading(self.store.engine) as connection:
                names = rows.due_endpoints(connection, self._clock())
            return [endpoint for name, endpoint in self._active().items() if name in names] if names else []

        return await asyncio.to_thread(look)

    async def drain(self, endpoint: Endpoint) -> Round:
        """Try what is due for one endpoint, some at a time, until nothing is or it stops answering."""
        total = Round()
        async with httpx.AsyncClient(
            verify=self._tls or ssl.create_default_context(),
            follow_redirects=False,
            trust_env=False,
            timeout=self.limits.timeout_s,
        ) as client:
            while True:
                claimed = await asyncio.to_thread(self._claim, endpoint.endpoint_id)
                if not claimed:
                    return total
                outcomes = await self._try(client, endpoint, claimed)
                gone = await asyncio.to_thread(self._end, endpoint, outcomes)
                counts = {s: sum(o.status == s for o in outcomes) for s in (DELIVERED, WAITING, DEAD)}
                total += Round(0, counts[DELIVERED], counts[WAITING], counts[DEAD])
                if gone or not counts[DELIVERED]:
                    return total

    def _active(self) -> dict[str, Endpoint]:
        return {name: endpoint for name, endpoint in self.desk.all().items() if endpoint.state == "active"}

    def _claim(self, endpoint_id: str) -> tuple[Claimed, ...]:
        now = self._clock()
        with writing(self.store.engine) as connection:
            until = now + timedelta(seconds=self.limits.lease_s)
            return rows.claim(connection, endpoint_id, now, until, self.limits.batch)

    async def _try(
        self, client: httpx.AsyncClient, endpoint: Endpoint, claimed: Sequence[Claimed]
    ) -> list[Outcome]:
        secrets, target = await asyncio.to_thread(self._prepare, endpoint)
        if isinstance(target, _Answer):
            return [self._outcome(one, target) for one in claimed]
        gate = asyncio.Semaphore(self.limits.together)

        async def attempt(one: Claimed) -> Outcome:
            async with gate:
                return self._outcome(one, await self._send(client, target, secrets, one))

        return list(await asyncio.gather(*(attempt(one) for one in claimed)))

    def _prepare(self, endpoint: Endpoint) -> tuple[tuple[str, ...], Target | _Answer]:
        """Read the secrets, and resolve and check the address anew for every batch."""
        if not self._source:
            self._source = f"urn:listing-risk:{self.store.store_id()}"
        try:
            secrets = self.desk.secrets(endpoint.endpoint_id, self._clock())
        except VaultError as error:
            return (), _Answer(0, f"not sent: {error}")
        try:
            return secrets, check_address(endpoint.url, self.desk.rules, self.desk.resolve)
        except AddressError as error:
            return secrets, _Answer(0, f"not sent: {error}")

    async def _send(
        self, client: httpx.AsyncClient, target: Target, secrets: Sequence[str], one: Claimed
    ) -> _Answer:
        body = orjson.dumps(envelope(one.event, self._source), option=orjson.OPT_SORT_KEYS)
        headers = {
            "Host": target.host_header,
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "listing-risk",
            **sign(secrets, one.event.id, self._clock(), body),
        }
        # The connection goes to the checked address; certificate and SNI are for the name.
        named: Mapping[str, str] = {"sni_hostname": target.host}
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                request = client.build_request(
                    "POST", target.url, content=body, headers=headers, extensions=dict(named)
                )
                response = await client.send(request, stream=True)
                try:
                    await _skim(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            return _Answer(0, f"no answer within {self.limits.timeout_s:g} seconds")
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            return _Answer(0, f"not reached ({type(error).__name__})")
        retry_after = _retry_after(response.headers.get("retry-after", ""), self._clock())
        return _Answer(response.status_code, f"status {response.status_code}", retry_after)

    def _outcome(self, one: Claimed, answer: _Answer) -> Outcome:
        attempts = one.attempts + 1
        if 200 <= answer.status < 300:
            return Outcome(one.position, DELIVERED, attempts, answer.words)
        asked = answer.retry_after_s if answer.status in (429, 503) else 0.0
        pause = None if answer.status == 410 else pause_after(attempts, asked, self._noise())
        if pause is None:
            return Outcome(one.position, DEAD, attempts, answer.words)
        return Outcome(
            one.position, WAITING, attempts, answer.words, self._clock() + timedelta(seconds=pause)
        )

    def _end(self, endpoint: Endpoint, outcomes: Sequence[Outcome]) -> bool:
        """Write the outcomes; switch an endpoint off that is gone or dead. Returns whether it was."""
        now = self._clock()
        with writing(self.store.engine) as connection:
            rows.end(connection, outcomes, now)
            if not any(one.status == DEAD for one in outcomes):
                return False
            days = timedelta(seconds=sum(SCHEDULE_S))
            alive = rows.answered_since(connection, endpoint.endpoint_id, now - days)
        gone = any(one.last_answer == "status 410" for one in outcomes)
        if alive and not gone:
            return False
        why = "answered 410 (gone)" if gone else "answered nothing for as long as attempts were made"
        try:
            self.desk.disable(endpoint.endpoint_id, "system", why)
        except (EndpointError, InvalidRecordError):  # somebody else was faster
            return True
        log.warning("events: endpoint %s was switched off: it %s", endpoint.endpoint_id, why)
        return True


async def _skim(response: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can be used again; never keep a long one."""
    read = 0
    async for block in response.aiter_raw():
        read += len(block)
        if read > _ANSWER_READ:
            return


def _retry_after(text: str, now: datetime) -> float:
    """Seconds that an endpoint asks to wait: a number or a date."""
    if text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0
