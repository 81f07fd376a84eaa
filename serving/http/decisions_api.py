"""Recorded decisions over HTTP: each stands under its own address."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.http.edge import json_response
from serving.http.problems import NOT_FOUND, NOT_RECORDED, ProblemError
from serving.store.decided import full_json
from serving.store.decisions import StoredDecision
from serving.store.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from serving.doors import Doors


class DecisionsApi:
    """The handlers.

    Parameters
    ----------
    doors
        The way to the store.
    """

    def __init__(self, doors: Doors) -> None:
        self.doors = doors

    def routes(self) -> list[Route]:
        """Return every route."""
        return [Route("/v1/decisions/{decision_id}", self.decision, methods=["GET"])]

    async def decision(self, request: Request) -> Response:
        """Show a decision as it was given, and what is known of its record."""
        store, decision_id = self.doors.store(), request.path_params["decision_id"]
        try:
            stored = await asyncio.to_thread(store.decision, decision_id)
        except NotFoundError as error:
            raise ProblemError(NOT_FOUND, str(error)) from None
        except StoreError:
            detail = "The store does not answer."
            raise ProblemError(NOT_RECORDED, detail, headers={"Retry-After": "2"}) from None
        return json_response(stored_json(stored))


def stored_json(stored: StoredDecision) -> dict[str, Any]:
    """Return a recorded decision as JSON values; what retention erased is null.

    ``decision`` is the answer that was given, ``record`` where and when it stands in the store.
    """
    return {
        "decision": full_json(stored),
        "listing": stored.listing,
        "record": {
            "seq": stored.seq,
            "actor": stored.actor,
            "caller": stored.caller,
            "marketplace": stored.marketplace,
            "recorded_at": _time(stored.recorded_at),
            "erased_at": None if stored.erased_at is None else _time(stored.erased_at),
        },
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
