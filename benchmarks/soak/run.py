"""The service at 70 % of what it can for 20 minutes: ``python -m benchmarks.soak.run``.

Measures what it answers a second when asked as fast as possible, then sends 70 % of that with arrivals that know
nothing of each other: single listings, blocks, photos, repetitions, bans in between. At the end every decision that
a client was told is looked up in the store, and the audit verifies the chain. Writes ``soak.json``.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.results_file import (
    OURS,
    RESULTS,
    ROOT,
    Results,
    Row,
    code_commit,
    machine,
    now,
    write_results,
)
from benchmarks.serving.listings import distinct
from benchmarks.serving.processes import family, rss_mb
from benchmarks.soak.drive import Driver, Record
from benchmarks.soak.figures import (
    Estimate,
    Sample,
    draw,
    drift_ms,
    minutes,
    percentile_ms,
    slope_per_minute,
    write_minutes,
)
from benchmarks.soak.losses import Ledger, Losses, losses
from benchmarks.soak.traffic import Traffic
from serving.run import start
from serving.settings import Settings

TASK = "soak"
FIGURE = ROOT / "docs" / "figures" / "soak_minutes.png"
LOAD = 0.7
CLIENTS = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes, in seconds.

    Attributes
    ----------
    warm
        Of the steady load, left out of slope and drift.
    """

    capacity: float
    steady: float
    warm: float
    ban_every: float
    sample_every: float
    piece: float
    workers: int = 2


FULL = Plan(capacity=40, steady=1_200, warm=240, ban_every=10, sample_every=2, piece=30)
QUICK = Plan(capacity=1, steady=5, warm=1, ban_every=1, sample_every=0.1, piece=0.5, workers=1)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What one run gave; ``workers_ended`` are processes of the service that did not live to its end."""

    plan: Plan
    capacity_rps: float
    record: Record
    samples: list[Sample]
    losses: Losses
    workers_ended: int
    generator_cpu_s: float
    service_cpu_s: float


class Sampler(threading.Thread):
    """Looks at the memory of a service now and then."""

    def __init__(self, pid: int, every_s: float) -> None:
        super().__init__(daemon=True, name="sampler")
        self.pid, self.every_s = pid, every_s
        self.samples: list[Sample] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """See `threading.Thread`."""
        began = time.perf_counter()
        while not self._stopping.wait(self.every_s):
            self.samples.append(Sample(time.perf_counter() - began, rss_mb(self.pid)))

    def stop(self) -> list[Sample]:
        """Stop, and return the samples."""
        self._stopping.set()
        self.join()
        return self.samples


@contextmanager
def _served(folder: Path, workers: int) -> Iterator[tuple[str, int, str]]:
    """Address, process and store of a service with the starter bundle and a store of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = str(folder / "store.db")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LISTING_RISK_")}
    environ = kept | {
        "LISTING_RISK_WORKERS": str(workers),
        "LISTING_RISK_LOG": "off",
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(folder),
    }
    running = start(Settings(port=port, store=store), environ, folder / "service.log")
    try:
        yield running.address, running.process.pid, store
    finally:
        running.stop()


async def _drive(
    plan: Plan, address: str, pid: int, ledger: Ledger, rate: float | None
) -> tuple[float, Record, list[Sample], set[int]]:
    traffic = Traffic(distinct(None), f"soak{os.getpid()}")
    driver = Driver(address, traffic, ledger)
    try:
        capacity = await driver.fast(CLIENTS, plan.capacity)
        before = {process.pid for process in family(pid)}
        sampler = Sampler(pid, plan.sample_every)
        sampler.start()
        asked = LOAD * capacity if rate is None else rate
        record = await driver.steady(asked, plan.steady, plan.ban_every, random.Random(7))
        return capacity, record, sampler.stop(), before - {process.pid for process in family(pid)}
    finally:
        driver.close()


def soak(plan: Plan, folder: Path, rate: float | None = None) -> Soaked:
    """Start a service, load it, stop it, and see what is on record; ``rate`` stands for 70 % of what it can."""
    from benchmarks.serving.processes import cpu_seconds

    ledger = Ledger(folder / "told.tsv")
    began = resource.getrusage(resource.RUSAGE_SELF)
    with _served(folder, plan.workers) as (address, pid, store):
        used = cpu_seconds(pid)
        capacity, record, samples, ended = asyncio.run(_drive(plan, address, pid, ledger, rate))
        used = cpu_seconds(pid) - used
    own = resource.getrusage(resource.RUSAGE_SELF)
    found = losses(f"sqlite:///{store}", ledger)
    ledger.close()
    generator = own.ru_utime + own.ru_stime - began.ru_utime - began.ru_stime
    return Soaked(plan, capacity, record, samples, found, len(ended), generator, used)


