"""Group commit: many callers hand records in, one thread writes them, one fsync serves them all."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Engine

from serving.store import schema
from serving.store.chain import START, Head
from serving.store.engine import afresh, is_outage, unavailable, writing
from serving.store.errors import BusyError, InvalidRecordError, StoreError, StoreUnavailableError
from serving.store.group import Recorded, begin_group
from serving.store.outage import Cause
from serving.store.prepare import Prepared

_log = logging.getLogger(__name__)

Clock = Callable[[], int]


def wall_clock() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """How much may wait and how much goes into one commit.

    Attributes
    ----------
    waiting_records, waiting_bytes
        Beyond either a new record is refused with `BusyError`.
    group_records
        Most records in one transaction.
    first_retry_s, last_retry_s
        Pause after the first failure; it doubles up to the last.
    idle_s
        After so long without a record a write is tried, so that readiness does not wait for the first to fail.
    """

    waiting_records: int = 10_000
    waiting_bytes: int = 256 * 1024 * 1024
    group_records: int = 1_000
    first_retry_s: float = 0.1
    last_retry_s: float = 5.0
    idle_s: float = 10.0


@dataclass(frozen=True, slots=True)
class WriterState:
    """What the writer would say on a readiness page; ``cause`` is what the database suffers from, None while up."""

    up: bool
    waiting: int
    groups: int
    records: int
    failures: int
    problem: str
    cause: Cause | None = None


@dataclass(slots=True)
class _Unit:
    """One caller's records: all or none."""

    items: tuple[Prepared, ...]
    future: Future[tuple[Recorded, ...]]
    size: int


