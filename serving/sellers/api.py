"""Sellers, statements of reasons, appeals and evidence over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from serving.desks import Desks, away, desks_of
from serving.evidence.export import csv_lines
from serving.evidence.pack import Evidence, EvidenceError
from serving.evidence.sections import document_of, evidence_language
from serving.http.bodies import body_of
from serving.http.callers import caller_of
from serving.http.edge import json_response
from serving.http.problems import WRONG_FIELDS, ProblemError
from serving.sellers.appeals import fold_appeals
from serving.sellers.book import SellerError
from serving.sellers.statements import Statement, statement_language, write_statement
from serving.store.engine import reading
from serving.store.evidence import read_period
from serving.store.steps import read_appeals

if TYPE_CHECKING:
    from serving.doors import Doors

_LISTED = 1_000
_PERIOD_MAX = timedelta(days=3_700)
FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AppealRequest(_Body):
    """What the seller says."""

    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class AppealJudgement(_Body):
    """Whether the decision is taken back (``overturn``), and why; the seller is told."""

    overturn: StrictBool
    note: Annotated[str, Field(min_length=1, max_length=2_000)]


class SellersApi:
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
        decision = "/v1/decisions/{decision_id}"
        return [
            Route("/v1/sellers", self.sellers, methods=["GET"]),
            Route("/v1/sellers/{seller_id}", self.seller, methods=["GET"]),
            Route(f"{decision}/statement", self.statement, methods=["GET"]),
            Route(f"{decision}/appeals", self.open_appeal, methods=["POST"]),
            Route("/v1/appeals", self.appeals, methods=["GET"]),
            Route("/v1/appeals/{appeal_id}", self.appeal, methods=["GET"]),
            Route("/v1/appeals/{appeal_id}/judgement", self.judge, methods=["POST"]),
            Route(f"{decision}/evidence", self.decision_evidence, methods=["GET"]),
            Route("/v1/notices/{notice_id}/evidence", self.notice_evidence, methods=["GET"]),
            Route("/v1/evidence", self.export, methods=["GET"]),
        ]

    async def sellers(self, request: Request) -> Response:
        """List sellers with strikes, the most points first."""
        found = await away(desks_of(self.doors).sellers.ranked, _now(), _LISTED)
        said = [
            {"marketplace": key[0], "seller_id": key[1], "points": one.points, "measure": one.measure}
            for key, one in found
        ]
        return json_response({"sellers": said})

    async def seller(self, request: Request) -> Response:
        """Show a seller; ``?marketplace=`` names where."""
        key = (request.query_params.get("marketplace", ""), request.path_params["seller_id"])
        page = await away(desks_of(self.doors).sellers.page, key, _now())
        return json_response(page.to_json())

    async def statement(self, request: Request) -> Response:
        """Write the statement of reasons; ``?language=ko|en|zh``."""
        desks, decision_id = desks_of(self.doors), request.path_params["decision_id"]
        language = request.query_params.get("language", "ko")
        return json_response((await away(statement_of, desks, decision_id, language)).to_json())

    async def open_appeal(self, request: Request) -> Response:
        """Open an appeal."""
        asked = await body_of(request, AppealRequest)
        work = desks_of(self.doors).appeals.open
        made = await away(work, request.path_params["decision_id"], asked.text, caller_of(request), _now())
        return json_response(made.to_json(), status=201)

    async def appeals(self, request: Request) -> Response:
        """List appeals: ``?state=open|upheld|overturned``."""
        state = request.query_params.get("state")
        found = await away(desks_of(self.doors).appeals.all)
        wanted = [one.to_json() for one in found if state in (None, one.state)][-_LISTED:]
        return json_response({"appeals": wanted})

    async def appeal(self, request: Request) -> Response:
        """Show an appeal with what the seller wrote."""
        desk = desks_of(self.doors).appeals
        found = await away(desk.appeal, request.path_params["appeal_id"])
        return json_response(found.to_json() | {"text": await away(desk.text, found)})

    async def judge(self, request: Request) -> Response:
        """Uphold or overturn the decision."""
        asked = await body_of(request, AppealJudgement)
        desk, appeal_id, who = (
            desks_of(self.doors).appeals,
            request.path_params["appeal_id"],
            caller_of(request),
        )
        if asked.overturn:
            return json_response((await away(desk.overturn, appeal_id, asked.note, who, _now())).to_json())
        return json_response((await away(desk.uphold, appeal_id, asked.note, who)).to_json())

    async def decision_evidence(self, request: Request) -> Response:
        """Give the evidence of a decision; ``?form=json|html|pdf``, ``?language=ko|en``."""
        desk = desks_of(self.doors).evidence
        made = await away(desk.of_decision, request.path_params["decision_id"], caller_of(request), _now())
        return await drawn(made, request)

    async def notice_evidence(self, request: Request) -> Response:
        """Give the evidence of a notice."""
        desk = desks_of(self.doors).evidence
        made = await away(desk.of_notice, request.path_params["notice_id"], caller_of(request), _now())
        return await drawn(made, request)

    async def export(self, request: Request) -> Response:
        """Give the decisions of a period as CSV: ``?since=2026-11-01&until=2026-12-01``."""
        since, until = _moment(request, "since"), _moment(request, "until")
        if not timedelta() < until - since <= _PERIOD_MAX:
            raise ProblemError(WRONG_FIELDS, "Give since and until as days or times, since before until.")
        store = desks_of(self.doors).store

        def lines() -> Iterator[str]:
            with reading(store.engine) as connection:
                yield from csv_lines(read_period(connection, since, until))

        name = f"decisions-{since:%Y%m%d}-{until:%Y%m%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', **FILE_HEADERS}
        body = iterate_in_threadpool(lines())
        return StreamingResponse(body, headers=headers, media_type="text/csv; charset=utf-8")


def statement_of(desks: Desks, decision_id: str, language: str) -> Statement:
    """Write the statement of reasons of a stored decision.

    Raises
    ------
    NotFoundError, StatementError
    """
    found = desks.store.decision(decision_id)
    seller = (found.listing or {}).get("seller") or {}
    seller_id = str(seller.get("id") or "")
    standing = desks.sellers.page((found.marketplace, seller_id), _now()).standing if seller_id else None
    with reading(desks.store.engine) as connection:
        appeals = fold_appeals(read_appeals(connection, decision_id=decision_id))
    appeal = appeals[-1] if appeals else None
    return write_statement(found, statement_language(language), desks.sellers.rules, standing, appeal)


async def drawn(made: Evidence, request: Request) -> Response:
    """Draw evidence in the form that was asked for.

    Raises
    ------
    ProblemError
        422 for a form or language that there is none of.
    """
    form = request.query_params.get("form", "json")
    try:
        language = evidence_language(request.query_params.get("language", "ko"))
    except EvidenceError as error:
        raise ProblemError(WRONG_FIELDS, str(error)) from None
    name = f"evidence-{made.subject}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **FILE_HEADERS}
    if form == "json":
        return Response(orjson.dumps(made.content), headers=headers, media_type="application/json")
    if form not in ("html", "pdf"):
        raise ProblemError(WRONG_FIELDS, f"Got form {form[:20]!r}, expected json, html or pdf.")
    document = document_of(made, language)
    if form == "html":
        from serving.evidence.html import html_of

        page = await away(html_of, document)
        return Response(page, headers=FILE_HEADERS, media_type="text/html; charset=utf-8")
    from serving.evidence.pdf import pdf_of

    return Response(await away(pdf_of, document), headers=headers, media_type="application/pdf")


def _moment(request: Request, name: str) -> datetime:
    try:
        return read_moment(request.query_params.get(name, ""))
    except SellerError as error:
        raise ProblemError(WRONG_FIELDS, f"{name}: {error}") from None


def read_moment(text: str) -> datetime:
    """Read a day or a time; UTC without a zone.

    Raises
    ------
    SellerError
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SellerError(f"got {text[:40]!r}, expected a day or time such as 2026-11-01") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


def bodies() -> tuple[type[BaseModel], ...]:
    """Return the bodies that these routes take, for the reference."""
    return (AppealRequest, AppealJudgement)
