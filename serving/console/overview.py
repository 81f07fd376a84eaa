"""The first page: the numbers that matter today, and what to do first."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.console.page import Pages, away, now_utc
from serving.store import Store, desk, desk_counts, desk_reads
from serving.store.engine import reading

FRESH_S = 10.0
SHOWN = 6


@dataclass(frozen=True, slots=True)
class LaboratoryBudget:
    """The plan in force: items ordered, results in."""

    plan_id: str
    items: int
    tested: int


class OverviewRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._lock = threading.Lock()
        self._numbers: tuple[float, Mapping[str, Any]] | None = None
        self._labs: Any = None
        self._notices: Any = None

    def routes(self) -> list[Route]:
        """Return every route."""
        return [Route("/console", self.overview, methods=["GET"])]

    async def overview(self, request: Request) -> Response:
        """Show the numbers; they are at most `FRESH_S` old."""
        numbers = await away(self._shown)
        return self.pages.render(request, "overview.html", **numbers)

    def _shown(self) -> Mapping[str, Any]:
        with self._lock:
            if self._numbers is None or time.monotonic() - self._numbers[0] > FRESH_S:
                self._numbers = (time.monotonic(), self._count(self.pages.store()))
            return self._numbers[1]

    def _count(self, store: Store) -> Mapping[str, Any]:
        now = now_utc()
        first = store.queue_page(size=SHOWN)
        with reading(store.engine) as connection:
            counts = desk_counts.queue_counts(connection, now)
            recent = desk_counts.recent_counts(connection, now - timedelta(days=1))
            people = desk_reads.decisions_page(connection, actor="people", size=SHOWN, within=20_000)
            proposals = desk.read_proposals(connection, "open")
        notices = self._notice_desk(store).book.overdue(now)
        return {
            "counts": counts,
            "recent": recent,
            "first": first,
            "people": people,
            "proposals": proposals,
            "oldest": None if counts.oldest is None else now - counts.oldest,
            "late_tasks": sum(len(late) for _, late in notices),
            "budget": self._budget(store),
            "now": now,
        }

    def _notice_desk(self, store: Store) -> Any:
        from serving.notices.desk import NoticeDesk

        if self._notices is None or self._notices.store is not store:
            self._notices = NoticeDesk(store)
        return self._notices

    def _budget(self, store: Store) -> LaboratoryBudget | None:
        from serving.labs.book import LabError
        from serving.labs.loop import LabOffice

        if self._labs is None or self._labs.store is not store:
            self._labs = LabOffice(store)
        book = self._labs.book
        try:
            plan = book.plan()
        except LabError:
            return None
        samples, results = book.samples_of(plan.plan_id), book.by_sample()
        return LaboratoryBudget(plan.plan_id, len(samples), sum(s.sample_id in results for s in samples))
