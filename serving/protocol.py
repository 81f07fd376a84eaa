"""How connections are read: uvicorn's fast parser, with heads bounded and refusals answered at once."""

from __future__ import annotations

import sys
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.turning_away import KNOCK, Refusal, TurningAway

HEAD_BYTES = 64 * 1024
"""Longest head of a request, as with uvicorn's slower parser; the fast one has no bound of its own."""


class Protocol(HttpToolsProtocol):
    """Counts what arrives until a head is complete, and turns away what the service is too full for."""

    turning_away: ClassVar[TurningAway | None] = None
    head = 0

    def data_received(self, data: bytes) -> None:
        """See uvicorn."""
        self.head += len(data)
        super().data_received(data)
        if self.head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """See uvicorn."""
        self.head = 0
        super().on_message_begin()

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
