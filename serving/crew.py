"""Processes that score blocks of a long file beside the one that reads and writes it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from features.errors import OutsideError

if TYPE_CHECKING:
    from serving.predictor import Predictor
    from serving.settings import Settings

ALONE = 4
"""Blocks scored before any process is started: a short file is done sooner than a bundle is loaded."""

HELD = 16
"""Blocks read but not yet given back, at most: those that wait for another process."""

_AHEAD = 2
_MOST = 4

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")
_here: Predictor | None = None


def usual_processes() -> int:
    """Return how many processes a batch takes: one a core that we may use, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST)


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes to score with, this one among them, and from what settings another loads its predictor."""

    processes: int
    settings: Settings


def spread(
    score: Callable[[_Block, Predictor], _Result],
    blocks: Iterable[_Block],
    predictor: Predictor,
    crew: Crew | None = None,
) -> Iterator[_Result]:
    """Score blocks in their order; few of them are held at a time.

    Parameters
    ----------
    score
        A function of a module, as processes find it by its name.
    blocks
        Read one by one, not far ahead of what was scored.
    predictor
        Scores the first `ALONE` blocks, then its share; all of them without a crew.

    Raises
    ------
    OutsideError
        When a process ends before its work is done.
    """
    left = iter(blocks)
    alone = crew is None or crew.processes < 2
    yield from (score(block, predictor) for block in (left if alone else islice(left, ALONE)))
    first = next(left, None)
    if crew is None or first is None:
        return
    # Spawned and not forked: a fork copies locks in whatever state threads hold them.
    pool = ProcessPoolExecutor(
        crew.processes - 1,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(crew.settings,),
    )
    try:
        yield from _shared(score, chain([first], left), predictor, pool, crew.processes - 1)
    except BrokenProcessPool:
        raise OutsideError(
            "A scoring process ended before its work was done, often for want of memory. "
            "Take fewer with --processes and run the batch again."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _shared(
    score: Callable[[_Block, Predictor], _Result],
    blocks: Iterable[_Block],
    predictor: Predictor,
    pool: ProcessPoolExecutor,
    helpers: int,
) -> Iterator[_Result]:
    """Give blocks to the pool while it has little to do, score the others here, and yield results in order."""
    waiting: deque[Future[_Result]] = deque()
    for block in blocks:
        if sum(not result.done() for result in waiting) < _AHEAD * helpers:
            waiting.append(pool.submit(_work, score, block))
        else:
            here: Future[_Result] = Future()
            here.set_result(score(block, predictor))
            waiting.append(here)
        while waiting and (waiting[0].done() or len(waiting) > HELD):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _begin(settings: Settings) -> None:
    global _here
    # Ctrl-C reaches every process of the terminal; the one that writes decides what becomes of the rest.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from serving.predictor import load_predictor

    _here = load_predictor(settings)


def _work(score: Callable[[Any, Predictor], _Result], block: Any) -> _Result:
    if _here is None:
        raise RuntimeError("got a block before the predictor; expected `_begin` to have run")
    return score(block, _here)
