"""Scoring in blocks: listings of one request or of many, decided in one call and recorded with one commit."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from serving import logs
from serving.http.lane import Lane, Reply, reply_all
from serving.http.line import KINDS, FullError, Kind, LineLimits
from serving.http.problems import INTERNAL, OVERLOADED, ProblemError
from serving.recording import Asked, Before, Decided, Ready, known_before, make_ready, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.decisions import Decision
    from serving.doors import Doors, Engine
    from serving.http.requests import Item
    from serving.judging import Explain
    from serving.predictor import Predictor

_LONGEST_S = 60
log = logging.getLogger("serving.score")


def overloaded(detail: str, wait_s: float = 0.0) -> ProblemError:
    """Return the problem of a service that is full.

    Parameters
    ----------
    wait_s
        How long what waits takes, as far as that is known.
    """
    seconds = min(max(1, math.ceil(wait_s)), _LONGEST_S)
    return ProblemError(OVERLOADED, detail, headers={"Retry-After": str(seconds)})


def internal_problem() -> ProblemError:
    """The problem of a listing that the service fails on."""
    return ProblemError(INTERNAL, "The service failed on this listing; nothing was decided about it.")


@dataclass(frozen=True, slots=True)
class Ask:
    """One listing, who asked about it, and the engine that was there when they did."""

    engine: Engine
    item: Item
    explain: Explain
    asked: Asked


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where listings are scored: by their words, or, where they have photos, by both.

    Words take a millisecond, a photo takes many: those must not stand in the way of other listings.
    """

    words: Lane[Ask]
    photos: Lane[Ask]

    def of(self, engine: Engine, item: Item) -> Lane[Ask]:
        """Return the lane that a listing belongs to."""
        return self.photos if item.listing.images and engine.looks_at_photos else self.words

    def both(self) -> tuple[Lane[Ask], Lane[Ask]]:
        """Return both."""
        return self.words, self.photos


@contextmanager
def score_in_lanes(doors: Doors) -> Iterator[None]:
    """Have listings scored while the block lasts."""
    limits = doors.settings.limits
    metrics = doors.metrics

    def observe(kind: Kind, jobs: int, seconds: float) -> None:
        if kind == "one":
            metrics.block.observe(jobs)

    line = LineLimits(limits.block, limits.wait_seconds, limits.wait_seconds_many, limits.share_many)
    # Photos are read one by one, so together they are no faster; alone, the first one's answer is. Reading them
    # leaves the interpreter to other threads.
    single = LineLimits(1, limits.wait_seconds_many, limits.wait_seconds_many, limits.share_many)

    def score(asks: Sequence[tuple[Ask, Reply]]) -> None:
        score_block(asks, metrics.recording.observe)

    doors.lanes = lanes = Lanes(
        Lane(score, line, "score-words", observe=observe),
        Lane(score, single, "score-photos", doors.settings.threads),
    )
    try:
        yield
    finally:
        doors.lanes = None
        for lane in lanes.both():
            lane.close()


def full_for(doors: Doors) -> Callable[[int], ProblemError | None]:
    """Return what says whether no further listing is let in beside so many, at the cost of a look at a number."""

    def full(knocking: int) -> ProblemError | None:
        lanes = doors.lanes
        if lanes is None:
            return None
        try:
            lanes.words.check("one", knocking)
        except FullError as found:
            return overloaded("Too many listings wait to be scored.", found.wait_s)
        return None

    return full


def show_lines(doors: Doors) -> None:
    """Bring the gauges of the lines up to date."""
    if doors.lanes is None:
        return
    for name, lane in (("words", doors.lanes.words), ("photos", doors.lanes.photos)):
        for kind in KINDS:
            doors.metrics.line.labels(name, kind).set(lane.inside(kind))
            doors.metrics.line_seconds.labels(name, kind).set(lane.wait_s(kind))


