"""The review queue: what waits, the most harmful and oldest first, and taking the next one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.desk_door import desk_of, filter_of, filter_query, told
from serving.console.page import Pages, actor_of_request, away, field, now_utc
from serving.store import QueueFilter, QueueItem, desk
from serving.store.desk_counts import filter_values
from serving.store.engine import reading
from serving.store.records import microseconds

PAGE = 50


@dataclass(frozen=True, slots=True)
class QueueRow:
    """An item on the page with who works on it."""

    item: QueueItem
    claimed_by: str
    waits_for_second: bool
    age: timedelta
    overdue: bool


class QueueRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/queue", self.queue, methods=["GET"]),
            Route("/console/queue/take", self.take, methods=["POST"]),
        ]

    async def queue(self, request: Request) -> Response:
        """Show a page of what waits."""
        asked = request.query_params
        only, after = filter_of(asked.get), _after(asked.get("after"))
        found = await away(self._page, only, after, actor_of_request(request).name)
        more = {}
        if len(found["rows"]) == PAGE:
            last = found["rows"][-1].item
            more = filter_query(only) | {"after": f"{last.place!r}:{last.seq}"}
        return self.pages.render(
            request,
            "queue.html",
            only=only,
            asked=filter_query(only),
            more=more,
            first=after is None,
            **found,
        )

    def _page(self, only: QueueFilter, after: tuple[float, int] | None, actor: str) -> dict[str, Any]:
        store, now = self.pages.store(), now_utc()
        items = store.queue_page(size=PAGE, after=after, only=only)
        keys = [(item.marketplace, item.listing_id) for item in items]
        with reading(store.engine) as connection:
            held = desk.claims_among(connection, keys, microseconds(now))
            second = desk.proposed_among(connection, keys)
            mine = desk.claims_of(connection, actor, microseconds(now))
            values = filter_values(connection)
        rows = [
            QueueRow(
                item,
                held[key].actor if key in held else "",
                key in second,
                now - item.opened_at,
                item.held_until is not None and item.held_until < now,
            )
            for item, key in zip(items, keys, strict=True)
        ]
        return {"rows": rows, "values": values, "mine": mine}

    async def take(self, request: Request) -> Response:
        """Claim the most urgent item that is free and show it."""
        only = filter_of(lambda name: field(request, name, 256))

        async def work() -> Response:
            claim = await away(desk_of(self.pages).take, actor_of_request(request).name, only)
            if claim is None:
                return self.pages.go("/console/queue", self.pages.words(request)("queue.nothing_free"))
            return self.pages.go(f"/console/items/{claim.decision_id}")

        return await told(self.pages, request, work, "/console/queue")


def _after(text: str | None) -> tuple[float, int] | None:
    place, _, seq = (text or "").partition(":")
    try:
        return (float(place), int(seq)) if seq else None
    except ValueError:
        return None
