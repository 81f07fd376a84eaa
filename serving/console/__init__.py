"""The console: what people see and work with, mounted in the service. Its rooms hold no logic of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.access.gate import Refuse
from serving.console.appeals import AppealsRoom
from serving.console.banned import BansRoom
from serving.console.bulk import BulkRoom
from serving.console.decided import DecidedRoom
from serving.console.events_out import EventsRoom
from serving.console.item import ItemRoom
from serving.console.laboratory import LaboratoryRoom
from serving.console.monitor import MonitorRoom
from serving.console.notices import NoticesRoom
from serving.console.overview import OverviewRoom
from serving.console.page import PageRoom, Pages, Place
from serving.console.people import PeopleRoom
from serving.console.policies import PolicyRoom
from serving.console.quality import QualityRoom
from serving.console.queue import QueueRoom
from serving.console.second import SecondRoom
from serving.console.sellers import SellersRoom
from serving.console.sign_in import SignIn
from serving.http.problems import ProblemError

if TYPE_CHECKING:
    from serving.doors import Doors

PLACES: tuple[Place, ...] = (
    Place("/console", "nav.overview", "score.read"),
    Place("/console/queue", "nav.queue", "queue.read"),
    Place("/console/second", "nav.second", "queue.read"),
    Place("/console/bulk", "nav.bulk", "queue.read"),
    Place("/console/sellers", "nav.sellers", "sellers.read"),
    Place("/console/appeals", "nav.appeals", "sellers.read"),
    Place("/console/notices", "nav.notices", "notices.read"),
    Place("/console/bans", "nav.bans", "bans.read"),
    Place("/console/decisions", "nav.decisions", "decisions.read"),
    Place("/console/policy", "nav.policy", "policy.read", "rules"),
    Place("/console/laboratory", "nav.laboratory", "laboratory.read"),
    Place("/console/quality", "nav.quality", "quality.read", "rules"),
    Place("/console/monitor", "nav.monitor", "metrics.read", "rules"),
    Place("/console/models", "nav.models", "score.read", "rules"),
    Place("/console/events", "nav.events", "events.read", "rules"),
    Place("/console/people", "nav.people", "access.manage", "rules"),
)
"""The navigation, in order; a room adds its entry here."""

ROOMS: tuple[Callable[[Pages], PageRoom], ...] = (
    SignIn,
    OverviewRoom,
    QueueRoom,
    ItemRoom,
    SecondRoom,
    BulkRoom,
    SellersRoom,
    NoticesRoom,
    EventsRoom,
    AppealsRoom,
    BansRoom,
    DecidedRoom,
    PolicyRoom,
    QualityRoom,
    MonitorRoom,
    PeopleRoom,
    LaboratoryRoom,
)
"""What makes the pages; a room adds itself here."""


class Console:
    """Every page, as a room of the service.

    Parameters
    ----------
    doors
        The service's engine and settings.
    """

    def __init__(self, doors: Doors) -> None:
        self.pages = Pages(doors, PLACES)

    def routes(self) -> Sequence[Route]:
        """Return every route."""
        return [_paged(self.pages, route) for room in ROOMS for route in room(self.pages).routes()]


def refusals(doors: Doors) -> Refuse:
    """Return what makes the page of a request that the gate refused."""
    return Pages(doors, PLACES).refuse


def _paged(pages: Pages, route: Route) -> Route:
    """Let a route answer problems with a page instead of JSON."""
    inner = route.endpoint

    async def handler(request: Request) -> Response:
        try:
            return await inner(request)
        except ProblemError as problem:
            request.scope["trace"].problem = problem.kind.slug
            return await pages.refuse(request, problem)

    return Route(route.path, handler, methods=list(route.methods or ()), name=route.name)
