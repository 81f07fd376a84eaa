"""The HTTP application: plain Starlette, so that it runs in a test, under uvicorn and inside BentoML alike."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from serving import logs
from serving.access.gate import AccessGate
from serving.bans.api import BansApi
from serving.console import Console, refusals
from serving.doors import DecisionSink, Doors, Engine, MakeRoom, Work
from serving.events.api import EventsApi, deliver_events
from serving.holds import follow_holds
from serving.http import pages
from serving.http.decisions_api import DecisionsApi
from serving.http.edge import Edge, json_response, on_http, on_problem
from serving.http.openapi import openapi_document
from serving.http.problems import ProblemError
from serving.http.score_api import ScoreApi
from serving.http.scoring import full_for, score_in_lanes, show_lines
from serving.http.turning_away import TurningAway
from serving.keeping import erase_in_time, follow_bans, sign_checkpoints
from serving.labs.api import LabsApi
from serving.metrics import CONTENT_TYPE, Metrics
from serving.models.challenger import shadow_challenger
from serving.models.swap import follow_champion
from serving.monitoring.shown import show_alarms
from serving.notices.api import NoticesApi
from serving.opening import open_engine
from serving.policy.follow import follow_policies
from serving.predictor import Predictor
from serving.readiness import of_store
from serving.sellers.api import SellersApi
from serving.settings import Settings, read_settings
from serving.starting import Load, Start

_HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}
__all__ = ["DecisionSink", "Doors", "Engine", "create_app", "from_environment"]


ROOMS: tuple[MakeRoom, ...] = (
    ScoreApi,
    DecisionsApi,
    BansApi,
    LabsApi,
    NoticesApi,
    SellersApi,
    EventsApi,
    Console,
)
"""What answers; each adds its routes here, and nowhere else."""
WORKS: tuple[Work, ...] = (
    score_in_lanes,
    follow_bans,
    follow_holds,
    deliver_events,
    follow_policies,
    sign_checkpoints,
    erase_in_time,
    follow_champion,
    shadow_challenger,
)
"""What goes on beside answering, in every worker process."""


class Api:
    """The handlers and what they share."""

    def __init__(self, load: Load, settings: Settings) -> None:
        self.load = load
        self.settings = settings
        self.metrics = Metrics()
        self.doors = Doors(settings, self.metrics)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Load the bundle before the first request where that can be, let go of it after the last."""
        if self.settings.log == "json":
            logs.configure(sys.stderr)
        pool = ThreadPoolExecutor(self.settings.threads, thread_name_prefix="score")
        loop = asyncio.get_running_loop()
        self.doors.threads = pool
        start = Start(self.load, self.doors, WORKS)
        try:
            await loop.run_in_executor(pool, start.begin)
            yield
        finally:
            await loop.run_in_executor(pool, start.end)
            self.doors.threads = None
            pool.shutdown()

    async def model(self, request: Request) -> Response:
        """Say what is loaded."""
        return json_response(model_card(self.doors.engine().predictor))

    async def live(self, request: Request) -> Response:
        """Say that the process runs."""
        return json_response({"status": "ok"})

    async def ready_state(self, request: Request) -> Response:
        """Say whether listings can be scored, and recorded where there is a store."""
        store = self.doors.engine().store
        if store is None:
            return json_response({"status": "ready", "store": "none", "waiting": 0})
        state = store.state()
        trouble = of_store(state)
        if trouble is not None:
            raise trouble.problem()
        return json_response({"status": "ready", "store": "up", "waiting": state.waiting})

    async def render_metrics(self, request: Request) -> Response:
        """Return the counters."""
        show_lines(self.doors)
        store = self.doors.loaded.store if self.doors.loaded else None
        if store is not None:
            state = store.state()
            self.metrics.waiting.set(state.waiting)
            self.metrics.store_up.labels(store.engine.dialect.name).set(state.up)
            await asyncio.to_thread(show_alarms, store, self.metrics)
        return Response(self.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return json_response(openapi_document(self.settings.limits))

    async def docs(self, request: Request) -> Response:
        """Return the reference page."""
        page = pages.reference(openapi_document(self.settings.limits))
        return HTMLResponse(page, headers=_HTML_HEADERS)

    async def landing(self, request: Request) -> Response:
        """Return the first page: the console where there is a store, else what is loaded."""
        if self.doors.engine().store is not None:
            return RedirectResponse("/console", 303)
        card = model_card(self.doors.engine().predictor)
        return HTMLResponse(pages.landing(card), headers=_HTML_HEADERS)

    def routes(self) -> list[BaseRoute]:
        """Return every route, those of the rooms too."""
        return [
            Route("/", self.landing, methods=["GET"]),
            Route("/v1/model", self.model, methods=["GET"]),
            Route("/v1/openapi.json", self.openapi, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/healthz", self.live, methods=["GET"]),
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready_state, methods=["GET"]),
            Route("/metrics", self.render_metrics, methods=["GET"]),
            *(route for room in ROOMS for route in room(self.doors).routes()),
        ]


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
    turning_away = TurningAway(api.metrics, full_for(api.doors), settings.log == "json")
    app = Starlette(
        routes=api.routes(),
        middleware=[
            Middleware(Edge, metrics=api.metrics, log=settings.log == "json", turning_away=turning_away),
            Middleware(
                AccessGate,
                store=lambda: api.doors.engine().store,
                host=settings.host,
                settings=settings.access,
                refuse=refusals(api.doors),
            ),
        ],
        exception_handlers={ProblemError: on_problem, HTTPException: on_http},
        lifespan=api.lifespan,
    )
    app.router.redirect_slashes = False
    app.state.turning_away = turning_away
    return app


def from_environment() -> Starlette:
    """Build the application from ``LISTING_RISK_*``: ``uvicorn --factory serving.app:from_environment``."""
    settings = read_settings(os.environ)
    return create_app(lambda: open_engine(settings), settings)