def rows_of(soaked: Soaked) -> list[Row]:
    """Turn a run into rows."""
    plan, record = soaked.plan, soaked.record
    sent, answered = len(record.seen), record.count(200, 201)
    slope = slope_per_minute(soaked.samples, plan.warm, plan.piece)
    late = slope_per_minute(soaked.samples, plan.steady / 2, plan.piece)
    drift = drift_ms(record.seen, plan.warm, plan.steady)
    third = (plan.steady - plan.warm) / 3
    rows = [
        _row("errors", record.errors, "requests", n=sent),
        _estimate("rss_slope_mb_per_min", slope, "MB/min"),
        _estimate("rss_slope_second_half_mb_per_min", late, "MB/min"),
        _row("acknowledged_lost", soaked.losses.lost, "decisions", n=soaked.losses.acknowledged),
        _row("acknowledged_different", soaked.losses.different, "decisions", n=soaked.losses.acknowledged),
        _row("audit_intact", float(soaked.losses.audit.intact), "yes or no", n=soaked.losses.audit.rows),
        _row("wrong_answers", sum(record.wrong.values()), "answers", n=answered),
        _row("refused_429", record.count(429), "requests", n=sent),
        _row("not_sent", record.not_sent, "requests", n=sent + record.not_sent),
        _row("bans", record.bans, "bans"),
        _row("connections_closed_when_idle", record.reconnected, "connections"),
        _row("workers_ended", soaked.workers_ended, "processes", n=plan.workers),
        _row("capacity_rps", soaked.capacity_rps, "requests/s"),
        _row("offered_rps", (sent + record.not_sent) / plan.steady, "requests/s"),
        _row("answered_rps", answered / plan.steady, "requests/s"),
        _row("steady_minutes", plan.steady / 60, "minutes"),
        _estimate("latency_drift_ms", drift, "ms"),
        _row("p50_first_ms", percentile_ms(record.seen, plan.warm, plan.warm + third, 0.5), "ms"),
        _row("p50_last_ms", percentile_ms(record.seen, plan.steady - third, plan.steady, 0.5), "ms"),
        _row("p99_first_ms", percentile_ms(record.seen, plan.warm, plan.warm + third, 0.99), "ms"),
        _row("p99_last_ms", percentile_ms(record.seen, plan.steady - third, plan.steady, 0.99), "ms"),
        _row("rss_mb", max(sample.rss_mb for sample in soaked.samples), "MB", n=len(soaked.samples)),
        _row("generator_cpu_s", soaked.generator_cpu_s, "s"),
        _row("service_cpu_s", soaked.service_cpu_s, "s"),
    ]
    return rows


def _row(metric: str, value: float, unit: str, n: int | None = None) -> Row:
    return Row(system=OURS, metric=metric, value=round(float(value), 4), n=n, unit=unit)


def _estimate(metric: str, found: Estimate, unit: str) -> Row:
    value, low, high = (round(one, 4) for one in (found.value, found.low, found.high))
    return Row(system=OURS, metric=metric, value=value, low=low, high=high, n=found.n, unit=unit)


@click.command()
@click.option("--quick", is_flag=True, help="Seconds instead of minutes: to see that it runs.")
@click.option("--minutes", "minutes_", type=float, default=None, help="Of steady load. [default: 20]")
@click.option("--rate", type=float, default=None, help="Requests a second. [default: 70 % of what it can]")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results.")
@click.option("--figure", type=click.Path(path_type=Path), default=FIGURE)
def main(quick: bool, minutes_: float | None, rate: float | None, output: Path, figure: Path) -> None:
    """Soak the service and write the results file."""
    plan = QUICK if quick else FULL
    if minutes_ is not None:
        steady = 60 * minutes_
        plan = Plan(
            plan.capacity, steady, steady / 5, plan.ban_every, plan.sample_every, steady / 40, plan.workers
        )
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="listing-risk-soak-") as name:
        soaked = soak(plan, Path(name), rate)
    load = f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    rows = rows_of(soaked)
    given = {"--minutes": minutes_, "--rate": rate}
    options = ["--quick"] * quick + [
        f"{name} {value:g}" for name, value in given.items() if value is not None
    ]
    series = minutes(soaked.record.seen, soaked.samples, plan.steady)
    results = Results(
        task=TASK,
        command=" ".join(["python -m benchmarks.soak.run", *options]),
        commit=code_commit(),
        date=now(),
        machine=f"{machine()}, {load}",
        data_sha256="",
        rows=tuple(rows),
    )
    for row in rows:
        click.echo(f"{row.metric} {row.value:g} {row.unit}")
    for (kind, status), count in sorted(soaked.record.statuses().items()):
        click.echo(f"{kind} {status}: {count}")
    for words, count in soaked.record.wrong.items():
        click.echo(f"wrong: {words}: {count}")
    for problem in soaked.losses.audit.problems[:5]:
        click.echo(f"audit: {problem}")
    write_minutes(output / "soak.minutes.csv", series)
    if figure.parent.is_dir():
        draw(figure, series, plan.warm)
    click.echo(f"written: {write_results(results, output)}")


if __name__ == "__main__":
    main()
