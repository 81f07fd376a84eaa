"""Taking connections so that every worker gets its share of them.

Workers listen at one socket. A server of asyncio or uvloop that wakes up takes all that waits there, so of 32 clients
that come at once one worker may get 26, and keeps them, as clients keep connections; the other stands idle. Here a
worker takes one at a time and then leaves the next to the others for a moment.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

STAND_BACK_S = 3e-3
"""How long a worker leaves what comes next to the others; long enough for one that is idle to wake up."""
_OUT_OF_HANDLES_S = 0.5
_OUT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """Takes connections from a listening socket in turn with other processes, until it is closed.

    Parameters
    ----------
    listening
        Shared with other processes.
    take
        Told of each connection; returns what sets it up.
    """

    def __init__(
        self,
        listening: socket.socket,
        take: Callable[[socket.socket], Awaitable[object]],
    ) -> None:
        self._socket = listening
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._later: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._go_on()

    def close(self) -> None:
        """Take no more; the socket is left to whoever made it."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._socket)

    async def wait_closed(self) -> None:
        """Wait for nothing: connections are counted elsewhere."""

    def _go_on(self) -> None:
        self._later = None
        self._loop.add_reader(self._socket, self._ready)

    def _stand_back(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._later = self._loop.call_later(seconds, self._go_on)

    def _ready(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker was faster
            return
        except OSError as error:
            if error.errno not in _OUT:
                raise
            self._stand_back(_OUT_OF_HANDLES_S)
            return
        task = self._loop.create_task(self._set_up(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._stand_back(STAND_BACK_S)

    async def _set_up(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            await self._take(connection)
        except OSError:  # who came is gone, or does not speak TLS
            connection.close()


class BalancedServer(uvicorn.Server):
    """A uvicorn server that takes connections from the sockets it is given by an `Acceptor`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; without sockets it makes its own, as usual."""
        if not sockets:
            await super().startup(sockets=sockets)
            return
        await super().startup(sockets=[])
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            return made(config=config, server_state=self.server_state, app_state=self.lifespan.state)

        def take(connection: socket.socket) -> Awaitable[object]:
            return loop.connect_accepted_socket(protocol, connection, ssl=config.ssl)

        for one in sockets:
            one.listen(config.backlog)
            acceptor = Acceptor(one, take)
            self.servers.append(acceptor)  # pyright: ignore[reportArgumentType]  # a server is closed, and no more
