"""Scoring over HTTP: one listing, or several at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving import logs
from serving.decisions import Decision, Earlier
from serving.doors import Doors, Engine
from serving.http.edge import Trace, json_response
from serving.http.problems import INTERNAL, OVERLOADED, ProblemError
from serving.http.problems import body as problem_body
from serving.http.reading import check_type, parse_json, read_body
from serving.http.requests import Item, Refused, explain_of, items_of, read_item
from serving.predictor import Explain, Predictor
from serving.recording import Before, Decided, Recorder, asked_by, known_before

log = logging.getLogger("serving.score")


class Gate:
    """Lets a limited number of requests in at once; the next is told to come back."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0

    def __enter__(self) -> None:
        """Enter, or raise the 429 problem."""
        if self.inside >= self.limit:
            detail = f"{self.limit} requests of this kind are being worked on."
            raise ProblemError(OVERLOADED, detail, headers={"Retry-After": "1", "Connection": "close"})
        self.inside += 1

    def __exit__(self, *error: object) -> None:
        """Leave."""
        self.inside -= 1


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
        self.many = Gate(self.limits.waiting_many)

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score-many", self.score_many, methods=["POST"]),
        ]

    async def score(self, request: Request) -> Response:
        """Decide about one listing."""
        engine = self.doors.engine()
        check_type(request)
        explain, asked = explain_of(request.query_params), asked_by(request)
        with self.single:
            item = read_item(parse_json(await read_body(request, self.limits.body, self.limits.body_seconds)))
            (before,) = await known_before(engine.store, [item])
            decision = await self._decide(engine, item, explain, before.earlier)
            answer = await self.recorder.one(Decided(item, decision, before.state), asked)
        self._count([answer])
        return json_response(answer, headers=_where(engine, answer))

    async def _decide(
        self, engine: Engine, item: Item, explain: Explain, earlier: Earlier | None
    ) -> Decision:
        def decide() -> Decision:
            return engine.predictor.decide([item.listing], explain, [earlier])[0]

        if not (item.listing.images and engine.looks_at_photos):
            return decide()
        # Words take a millisecond, a photo takes many: those must not stand in the way of other listings.
        return await asyncio.get_running_loop().run_in_executor(self.doors.pool(), decide)

    async def score_many(self, request: Request) -> Response:
        """Decide about several listings; each gets its own answer or problem."""
        engine, pool = self.doors.engine(), self.doors.pool()
        check_type(request)
        explain, asked = explain_of(request.query_params), asked_by(request)
        trace: Trace = request.scope["trace"]
        with self.many:
            body = await read_body(request, self.limits.body_many, self.limits.body_seconds)
            loop = asyncio.get_running_loop()
            items = await loop.run_in_executor(pool, lambda: items_of(parse_json(body), self.limits.listings))
            good = [(at, item) for at, item in enumerate(items) if isinstance(item, Item)]
            before = await known_before(engine.store, [item for _, item in good])
            found = await loop.run_in_executor(
                pool, _decide_each, engine.predictor, [item for _, item in good], explain, before
            )
            decided = [
                Decided(item, one, known.state, at)
                for (at, item), one, known in zip(good, found, before, strict=True)
                if isinstance(one, Decision)
            ]
            recorded = await self.recorder.each(decided, asked)
        answers: list[_Answer] = [item if isinstance(item, Refused) else INTERNAL_PROBLEM for item in items]
        for one, answer in zip(decided, recorded, strict=True):
            answers[one.position or 0] = answer
        given = [answer for answer in answers if isinstance(answer, dict)]
        self._count(given)
        trace.facts |= {"listings": len(items), "refused": len(items) - len(given)}
        return await loop.run_in_executor(pool, _many_answer, items, answers, trace.id)

    def _count(self, answers: Sequence[dict[str, Any]]) -> None:
        """Count decisions by action and state."""
        for answer in answers:
            self.doors.metrics.decisions.labels(answer["action"], answer["state"]).inc()


INTERNAL_PROBLEM = ProblemError(INTERNAL, "The service failed on this listing; nothing was decided about it.")
_Answer = dict[str, Any] | ProblemError | Refused


def _where(engine: Engine, answer: dict[str, Any]) -> dict[str, str] | None:
    """Say where the decision can be read again, where it is kept."""
    if engine.store is None:
        return None
    return {"Content-Location": f"/v1/decisions/{answer['decision_id']}"}


def _decide_each(
    predictor: Predictor, items: Sequence[Item], explain: Explain, before: Sequence[Before]
) -> list[Decision | Exception]:
    """Decide as one block; when the block fails, one by one, so that one listing never fails the others."""
    try:
        return list(
            predictor.decide([item.listing for item in items], explain, [one.earlier for one in before])
        )
    except Exception:
        answers: list[Decision | Exception] = []
        for item, known in zip(items, before, strict=True):
            try:
                answers += predictor.decide([item.listing], explain, [known.earlier])
            except Exception as error:
                logs.event(log, logging.ERROR, "failed", {"error": logs.frames(error)})
                answers.append(error)
        return answers


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
