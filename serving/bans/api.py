"""Bans over HTTP: place, list, lift, judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.schema import ListingError, parse_listing
from serving.bans.book import BanError, BanRequest, JudgementRequest
from serving.http.bodies import body_of
from serving.http.callers import caller_of
from serving.http.edge import json_response
from serving.http.problems import NOT_FOUND, NOT_RECORDED, WRONG_FIELDS, ProblemError
from serving.store.ban_photos import read_picture
from serving.store.engine import reading
from serving.store.errors import BusyError, InvalidRecordError, StoreUnavailableError

if TYPE_CHECKING:
    from serving.bans.retroaction import BanOffice
    from serving.doors import Doors

BODY_MAX = 1_000_000
_SECONDS = 10.0
_Result = TypeVar("_Result")


class BansApi:
    """The handlers.

    Parameters
    ----------
    doors
        The way to where bans are kept.
    """

    def __init__(self, doors: Doors) -> None:
        self.office = doors.bans

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/v1/bans", self.bans, methods=["GET", "POST"]),
            Route("/v1/bans/{ban_id}", self.ban, methods=["GET", "DELETE"]),
            Route("/v1/bans/{ban_id}/photos/{position:int}", self.photo, methods=["GET"]),
            Route("/v1/bans/{ban_id}/judgements", self.judge, methods=["POST"]),
        ]

    async def bans(self, request: Request) -> Response:
        """Place a ban, or list them."""
        if request.method == "POST":
            return await self._place(request)
        office, state, bank = (
            self.office(),
            request.query_params.get("state"),
            request.query_params.get("bank"),
        )
        await _blocking(office.desk.refresh)
        entries = [
            entry.to_json()
            for entry in office.desk.book.entries.values()
            if (state is None or entry.state == state) and (bank is None or entry.bank == bank)
        ]
        return json_response({"bans": entries})

    async def _place(self, request: Request) -> Response:
        wanted = await body_of(request, BanRequest, BODY_MAX, _SECONDS)
        office = self.office()
        found = await _blocking(office.place, wanted, caller_of(request))
        return json_response(found.to_json(), status=201)

    async def ban(self, request: Request) -> Response:
        """Show a ban, or lift it."""
        office, ban_id = self.office(), request.path_params["ban_id"]
        if request.method == "DELETE":
            return json_response((await _blocking(office.lift, ban_id, caller_of(request))).to_json())
        await _blocking(office.desk.refresh)
        return json_response(_found(office, ban_id).to_json())

    async def photo(self, request: Request) -> Response:
        """Show a photo of a banned item as it is kept."""
        store, path = self.office().store, request.path_params

        def read() -> bytes | None:
            with reading(store.engine) as connection:
                return read_picture(connection, path["ban_id"], path["position"])

        picture = await _blocking(read)
        if picture is None:
            raise ProblemError(NOT_FOUND, "No such photo is kept.")
        headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    async def judge(self, request: Request) -> Response:
        """Take a person's word on a match."""
        said = await body_of(request, JudgementRequest, BODY_MAX, _SECONDS)
        office, ban_id = self.office(), request.path_params["ban_id"]
        desk = office.desk
        listing = await _blocking(parse_listing, said.listing)
        if said.upheld:
            entry = await _blocking(desk.uphold, ban_id, listing.id, caller_of(request))
        else:
            entry = await _blocking(desk.overturn, ban_id, listing, caller_of(request))
        return json_response(entry.to_json())


def _found(office: BanOffice, ban_id: str) -> Any:
    try:
        return office.desk.book.entry(ban_id)
    except BanError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None


async def _blocking(work: Callable[..., _Result], *args: Any) -> _Result:
    """Do slow work in a thread; what the store or the caller did wrong becomes a problem."""
    try:
        return await asyncio.to_thread(work, *args)
    except ListingError as error:
        raise ProblemError(
            WRONG_FIELDS, f"{len(error.errors)} fields are wrong.", errors=error.errors
        ) from None
    except BanError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except InvalidRecordError as error:
        raise ProblemError(WRONG_FIELDS, str(error)) from None
    except (BusyError, StoreUnavailableError):
        detail = "The store did not take the record."
        raise ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"}) from None
