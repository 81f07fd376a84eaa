"""Appeals of sellers: what they say against a decision, and the word on it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import UserError
from serving.console.page import Pages, actor_of_request, away, field, now_utc
from serving.desks import desks_of
from serving.http.problems import NOT_RECORDED, ProblemError
from serving.store import StoreError, desk_reads
from serving.store.engine import reading

HERE = "/console/appeals"
SHOWN = 100


class AppealsRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HERE, self.appeals, methods=["GET"]),
            Route("/console/appeals/{appeal_id}", self.judge, methods=["POST"]),
        ]

    async def appeals(self, request: Request) -> Response:
        """Show appeals, open ones first."""
        return self.pages.render(request, "appeals.html", **await away(self._shown))

    def _shown(self) -> dict[str, Any]:
        desk = desks_of(self.pages.doors).appeals
        found = desk.all()
        waiting = sorted((one for one in found if one.state == "open"), key=lambda one: one.due_at)[:SHOWN]
        closed = sorted((one for one in found if one.state != "open"), key=lambda one: one.opened_at)[-20:]
        with reading(self.pages.store().engine) as connection:
            titles = {
                one.appeal_id: desk_reads.title_of(connection, one.decision_id) for one in (*waiting, *closed)
            }
        return {
            "waiting": [(one, desk.text(one)) for one in waiting],
            "closed": closed[::-1],
            "titles": titles,
            "now": now_utc(),
        }

    async def judge(self, request: Request) -> Response:
        """Let the decision stand, or take it back with its strikes, labels and bans."""
        desk, words = desks_of(self.pages.doors).appeals, self.pages.words(request)
        appeal_id, actor = request.path_params["appeal_id"], actor_of_request(request).name
        word, note = field(request, "word", 20), field(request, "note", 2_000)
        try:
            if word == "overturn":
                await away(desk.overturn, appeal_id, note, actor, now_utc())
            else:
                await away(desk.uphold, appeal_id, note, actor)
        except UserError as error:
            return self.pages.go(HERE, words("refused.because", why=str(error)))
        except StoreError as error:
            raise ProblemError(NOT_RECORDED, str(error), headers={"Retry-After": "2"}) from None
        return self.pages.go(HERE, words(f"appeals.done.{'overturn' if word == 'overturn' else 'uphold'}"))
