"""The service inside BentoML. The only file that imports it.

BentoML runs the worker processes, drains them on SIGTERM and brings a killed one back. Its own routes are not
used: it reads text/plain as JSON, takes bodies of any size, writes listings into tracebacks, labels its counters
with raw addresses, and its first page loads a script from outside. So our application answers every request.
"""

from __future__ import annotations

import bentoml
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.app import from_environment

NAME = "listing-risk"


class Front:
    """ASGI middleware that hands every request to our application and only the lifespan to BentoML's."""

    def __init__(self, app: ASGIApp, front: ASGIApp) -> None:
        self.app = app
        self.front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        await (self.app if scope["type"] == "lifespan" else self.front)(scope, receive, send)


def service_of(app: Starlette) -> bentoml.Service:
    """Return a BentoML service that answers with the application.

    The application is also mounted, because BentoML runs the lifespan of what is mounted.
    """

    @bentoml.service(
        name=NAME,
        http={"host": "127.0.0.1", "port": 3000},
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}],
    )
    class ListingRisk:
        """Scores marketplace listings for product-safety hazards."""

    ListingRisk.mount_asgi_app(app, path="/", name="app")
    ListingRisk.add_asgi_middleware(Front, front=app)
    return ListingRisk


service = service_of(from_environment())
