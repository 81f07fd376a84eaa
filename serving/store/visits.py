"""Who uses the database in this process, so that its files can be opened afresh while nobody does.

SQLite shares one view of the log's index among all connections of a process. Opened while the file might only be
read, that view stays so for as long as any connection is open, whatever the file allows by then; and under load one
always is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 1.0


class Visits:
    """Counts transactions; holds new ones back while those that run come to an end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone: int | None = None

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Use the database; waits a moment while somebody wants it alone."""
        with self._changed:
            me = threading.get_ident()
            self._changed.wait_for(lambda: self._alone in (None, me), _PATIENCE_S)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody uses the database, but not for long, and keep new ones out meanwhile."""
        with self._changed:
            self._alone = threading.get_ident()
            self._changed.wait_for(lambda: not self._inside, _PATIENCE_S)
        try:
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()
