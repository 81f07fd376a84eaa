"""The thread that scores: nothing waits for company, and what came meanwhile is done in one go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from serving.http.lane import Lane, Reply, reply_all
from serving.http.line import LineLimits
from serving.http.problems import ProblemError

LONG_S = 60


class Blocks:
    """Answers each number with itself, and notes the blocks; the first one waits until it is let go."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, asks: list[tuple[int, Reply]]) -> None:
        self.seen.append([ask for ask, _ in asks])
        if len(self.seen) == 1:
            self.begun.set()
            assert self.go.wait(LONG_S)
        if any(ask < 0 for ask, _ in asks):
            raise ValueError("a negative number")
        reply_all([(reply, ask) for ask, reply in asks])


def run(lane: Lane[int], talk: Callable[[], object]) -> object:
    try:
        return asyncio.run(asyncio.wait_for(talk(), LONG_S))
    finally:
        lane.close()


def test_what_comes_while_it_works_is_one_block():
    blocks = Blocks()
    lane: Lane[int] = Lane(blocks, LineLimits(block=8), "test")

    async def talk() -> list[int]:
        first = asyncio.ensure_future(lane.ask(0))
        await asyncio.to_thread(blocks.begun.wait, LONG_S)
        others = [asyncio.ensure_future(lane.ask(n)) for n in range(1, 11)]
        await asyncio.sleep(0)
        blocks.go.set()
        return list(await asyncio.gather(first, *others))

    assert run(lane, talk) == list(range(11))
    assert blocks.seen == [[0], list(range(1, 9)), [9, 10]]


def test_a_failure_reaches_who_asked_and_the_thread_goes_on():
    blocks = Blocks()
    blocks.go.set()
    lane: Lane[int] = Lane(blocks, LineLimits(), "test")

    async def talk() -> object:
        with pytest.raises(ValueError, match="negative"):
            await lane.ask(-1)
        with pytest.raises(ZeroDivisionError):
            await lane.call("many", lambda: 1 // 0)
        return await lane.ask(1), await lane.call("many", lambda: "done")

    assert run(lane, talk) == (1, "done")


def test_who_gave_up_is_passed_over():
    blocks = Blocks()
    lane: Lane[int] = Lane(blocks, LineLimits(), "test")

    async def talk() -> object:
        gone = asyncio.ensure_future(lane.ask(0))
        await asyncio.to_thread(blocks.begun.wait, LONG_S)
        gone.cancel()
        blocks.go.set()
        return await lane.ask(1)

    assert run(lane, talk) == 1


def test_after_closing_nothing_is_taken():
    lane: Lane[int] = Lane(Blocks(), LineLimits(), "test")
    lane.close()
    with pytest.raises(ProblemError, match="not loaded"):
        asyncio.run(lane.ask(1))
