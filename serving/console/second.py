"""What one person proposed and a second one has to agree to."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.desk_door import desk_of, told
from serving.console.page import Pages, actor_of_request, away
from serving.store import NotFoundError, desk
from serving.store.engine import reading
from serving.store.records import moment

HERE = "/console/second"


class SecondRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/second", self.second, methods=["GET"]),
            Route("/console/second/{proposal_id}/agree", self.agree, methods=["POST"]),
            Route("/console/second/{proposal_id}/decline", self.decline, methods=["POST"]),
        ]

    async def second(self, request: Request) -> Response:
        """Show what waits for a second person, and what was closed last."""
        return self.pages.render(request, "second.html", **await away(self._shown))

    def _shown(self) -> dict[str, Any]:
        store = self.pages.store()
        with reading(store.engine) as connection:
            waiting = desk.read_proposals(connection, "open")
            closed = [p for p in desk.read_proposals(connection, None, 60) if p.state != "open"][:20]
        return {"waiting": [self._row(p) for p in waiting], "closed": [self._row(p) for p in closed]}

    def _row(self, proposal: desk.Proposal) -> dict[str, Any]:
        try:
            stored = self.pages.store().decision(proposal.decision_id)
            title = (stored.listing or {}).get("title")
        except NotFoundError:
            title = None
        closed = None if proposal.closed_at is None else moment(proposal.closed_at)
        return {"one": proposal, "title": title, "at": moment(proposal.proposed_at), "closed": closed}

    async def agree(self, request: Request) -> Response:
        """Agree; it is in force then."""
        actor, words = actor_of_request(request).name, self.pages.words(request)

        async def work() -> Response:
            found = await away(desk_of(self.pages).agree, actor, request.path_params["proposal_id"])
            return self.pages.go(HERE, words("second.agreed", action=words.name("action", found.action)))

        return await told(self.pages, request, work, HERE)

    async def decline(self, request: Request) -> Response:
        """Do not agree."""
        actor, words = actor_of_request(request).name, self.pages.words(request)

        async def work() -> Response:
            await away(desk_of(self.pages).decline, actor, request.path_params["proposal_id"])
            return self.pages.go(HERE, words("second.declined"))

        return await told(self.pages, request, work, HERE)
