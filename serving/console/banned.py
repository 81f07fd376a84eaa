"""Bans, and listings that were taken for a banned item."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.schema import ListingError, parse_listing
from serving.bans.book import BanError, BanRequest
from serving.console.desk_door import told
from serving.console.page import Pages, actor_of_request, away, field
from serving.http.problems import NOT_FOUND, ProblemError
from serving.review.rules import ReviewError
from serving.store import desk_reads
from serving.store.engine import reading

HERE = "/console/bans"


class BansRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HERE, self.bans, methods=["GET"]),
            Route(f"{HERE}/{{ban_id}}", self.ban, methods=["GET"]),
            Route(f"{HERE}/{{ban_id}}/change", self.change, methods=["POST"]),
            Route("/console/items/{decision_id}/ban", self.place, methods=["POST"]),
            Route("/console/items/{decision_id}/match", self.judge, methods=["POST"]),
            Route("/console/matches", self.matches, methods=["GET"]),
        ]

    async def bans(self, request: Request) -> Response:
        """Show every ban, those in force first."""
        office = self.pages.doors.bans()
        await away(office.desk.refresh)
        entries = sorted(
            office.desk.book.entries.values(), key=lambda e: (e.state == "lifted", -e.placed_at.timestamp())
        )
        return self.pages.render(request, "bans.html", entries=entries)

    async def ban(self, request: Request) -> Response:
        """Show one ban with what it holds."""
        return self.pages.render(request, "ban.html", **await away(self._one, request.path_params["ban_id"]))

    def _one(self, ban_id: str) -> dict[str, Any]:
        from serving.store.bans import read_ban_rows, read_decided_on

        office = self.pages.doors.bans()
        office.desk.refresh()
        try:
            entry = office.desk.book.entry(ban_id)
        except BanError as error:
            raise ProblemError(NOT_FOUND, str(error)) from None
        with reading(self.pages.store().engine) as connection:
            rows = [row for row in read_ban_rows(connection) if row.ban_id == ban_id]
            held = read_decided_on(connection, ban_id)
        return {"entry": entry, "rows": rows[::-1], "held": held}

    async def change(self, request: Request) -> Response:
        """Lift, quarantine or release a ban."""
        ban_id, what = request.path_params["ban_id"], field(request, "what", 20)
        actor, words, why = actor_of_request(request).name, self.pages.words(request), field(request, "why")

        async def work() -> Response:
            office = self.pages.doors.bans()
            ways = {"lift": office.lift, "quarantine": office.desk.quarantine, "release": office.desk.release}
            if what not in ways:
                raise ReviewError(f"got {what!r}, expected lift, quarantine or release")
            await away(ways[what], ban_id, actor, why)
            return self.pages.go(f"{HERE}/{ban_id}", words(f"bans.done.{what}"))

        return await told(self.pages, request, work, f"{HERE}/{ban_id}")

    async def place(self, request: Request) -> Response:
        """Ban a listing's item, so that it does not come back."""
        decision_id, actor = request.path_params["decision_id"], actor_of_request(request).name
        reason, words = field(request, "reason"), self.pages.words(request)

        async def work() -> Response:
            stored = await away(self.pages.store().decision, decision_id)
            if stored.listing is None:
                raise ReviewError("got a listing whose text was erased: it cannot be banned")
            wanted = BanRequest(listing=dict(stored.listing), reason=reason)
            found = await away(self.pages.doors.bans().place, wanted, actor)
            message = words("bans.placed", number=len(found.decisions))
            return self.pages.go(f"{HERE}/{found.entry.ban_id}", message)

        return await told(self.pages, request, work, f"/console/items/{decision_id}")

    async def judge(self, request: Request) -> Response:
        """Take a person's word on a match."""
        decision_id, actor = request.path_params["decision_id"], actor_of_request(request).name
        ban_id, upheld = field(request, "ban_id", 256), bool(field(request, "upheld", 1))
        words = self.pages.words(request)

        async def work() -> Response:
            await away(self._judge, decision_id, ban_id, upheld, actor)
            return self.pages.go(f"/console/items/{decision_id}", words("bans.judged"))

        return await told(self.pages, request, work, f"/console/items/{decision_id}")

    def _judge(self, decision_id: str, ban_id: str, upheld: bool, actor: str) -> None:
        stored, desk = self.pages.store().decision(decision_id), self.pages.doors.bans().desk
        if upheld:
            desk.uphold(ban_id, stored.listing_id, actor)
            return
        try:
            desk.overturn(ban_id, parse_listing(stored.listing or {}), actor)
        except ListingError:
            raise ReviewError("got a listing whose text was erased: it cannot join the look-alikes") from None

    async def matches(self, request: Request) -> Response:
        """Show listings that were taken for a banned item, the newest first."""
        return self.pages.render(request, "matches.html", rows=await away(self._matches))

    def _matches(self) -> tuple[Any, ...]:
        with reading(self.pages.store().engine) as connection:
            return desk_reads.matched(connection)
