"""The HTTP application: plain Starlette, so that it runs in a test, under uvicorn and inside BentoML alike."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from features.schema import Listing
from serving import logs, pages
from serving.bans_api import BansApi
from serving.decisions import Decision
from serving.doors import DecisionSink, Doors, Engine, MakeRoom, Work
from serving.edge import Edge, Trace, json_response, not_ready, on_http, on_problem
from serving.metrics import CONTENT_TYPE, Metrics
from serving.openapi import openapi_document
from serving.opening import open_engine
from serving.predictor import Explain, Predictor
from serving.problems import INTERNAL, NOT_RECORDED, OVERLOADED, ProblemError
from serving.problems import body as problem_body
from serving.reading import check_type, parse_json, read_body
from serving.requests import Item, Refused, explain_of, items_of, read_item
from serving.settings import Settings, read_settings

_HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}
__all__ = ["DecisionSink", "Doors", "Engine", "create_app", "from_environment"]

log = logging.getLogger("serving.app")

ROOMS: tuple[MakeRoom, ...] = (BansApi,)
"""What answers beside scoring; each adds its routes here, and nowhere else."""
WORKS: tuple[Work, ...] = ()
"""What goes on beside answering, in every worker process."""

Load = Callable[[], Engine]


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


class Api:
    """The handlers and what they share."""

    def __init__(self, load: Load, settings: Settings) -> None:
        self.load = load
        self.settings = settings
        self.metrics = Metrics()
        self.doors = Doors(settings, self.metrics)
        self.pool: ThreadPoolExecutor | None = None
        self.single = Gate(settings.limits.waiting)
        self.many = Gate(settings.limits.waiting_many)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Load the bundle before the first request, let go of it after the last."""
        if self.settings.log == "json":
            logs.configure(sys.stderr)
        self.pool = ThreadPoolExecutor(self.settings.threads, thread_name_prefix="score")
        loop = asyncio.get_running_loop()
        engine = await loop.run_in_executor(self.pool, self.load)
        self.doors.loaded, predictor = engine, engine.predictor
        works = ExitStack()
        versions = {
            "model_version": predictor.model_version,
            "policy_version": predictor.policy.version,
        }
        self.metrics.info.labels(**versions).set(1)
        logs.event(log, logging.INFO, "ready", versions | {"uncovered": len(predictor.policy.uncovered)})
        try:
            for work in WORKS:
                await loop.run_in_executor(self.pool, works.enter_context, work(self.doors))
            yield
        finally:
            await loop.run_in_executor(self.pool, works.close)
            self.doors.loaded = None
            self.pool.shutdown()
            if engine.store is not None:
                engine.store.close()

    def ready(self) -> tuple[Engine, ThreadPoolExecutor]:
        """Return what answers requests, or raise the 503 problem."""
        if self.pool is None:
            raise not_ready()
        return self.doors.engine(), self.pool

    async def score(self, request: Request) -> Response:
        """Decide about one listing."""
        engine, _ = self.ready()
        check_type(request)
        explain = explain_of(request.query_params)
        with self.single:
            limits = self.settings.limits
            item = read_item(parse_json(await read_body(request, limits.body, limits.body_seconds)))
            decision = engine.predictor.decide([item.listing], explain, [item.earlier])[0]
            await self.record(engine, [decision], [item.listing])
        self.count([decision])
        return json_response(decision.to_json())

    async def score_many(self, request: Request) -> Response:
        """Decide about several listings; each gets its own answer or problem."""
        engine, pool = self.ready()
        check_type(request)
        explain = explain_of(request.query_params)
        trace: Trace = request.scope["trace"]
        with self.many:
            limits = self.settings.limits
            body = await read_body(request, limits.body_many, limits.body_seconds)
            loop = asyncio.get_running_loop()
            items = await loop.run_in_executor(pool, lambda: items_of(parse_json(body), limits.listings))
            good = [item for item in items if isinstance(item, Item)]
            answers = await loop.run_in_executor(pool, _decide_each, engine.predictor, good, explain)
            decided = [(item, a) for item, a in zip(good, answers, strict=True) if isinstance(a, Decision)]
            await self.record(engine, [d for _, d in decided], [item.listing for item, _ in decided])
        self.count([d for _, d in decided])
        trace.facts |= {"listings": len(items), "refused": len(items) - len(decided)}
        return await loop.run_in_executor(pool, _many_answer, items, answers, trace.id)

    async def record(
        self, engine: Engine, decisions: Sequence[Decision], listings: Sequence[Listing]
    ) -> None:
        """Record the decisions, or raise the 503 problem: an unrecorded decision is not given."""
        if engine.sink is None or not decisions:
            return
        try:
            await engine.sink.record(decisions, listings)
        except Exception as error:
            logs.event(log, logging.ERROR, "not recorded", {"error": logs.frames(error)})
            detail = "The store did not take the record; nothing was decided."
            raise ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"}) from None

    def count(self, decisions: Sequence[Decision]) -> None:
        """Count decisions by action and state."""
        for decision in decisions:
            self.metrics.decisions.labels(decision.action, decision.state).inc()

    async def model(self, request: Request) -> Response:
        """Say what is loaded."""
        engine, _ = self.ready()
        return json_response(model_card(engine.predictor))

    async def live(self, request: Request) -> Response:
        """Say that the process runs."""
        return json_response({"status": "ok"})

    async def ready_state(self, request: Request) -> Response:
        """Say whether listings can be scored."""
        self.ready()
        return json_response({"status": "ready"})

    async def render_metrics(self, request: Request) -> Response:
        """Return the counters."""
        return Response(self.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return json_response(openapi_document(self.settings.limits))

    async def docs(self, request: Request) -> Response:
        """Return the reference page."""
        page = pages.reference(openapi_document(self.settings.limits))
        return HTMLResponse(page, headers=_HTML_HEADERS)

    async def landing(self, request: Request) -> Response:
        """Return the first page."""
        engine, _ = self.ready()
        return HTMLResponse(pages.landing(model_card(engine.predictor)), headers=_HTML_HEADERS)

    def routes(self) -> list[BaseRoute]:
        """Return every route, those of the rooms too."""
        return [
            Route("/", self.landing, methods=["GET"]),
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/v1/score-many", self.score_many, methods=["POST"]),
            Route("/v1/model", self.model, methods=["GET"]),
            Route("/v1/openapi.json", self.openapi, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/healthz", self.live, methods=["GET"]),
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready_state, methods=["GET"]),
            Route("/metrics", self.render_metrics, methods=["GET"]),
            *(route for room in ROOMS for route in room(self.doors).routes()),
        ]


def _decide_each(predictor: Predictor, items: Sequence[Item], explain: Explain) -> list[Decision | Exception]:
    """Decide as one block; when the block fails, one by one, so that one listing never fails the others."""
    try:
        found = predictor.decide([i.listing for i in items], explain, [i.earlier for i in items])
        return list(found)
    except Exception:
        answers: list[Decision | Exception] = []
        for item in items:
            try:
                answers += predictor.decide([item.listing], explain, [item.earlier])
            except Exception as error:
                logs.event(log, logging.ERROR, "failed", {"error": logs.frames(error)})
                answers.append(error)
        return answers


def _many_answer(
    items: Sequence[Item | Refused], answers: Sequence[Decision | Exception], request_id: str
) -> Response:
    left = iter(answers)
    results: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        result: Decision | Exception | Refused = item if isinstance(item, Refused) else next(left)
        results.append(_result(index, item, result, request_id))
    return json_response({"results": results})


def _result(
    index: int, item: Item | Refused, result: Decision | Exception | Refused, request_id: str
) -> dict[str, Any]:
    if isinstance(result, Decision):
        return {"index": index, "listing_id": result.listing_id, "decision": result.to_json()}
    if isinstance(result, Refused):
        problem, listing_id = result.problem, result.listing_id
    else:
        problem = ProblemError(INTERNAL, "The service failed on this listing; nothing was decided about it.")
        listing_id = item.listing.id if isinstance(item, Item) else None
    return {"index": index, "listing_id": listing_id, "problem": problem_body(problem, request_id)}


def model_card(predictor: Predictor) -> dict[str, Any]:
    """Return what is loaded: versions, operating points, hazards, what the policy could not cover."""
    policy = predictor.policy
    return {
        "model_version": predictor.model_version,
        "policy_version": policy.version,
        "operating_points": {
            name: dict(by) for name, by in predictor.bundle.manifest.operating_points.items()
        },
        "hazards": [
            {
                "code": hazard.code,
                "names": dict(hazard.names),
                "family": hazard.family,
                "severity": hazard.severity,
                "policy": hazard.policy,
            }
            for hazard in predictor.taxonomy.hazards
        ],
        "rules": [{"id": rule.id, "action": rule.action, "why": dict(rule.why)} for rule in policy.rules],
        "uncovered": [
            {"rule": rule, "operating_point": point, "hazards": list(hazards)}
            for rule, point, hazards in policy.uncovered
        ],
    }


def create_app(load: Load, settings: Settings) -> Starlette:
    """Build the application; nothing is loaded before it starts.

    Parameters
    ----------
    load
        Makes the engine, called once in a thread when the application starts.
    settings
        Limits and logging.
    """
    api = Api(load, settings)
    app = Starlette(
        routes=api.routes(),
        middleware=[Middleware(Edge, metrics=api.metrics, log=settings.log == "json")],
        exception_handlers={ProblemError: on_problem, HTTPException: on_http},
        lifespan=api.lifespan,
    )
    app.router.redirect_slashes = False
    return app


def from_environment() -> Starlette:
    """Build the application from ``LISTING_RISK_*``: ``uvicorn --factory serving.app:from_environment``."""
    settings = read_settings(os.environ)
    return create_app(lambda: open_engine(settings), settings)
