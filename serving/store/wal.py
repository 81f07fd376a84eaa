"""Moves SQLite's write-ahead log into the database file beside the writer instead of within its commits.

Left alone SQLite does it in the commit that makes the log long, and every caller of that commit waits for a thousand
scattered writes. This thread has most of it done before; what came in meanwhile the writer's own turn finishes.
"""

from __future__ import annotations

import logging
import sqlite3
import threading

_log = logging.getLogger(__name__)
_EVERY_S = 0.25


class WalKeeper:
    """A thread with a connection of its own; does nothing while nothing is written.

    Parameters
    ----------
    database
        Path of the SQLite file.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-wal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._stopping.wait(_EVERY_S):
            try:
                if connection is None:
                    connection = sqlite3.connect(self._database, timeout=0, isolation_level=None)
                    connection.execute("PRAGMA synchronous=FULL").close()
                # PASSIVE never makes a writer or reader wait.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            except sqlite3.Error as error:
                # The writer reports outages; its own checkpoints go on without this.
                _log.debug("store: the log could not be moved now (%s)", type(error).__name__)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()
