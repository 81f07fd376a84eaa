"""Sellers: where each stands, strikes, listings, appeals."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages, away, now_utc
from serving.sellers.desk import SellerDesk
from serving.store import desk_counts, desk_reads
from serving.store.engine import reading


class SellersRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/sellers", self.sellers, methods=["GET"]),
            Route("/console/seller", self.seller, methods=["GET"]),
        ]

    async def sellers(self, request: Request) -> Response:
        """Show sellers with strikes, and those of whom most waits."""
        return self.pages.render(request, "sellers.html", **await away(self._all))

    def _all(self) -> dict[str, Any]:
        store = self.pages.store()
        with reading(store.engine) as connection:
            waiting = desk_counts.sellers_with_most(connection)
        return {"ranked": SellerDesk(store).ranked(now_utc(), 100), "waiting": waiting}

    async def seller(self, request: Request) -> Response:
        """Show one seller; its id may hold any character, so it stands in the query."""
        asked = request.query_params
        key = (asked.get("marketplace", "")[:256], asked.get("id", "")[:256])
        return self.pages.render(request, "seller.html", **await away(self._one, key))

    def _one(self, key: tuple[str, str]) -> dict[str, Any]:
        store, now = self.pages.store(), now_utc()
        with reading(store.engine) as connection:
            listings = [
                line
                for line in desk_reads.listings_of_seller(connection, key[1])
                if line.marketplace == key[0]
            ]
        page = SellerDesk(store).page(key, now)
        return {
            "page": page,
            "listings": listings,
            "now": now,
            "counts": {
                "waits": sum(line.waits for line in listings),
                "off_sale": page.states.get("off_sale", 0),
                "live": page.states.get("live", 0),
                "held": page.states.get("held", 0),
            },
        }
