"""A small HTTP client that keeps its connections: the generator shares the machine with what it loads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 60.0


class BrokenError(RuntimeError):
    """No answer came: the connection broke off, or was refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes


class Client:
    """Any number of requests at once, each on a connection of its own that is kept for the next.

    Parameters
    ----------
    address
        Such as ``http://127.0.0.1:3000``.
    """

    def __init__(self, address: str) -> None:
        self.host, _, port = urlsplit(address).netloc.partition(":")
        self.port = int(port)
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self.reconnected = 0

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON and read the answer.

        Raises
        ------
        BrokenError
        """
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                kept = self._kept()
                if kept is not None:
                    try:
                        return await self._ask(*kept, head + body)
                    except (ConnectionError, asyncio.IncompleteReadError) as error:
                        # The server closes what is idle for some seconds, perhaps just as it is used again: then not
                        # a byte comes back, and every client asks once more. Whatever else breaks is an error.
                        if getattr(error, "partial", b""):
                            raise
                        self.reconnected += 1
                return await self._ask(*await asyncio.open_connection(self.host, self.port), head + body)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:  # TimeoutError is an OSError
            raise BrokenError(type(error).__name__) from None

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Take the connection used last that the server has not closed; None where there is none."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not writer.is_closing() and not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> Answer:
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.index(b"content-length:") + 15
            body = await reader.readexactly(int(head[at : head.index(b"\r", at)]))
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return Answer(int(head[9:12]), body)

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop()[1].close()
