"""Many items at once: looked at first, done as one, taken back as one."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.desk_door import desk_of, filter_of, filter_query, told
from serving.console.page import Pages, actor_of_request, away, field
from serving.review.bulk import BulkDesk
from serving.review.rules import ReviewError
from serving.store import desk
from serving.store.desk_counts import filter_values
from serving.store.engine import reading
from serving.store.records import moment

HERE = "/console/bulk"
SHOWN = 100


class BulkRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/bulk", self.bulk, methods=["GET"]),
            Route("/console/bulk/apply", self.apply, methods=["POST"]),
            Route("/console/bulk/{bulk_id}/undo", self.undo, methods=["POST"]),
        ]

    async def bulk(self, request: Request) -> Response:
        """Show the form, a preview once a choice was made, and what was done before."""
        asked = request.query_params
        only, choice, hazard = filter_of(asked.get), asked.get("choice", ""), asked.get("about", "")
        preview, problem = None, ""
        if choice:
            try:
                who = actor_of_request(request).name
                preview = await away(BulkDesk(desk_of(self.pages)).preview, who, only, choice, hazard)
            except ReviewError as error:
                problem = self.pages.words(request)("refused.because", why=str(error))
        return self.pages.render(
            request,
            "bulk.html",
            asked=filter_query(only),
            choice=choice,
            about=hazard,
            preview=preview,
            problem=problem,
            shown=SHOWN,
            **await away(self._earlier),
        )

    def _earlier(self) -> dict[str, Any]:
        with reading(self.pages.store().engine) as connection:
            found = desk.read_bulks(connection)
            values = filter_values(connection)
        return {
            "values": values,
            "earlier": [
                {
                    "one": bulk,
                    "at": moment(bulk.at),
                    "undone": None if bulk.undone_at is None else moment(bulk.undone_at),
                    "filter": orjson.loads(bulk.filter),
                }
                for bulk in found
            ],
        }

    async def apply(self, request: Request) -> Response:
        """Do what was looked at."""
        only = filter_of(lambda name: field(request, name, 256))
        words, who = self.pages.words(request), actor_of_request(request).name
        said = [field(request, name) for name in ("choice", "mark", "about")]

        async def work() -> Response:
            note = field(request, "note", 2_000)
            found = await away(BulkDesk(desk_of(self.pages)).apply, who, only, *said, note)
            return self.pages.go(HERE, words("bulk.done", number=found.done, left=found.left))

        return await told(self.pages, request, work, HERE)

    async def undo(self, request: Request) -> Response:
        """Take a bulk action back."""
        words, who = self.pages.words(request), actor_of_request(request).name

        async def work() -> Response:
            found = await away(BulkDesk(desk_of(self.pages)).undo, who, request.path_params["bulk_id"])
            return self.pages.go(HERE, words("bulk.undone", number=found.done, left=found.left))

        return await told(self.pages, request, work, HERE)
