"""Notices, acknowledgements, refunds and complaints over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.schema import Identifier, Short
from serving.desks import away, desks_of
from serving.http.bodies import body_of
from serving.http.callers import caller_of
from serving.http.edge import json_response
from serving.notices.complaints import ComplaintRequest
from serving.notices.intake import NoticeRequest
from serving.notices.notice import Notice
from serving.notices.office import open_refunds

if TYPE_CHECKING:
    from serving.doors import Doors

_LISTED = 1_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TasksRequest(_Body):
    """Tasks that are done, need not be done (``waived``, with a note), or are open again."""

    task_ids: Annotated[list[Short], Field(min_length=1, max_length=1_000)]
    to: Literal["done", "waived", "open"] = "done"
    note: Annotated[str, Field(max_length=2_000)] = ""


class HitRequest(_Body):
    """A person's word on whether a listing is the product of a notice."""

    listing_id: Identifier
    marketplace: Short = ""
    same: StrictBool


class RefundRequest(_Body):
    """How many buyers of a listing are to be refunded, and how many have been."""

    listing_id: Identifier
    marketplace: Short = ""
    units_due: Annotated[int, Field(ge=0, le=10**12)]
    units_done: Annotated[int, Field(ge=0, le=10**12)]


class WithdrawalRequest(_Body):
    """Why a notice is taken back."""

    note: Annotated[str, Field(min_length=1, max_length=2_000)]


class AcknowledgementRequest(_Body):
    """The marketplace's word about a listing."""

    listing_id: Identifier
    marketplace: Short = ""
    status: Literal["removed", "refused", "live_again"] = "removed"
    decision_id: Short = ""
    note: Annotated[str, Field(max_length=2_000)] = ""


class ComplaintsRequest(_Body):
    """Complaints of consumers."""

    complaints: Annotated[list[ComplaintRequest], Field(min_length=1, max_length=1_000)]


class NoticesApi:
    """The handlers.

    Parameters
    ----------
    doors
        The way to the store and the bans.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors

    def routes(self) -> list[Route]:
        """Return every route."""
        one = "/v1/notices/{notice_id}"
        return [
            Route("/v1/notices", self.notices, methods=["GET", "POST"]),
            Route(one, self.notice, methods=["GET"]),
            Route(f"{one}/tasks", self.tasks, methods=["POST"]),
            Route(f"{one}/hits", self.hits, methods=["POST"]),
            Route(f"{one}/refunds", self.refund, methods=["POST"]),
            Route(f"{one}/search", self.search, methods=["POST"]),
            Route(f"{one}/withdrawal", self.withdraw, methods=["POST"]),
            Route("/v1/acknowledgements", self.acknowledge, methods=["POST"]),
            Route("/v1/refunds", self.refunds, methods=["GET"]),
            Route("/v1/unacknowledged", self.unacknowledged, methods=["GET"]),
            Route("/v1/complaints", self.complaints, methods=["POST"]),
        ]

    async def notices(self, request: Request) -> Response:
        """Take a notice in, or list them: ``?state=open|closed|withdrawn``, ``?late=1``."""
        desks = desks_of(self.doors)
        if request.method == "POST":
            asked = await body_of(request, NoticeRequest)
            made = await away(desks.office.take_in, asked, caller_of(request), _now())
            return json_response(made.to_json(_now()), status=201)
        book = await away(lambda: desks.notices.book)
        now = _now()
        found = (
            [notice for notice, _ in book.overdue(now)] if _yes(request, "late") else _sorted(book.notices)
        )
        state = request.query_params.get("state")
        said = [notice.to_json(now) for notice in found]
        wanted = [one for one in said if state in (None, one["state"])][:_LISTED]
        return json_response({"notices": wanted})

    async def notice(self, request: Request) -> Response:
        """Show a notice."""
        return _said(await away(desks_of(self.doors).notices.notice, request.path_params["notice_id"]))

    async def tasks(self, request: Request) -> Response:
        """Mark tasks."""
        asked = await body_of(request, TasksRequest)
        work = desks_of(self.doors).notices.end_tasks
        ids, who = asked.task_ids, caller_of(request)
        return _said(
            await away(work, request.path_params["notice_id"], ids, who, to=asked.to, note=asked.note)
        )

    async def hits(self, request: Request) -> Response:
        """Say whether a listing that was found is the product."""
        asked = await body_of(request, HitRequest)
        key = (asked.marketplace, asked.listing_id)
        work = desks_of(self.doors).office.judge
        notice_id = request.path_params["notice_id"]
        return _said(await away(work, notice_id, key, asked.same, caller_of(request), _now()))

    async def refund(self, request: Request) -> Response:
        """Say how far refunds are."""
        asked = await body_of(request, RefundRequest)
        key = (asked.marketplace, asked.listing_id)
        work = desks_of(self.doors).notices.refund
        units, notice_id = (asked.units_due, asked.units_done), request.path_params["notice_id"]
        return _said(await away(work, notice_id, key, *units, caller_of(request)))

    async def search(self, request: Request) -> Response:
        """Look for the products on sale once more."""
        work = desks_of(self.doors).office.search
        return _said(await away(work, request.path_params["notice_id"], caller_of(request), _now()))

    async def withdraw(self, request: Request) -> Response:
        """Take a notice back that the authority took back."""
        asked = await body_of(request, WithdrawalRequest)
        work = desks_of(self.doors).notices.withdraw
        return _said(await away(work, request.path_params["notice_id"], caller_of(request), asked.note))

    async def acknowledge(self, request: Request) -> Response:
        """Take the marketplace's word about a listing."""
        asked = await body_of(request, AcknowledgementRequest)
        changed = await away(
            desks_of(self.doors).notices.acknowledge,
            (asked.marketplace, asked.listing_id),
            caller_of(request),
            _now(),
            status=asked.status,
            decision_id=asked.decision_id,
            note=asked.note,
        )
        return json_response({"notices": [notice.notice_id for notice in changed]}, status=201)

    async def refunds(self, request: Request) -> Response:
        """List refunds that are due and not done."""
        found = await away(open_refunds, desks_of(self.doors).notices, _now())
        said = [one | {"due_at": one["due_at"].isoformat(timespec="seconds")} for one in found]
        return json_response({"refunds": said})

    async def unacknowledged(self, request: Request) -> Response:
        """List blocks that the marketplace has not answered in time."""
        found = await away(desks_of(self.doors).reconciler.unacknowledged, _now())
        return json_response({"unacknowledged": [one.to_json() for one in found[:_LISTED]]})

    async def complaints(self, request: Request) -> Response:
        """Take complaints in."""
        asked = await body_of(request, ComplaintsRequest)
        desk, who, now = desks_of(self.doors).complaints, caller_of(request), _now()
        taken = await away(lambda: [desk.take_in(one, who, now) for one in asked.complaints])
        return json_response({"complaints": [one.to_json() for one in taken]}, status=201)


def _said(notice: Notice) -> Response:
    return json_response(notice.to_json(_now()))


def _sorted(notices: dict[str, Notice]) -> list[Notice]:
    return sorted(notices.values(), key=lambda notice: (notice.closed, notice.due_at, notice.notice_id))


def _yes(request: Request, name: str) -> bool:
    return request.query_params.get(name, "") in ("1", "true", "yes")


def _now() -> datetime:
    return datetime.now(UTC)


def bodies() -> tuple[type[BaseModel], ...]:
    """Return the bodies that these routes take, for the reference."""
    return (
        NoticeRequest,
        TasksRequest,
        HitRequest,
        RefundRequest,
        WithdrawalRequest,
        AcknowledgementRequest,
        ComplaintsRequest,
    )
