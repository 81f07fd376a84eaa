"""The first page: the numbers that matter today, and what to do first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages


class OverviewRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [Route("/console", self.overview, methods=["GET"])]

    async def overview(self, request: Request) -> Response:
        """Show the numbers."""
        return self.pages.render(request, "overview.html")
