"""Who is scored next: two kinds of work wait in one line, bounded in time, and neither starves the other.

Pure: every call is handed the time, and nothing here waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

Kind = Literal["one", "many"]
KINDS: tuple[Kind, ...] = ("one", "many")

FIRST_PACE_S = 0.002
"""Seconds a listing takes until that was measured."""

_NEW = 0.2
_Job = TypeVar("_Job")


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How much may wait, and who goes first.

    Attributes
    ----------
    block
        Most single listings that are scored in one call of the predictor.
    one_s, many_s
        A listing that would wait longer is turned away, by kind; a block's worth is always let in.
    share_many
        Share of the time that goes to ``/v1/score-many`` while both kinds wait, 0 to 1 and neither.
    """

    block: int = 32
    one_s: float = 0.1
    many_s: float = 5.0
    share_many: float = 0.5


class FullError(Exception):
    """The line is full for a kind; ``wait_s`` is how long what is in it takes."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"got a line of {wait_s:.3g} seconds, expected a shorter one: come back after it")
        self.wait_s = wait_s


@dataclass(slots=True)
class _Queue(Generic[_Job]):
    """One kind: what waits, what is inside altogether, how fast it leaves, how much time it had."""

    weight: float
    limit_s: float
    jobs: deque[_Job] = field(default_factory=deque)
    inside: int = 0
    pace_s: float = FIRST_PACE_S
    since: float = 0.0
    used_s: float = 0.0

    @property
    def wait_s(self) -> float:
        return self.inside * self.pace_s


class Line(Generic[_Job]):
    """What waits for one scorer.

    A listing is inside from `enter` to `leave`. How fast listings leave is measured while others wait, so that it
    includes whatever is slowest: scoring, the disk, other processes of the machine. With it the length of the line in
    seconds is known, and that is what is bounded.

    Parameters
    ----------
    limits
        See `LineLimits`.
    """

    def __init__(self, limits: LineLimits | None = None) -> None:
        self.limits = limits or LineLimits()
        share = self.limits.share_many
        self._queues: dict[Kind, _Queue[_Job]] = {
            "one": _Queue(1 - share, self.limits.one_s),
            "many": _Queue(share, self.limits.many_s),
        }
        self._turn_s = 0.0

    def check(self, kind: Kind, knocking: int = 0) -> None:
        """Say whether another listing of this kind would be let in now.

        Parameters
        ----------
        knocking
            Listings that are about to enter, beside those that are inside.

        Raises
        ------
        FullError
        """
        queue = self._queues[kind]
        inside = queue.inside + knocking
        wait_s = inside * queue.pace_s
        if inside >= self.limits.block and wait_s > queue.limit_s:
            raise FullError(wait_s)

    def enter(self, kind: Kind, listings: int, now: float) -> None:
        """Let listings in.

        Raises
        ------
        FullError
            None of them is in.
        """
        self.check(kind)
        queue = self._queues[kind]
        if not queue.inside:
            queue.since = now
        queue.inside += listings

    def leave(self, kind: Kind, listings: int, now: float) -> None:
        """Let listings out, answered or not."""
        queue = self._queues[kind]
        if listings:
            pace = max(0.0, now - queue.since) / listings
            new = 1 - (1 - _NEW) ** min(listings, self.limits.block)
            queue.pace_s += new * (pace - queue.pace_s)
        queue.since = now
        queue.inside -= listings

    def put(self, kind: Kind, job: _Job) -> None:
        """Let a job wait for its turn."""
        queue = self._queues[kind]
        if not queue.jobs:
            # Who was away gets no credit for it, or the others would have to wait for all of it.
            queue.used_s = max(queue.used_s, self._turn_s)
        queue.jobs.append(job)

    def take(self) -> tuple[Kind, list[_Job]] | None:
        """Return what is done next, None where nothing waits: many jobs of kind ``one``, or one of kind ``many``."""
        waiting: list[Kind] = [kind for kind in KINDS if self._queues[kind].jobs]
        if not waiting:
            return None
        kind = min(waiting, key=lambda one: self._queues[one].used_s)
        queue = self._queues[kind]
        self._turn_s = queue.used_s
        most = self.limits.block if kind == "one" else 1
        return kind, [queue.jobs.popleft() for _ in range(min(most, len(queue.jobs)))]

    def spent(self, kind: Kind, seconds: float) -> None:
        """Note how long what was taken took."""
        queue = self._queues[kind]
        queue.used_s += seconds / queue.weight

    def inside(self, kind: Kind) -> int:
        """How many listings are inside."""
        return self._queues[kind].inside

    def wait_s(self, kind: Kind) -> float:
        """How long what is inside takes."""
        return self._queues[kind].wait_s

    def clear(self, each: Callable[[_Job], None]) -> None:
        """Hand out what waits, for a scorer that stops."""
        for queue in self._queues.values():
            while queue.jobs:
                each(queue.jobs.popleft())
