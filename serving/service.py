"""The service inside BentoML. The only file that imports it.

BentoML runs the worker processes, drains them on SIGTERM and brings a killed one back. Its own routes are not
used: it reads text/plain as JSON, takes bodies of any size, writes listings into tracebacks, labels its counters
with raw addresses, and its first page loads a script from outside. So our application answers every request.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import bentoml
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.accepting import BalancedServer
from serving.loading import check_settings
from serving.settings import read_settings

NAME = "listing-risk"

_STARTED_BY = "_LISTING_RISK_STARTED_BY"
"""Environment variable with the number of the process that starts the workers. A worker's parent may change while it
is still importing."""

SWITCH_S = 0.0005
"""How long a thread keeps the interpreter while another waits for it. Scoring would hold up the event loop for ten
times as long at Python's own setting, after each of the system's calls."""


def front(app: ASGIApp, ours: ASGIApp) -> ASGIApp:
    """Hand every request to our application and only the lifespan to BentoML's."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["type"] == "lifespan" else ours)(scope, receive, send)

    return serve


def settle() -> None:
    """Take what was loaded out of the collector's sight: it stays, and looking at it takes half a second."""
    gc.freeze()


class LateApp(Starlette):
    """An application that is made where it is first needed: in each worker, not in the process that starts them.

    Parameters
    ----------
    make
        Makes it; called once.
    """

    def __init__(self, make: Callable[[], Starlette]) -> None:
        super().__init__(lifespan=LateApp._life)
        self._make = make

    @cached_property
    def _app(self) -> Starlette:
        return self._make()

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[None]:
        async with self._app.router.lifespan_context(self._app):
            read_connections(self._app)
            settle()
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        await self._app(scope, receive, send)


def _from_environment() -> Starlette:
    from serving.app import from_environment

    return from_environment()


class FrontedService(bentoml.Service[Any]):
    """A service whose requests never enter BentoML's own layers: each costs what our application costs."""

    __slots__ = ()

    def to_asgi(self, is_main: bool = True) -> Any:
        """See BentoML; the one application that is mounted answers."""
        return front(super().to_asgi(is_main), self.mount_apps[0][0])


def end_with_parent(every_s: float = 1.0) -> None:
    """End this worker once the process that started it is gone, though that was before this worker could ask.

    Nobody would replace it if it ended, and it would keep the port from a service that is started anew.
    """
    parent = int(os.environ.get(_STARTED_BY, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_s)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def read_connections(app: Starlette | None = None) -> None:
    """Have connections read by `serving.protocol`, and an application's refusals answered there."""
    try:
        from uvicorn.protocols.http import auto

        from serving.protocol import Protocol
    except ImportError:  # the slower parser bounds heads by itself, and the application refuses
        return
    auto.AutoHTTPProtocol = Protocol
    if app is not None:
        Protocol.turning_away = getattr(app.state, "turning_away", None)


def share_connections() -> None:
    """Have each worker take its share of the connections."""
    if not issubclass(uvicorn.Server, BalancedServer):
        uvicorn.Server = BalancedServer


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
    read_connections(app)
    share_connections()

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

        def __init__(self) -> None:
            """Runs in each worker, before it answers."""
            sys.setswitchinterval(SWITCH_S)
            end_with_parent()

        @bentoml.on_deployment
        @staticmethod
        def check() -> None:
            """Runs once, before any worker is started."""
            os.environ[_STARTED_BY] = str(os.getpid())
            before()

    ListingRisk.mount_asgi_app(app, path="/", name="app")
    # BentoML makes the object; only what it hands to the server is ours.
    ListingRisk.__class__ = FrontedService
    return ListingRisk


def __getattr__(name: str) -> Any:
    """Make ``service`` when BentoML asks for it; importing this file reads no setting."""
    if name == "service":
        settings = read_settings(os.environ)
        globals()[name] = service_of(
            LateApp(_from_environment), settings.workers, lambda: check_settings(settings)
        )
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
