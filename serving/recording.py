"""Between a decision and its answer: what was decided before, and the record that is on disk before it leaves."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request

from features.schema import FieldError
from serving import logs
from serving.bans.photos import pictures_of
from serving.decisions import Decision, Earlier
from serving.doors import DecisionSink, Doors, Engine
from serving.events.kinds import decision_events
from serving.http.callers import LOCAL, caller_of
from serving.http.problems import CONFLICT, NOT_RECORDED, OVERLOADED, WRONG_FIELDS, ProblemError
from serving.http.requests import Item
from serving.policy.evaluation import Action
from serving.store.earlier import EarlierRow, read_earlier
from serving.store.engine import reading
from serving.store.errors import BusyError, ConflictError, InvalidRecordError

if TYPE_CHECKING:
    from serving.store import OutboxEvent, Recorded, Store

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
log = logging.getLogger("serving.recording")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for decisions, and under which idempotency key."""

    caller: str = LOCAL
    key: str | None = None

    def key_of(self, position: int | None) -> str | None:
        """Key of one decision of several; of the only one where ``position`` is None."""
        return self.key if self.key is None or position is None else f"{self.key}/{position}"


def asked_by(request: Request) -> Asked:
    """Read who asks, and the ``Idempotency-Key`` header.

    Raises
    ------
    ProblemError
        422 when the key is empty, longer than 200 characters, or not printable ASCII.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return Asked(caller_of(request))
    # Some clients send it as a quoted string, as the draft standard has it.
    key = given[0][1:-1] if len(given[0]) > 1 and given[0][0] == given[0][-1] == '"' else given[0]
    if len(given) > 1 or not _KEY.fullmatch(key):
        got = f"{len(given)} headers" if len(given) > 1 else f"text of length {len(key)}"
        wrong = FieldError(
            "Idempotency-Key", "expected one header of 1 to 200 printable ASCII characters", got
        )
        raise ProblemError(WRONG_FIELDS, "The Idempotency-Key header is wrong.", (wrong,))
    return Asked(caller_of(request), key)


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of a listing from before: the decision to compare with, and its state now; None where unknown."""

    earlier: Earlier | None = None
    state: str | None = None


def known_before(store: Store | None, items: Sequence[Item]) -> list[Before]:
    """Return what each listing was decided to be before: as the client says, else as the store has it.

    Waits for the store: not for the event loop.

    Raises
    ------
    ProblemError
        503 when the store does not answer.
    """
    if store is None or not items:
        return [Before(item.earlier) for item in items]
    keys = [(item.listing.marketplace or "", item.listing.id) for item in items]
    try:
        with reading(store.engine) as connection:
            rows = read_earlier(connection, list(dict.fromkeys(keys)))
    except Exception as error:  # whatever it was: what is not known of before is not decided about
        store.writer.doubt()
        raise problem_of(error) from None
    return [_before(item, rows.get(key)) for item, key in zip(items, keys, strict=True)]


def _before(item: Item, row: EarlierRow | None) -> Before:
    if row is None:
        return Before(item.earlier)
    # Without digests of the fields nothing can be compared.
    kept = None if row.fields is None else Earlier(row.decision_id, row.revision, _action(row), row.fields)
    return Before(item.earlier or kept, row.state)


def _action(row: EarlierRow) -> Action:
    return cast(Action, row.action)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision on the way to its record: its place in the request, None where it is the only one."""

    item: Item
    decision: Decision
    state_before: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A decision with its answer and the record of it, made but not written; None where nothing is recorded."""

    decided: Decided
    answer: dict[str, Any]
    record: Any = None


def make_ready(sink: DecisionSink | None, decided: Decided, asked: Asked) -> Ready:
    """Write out a decision for its record and its answer; takes processor time: not for the event loop.

    Raises
    ------
    ProblemError
        422 for what no record can hold.
    """
    answer = decided.decision.to_json()
    if sink is None:
        return Ready(decided, answer)
    try:
        record = sink.prepare(
            decided.decision,
            decided.item.listing,
            caller=asked.caller,
            key=asked.key_of(decided.position),
            answer=answer,
            events=_events(decided),
            images=pictures_of(decided.decision),
        )
    except Exception as error:
        raise problem_of(error) from None
    return Ready(decided, answer, record)


class Recorder:
    """Has decisions recorded through the engine's sink and gives the answers that may leave then."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors

    async def all(self, engine: Engine, ready: Sequence[Ready]) -> list[dict[str, Any] | ProblemError]:
        """Record several at once; where one of them cannot be recorded, each by itself.

        Raises
        ------
        ProblemError
            409, 429 or 503.
        """
        if engine.sink is None or not ready:
            return [one.answer for one in ready]
        try:
            return list(await self._together(engine.sink, ready))
        except ProblemError as problem:
            if problem.kind is not WRONG_FIELDS or len(ready) == 1:
                raise
        answers: list[dict[str, Any] | ProblemError] = []
        for one in ready:
            try:
                answers += await self._together(engine.sink, [one])
            except ProblemError as problem:
                if problem.kind is not WRONG_FIELDS:
                    raise
                answers.append(problem)
        return answers

    async def _together(self, sink: DecisionSink, ready: Sequence[Ready]) -> list[dict[str, Any]]:
        began = time.perf_counter()
        try:
            (future,) = sink.submit([[one.record for one in ready]])
            recorded = await asyncio.wrap_future(future)
        except Exception as error:
            raise problem_of(error) from None
        self.doors.metrics.recording.observe(time.perf_counter() - began)
        return await self.answers(sink, ready, recorded)

    async def answers(
        self, sink: DecisionSink | None, ready: Sequence[Ready], recorded: Sequence[Recorded]
    ) -> list[dict[str, Any]]:
        """Return what is answered once the records are on disk: an earlier answer where a key was seen before.

        Raises
        ------
        ProblemError
            503 where an earlier answer cannot be read.
        """
        if sink is None:
            return [one.answer for one in ready]
        fresh = [one.decided for one, row in zip(ready, recorded, strict=True) if not row.replayed]
        for observe in self.doors.observers:
            observe([one.decision for one in fresh], [one.item.listing for one in fresh])
        return [
            await self._earlier(sink, row.subject) if row.replayed else one.answer
            for one, row in zip(ready, recorded, strict=True)
        ]

    async def _earlier(self, sink: DecisionSink, decision_id: str) -> dict[str, Any]:
        self.doors.metrics.replayed.inc()
        try:
            return await sink.earlier_answer(decision_id)
        except Exception as error:
            raise problem_of(error) from None


def _events(one: Decided) -> tuple[OutboxEvent, ...]:
    """What others are told of it."""
    marketplace = one.item.listing.marketplace or ""
    return decision_events(one.decision, marketplace=marketplace, earlier_state=one.state_before)


def problem_of(error: Exception) -> ProblemError:
    """Say what a failure to record means for the client."""
    if isinstance(error, ConflictError):
        return ProblemError(CONFLICT, "The key stands for another listing; nothing was decided.")
    if isinstance(error, BusyError):
        headers = {"Retry-After": f"{error.retry_after_s:.0f}"}
        return ProblemError(OVERLOADED, "Too many decisions wait to be recorded.", headers=headers)
    if isinstance(error, InvalidRecordError):
        return ProblemError(WRONG_FIELDS, "The listing holds something that no record can hold.")
    logs.event(log, logging.ERROR, "not recorded", {"error": logs.frames(error)})
    detail = "The store did not take the record; nothing was decided."
    return ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"})
