"""Notices of authorities: what is asked for, what is late, the word on each listing and task."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, get_args
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import UserError
from features.taxonomy import load_taxonomy
from serving.console.page import Pages, away, field, form_of, now_utc
from serving.desks import desks_of
from serving.http.callers import caller_of
from serving.http.problems import NOT_FOUND, NOT_RECORDED, ProblemError
from serving.notices.intake import UnknownNoticeError, notice_request
from serving.notices.notice import TaskState
from serving.notices.office import open_refunds
from serving.notices.rules import NoticeKind
from serving.store import StoreError
from serving.store.engine import reading
from serving.store.sellers import read_titles
from serving.store.steps import read_notices

HERE = "/console/notices"
SHOWN = 200
_STATES: dict[str, TaskState] = {"done": "done", "waived": "waived", "open": "open"}


class NoticesRoom:
    """The handlers."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def routes(self) -> list[Route]:
        """Return every route."""
        one = f"{HERE}/{{notice_id}}"
        return [
            Route(HERE, self.notices, methods=["GET"]),
            Route(f"{HERE}/new", self.new, methods=["GET", "POST"]),
            Route(f"{HERE}/acknowledge", self.acknowledge, methods=["POST"]),
            Route(one, self.notice, methods=["GET"]),
            Route(f"{one}/tasks", self.tasks, methods=["POST"]),
            Route(f"{one}/refunds", self.refunds, methods=["POST"]),
            Route(f"{one}/hits", self.hits, methods=["POST"]),
            Route(f"{one}/search", self.search, methods=["POST"]),
        ]

    async def notices(self, request: Request) -> Response:
        """Show notices, unanswered blocks and refunds that are due."""
        only = request.query_params.get("only", "open")
        return self.pages.render(request, "notices.html", only=only, **await away(self._listed, only))

    def _listed(self, only: str) -> dict[str, Any]:
        desks, now = desks_of(self.pages.doors), now_utc()
        book = desks.notices.book
        late = book.overdue(now)
        shown = {
            "open": book.open,
            "late": lambda: [notice for notice, _ in late],
            "all": lambda: sorted(book.notices.values(), key=lambda one: one.opened_at, reverse=True),
        }.get(only, book.open)()
        unanswered = desks.reconciler.unacknowledged(now)
        return {
            "rows": [
                (one, len(one.late(now)), sum(t.state == "open" for t in one.tasks.values()))
                for one in shown[:SHOWN]
            ],
            "counts": {
                "open": len(book.open()),
                "late": len(late),
                "unanswered": len(unanswered),
                "refunds": len(open_refunds(desks.notices, now)),
            },
            "unanswered": unanswered[:50],
            "refunds": open_refunds(desks.notices, now)[:50],
            "now": now,
        }

    async def new(self, request: Request) -> Response:
        """Show the form, or take a notice in."""
        shown: dict[str, Any] = {
            "kinds": [kind for kind in get_args(NoticeKind) if kind != "laboratory"],
            "zones": sorted(desks_of(self.pages.doors).notices.rules.zones),
            "hazards": load_taxonomy().codes,
        }
        if request.method == "GET":
            return self.pages.render(request, "notice_new.html", problem="", given={}, **shown)
        given = {name: field(request, name, 20_000) for name in _FIELDS}
        try:
            made = await away(self._take_in, given, form_of(request).get("hazards", []), caller_of(request))
        except (UserError, StoreError) as error:
            return self.pages.render(
                request, "notice_new.html", 422, problem=str(error)[:500], given=given, **shown
            )
        message = self.pages.words(request)("notices.taken", n=len(made.hits))
        return self.pages.go(f"{HERE}/{made.notice_id}", message)

    def _take_in(self, given: dict[str, str], hazards: list[str], actor: str) -> Any:
        marketplace = given["marketplace"]
        named = [one.strip() for one in given["listing_ids"].replace("\n", ";").split(";") if one.strip()]
        raw: dict[str, Any] = {
            "kind": given["kind"] or "order",
            "authority": given["authority"],
            "number": given["number"],
            "jurisdiction": given["jurisdiction"] or "KR",
            "reason": given["reason"],
            "url": given["url"],
            "hazards": hazards,
            "products": [
                {
                    "title": given["title"],
                    "brand": given["brand"],
                    "models": given["models"],
                    "seller_id": given["seller_id"],
                    "listings": [{"id": one, "marketplace": marketplace} for one in named],
                }
            ],
        }
        desks, now = desks_of(self.pages.doors), now_utc()
        if given["deadline"]:
            raw["deadline"] = _end_of(
                given["deadline"], desks.notices.rules.calendar(raw["jurisdiction"]).zone
            )
        return desks.office.take_in(notice_request(raw), actor, now)

    async def notice(self, request: Request) -> Response:
        """Show a notice."""
        return self.pages.render(
            request, "notice.html", **await away(self._shown, request.path_params["notice_id"])
        )

    def _shown(self, notice_id: str) -> dict[str, Any]:
        desks, now = desks_of(self.pages.doors), now_utc()
        try:
            notice = desks.notices.notice(notice_id)
        except UnknownNoticeError as error:
            raise ProblemError(NOT_FOUND, str(error)) from None
        with reading(desks.store.engine) as connection:
            steps = read_notices(connection, notice_id=notice_id)
            titles = read_titles(connection, [hit.decision_id for hit in notice.hits.values()])
        tasks = sorted(notice.tasks.values(), key=lambda t: (t.state != "open", t.due_at, t.task_id))
        return {
            "notice": notice,
            "state": notice.to_json()["state"],
            "tasks": tasks,
            "hits": list(notice.hits.values()),
            "titles": titles,
            "steps": steps[::-1],
            "now": now,
        }

    async def tasks(self, request: Request) -> Response:
        """Mark chosen tasks."""
        notice_id, desk = request.path_params["notice_id"], desks_of(self.pages.doors).notices
        chosen, to = form_of(request).get("task", []), _STATES.get(field(request, "to", 10), "done")
        note, actor = field(request, "note", 2_000), caller_of(request)
        work = desk.end_tasks
        return await self._after(request, lambda: work(notice_id, chosen, actor, to=to, note=note))

    async def refunds(self, request: Request) -> Response:
        """Say how far refunds are."""
        notice_id, desk = request.path_params["notice_id"], desks_of(self.pages.doors).notices
        due, paid = field(request, "units_due", 15), field(request, "units_done", 15)
        key, actor = _key(request), caller_of(request)
        return await self._after(
            request, lambda: desk.refund(notice_id, key, _whole(due), _whole(paid), actor)
        )

    async def hits(self, request: Request) -> Response:
        """Say whether a listing is the product."""
        notice_id, office = request.path_params["notice_id"], desks_of(self.pages.doors).office
        key, same, actor = _key(request), field(request, "same", 5) == "yes", caller_of(request)
        return await self._after(request, lambda: office.judge(notice_id, key, same, actor, now_utc()))

    async def search(self, request: Request) -> Response:
        """Look for the products on sale once more."""
        notice_id, office = request.path_params["notice_id"], desks_of(self.pages.doors).office
        actor = caller_of(request)
        return await self._after(request, lambda: office.search(notice_id, actor, now_utc()))

    async def acknowledge(self, request: Request) -> Response:
        """Note the marketplace's word that a listing is gone."""
        desk, key, actor = desks_of(self.pages.doors).notices, _key(request), caller_of(request)
        await away(lambda: desk.acknowledge(key, actor, now_utc()))
        return self.pages.go(HERE, self.pages.words(request)("notices.acknowledged"))

    async def _after(self, request: Request, work: Any) -> Response:
        """Do something about a notice and show it again, with what went wrong where something did."""
        words, notice_id = self.pages.words(request), request.path_params["notice_id"]
        try:
            await away(work)
        except UnknownNoticeError as error:
            raise ProblemError(NOT_FOUND, str(error)) from None
        except UserError as error:
            return self.pages.go(f"{HERE}/{notice_id}", str(error)[:280])
        except StoreError as error:
            raise ProblemError(NOT_RECORDED, str(error)) from None
        return self.pages.go(f"{HERE}/{notice_id}", words("notices.judged"))


_FIELDS = (
    "kind", "authority", "number", "jurisdiction", "reason", "url", "title", "brand", "models", "seller_id",
    "listing_ids", "marketplace", "deadline",
)  # fmt: skip


def _end_of(day: str, zone: ZoneInfo) -> datetime:
    """Return the last second of a day where the authority is."""
    try:
        return datetime.combine(date.fromisoformat(day), time(23, 59, 59), zone)
    except ValueError:
        raise UserError(f"got {day[:20]!r}, expected a day such as 2026-11-30") from None


def _key(request: Request) -> tuple[str, str]:
    return field(request, "marketplace", 256), field(request, "listing_id", 256)


def _whole(text: str) -> int:
    if not text.isdigit():
        raise UserError(f"got {text[:20]!r}, expected a whole number")
    return int(text)
