"""Events out: where decisions are told, what waits, arrived and died."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages, away, now_utc
from serving.desks import desks_of
from serving.events.api import endpoints_json
from serving.events.webhooks import EndpointError
from serving.http.callers import caller_of
from serving.http.problems import NOT_FOUND, ProblemError
from serving.store.deliveries import read_deliveries
from serving.store.engine import reading

HERE = "/console/events"
SHOWN = 50


class EventsRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HERE, self.events, methods=["GET"]),
            Route(f"{HERE}/{{endpoint_id}}/replay", self.replay, methods=["POST"]),
        ]

    async def events(self, request: Request) -> Response:
        """Show addresses and the latest deliveries."""
        return self.pages.render(request, "events.html", **await away(self._shown))

    def _shown(self) -> dict[str, Any]:
        desks = desks_of(self.pages.doors)
        with reading(desks.store.engine) as connection:
            latest = read_deliveries(connection, size=SHOWN)
        endpoints = endpoints_json(desks)
        urls = {one["endpoint_id"]: one["url"] for one in endpoints}
        return {"endpoints": endpoints, "latest": latest, "urls": urls}

    async def replay(self, request: Request) -> Response:
        """Send dead letters once more."""
        desk, actor = desks_of(self.pages.doors).endpoints, caller_of(request)
        endpoint_id = request.path_params["endpoint_id"]
        try:
            count = await away(lambda: desk.replay(endpoint_id, actor, now_utc()))
        except EndpointError as error:
            raise ProblemError(NOT_FOUND, str(error)) from None
        return self.pages.go(HERE, self.pages.words(request)("events.replayed", n=count))
