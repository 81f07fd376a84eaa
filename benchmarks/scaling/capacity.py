"""How many decisions a second one store can record at the most, and how many bytes each leaves on the disk."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scaling.inputs import Input
from benchmarks.store.run import decision
from serving.store import DecisionRecord, Store, StoreSink

ROWS = 12_000
AT_ONCE = 128


async def _all(sink: StoreSink, records: Sequence[DecisionRecord]) -> None:
    """Record one by one, so many at a time, each waiting until it is on the disk."""
    left = iter(records)

    async def one_after_the_other() -> None:
        for record in left:
            await sink.record_all([record])

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


def store_capacity(folder: Path, rows: int = ROWS) -> list[Input]:
    """Fill a SQLite store as fast as it takes decisions that are each acknowledged.

    Returns
    -------
    list of Input
        ``store_rows_per_s`` by the clock, ``store_row_cpu_ms`` of the whole process, ``decision_bytes`` on the disk.
    """
    chance = random.Random(5)
    records = [decision(n, chance, prefix="c", told=True) for n in range(rows)]
    path = folder / "capacity.db"
    with Store(str(path)) as store:
        asyncio.run(_all(StoreSink(store), records[: rows // 10]))
        before, used, started = _size(path), time.process_time(), time.perf_counter()
        asyncio.run(_all(StoreSink(store), records[rows // 10 :]))
        wall, cpu = time.perf_counter() - started, time.process_time() - used
    count = rows - rows // 10
    return [
        Input("store_rows_per_s", count / wall, "measured here: SQLite, one store, 128 waiting at a time"),
        Input("store_row_cpu_ms", 1e3 * cpu / count, "measured here: the same run"),
        Input("decision_bytes", (_size(path) - before) / count, "measured here: growth of the file"),
    ]


def _size(path: Path) -> int:
    return sum(os.path.getsize(one) for one in path.parent.glob(f"{path.name}*") if one.is_file())  # noqa: PTH202


def measure_capacity(rows: int = ROWS) -> list[Input]:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        return store_capacity(Path(name), rows)