class Writer:
    """The one thread of a process that writes.

    A future resolves only after the commit that holds its records returned, that is after fsync.

    Parameters
    ----------
    engine
        From `serving.store.engine.open_engine`.
    limits
        See `WriterLimits`.
    clock
        Microseconds since 1970 (UTC). It may jump: order comes from numbers given out under the writers' lock.
    """

    def __init__(self, engine: Engine, limits: WriterLimits | None = None, clock: Clock = wall_clock) -> None:
        self._engine = engine
        self._limits = limits or WriterLimits()
        self._clock = clock
        self._units: deque[_Unit] = deque()
        self._waiting = 0
        self._bytes = 0
        self._condition = threading.Condition()
        self._closing = self._doubted = False
        self._problem: StoreUnavailableError | None = None
        self._head = START
        self._groups = self._records = self._failures = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def head(self) -> Head:
        """Last link that this writer committed."""
        return self._head

    def state(self) -> WriterState:
        """What is waiting and whether the database takes records now."""
        with self._condition:
            problem = self._problem
            return WriterState(
                problem is None,
                self._waiting,
                self._groups,
                self._records,
                self._failures,
                str(problem or ""),
                problem.cause if problem else None,
            )

    def doubt(self) -> None:
        """Look now whether the database takes records: somebody could not read from it. Never waits."""
        with self._condition:
            self._doubted = True
            self._condition.notify()

    def submit(self, items: Sequence[Prepared]) -> Future[tuple[Recorded, ...]]:
        """Hand records in, all or none of which will be written.

        Returns
        -------
        Future
            One `Recorded` per item, after fsync; or `StoreUnavailableError`, `ConflictError`,
            `InvalidRecordError`.

        Raises
        ------
        BusyError
            When too much is waiting.
        StoreUnavailableError
            When the database is known to be down, or the writer was closed.
        """
        unit = _unit(items)
        with self._condition:
            self._enter(unit)
            self._condition.notify()
        return unit.future

    def submit_each(self, units: Sequence[Sequence[Prepared]]) -> list[Future[tuple[Recorded, ...]]]:
        """Hand in what several callers want written, at once, so that one commit can take it all.

        Returns
        -------
        list of Future
            One per caller, as from `submit`; what `submit` would raise is in them.
        """
        made = [_unit(items) for items in units]
        with self._condition:
            for unit in made:
                try:
                    self._enter(unit)
                except StoreError as error:
                    unit.future.set_exception(error)
            self._condition.notify()
        return [unit.future for unit in made]

    def _enter(self, unit: _Unit) -> None:
        """Let a unit wait; the condition is held."""
        if not unit.items:
            unit.future.set_result(())
            return
        limits = self._limits
        if self._closing:
            raise StoreUnavailableError("got a record after the store was closed: open it again")
        if self._problem is not None:
            raise StoreUnavailableError(str(self._problem), self._problem.cause)
        full = self._waiting + len(unit.items) > limits.waiting_records
        if self._waiting and (full or self._bytes + unit.size > limits.waiting_bytes):
            raise BusyError(self._waiting, limits.waiting_records, 1.0)
        self._units.append(unit)
        self._waiting += len(unit.items)
        self._bytes += unit.size

    def close(self, timeout_s: float = 30.0) -> None:
        """Write what is waiting and stop."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            units = self._take()
            if units is None:
                return
            try:
                if not units:
                    self._try()
                self._write(units)
            except Exception as error:  # the thread must outlive whatever a driver thinks of
                _log.exception("store writer: a group failed in an unforeseen way")
                self._fail(units, StoreUnavailableError(f"the writer failed ({type(error).__name__})"))
            if self._problem is not None:
                self._recover()

    def _take(self) -> list[_Unit] | None:
        """Wait for work; None when closed and done, nothing when it is time to look at the database."""
        with self._condition:
            while not self._units:
                if self._closing:
                    return None
                if self._doubted or not self._condition.wait(self._limits.idle_s):
                    self._doubted = False
                    return []
            units: list[_Unit] = []
            records = 0
            while self._units and (
                not units or records + len(self._units[0].items) <= self._limits.group_records
            ):
                unit = self._units.popleft()
                self._waiting -= len(unit.items)
                self._bytes -= unit.size
                # A caller that gave up before we began is not recorded: nobody was promised anything.
                if unit.future.set_running_or_notify_cancel():
                    units.append(unit)
                    records += len(unit.items)
            return units

    def _try(self) -> None:
        """Write nothing of interest: whether the database takes records."""
        try:
            self._probe()
        except Exception as error:
            self._down([], error if isinstance(error, StoreUnavailableError) else unavailable(error))

    def _probe(self) -> None:
        with writing(self._engine) as connection:
            connection.execute(sa.update(schema.identity).values(probed_at=self._clock()))

    def _write(self, units: list[_Unit]) -> None:
        if not units:
            return
        try:
            outcomes = self._commit(units)
        except StoreUnavailableError as error:
            self._down(units, error)
        except (exc.SQLAlchemyError, StoreError) as error:
            if len(units) == 1:
                _log.warning("store writer: a record was refused (%s)", type(error).__name__)
                units[0].future.set_exception(_refused(error))
                return
            for unit in units:  # one bad record must not take its neighbours down with it
                self._write([unit])
                if self._problem is not None:
                    self._fail([rest for rest in units if not rest.future.done()], self._problem)
                    return
        else:
            for unit, outcome in zip(units, outcomes, strict=True):
                if isinstance(outcome, StoreError):
                    unit.future.set_exception(outcome)
                else:
                    unit.future.set_result(outcome)

    def _commit(self, units: list[_Unit]) -> list[tuple[Recorded, ...] | StoreError]:
        outcomes: list[tuple[Recorded, ...] | StoreError] = []
        with writing(self._engine) as connection:
            group = begin_group(connection, [unit.items for unit in units], self._clock())
            for unit in units:
                try:
                    outcomes.append(group.add(unit.items))
                except StoreError as error:
                    outcomes.append(error)
            head = group.write(connection)
        self._head = head
        self._groups += 1
        self._records += len(group.leaves)
        return outcomes

    def _down(self, units: list[_Unit], error: StoreUnavailableError) -> None:
        with self._condition:
            self._problem = error
            self._failures += 1
            waiting = list(self._units)
            self._units.clear()
            self._waiting = self._bytes = 0
        _log.error("store writer: %s", error)
        self._fail(units, error)
        self._fail([unit for unit in waiting if unit.future.set_running_or_notify_cancel()], error)

    def _fail(self, units: list[_Unit], error: StoreUnavailableError) -> None:
        for unit in units:
            if not unit.future.done():
                unit.future.set_exception(StoreUnavailableError(str(error), error.cause))

    def _recover(self) -> None:
        """Try again with growing pauses until the database takes a write."""
        pause, problem = self._limits.first_retry_s, self._problem
        while True:
            with self._condition:
                if self._closing:
                    return
                self._condition.wait(pause)
                if self._closing:
                    return
            try:
                with afresh(self._engine, alone=problem is not None and problem.cause == "read-only"):
                    self._probe()
            except Exception as error:  # the thread must outlive whatever keeps the database away
                pause = min(pause * 2, self._limits.last_retry_s)
                problem = error if isinstance(error, StoreUnavailableError) else unavailable(error)
                with self._condition:
                    self._failures += 1
                    self._problem = problem
                continue
            with self._condition:
                self._problem = None
            _log.warning("store writer: the database is back")
            return


def _unit(items: Sequence[Prepared]) -> _Unit:
    return _Unit(tuple(items), Future(), sum(item.size for item in items))


def _refused(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if is_outage(error):
        return unavailable(error)
    cause = getattr(error, "orig", None) or error
    return InvalidRecordError(
        f"the database refused the record ({type(cause).__name__}): an identifier is taken or a value cannot be stored"
    )