def score_block(asks: Sequence[tuple[Ask, Reply]], observe: Callable[[float], None]) -> None:
    """Score single listings together and answer each once its record is on disk.

    Each reply gets `Ready` with what `Recorder.answers` needs, or an exception to raise.

    Parameters
    ----------
    observe
        Told the seconds until a block was recorded.
    """
    for (_, explain), group in groupby(asks, lambda one: (id(one[0].engine), one[0].explain)):
        _score_group(list(group), explain, observe)


def _score_group(
    asks: Sequence[tuple[Ask, Reply]], explain: Explain, observe: Callable[[float], None]
) -> None:
    engine = asks[0][0].engine
    items = [ask.item for ask, _ in asks]
    try:
        before = known_before(engine.store, items)
    except ProblemError as problem:
        reply_all([(reply, problem) for _, reply in asks])
        return
    found = decide_each(engine.predictor, items, explain, before)
    ready: list[tuple[Reply, Ready]] = []
    failed: list[tuple[Reply, Any]] = []
    for (ask, reply), one, known in zip(asks, found, before, strict=True):
        if isinstance(one, Exception):
            failed.append((reply, one))
            continue
        try:
            ready.append((reply, make_ready(engine.sink, Decided(ask.item, one, known.state), ask.asked)))
        except ProblemError as problem:
            failed.append((reply, problem))
    if failed:
        reply_all(failed)
    if engine.sink is None:
        reply_all([(reply, (one, ())) for reply, one in ready])
    elif ready:
        futures = engine.sink.submit([[one.record] for _, one in ready])
        _Commit(ready, futures, observe).wait()


class _Commit:
    """Answers several requests once the last of them is on disk, waking the event loop once.

    They are written in one transaction unless something is wrong with one of them, so none waits for long.
    """

    def __init__(
        self,
        ready: Sequence[tuple[Reply, Ready]],
        futures: Sequence[Future[Any]],
        observe: Callable[[float], None],
    ) -> None:
        self._ready = ready
        self._futures = futures
        self._observe = observe
        self._left = len(futures)
        self._lock = threading.Lock()
        self._began = time.perf_counter()

    def wait(self) -> None:
        """Have it done when the time comes; returns at once."""
        for future in self._futures:
            future.add_done_callback(self._one)

    def _one(self, _: Future[Any]) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        self._observe(time.perf_counter() - self._began)
        reply_all(
            [
                (reply, _outcome(one, future))
                for (reply, one), future in zip(self._ready, self._futures, strict=True)
            ]
        )


def _outcome(ready: Ready, future: Future[Any]) -> Any:
    error = future.exception()
    if error is None:
        return ready, future.result()
    return problem_of(error) if isinstance(error, Exception) else error


def decide_each(
    predictor: Predictor, items: Sequence[Item], explain: Explain, before: Sequence[Before]
) -> list[Decision | Exception]:
    """Decide as one block; when the block fails, one by one, so that one listing never fails the others."""
    try:
        return list(
            predictor.decide([item.listing for item in items], explain, [one.earlier for one in before])
        )
    except Exception as failure:
        if len(items) == 1:
            return [failure]
        answers: list[Decision | Exception] = []
        for item, known in zip(items, before, strict=True):
            try:
                answers += predictor.decide([item.listing], explain, [known.earlier])
            except Exception as error:
                answers.append(error)
        return answers


def ready_block(
    engine: Engine, items: Sequence[tuple[int, Item]], explain: Explain, asked: Asked
) -> list[Ready | ProblemError]:
    """Decide about some listings of one request and make their records ready.

    Parameters
    ----------
    items
        With their positions in the request.

    Raises
    ------
    ProblemError
        503 where the store does not say what was decided before.
    """
    before = known_before(engine.store, [item for _, item in items])
    found = decide_each(engine.predictor, [item for _, item in items], explain, before)
    answers: list[Ready | ProblemError] = []
    for (at, item), one, known in zip(items, found, before, strict=True):
        if isinstance(one, Exception):
            logs.event(log, logging.ERROR, "failed", {"error": logs.frames(one)})
            answers.append(internal_problem())
            continue
        try:
            answers.append(make_ready(engine.sink, Decided(item, one, known.state, at), asked))
        except ProblemError as problem:
            answers.append(problem)
    return answers
