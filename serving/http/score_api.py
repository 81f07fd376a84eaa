"""Scoring over HTTP: one listing, or several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.doors import Doors, Engine
from serving.http.edge import Trace, json_response
from serving.http.lane import Lane
from serving.http.line import FullError, Kind
from serving.http.problems import ProblemError
from serving.http.problems import body as problem_body
from serving.http.reading import check_type, parse_json, read_body
from serving.http.requests import Item, Refused, explain_of, items_of, read_item
from serving.http.scoring import Ask, overloaded, ready_block
from serving.http.turning_away import KNOCK
from serving.judging import Explain
from serving.recording import Asked, Ready, Recorder, asked_by

PART = 32
"""Listings of one ``/v1/score-many`` that are scored at a stretch; other requests have their turn in between."""


class Gate:
    """Lets a limited number of requests in at once; the next is told to come back.

    Parameters
    ----------
    limit
        How many.
    close
        Whether the connection of a refused one is closed, so that a long body need not be read to its end.
    """

    def __init__(self, limit: int, close: bool = False) -> None:
        self.limit = limit
        self.close = close
        self.inside = 0

    def __enter__(self) -> None:
        """Enter, or raise the 429 problem."""
        if self.inside >= self.limit:
            problem = overloaded(f"{self.limit} requests of this kind are being worked on.")
            if self.close:
                problem.headers = {**problem.headers, "Connection": "close"}
            raise problem
        self.inside += 1

    def __exit__(self, *error: object) -> None:
        """Leave."""
        self.inside -= 1


@contextmanager
def place_in(lane: Lane[Ask], kind: Kind, listings: int) -> Iterator[None]:
    """Hold a place in a lane's line.

    Raises
    ------
    ProblemError
        429 where the line is too long.
    """
    try:
        lane.enter(kind, listings)
    except FullError as full:
        raise overloaded("Too many listings wait to be scored.", full.wait_s) from None
    try:
        yield
    finally:
        lane.leave(kind, listings)


class ScoreApi:
    """The handlers.

    Parameters
    ----------
    doors
        The way to the engine.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.limits = doors.settings.limits
        self.recorder = Recorder(doors)
        self.single = Gate(self.limits.waiting)
        self.many = Gate(self.limits.waiting_many, close=True)

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score-many", self.score_many, methods=["POST"]),
        ]

    async def score(self, request: Request) -> Response:
        """Decide about one listing."""
        engine, lanes = self.doors.engine(), self.doors.scoring()
        check_type(request)
        explain, asked = explain_of(request.query_params), asked_by(request)
        with self.single:
            # A body that came with its head is read, and in the line, without another request getting in between; one
            # that is yet to come must not keep others out until then.
            _heard(request)
            item = read_item(parse_json(await read_body(request, self.limits.body, self.limits.body_seconds)))
            lane = lanes.of(engine, item)
            with place_in(lane, "one", 1):
                ready, recorded = await lane.ask(Ask(engine, item, explain, asked))
                (answer,) = await self.recorder.answers(engine.sink, [ready], recorded)
        self._count([answer])
        return json_response(answer, headers=_where(engine, answer))

    async def score_many(self, request: Request) -> Response:
        """Decide about several listings; each gets its own answer or problem."""
        engine, words = self.doors.engine(), self.doors.scoring().words
        check_type(request)
        explain, asked = explain_of(request.query_params), asked_by(request)
        trace: Trace = request.scope["trace"]
        with self.many:
            body = await read_body(request, self.limits.body_many, self.limits.body_seconds)
            items = await words.call("many", lambda: items_of(parse_json(body), self.limits.listings))
            answers = await self._decide_many(engine, items, explain, asked)
        given = [answer for answer in answers if isinstance(answer, dict)]
        self._count(given)
        trace.facts |= {"listings": len(items), "refused": len(items) - len(given)}
        return await asyncio.to_thread(_many_answer, items, answers, trace.id)

    async def _decide_many(
        self, engine: Engine, items: Sequence[Item | Refused], explain: Explain, asked: Asked
    ) -> list[_Answer]:
        answers: list[_Answer] = [item if isinstance(item, Refused) else overloaded("") for item in items]
        good = [(at, item) for at, item in enumerate(items) if isinstance(item, Item)]
        found = await self._ready(engine, good, explain, asked)
        ready: list[tuple[int, Ready]] = []
        for (at, _), one in zip(good, found, strict=True):
            if isinstance(one, Ready):
                ready.append((at, one))
            else:
                answers[at] = one
        recorded = await self.recorder.all(engine, [one for _, one in ready])
        for (at, _), answer in zip(ready, recorded, strict=True):
            answers[at] = answer
        return answers

    async def _ready(
        self, engine: Engine, items: Sequence[tuple[int, Item]], explain: Explain, asked: Asked
    ) -> list[Ready | ProblemError]:
        """Have listings scored in parts, each in the lane it belongs to, and return them in their order."""
        lanes = self.doors.scoring()
        found: dict[int, Ready | ProblemError] = {}

        async def score(lane: Lane[Ask], part: Sequence[tuple[int, Item]]) -> None:
            done = await lane.call("many", lambda: ready_block(engine, part, explain, asked))
            found.update(zip((at for at, _ in part), done, strict=True))

        async def score_lane(lane: Lane[Ask], size: int) -> None:
            mine = [(at, item) for at, item in items if lanes.of(engine, item) is lane]
            if not mine:
                return
            with place_in(lane, "many", len(mine)):
                parts = [mine[start : start + size] for start in range(0, len(mine), size)]
                # All of them are over before an error leaves, so that no place is given back too early.
                ends = await asyncio.gather(*(score(lane, part) for part in parts), return_exceptions=True)
            for end in ends:
                if isinstance(end, BaseException):
                    raise end

        await asyncio.gather(score_lane(lanes.words, PART), score_lane(lanes.photos, 1))
        return [found[at] for at, _ in items]

    def _count(self, answers: Sequence[dict[str, Any]]) -> None:
        """Count decisions by action and state."""
        for answer in answers:
            self.doors.metrics.decisions.labels(answer["action"], answer["state"]).inc()


def _heard(request: Request) -> None:
    """Say at the door that a request knocks no more."""
    knock = request.scope.get(KNOCK)
    if knock is not None:
        knock.over()


_Answer = dict[str, Any] | ProblemError | Refused


def _where(engine: Engine, answer: dict[str, Any]) -> dict[str, str] | None:
    """Say where the decision can be read again, where it is kept."""
    if engine.store is None:
        return None
    return {"Content-Location": f"/v1/decisions/{answer['decision_id']}"}


def _many_answer(items: Sequence[Item | Refused], answers: Sequence[_Answer], request_id: str) -> Response:
    results = [
        _result(index, item, answer, request_id)
        for index, (item, answer) in enumerate(zip(items, answers, strict=True))
    ]
    return json_response({"results": results})


def _result(index: int, item: Item | Refused, answer: _Answer, request_id: str) -> dict[str, Any]:
    if isinstance(answer, dict):
        return {"index": index, "listing_id": answer["listing_id"], "decision": answer}
    listing_id = item.listing.id if isinstance(item, Item) else item.listing_id
    problem = answer.problem if isinstance(answer, Refused) else answer
    return {"index": index, "listing_id": listing_id, "problem": problem_body(problem, request_id)}
