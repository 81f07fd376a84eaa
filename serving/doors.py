"""What the rooms of the service share: the engine that answers, and the doors through which each reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from serving.http.edge import not_ready
from serving.http.problems import NOT_READY, ProblemError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from starlette.routing import BaseRoute

    from features.schema import Listing
    from serving.bans.retroaction import BanOffice
    from serving.decisions import Decision
    from serving.http.scoring import Lanes
    from serving.metrics import Metrics
    from serving.predictor import Predictor
    from serving.readiness import Trouble
    from serving.settings import Settings
    from serving.store import OutboxEvent, Picture, Recorded, Store


class DecisionSink(Protocol):
    """Where decisions are recorded before they are given."""

    def prepare(
        self,
        decision: Decision,
        listing: Listing,
        *,
        caller: str = "",
        key: str | None = None,
        answer: Mapping[str, Any] | None = None,
        events: tuple[OutboxEvent, ...] = (),
        images: tuple[Picture, ...] = (),
    ) -> Any:
        """Make a record ready, in whatever thread calls."""
        ...

    def submit(self, units: Sequence[Sequence[Any]]) -> Sequence[Future[tuple[Recorded, ...]]]:
        """Record what was made ready, each unit all or none; an answer waits for its unit."""
        ...

    async def earlier_answer(self, decision_id: str) -> dict[str, Any]:
        """Give the answer that was sent for an earlier decision."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """What answers requests once it is loaded.

    Attributes
    ----------
    sink, store
        None where no store is set: listings are scored and nothing is recorded.
    bans
        None without a store, which is where bans are kept.
    """

    predictor: Predictor
    sink: DecisionSink | None = None
    store: Store | None = None
    bans: BanOffice | None = None

    @property
    def looks_at_photos(self) -> bool:
        """Whether listings' photos are compared with those of banned items."""
        return self.bans is not None and self.bans.photos is not None and self.bans.photos.reads

    def close(self) -> None:
        """Let go of the indexes and of the store, what waits to be written first."""
        if self.bans is not None:
            self.bans.close()
        if self.store is not None:
            self.store.close()


Observer: TypeAlias = "Callable[[Sequence[Decision], Sequence[Listing]], None]"
"""Told of decisions that were recorded; must not wait."""


class Doors:
    """What a room is handed when the application is built; the engine stands behind it from start to stop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.loaded: Engine | None = None
        self.observers: list[Observer] = []
        self.threads: ThreadPoolExecutor | None = None
        self.trouble: Trouble | None = None
        self.lanes: Lanes | None = None

    def engine(self) -> Engine:
        """Return what answers requests.

        Raises
        ------
        ProblemError
            503 while it is not loaded.
        """
        loaded = self.loaded
        if loaded is None:
            raise not_ready() if self.trouble is None else self.trouble.problem()
        return loaded

    def pool(self) -> ThreadPoolExecutor:
        """Return the threads that slow work goes to.

        Raises
        ------
        ProblemError
            503 while the service starts or stops.
        """
        if self.threads is None:
            raise not_ready()
        return self.threads

    def scoring(self) -> Lanes:
        """Return where listings are scored.

        Raises
        ------
        ProblemError
            503 while the service starts or stops.
        """
        if self.lanes is None:
            raise not_ready()
        return self.lanes

    def store(self) -> Store:
        """Return the open store.

        Raises
        ------
        ProblemError
            503 where none is set.
        """
        store = self.engine().store
        if store is None:
            raise ProblemError(NOT_READY, "No store is set (LISTING_RISK_STORE), so nothing is kept here.")
        return store

    def bans(self) -> BanOffice:
        """Return where bans are kept.

        Raises
        ------
        ProblemError
            503 where no store is set.
        """
        office = self.engine().bans
        if office is None:
            raise ProblemError(NOT_READY, "No store is set (LISTING_RISK_STORE), so no ban could be kept.")
        return office


class Room(Protocol):
    """Some routes that belong together."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return every route."""
        ...


MakeRoom: TypeAlias = Callable[[Doors], Room]
Work: TypeAlias = Callable[[Doors], AbstractContextManager[object]]
"""Something that goes on while the service runs: entered once the engine is loaded, left before it closes."""
