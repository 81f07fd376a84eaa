"""Delivers events beside everything else that a process does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from serving.events.outbox import Outbox, Round
from serving.store import StoreError

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
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="outbox", daemon=True)

    def start(self) -> OutboxWorker:
        """Begin."""
        self._thread.start()
        return self

    def close(self, timeout_s: float = 20.0) -> None:
        """Stop; what is under way comes back when its lease ends."""
        self._stopping.set()
        self._thread.join(timeout_s)

    async def _run(self) -> None:
        running: dict[str, asyncio.Task[Round]] = {}
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self._outbox.hand_on)
                for endpoint in await self._outbox.due():
                    task = running.get(endpoint.endpoint_id)
                    if task is None or task.done():
                        if task is not None and (failure := task.exception()) is not None:
                            log.warning("events: a delivery round failed (%s)", type(failure).__name__)
                        running[endpoint.endpoint_id] = asyncio.create_task(self._outbox.drain(endpoint))
                if self._also is not None:
                    await asyncio.to_thread(self._also)
            except StoreError as error:
                log.warning("events: the store did not answer (%s)", type(error).__name__)
            await asyncio.sleep(self._outbox.limits.every_s)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
