"""Where the time of one listing goes: ``python -m benchmarks.serving.stages --data DIR``.

The real path is walked, from the bytes of a listing to the bytes of the answer and the record on disk, with 10,000
banned items in the store. Its own functions are wrapped where they are called, so that nothing here does their work a
second time; what a stage calls of another stage counts for that one alone.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import orjson

from benchmarks.results_file import (
    OURS,
    RESULTS,
    Results,
    Row,
    code_commit,
    data_sha256,
    machine,
    now,
    write_results,
)
from benchmarks.serving.listings import SOURCES, distinct
from benchmarks.serving.probe_stages import CONTAINED, Allocations, Clock, Gauge, wrapped
from serving.doors import Engine
from serving.http.requests import read_item
from serving.judging import Checks, Explain
from serving.recording import Asked, Before, Decided, known_before, make_ready
from serving.settings import Settings

TASK = "serving_stages"
BANS = 10_000
BULK = 64
_WARM = 300
_SINGLE, _BLOCKS, _TRACED = 400, 10, 60
BLOCKS = f"ours_in_blocks_of_{BULK}"


@dataclass(frozen=True, slots=True)
class Walk:
    """The path of a listing in one engine; ``explain`` as the service's setting, ``record`` to write it down."""

    engine: Engine
    explain: Explain = "acted"
    record: bool = True

    def __call__(self, bodies: Sequence[bytes], gauge: Gauge | None = None) -> None:
        """Take listings through it as one block, as the service's own thread does."""
        gauge, engine = gauge or Gauge(), self.engine
        with gauge.stage("parse"):
            items = [read_item(orjson.loads(body)) for body in bodies]
        listings = [item.listing for item in items]
        before = [Before()] * len(items)
        if self.record:
            with gauge.stage("earlier"):
                before = known_before(engine.store, items)
        decisions = engine.predictor.decide(listings, self.explain, [one.earlier for one in before])
        with gauge.stage("answer"):
            decided = map(Decided, items, decisions, [one.state for one in before])
            sink = engine.sink if self.record else None
            ready = [make_ready(sink, one, Asked("benchmark")) for one in decided]
            for one in ready:
                orjson.dumps(one.answer)
        if sink is not None:
            with gauge.stage("record"):
                (written,) = sink.submit([[one.record for one in ready]])
                written.result()


def open_filled(folder: Path, bans: int) -> Engine:
    """Open an engine on a new store with so many bans."""
    from benchmarks.relisting.words_speed import fill
    from serving.bans.office import load_reader
    from serving.opening import open_engine
    from serving.store import Store

    address = str(folder / "store.db")
    with Store(address) as store:
        fill(store, load_reader(), random.Random(0), bans, 0)
    return open_engine(Settings(store=address))


