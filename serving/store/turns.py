"""Taking turns at one SQLite file.

SQLite's own lock is not fair: a process that waits for it sleeps up to a tenth of a second between looks, and one
that writes all the time takes it again in between, so of two busy workers one starves until its time is up. Two
file locks put that right: whoever waits holds the first while it waits for the second, so whoever just wrote stands
behind it. This is courtesy only. The guard of the data stays ``BEGIN IMMEDIATE``; where these locks cannot be had
(a read-only folder, no file handles left, a file system without them) writing goes on without.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_EVERY_S = 0.0005


class Turns:
    """The turns of one process at one file; its own threads take them one after the other.

    Parameters
    ----------
    database
        Path of the SQLite file. The lock files lie beside it.
    """

    def __init__(self, database: str) -> None:
        self._paths = (f"{database}-queue", f"{database}-writer")
        self._handles: dict[str, int] = {}
        self._own = threading.RLock()

    @contextmanager
    def turn(self, timeout_s: float) -> Iterator[None]:
        """Wait for a turn, at most ``timeout_s``, then go on either way."""
        end = time.monotonic() + timeout_s
        queue, writer = self._paths
        held = self._own.acquire(timeout=timeout_s)
        try:
            if held and self._take(queue, end):
                taken = self._take(writer, end)
                self._leave(queue)
            else:
                taken = False
            try:
                yield
            finally:
                if taken:
                    self._leave(writer)
        finally:
            if held:
                self._own.release()

    def close(self) -> None:
        """Give the files back."""
        while self._handles:
            os.close(self._handles.popitem()[1])

    def _take(self, path: str, end: float) -> bool:
        try:
            if path not in self._handles:
                self._handles[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        while True:
            try:
                fcntl.flock(self._handles[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(_LOOK_EVERY_S)
            except OSError:
                return False
            else:
                return True

    def _leave(self, path: str) -> None:
        handle = self._handles.get(path)
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)
