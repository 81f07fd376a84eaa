"""How connections are read and left: uvicorn's fast parser, with heads bounded and refusals answered at once."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.turning_away import KNOCK, Refusal, TurningAway

HEAD_BYTES = 64 * 1024
"""Longest head of a request, as with uvicorn's slower parser; the fast one has no bound of its own."""

PARTING_SECONDS = 5.0
"""How long a connection that is given up takes in what its client still sends, unread."""

PARTING_BYTES = 64 * 1024 * 1024
"""How much of it, at most: four times the longest body that a path takes where nothing else is set."""


class Parting:
    """A transport whose `close` lets a client that is still sending see the answer.

    Closed under a client's hands, a connection is reset, and with it goes the answer that says why (RFC 9112, 9.6). So
    only the sending side ends at first; what comes is thrown away until the client ends, or it has been enough.
    """

    __slots__ = ("_left", "_loop", "_transport", "parting", "whole")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._left = PARTING_BYTES
        self.whole = True
        self.parting = False

    def __getattr__(self, name: str) -> Any:
        """Return anything else as the transport has it."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio; after the end nothing is sent."""
        if not self.parting:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """See asyncio."""
        return self.parting or self._transport.is_closing()

    def close(self) -> None:
        """End sending; end at once where the request has come whole, or when asked again."""
        transport = self._transport
        if self.whole or self.parting or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        self.parting = True
        transport.write_eof()
        if not transport.is_reading():
            transport.resume_reading()
        self._loop.call_later(PARTING_SECONDS, transport.close)

    def waste(self, data: bytes) -> None:
        """Take in what a client sends that has its answer."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()


class Protocol(HttpToolsProtocol):
    """Counts what arrives until a head is complete, and turns away what the service is too full for."""

    turning_away: ClassVar[TurningAway | None] = None
    head = 0
    parting: Parting

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See uvicorn."""
        self.parting = Parting(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self.parting))

    def data_received(self, data: bytes) -> None:
        """See uvicorn."""
        if self.parting.parting:
            self.parting.waste(data)
            return
        self.head += len(data)
        super().data_received(data)
        if self.head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """See uvicorn."""
        self.head = 0
        self.parting.whole = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """See uvicorn."""
        self.parting.whole = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """See uvicorn; what follows is the body, which the application bounds."""
        self.head = -sys.maxsize
        if not self._turned_away():
            super().on_headers_complete()

    def _turned_away(self) -> bool:
        # Of a request behind another that is being answered the application decides, since answers keep their order;
        # of the first of a connection, since uvicorn reads on with what it makes of it; and of one that wants another
        # protocol, since nobody would say that it is over.
        parser = self.parser
        if self.turning_away is None or parser is None or parser.should_upgrade():
            return False
        if self.cycle is None or not self.cycle.response_complete or self.pipeline:
            return False
        path = self.url.partition(b"?")[0].decode("ascii", "replace")
        asked = self.turning_away.ask(parser.get_method().decode("ascii"), path, self.headers)
        if not isinstance(asked, Refusal):
            self.scope[KNOCK] = asked  # pyright: ignore[reportGeneralTypeIssues]  # a key of our own
            return False
        self.transport.write(asked.raw())
        if asked.close or parser.get_http_version() == "1.0" or not parser.should_keep_alive():
            self.transport.close()
        else:
            self.on_response_complete()
        return True
