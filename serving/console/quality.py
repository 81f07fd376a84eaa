"""How reviewers do: golden items and second looks."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.desk_door import told
from serving.console.page import Pages, actor_of_request, away, field, now_utc
from serving.review.quality import GoldenAnswer, SecondLook, quality
from serving.review.rules import ReviewError, choice_named
from serving.store import NoteRecord, desk_reads, goldens
from serving.store.engine import reading, writing
from serving.store.records import microseconds, moment

HERE = "/console/quality"
DAYS = 90


class QualityRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/console/quality", self.quality, methods=["GET"]),
            Route("/console/goldens", self.add, methods=["POST"]),
            Route("/console/goldens/{golden_id}/retire", self.retire, methods=["POST"]),
        ]

    async def quality(self, request: Request) -> Response:
        """Show agreement and error rates of reviewers, and the golden items."""
        return self.pages.render(request, "quality.html", days=DAYS, **await away(self._shown))

    def _shown(self) -> dict[str, Any]:
        store, since = self.pages.store(), microseconds(now_utc() - timedelta(days=DAYS))
        with reading(store.engine) as connection:
            answers = [GoldenAnswer(*row) for row in goldens.read_golden_answers(connection, since)]
            looks = [
                SecondLook(p.proposed_by, p.state == "agreed")
                for p in goldens.closed_proposals(connection, since)
            ]
            decided = goldens.decided_by_people(connection, since)
            items = goldens.read_goldens(connection)
            rows = [
                {"one": g, "at": moment(g.added_at), "title": desk_reads.title_of(connection, g.decision_id)}
                for g in items
            ]
        return {"reviewers": quality(answers, looks, decided), "goldens": rows}

    async def add(self, request: Request) -> Response:
        """Make a decided item a golden one."""
        decision_id, choice = field(request, "decision_id", 80), field(request, "choice")
        why, words = field(request, "why"), self.pages.words(request)

        async def work() -> Response:
            await away(self._add, decision_id, choice, why, actor_of_request(request).name)
            return self.pages.go(HERE, words("quality.added"))

        return await told(self.pages, request, work, HERE)

    def _add(self, decision_id: str, choice: str, why: str, actor: str) -> None:
        store, right = self.pages.store(), choice_named(choice)
        stored = store.decision(decision_id)
        if not why:
            raise ReviewError("got a golden item without a reason, expected how its right answer is known")
        with reading(store.engine) as connection:
            if goldens.golden_of_decision(connection, decision_id) is not None:
                raise ReviewError("got a decision that is a golden item already")
        made = goldens.Golden(uuid.uuid4().hex, stored.id, right, why, actor, microseconds(now_utc()))
        body = {"what": "golden added", "decision_id": stored.id, "choice": right}
        store.change(NoteRecord(f"golden:{made.id}", actor, body), timeout_s=30)
        with writing(store.engine) as connection:
            goldens.put_golden(connection, made)

    async def retire(self, request: Request) -> Response:
        """Show a golden item no more."""
        await away(self._retire, request.path_params["golden_id"], actor_of_request(request).name)
        return self.pages.go(HERE)

    def _retire(self, golden_id: str, actor: str) -> None:
        store = self.pages.store()
        store.change(NoteRecord(f"golden:{golden_id}", actor, {"what": "golden retired"}), timeout_s=30)
        with writing(store.engine) as connection:
            goldens.retire_golden(connection, golden_id, microseconds(now_utc()))
