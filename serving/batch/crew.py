"""The engine of one machine: processes that score beside the one that reads and writes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from features.errors import OutsideError
from serving.batch.run import Job, Piece, pieces_of, score_piece

if TYPE_CHECKING:
    from serving.predictor import Predictor
    from serving.settings import Settings

ALONE = 4
"""Pieces scored before any process is started: a short file is done sooner than a bundle is loaded."""

HELD = 16
"""Pieces read but not yet given back, at most: those that wait for another process."""

BREAKS = 3
"""Times in a row that the processes may end before a piece is done, until the run is given up."""

_AHEAD = 2
_MOST = 4

_here: Predictor | None = None


def usual_processes() -> int:
    """Return how many processes a batch takes: one a core that we may use, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST)


@dataclass(frozen=True, slots=True)
class Crew:
    """An engine: a predictor here, and processes that load their own from the same settings.

    Attributes
    ----------
    predictor
        Scores the first `ALONE` pieces, then its share; all of them where ``processes`` is 1.
    settings
        What the predictor was loaded from.
    processes
        This one among them.
    """

    predictor: Predictor
    settings: Settings
    processes: int = 1

    def score(self, jobs: Iterable[Job]) -> Iterator[Piece]:
        """See `serving.batch.run.Engine`; few pieces are held at a time.

        Raises
        ------
        OutsideError
            When processes end again and again before their work is done.
        """
        left = chain.from_iterable(map(pieces_of, jobs))
        here = left if self.processes < 2 else islice(left, ALONE)
        yield from (score_piece(piece, self.predictor) for piece in here)
        first = next(left, None)
        if first is None:
            return
        pool = _Pool(self.settings, self.processes - 1)
        try:
            yield from self._shared(chain([first], left), pool)
        finally:
            pool.close()

    def _shared(self, pieces: Iterator[Piece], pool: _Pool) -> Iterator[Piece]:
        """Give pieces to the pool while it has little to do, score the others here, and yield them in order."""
        waiting: deque[_Sent | Piece] = deque()
        for piece in pieces:
            busy = sum(isinstance(one, _Sent) and not one.result.done() for one in waiting)
            if piece.rows is None:
                waiting.append(piece)
            elif busy < _AHEAD * pool.size:
                waiting.append(pool.send(piece))
            else:
                waiting.append(score_piece(piece, self.predictor))
            while waiting and (_is_done(waiting[0]) or len(waiting) > HELD):
                yield pool.settle(waiting)
        while waiting:
            yield pool.settle(waiting)


@dataclass(slots=True)
class _Sent:
    piece: Piece
    result: Future[Piece]


def _is_done(one: _Sent | Piece) -> bool:
    return isinstance(one, Piece) or one.result.done()


def _is_lost(result: Future[Piece]) -> bool:
    """Whether a piece has to be given out again, now that its processes are gone."""
    return not result.done() or result.cancelled() or isinstance(result.exception(), BrokenProcessPool)


class _Pool:
    """Processes that are started anew, and their work given out again, when one of them ends."""

    def __init__(self, settings: Settings, size: int) -> None:
        self.size = size
        self._settings = settings
        self._breaks = 0
        self._start()

    def _start(self) -> None:
        # Spawned and not forked: a fork copies locks in whatever state threads hold them.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.size, context, initializer=_begin, initargs=(self._settings,))

    def send(self, piece: Piece) -> _Sent:
        """Give a piece out."""
        try:
            return _Sent(piece, self._pool.submit(_work, piece))
        except BrokenProcessPool as error:  # found out when its result is asked for
            broken: Future[Piece] = Future()
            broken.set_exception(error)
            return _Sent(piece, broken)

    def settle(self, waiting: deque[_Sent | Piece]) -> Piece:
        """Take the first of those that wait, when it is done."""
        while isinstance(first := waiting[0], _Sent):
            try:
                done = first.result.result()
            except BrokenProcessPool:
                self._mend(waiting)
                continue
            self._breaks = 0
            waiting.popleft()
            return done
        waiting.popleft()
        return first

    def _mend(self, waiting: deque[_Sent | Piece]) -> None:
        self._breaks += 1
        if self._breaks > BREAKS:
            raise OutsideError(
                "Scoring processes end again and again before their work is done, often for want of memory. "
                "Take fewer with --workers and run the batch again: it goes on from where it is."
            ) from None
        self.close()
        self._start()
        for one in waiting:
            if isinstance(one, _Sent) and _is_lost(one.result):
                one.result = self.send(one.piece).result

    def close(self) -> None:
        """End the processes; what was not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)


def _begin(settings: Settings) -> None:
    global _here
    # Ctrl-C reaches every process of the terminal; the one that writes decides what becomes of the rest.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from serving.predictor import load_predictor

    _here = load_predictor(settings)


def _end_with_parent() -> None:
    """End when the process that gives out work has: killed, it can tell nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(piece: Piece) -> Piece:
    if _here is None:
        raise RuntimeError("got a piece before the predictor; expected `_begin` to have run")
    return score_piece(piece, _here)
