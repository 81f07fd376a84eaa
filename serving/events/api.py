"""Endpoints for events, and what became of deliveries, over HTTP; and delivery beside answering."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.schema import Short
from serving.desks import Desks, away, desks_of
from serving.events.outbox import Outbox
from serving.events.outbox_worker import OutboxWorker
from serving.http.bodies import body_of
from serving.http.callers import caller_of
from serving.http.edge import json_response
from serving.http.problems import WRONG_FIELDS, ProblemError
from serving.store.deliveries import Delivery, count_deliveries, prune, read_deliveries
from serving.store.engine import reading, writing
from serving.store.records import microseconds
from serving.store.steps import erase_said

if TYPE_CHECKING:
    from serving.doors import Doors

SWEEP_S = 20.0
EVENTS_KEPT_DAYS = 90
_STATUSES = (None, "waiting", "delivered", "dead")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EndpointRequest(_Body):
    """An address for events; without ``kinds`` it gets all of them."""

    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    kinds: Annotated[list[Short], Field(max_length=50)] = Field(default_factory=list)
    description: Annotated[str, Field(max_length=1_000)] = ""


class EndpointState(_Body):
    """Whether events are sent."""

    active: StrictBool
    why: Annotated[str, Field(max_length=1_000)] = ""


class ReplayRequest(_Body):
    """What to send once more: dead letters, or with ``since`` everything from then on."""

    since: AwareDatetime | None = None


class EventsApi:
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
        one = "/v1/endpoints/{endpoint_id}"
        return [
            Route("/v1/endpoints", self.endpoints, methods=["GET", "POST"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/state", self.state, methods=["POST"]),
            Route(f"{one}/rotation", self.rotate, methods=["POST"]),
            Route(f"{one}/replay", self.replay, methods=["POST"]),
            Route("/v1/deliveries", self.deliveries, methods=["GET"]),
        ]

    async def endpoints(self, request: Request) -> Response:
        """Register an address, or list them with how many deliveries wait, arrived and died."""
        desk = desks_of(self.doors).endpoints
        if request.method == "POST":
            asked = await body_of(request, EndpointRequest)
            made, secret = await away(
                desk.register, asked.url, asked.kinds, caller_of(request), _now(), asked.description
            )
            return json_response(made.to_json() | {"secret": secret}, status=201, headers=_SECRET)
        return json_response({"endpoints": await away(endpoints_json, desks_of(self.doors))})

    async def remove(self, request: Request) -> Response:
        """Remove an address and its secrets."""
        work = desks_of(self.doors).endpoints.remove
        await away(work, request.path_params["endpoint_id"], caller_of(request))
        return Response(status_code=204)

    async def state(self, request: Request) -> Response:
        """Switch sending off or on."""
        asked, desk = await body_of(request, EndpointState), desks_of(self.doors).endpoints
        endpoint_id, who = request.path_params["endpoint_id"], caller_of(request)
        if asked.active:
            return json_response((await away(desk.enable, endpoint_id, who)).to_json())
        return json_response((await away(desk.disable, endpoint_id, who, asked.why)).to_json())

    async def rotate(self, request: Request) -> Response:
        """Give a new secret; the old one signs beside it for a day."""
        work = desks_of(self.doors).endpoints.rotate
        secret = await away(work, request.path_params["endpoint_id"], caller_of(request), _now())
        return json_response({"secret": secret}, headers=_SECRET)

    async def replay(self, request: Request) -> Response:
        """Send once more."""
        asked = await body_of(request, ReplayRequest)
        work = desks_of(self.doors).endpoints.replay
        endpoint_id = request.path_params["endpoint_id"]
        count = await away(work, endpoint_id, caller_of(request), _now(), asked.since)
        return json_response({"again": count})

    async def deliveries(self, request: Request) -> Response:
        """List deliveries: ``?status=waiting|delivered|dead``, ``?endpoint=``, ``?subject=``."""
        query = request.query_params
        if query.get("status") not in _STATUSES:
            raise ProblemError(WRONG_FIELDS, "Got another status, expected waiting, delivered or dead.")
        store = desks_of(self.doors).store

        def read() -> tuple[Delivery, ...]:
            with reading(store.engine) as connection:
                return read_deliveries(
                    connection,
                    endpoint_id=query.get("endpoint"),
                    status=query.get("status"),
                    subject=query.get("subject"),
                    size=500,
                )

        return json_response({"deliveries": [delivery_json(one) for one in await away(read)]})


_SECRET = {"Cache-Control": "no-store"}


def endpoints_json(desks: Desks) -> list[dict[str, Any]]:
    """Return the endpoints that exist, with counts of their deliveries."""
    with reading(desks.store.engine) as connection:
        counts = count_deliveries(connection)
    return [
        endpoint.to_json()
        | {status: counts.get((endpoint.endpoint_id, status), 0) for status in _STATUSES if status}
        for endpoint in desks.endpoints.all().values()
        if endpoint.state != "removed"
    ]


def delivery_json(one: Delivery) -> dict[str, Any]:
    """Return a delivery as JSON values."""
    times = {
        name: None if at is None else at.isoformat(timespec="seconds")
        for name, at in (
            ("created_at", one.created_at),
            ("next_attempt_at", one.next_attempt_at),
            ("ended_at", one.ended_at),
        )
    }
    names = ("event_id", "type", "subject", "endpoint_id", "status", "attempts", "last_answer")
    return {name: getattr(one, name) for name in names} | times


@contextmanager
def deliver_events(doors: Doors) -> Iterator[None]:
    """Deliver events while the service runs, and look for overdue notices and fresh strikes, where there is a store."""
    if doors.engine().store is None:
        yield
        return
    desks = desks_of(doors)
    worker = OutboxWorker(Outbox(desks.endpoints), also=Sweeps(desks, doors.settings.retention_days)).start()
    try:
        yield
    finally:
        worker.close()


class Sweeps:
    """What is looked for now and then: overdue notices, blocks that deserve a strike, what is past its time."""

    def __init__(self, desks: Desks, retention_days: float | None = None, every_s: float = SWEEP_S) -> None:
        self.desks = desks
        self.retention_days = retention_days
        self.every_s = every_s
        self._last = -every_s

    def __call__(self) -> None:
        """Look, where it is time."""
        if time.monotonic() - self._last < self.every_s:
            return
        self._last = time.monotonic()
        self.desks.notices.flag_overdue(_now())
        self.desks.sellers.sweep()
        before = _now() - timedelta(days=EVENTS_KEPT_DAYS)
        with writing(self.desks.store.engine) as connection:
            prune(connection, before)
        if self.retention_days is not None:
            said = _now() - timedelta(days=self.retention_days)
            with writing(self.desks.store.engine) as connection:
                erase_said(connection, microseconds(said))


def _now() -> datetime:
    return datetime.now(UTC)


def bodies() -> tuple[type[BaseModel], ...]:
    """Return the bodies that these routes take, for the reference."""
    return (EndpointRequest, EndpointState, ReplayRequest)