def blocks(bodies: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Yield whole blocks."""
    for start in range(0, len(bodies) - size + 1, size):
        yield bodies[start : start + size]


def timed(walk: Walk, bodies: Sequence[bytes], size: int) -> np.ndarray:
    """Microseconds a listing of each block, of the whole path as it is."""
    taken: list[float] = []
    for block in blocks(bodies, size):
        began = time.perf_counter_ns()
        walk(block)
        taken.append((time.perf_counter_ns() - began) / 1e3 / size)
    return np.array(taken)


@contextmanager
def checks(engine: Engine, changed: Checks) -> Iterator[None]:
    """Put other look-ups in place for a while."""
    usual, engine.predictor.checks = engine.predictor.checks, changed
    try:
        yield
    finally:
        engine.predictor.checks = usual


class Bodies:
    """Listings that were not seen before, as bytes; a score that was remembered would cost nothing."""

    def __init__(self, data: Path | None) -> None:
        self._left = iter([orjson.dumps(listing) for listing in distinct(data)])

    def take(self, count: int) -> list[bytes]:
        """Return the next ones.

        Raises
        ------
        click.ClickException
            When there are not so many left.
        """
        found = [body for _, body in zip(range(count), self._left, strict=False)]
        if len(found) < count:
            raise click.ClickException(f"got {len(found)} further listings, expected {count}: give --data")
        return found


def _row(system: str, metric: str, taken: np.ndarray, unit: str) -> Row:
    low, half, high = (round(float(value), 2) for value in np.quantile(taken, [0.05, 0.5, 0.95]))
    return Row(system=system, metric=metric, value=half, low=low, high=high, n=len(taken), unit=unit)


def _kinds(share: float, bodies: Bodies, single: int, blocks: int) -> Iterator[tuple[str, int, list[bytes]]]:
    """Name, size of a block, and listings: one at a time, then in blocks."""
    yield OURS, 1, bodies.take(max(5, int(single * share)))
    yield BLOCKS, BULK, bodies.take(BULK * max(3, int(blocks * share)))


def whole(engine: Engine, bodies: Bodies, share: float) -> Iterator[Row]:
    """Time the whole path, and the path with stages switched off."""
    plain = engine.predictor.checks
    alone = Checks(plain.certificates)
    ways: dict[str, tuple[Walk, Checks]] = {
        "all_us": (Walk(engine), plain),
        "without_record_us": (Walk(engine, record=False), plain),
        "without_record_reasons_us": (Walk(engine, "never", False), plain),
        "without_record_matching_us": (Walk(engine, record=False), alone),
        "model_alone_us": (Walk(engine, "never", False), alone),
    }
    for name, (walk, look_ups) in ways.items():
        with checks(engine, look_ups):
            for system, size, found in _kinds(share, bodies, _SINGLE, _BLOCKS):
                yield _row(system, name, timed(walk, found, size), "us")


def by_stage(engine: Engine, bodies: Bodies, share: float) -> Iterator[Row]:
    """Time each stage, then count its allocations in a pass of its own, as counting slows everything."""
    walk = Walk(engine)
    for system, size, found in _kinds(share, bodies, _SINGLE, _BLOCKS):
        clock = Clock()
        with wrapped(engine, clock):
            for block in blocks(found, size):
                walk(block, clock)
                clock.finish(size)
        for stage in CONTAINED:
            yield _row(system, f"us_{stage}", clock.of(stage), "us")
    for system, size, found in _kinds(share, bodies, _TRACED, 3):
        counted = Allocations()
        with wrapped(engine, counted):
            for block in blocks(found, size):
                walk(block, counted)
                counted.finish(size)
        counted.stop()
        for stage in CONTAINED:
            yield _row(system, f"kb_{stage}", counted.of(stage) / 1024, "kB")
            yield _row(system, f"blocks_{stage}", counted.blocks(stage), "blocks")


def measure(data: Path | None, bans: int, share: float) -> list[Row]:
    """Measure everything; ``share`` below 1 takes fewer listings."""
    bodies = Bodies(data)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        engine = open_filled(Path(folder), bans)
        if engine.store is not None:
            stack.callback(engine.store.close)
        for block in blocks(bodies.take(max(3, int(_WARM * share))), 1):
            Walk(engine)(block)
        return [*whole(engine, bodies, share), *by_stage(engine, bodies, share)]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), envvar="LISTING_RISK_DATA", help="Real listings.")
@click.option("--bans", default=BANS, show_default=True, help="Banned items to compare with.")
@click.option(
    "--share", default=1.0, show_default=True, help="Below 1: so many of the listings, for a quick look."
)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
@click.option("--loop", "seconds", default=0.0, help="Only walk single listings for so long, for a profiler.")
def main(data: Path | None, bans: int, share: float, output: Path, seconds: float) -> None:
    """Measure microseconds and memory per stage."""
    if seconds:
        _go_on(data, bans, seconds)
        return
    rows = measure(data, bans, share)
    paths = tuple(path for path in SOURCES if data and (data / path).is_file())
    results = Results(
        task=TASK,
        command="OMP_NUM_THREADS=1 python -m benchmarks.serving.stages --data DIR",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, paths) if data and paths else "",
        rows=tuple(rows),
    )
    write_results(results, output)
    for row in rows:
        click.echo(
            f"{row.system:24}{row.metric:28}{row.value:10.1f}{row.low or 0:10.1f}{row.high or 0:10.1f}"
        )


def _go_on(data: Path | None, bans: int, seconds: float) -> None:
    bodies = Bodies(data)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_filled(Path(folder), bans)
        walk, until = Walk(engine), time.monotonic() + seconds
        while time.monotonic() < until:
            walk(bodies.take(1))


if __name__ == "__main__":
    main()
