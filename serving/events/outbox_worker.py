"""Delivers events beside everything else that a process does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from serving import logs
from serving.events.outbox import Outbox, Round
from serving.store import StoreError

LONGEST_PAUSE_S = 30.0
"""Between looks while they fail."""
log = logging.getLogger("serving.outbox")


class OutboxWorker:
    """A thread that delivers until it is closed; a slow endpoint holds up only itself.

    Parameters
    ----------
    outbox
        What delivers.
    also
        Called now and then in the same thread, such as the look for overdue notices.
    """

    def __init__(self, outbox: Outbox, also: Callable[[], object] | None = None) -> None:
        self._outbox = outbox
        self._also = also
        self._stopping = threading.Event()
        self._wake: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="outbox", daemon=True)

    def start(self) -> OutboxWorker:
        """Begin."""
        self._thread.start()
        return self

    def close(self, timeout_s: float = 20.0) -> None:
        """Stop; what is under way comes back when its lease ends."""
        self._stopping.set()
        with suppress(RuntimeError):  # its loop is at an end already
            self._wake()
        self._thread.join(timeout_s)

    async def _run(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(ended.set)
        running: dict[str, asyncio.Task[Round]] = {}
        pause = self._outbox.limits.every_s
        while not self._stopping.is_set():
            failed = not all([await self._tried(self._deliver(running)), await self._tried(self._look())])
            pause = min(2 * pause, LONGEST_PAUSE_S) if failed else self._outbox.limits.every_s
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), pause)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)

    async def _deliver(self, running: dict[str, asyncio.Task[Round]]) -> None:
        """Hand on what is new and begin a round for every endpoint that has none under way."""
        await asyncio.to_thread(self._outbox.hand_on)
        for endpoint in await self._outbox.due():
            task = running.get(endpoint.endpoint_id)
            if task is None or task.done():
                if task is not None and not task.cancelled() and (failure := task.exception()) is not None:
                    log.warning("events: a delivery round failed (%s)", type(failure).__name__)
                running[endpoint.endpoint_id] = asyncio.create_task(self._outbox.drain(endpoint))

    async def _look(self) -> None:
        if self._also is not None:
            await asyncio.to_thread(self._also)

    async def _tried(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it; whatever goes wrong is logged, and the next time may be better: this thread must not end."""
        try:
            await work
        except StoreError as error:
            log.warning("events: the store did not answer (%s)", type(error).__name__)
        except Exception as error:
            logs.event(log, logging.ERROR, "events: a look failed", {"error": logs.frames(error)})
        else:
            return True
        return False
