"""Spread the checking of rows over processes; hashing and fetching are all of the work, and rows are independent."""

from __future__ import annotations

import gc
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack

from serving.audit.window import Findings, check_window
from serving.store.scan import WINDOW, Scan, scanning
from serving.store.store import Store

_SPAN = 5 * WINDOW


def all_findings(store: Store, scan: Scan, workers: int, lenient: bool) -> Iterator[tuple[int, Findings]]:
    """Check every row, in order.

    Parameters
    ----------
    store, scan
        The store and the view of it that says where rows begin and end.
    workers
        Processes; 1 checks in this one. On PostgreSQL all see the one view. SQLite cannot share a view: there
        a process may see an erasure that came later, which `serving.audit.verification.verify` then checks by itself.

    Yields
    ------
    int, Findings
        Last sequence number of a span, and what its rows say.
    """
    if workers <= 1:
        for first, last in scan.spans(WINDOW):
            yield last, check_window(scan.window(first, last))
        return
    context = multiprocessing.get_context("spawn")
    start = (store.url, scan.share(), lenient)
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=start) as pool:
        spans = scan.spans(_SPAN)
        waiting: deque[tuple[int, Future[Findings]]] = deque()
        try:
            while True:
                while len(waiting) < 2 * workers and (span := next(spans, None)):
                    waiting.append((span[1], pool.submit(_check, *span)))
                if not waiting:
                    return
                last, future = waiting.popleft()
                yield last, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


_worker: list[Scan] = []
_open = ExitStack()


def _start(url: str, shared: str, lenient: bool) -> None:
    gc.disable()  # rows come and go by reference count; looking for cycles among them is a fifth of the time
    _worker.append(_open.enter_context(scanning(Store(url), lenient, shared)))


def _check(first: int, last: int) -> Findings:
    found = Findings()
    for start in range(first, last + 1, WINDOW):
        found.add(check_window(_worker[0].window(start, min(start + WINDOW - 1, last))))
    return found
