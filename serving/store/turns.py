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
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_EVERY_S = 0.0005


@contextmanager
def turn(database: str, timeout_s: float) -> Iterator[None]:
    """Wait for a turn, at most ``timeout_s``, then go on either way."""
    end = time.monotonic() + timeout_s
    handles: list[int] = []
    try:
        waiting = _take(f"{database}-queue", end, handles)
        if waiting and _take(f"{database}-writer", end, handles):
            fcntl.flock(handles[0], fcntl.LOCK_UN)
        yield
    finally:
        for handle in handles:
            os.close(handle)


def _take(path: str, end: float, handles: list[int]) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    handles.append(handle)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_EVERY_S)
        except OSError:
            return False
        else:
            return True
