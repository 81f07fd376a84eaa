"""A thread that scores what waits in a line, as soon as it is free: nothing waits for company, yet whatever came
while it worked is done in one go.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serving.http.edge import not_ready
from serving.http.line import Kind, Line, LineLimits

_Ask = TypeVar("_Ask")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Reply:
    """Where somebody on the event loop waits for a result."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def set(self, result: Any) -> None:
        """Give a result, or an exception to raise; to be called on the loop."""
        if self.future.done():  # who asked is gone
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


def reply_all(replies: Sequence[tuple[Reply, Any]]) -> None:
    """Give results from another thread, waking each loop once."""
    loops = {reply.loop for reply, _ in replies}
    for loop in loops:
        mine = [(reply, result) for reply, result in replies if reply.loop is loop]
        try:
            loop.call_soon_threadsafe(_set, mine)
        except RuntimeError:  # the loop has ended, and whoever waited with it
            continue


def _set(replies: Sequence[tuple[Reply, Any]]) -> None:
    for reply, result in replies:
        reply.set(result)


@dataclass(frozen=True, slots=True)
class _Job(Generic[_Ask]):
    """One single listing (``ask``), or some work of its own (``call``)."""

    reply: Reply
    ask: _Ask | None = None
    call: Callable[[], Any] | None = None


class Lane(Generic[_Ask]):
    """Some threads and their line.

    Parameters
    ----------
    block
        Scores single listings together; called in the thread with each one's `Reply`, and answers all of them sooner
        or later.
    limits
        Of the line.
    name
        Of the threads.
    threads
        How many; one where the work leaves no other thread the interpreter.
    observe
        Told kind, number of jobs and seconds of each piece of work.
    """

    def __init__(
        self,
        block: Callable[[Sequence[tuple[_Ask, Reply]]], None],
        limits: LineLimits,
        name: str,
        threads: int = 1,
        observe: Callable[[Kind, int, float], None] = lambda *_: None,
    ) -> None:
        self._block = block
        self._observe = observe
        self._line: Line[_Job[_Ask]] = Line(limits)
        self._wake = threading.Condition()
        self._closing = False
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def check(self, kind: Kind, knocking: int = 0) -> None:
        """See `Line.check`."""
        self._line.check(kind, knocking)

    def enter(self, kind: Kind, listings: int) -> None:
        """See `Line.enter`."""
        with self._wake:
            self._line.enter(kind, listings, time.monotonic())

    def leave(self, kind: Kind, listings: int) -> None:
        """See `Line.leave`."""
        with self._wake:
            self._line.leave(kind, listings, time.monotonic())

    def inside(self, kind: Kind) -> int:
        """See `Line.inside`."""
        return self._line.inside(kind)

    def wait_s(self, kind: Kind) -> float:
        """See `Line.wait_s`."""
        return self._line.wait_s(kind)

    async def ask(self, ask: _Ask) -> Any:
        """Have a single listing scored, together with whatever else waits."""
        return await self._put("one", lambda reply: _Job(reply, ask=ask))

    async def call(self, kind: Kind, work: Callable[[], _Result]) -> _Result:
        """Have some other work done in its turn."""
        return await self._put(kind, lambda reply: _Job(reply, call=work))

    async def _put(self, kind: Kind, make: Callable[[Reply], _Job[_Ask]]) -> Any:
        loop = asyncio.get_running_loop()
        reply = Reply(loop, loop.create_future())
        with self._wake:
            if self._closing:
                raise not_ready()
            self._line.put(kind, make(reply))
            self._wake.notify()
        return await reply.future

    def close(self) -> None:
        """Do what waits, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                taken = self._line.take()
                while taken is None:
                    if self._closing:
                        return
                    self._wake.wait()
                    taken = self._line.take()
            kind, jobs = taken
            began = time.monotonic()
            self._work(jobs)
            seconds = time.monotonic() - began
            with self._wake:
                self._line.spent(kind, seconds)
            self._observe(kind, len(jobs), seconds)

    def _work(self, jobs: Sequence[_Job[_Ask]]) -> None:
        asks: list[tuple[_Ask, Reply]] = []
        for job in jobs:
            if job.call is None:
                asks.append((job.ask, job.reply))  # pyright: ignore[reportArgumentType]
                continue
            try:
                result: Any = job.call()
            except BaseException as error:  # whoever asked gets it; the thread must go on
                result = error
            reply_all([(job.reply, result)])
        if not asks:
            return
        try:
            self._block(asks)
        except BaseException as error:
            reply_all([(reply, error) for _, reply in asks])
