"""Decisions, the newest first, and finding one."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages, away
from serving.store import desk_reads
from serving.store.engine import reading

PAGE = 50


class DecidedRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [Route("/console/decisions", self.decisions, methods=["GET"])]

    async def decisions(self, request: Request) -> Response:
        """Show a page of decisions, or the one that was looked for."""
        asked = request.query_params
        find, who = asked.get("find", "").strip()[:256], asked.get("who", "").strip()[:80]
        before = int(asked["before"]) if asked.get("before", "").isdigit() else None
        if find:
            found = await away(self._find, find)
            if found is not None:
                return self.pages.go(f"/console/items/{found}")
        shown: dict[str, Any] = {"find": find, "who": who, "first": before is None}
        rows = await away(self._page, before, who)
        more = rows[-1].seq if len(rows) == PAGE else None
        return self.pages.render(request, "decisions.html", rows=rows, more=more, **shown)

    def _find(self, text: str) -> str | None:
        with reading(self.pages.store().engine) as connection:
            return desk_reads.find_decision(connection, text)

    def _page(self, before: int | None, who: str) -> tuple[desk_reads.DecisionLine, ...]:
        with reading(self.pages.store().engine) as connection:
            return desk_reads.decisions_page(connection, before=before, actor=who, size=PAGE)
