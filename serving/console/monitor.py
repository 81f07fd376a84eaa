"""What is watched, and which bundle serves: the last report of ``listing-risk monitor`` and the history of models."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages, away
from serving.models.challenger import compare_shadow
from serving.models.promotion import champion_of, events_of, shadow_of, spells
from serving.store.engine import reading
from serving.store.watching import last_report

DRIFTS = 15
HISTORY = 20


class MonitorRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/monitor", self.monitor, methods=["GET"]),
            Route("/console/models", self.models, methods=["GET"]),
        ]

    async def monitor(self, request: Request) -> Response:
        """Show the last report."""
        return self.pages.render(request, "monitor.html", **await away(self._report))

    def _report(self) -> dict[str, Any]:
        with reading(self.pages.store().engine) as connection:
            found = last_report(connection, "monitor")
        if found is None:
            return {"at": None, "report": None, "drifts": ()}
        at, report = found
        return {"at": at, "report": report, "drifts": report["drifts"][:DRIFTS]}

    async def models(self, request: Request) -> Response:
        """Show what serves, what runs in shadow, and what happened to bundles."""
        return self.pages.render(request, "models.html", **await away(self._models))

    def _models(self) -> dict[str, Any]:
        store = self.pages.store()
        shadow = shadow_of(store)
        return {
            "serving_now": self.pages.doors.engine().predictor.model_version,
            "champion": champion_of(store),
            "shadow": shadow,
            "compared": compare_shadow(store, shadow.version) if shadow else None,
            "happened": events_of(store, most=HISTORY),
            "spells": spells(store)[:HISTORY],
        }
