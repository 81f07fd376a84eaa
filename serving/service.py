"""The service inside BentoML. The only file that imports it.

BentoML runs the worker processes, drains them on SIGTERM and brings a killed one back. Its own routes are not
used: it reads text/plain as JSON, takes bodies of any size, writes listings into tracebacks, labels its counters
with raw addresses, and its first page loads a script from outside. So our application answers every request.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.app import from_environment
from serving.loading import check_settings
from serving.settings import read_settings

NAME = "listing-risk"


def front(app: ASGIApp, front: ASGIApp) -> ASGIApp:
    """ASGI middleware that hands every request to our application and only the lifespan to BentoML's."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["type"] == "lifespan" else front)(scope, receive, send)

    return serve


def service_of(
    app: Starlette, workers: int = 1, before: Callable[[], None] = lambda: None
) -> bentoml.Service[Any]:
    """Return a BentoML service that answers with the application in some worker processes.

    The application is also mounted, because BentoML runs the lifespan of what is mounted.

    Parameters
    ----------
    app
        Answers every request.
    workers
        Processes.
    before
        Called once, before any worker is started; what it raises ends the start.
    """

    @bentoml.service(
        name=NAME,
        workers=workers,
        http={"host": "127.0.0.1", "port": 3000},  # pyright: ignore[reportArgumentType]
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": "."},
        envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}],
    )
    class ListingRisk:
        """Scores marketplace listings for product-safety hazards."""

        @bentoml.on_deployment
        @staticmethod
        def check() -> None:
            """Runs once, before any worker is started."""
            before()

    ListingRisk.mount_asgi_app(app, path="/", name="app")
    ListingRisk.add_asgi_middleware(front, front=app)  # pyright: ignore[reportArgumentType]
    return ListingRisk


def __getattr__(name: str) -> Any:
    """Make ``service`` when BentoML asks for it; importing this file reads no setting."""
    if name == "service":
        settings = read_settings(os.environ)
        globals()[name] = service_of(from_environment(), settings.workers, lambda: check_settings(settings))
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
