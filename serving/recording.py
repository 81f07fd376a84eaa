"""Between a decision and its answer: what was decided before, and the record that is on disk before it leaves."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from features.schema import FieldError
from serving import logs
from serving.callers import LOCAL, caller_of
from serving.decisions import Decision, Earlier
from serving.doors import DecisionSink, Doors
from serving.problems import CONFLICT, NOT_RECORDED, OVERLOADED, WRONG_FIELDS, ProblemError
from serving.requests import Item
from serving.store.earlier import read_earlier
from serving.store.engine import reading
from serving.store.errors import BusyError, ConflictError, InvalidRecordError

if TYPE_CHECKING:
    from serving.store import Store

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


async def with_earlier(store: Store | None, items: Sequence[Item]) -> list[Earlier | None]:
    """Return what each listing was decided to be before: as the client says, or as the store has it.

    Raises
    ------
    ProblemError
        503 when the store does not answer.
    """
    unknown = [item for item in items if item.earlier is None]
    if store is None or not unknown:
        return [item.earlier for item in items]
    keys = list(dict.fromkeys((item.listing.marketplace or "", item.listing.id) for item in unknown))

    def read() -> dict[tuple[str, str], Earlier]:
        with reading(store.engine) as connection:
            return {
                key: Earlier(row.decision_id, row.revision, row.action, row.fields)  # type: ignore[arg-type]
                for key, row in read_earlier(connection, keys).items()
            }

    try:
        known = await asyncio.to_thread(read)
    except Exception as error:  # whatever it was: what is not known of before is not decided about
        raise _problem(error) from None
    return [item.earlier or known.get((item.listing.marketplace or "", item.listing.id)) for item in items]


class Recorder:
    """Records decisions through the engine's sink and gives the answers that may leave then."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors

    async def one(self, item: Item, decision: Decision, asked: Asked) -> dict[str, Any]:
        """Record one decision and return its answer: an earlier one where the key was seen before.

        Raises
        ------
        ProblemError
            409, 422, 429 or 503; the decision is not given then.
        """
        return (await self._record([(item, decision)], asked, [asked.key]))[0]

    async def each(
        self, decided: Sequence[tuple[int, Item, Decision]], asked: Asked
    ) -> list[dict[str, Any] | ProblemError]:
        """Record several at once; where one of them cannot be recorded, each by itself.

        Parameters
        ----------
        decided
            Position in the request, listing and decision.

        Raises
        ------
        ProblemError
            409, 429 or 503.
        """
        pairs = [(item, decision) for _, item, decision in decided]
        keys = [asked.key_of(position) for position, _, _ in decided]
        try:
            return list(await self._record(pairs, asked, keys))
        except ProblemError as problem:
            if problem.kind is not WRONG_FIELDS or len(decided) == 1:
                raise
        answers: list[dict[str, Any] | ProblemError] = []
        for pair, key in zip(pairs, keys, strict=True):
            try:
                answers += await self._record([pair], asked, [key])
            except ProblemError as problem:
                if problem.kind is not WRONG_FIELDS:
                    raise
                answers.append(problem)
        return answers

    async def _record(
        self, pairs: Sequence[tuple[Item, Decision]], asked: Asked, keys: Sequence[str | None]
    ) -> list[dict[str, Any]]:
        answers = [decision.to_json() for _, decision in pairs]
        sink = self.doors.engine().sink
        if sink is None or not pairs:
            return answers
        began = time.perf_counter()
        try:
            recorded = await sink.record(
                [decision for _, decision in pairs],
                [item.listing for item, _ in pairs],
                caller=asked.caller,
                keys=keys if asked.key is not None else None,
                answers=answers,
            )
            self.doors.metrics.recording.observe(time.perf_counter() - began)
            return [
                await self._earlier(sink, one.subject) if one.replayed else answer
                for one, answer in zip(recorded, answers, strict=True)
            ]
        except Exception as error:
            raise _problem(error) from None

    async def _earlier(self, sink: DecisionSink, decision_id: str) -> dict[str, Any]:
        self.doors.metrics.replayed.inc()
        return await sink.earlier_answer(decision_id)


def _problem(error: Exception) -> ProblemError:
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
