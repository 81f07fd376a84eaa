"""Speed and memory of watching: ``listing-risk monitor`` over a hundred thousand and over a million decisions.

    python -m benchmarks.monitoring.run [--rows 1000000] [--store FILE] [--output benchmarks/results]

Fills a SQLite store with made-up decisions in bulk, chained like any others (not measured), then runs the command as
a user does, several times: the last fifth of the decisions against the four fifths before them, drift in embedding
space included. Times and memory are those of the whole process, its start included. ``low`` and ``high`` are the
fastest and the slowest run.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.results_file import OURS, RESULTS, Results, Row, code_commit, machine, now, write_results
from benchmarks.store.run import START, decision, fill
from features.taxonomy import load_taxonomy
from serving.store import DecisionRecord, Store

STEP_S = 20  # between two made-up decisions
PRESENT = 0.2
RUNS = 3
_CELL = np.dtype([("p", "<f8"), ("q", "<f8"), ("injury", "<f8"), ("basis", "i1")])


@dataclass(frozen=True, slots=True)
class Taken:
    """One run: wall and processor seconds, and the most memory that the process held, in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def made_up(number: int, chance: random.Random) -> DecisionRecord:
    """One made-up decision with probabilities like real ones: most of them small."""
    random_state = np.random.default_rng(chance.randrange(2**32))
    cells = np.zeros(len(load_taxonomy().codes), _CELL)
    cells["p"] = 1 / (1 + np.exp(-random_state.normal(-5, 1.5, len(cells))))
    cells["q"] = cells["p"]
    made = decision(number, chance)
    body = dict(made.body) | {"audience": chance.choice(("general", "under_14")), "group": made.product_group}
    return dataclasses.replace(
        made, scores=cells.tobytes(), p_noncompliant=float(cells["p"].max()), body=body
    )


def fill_store(path: Path, rows: int) -> None:
    """Write the made-up decisions."""
    with Store(str(path)) as store:
        print(f"filled at {fill(store, rows, made_up):,.0f} rows a second", flush=True)


def watch_once(store: Path, rows: int) -> Taken:
    """Run the command over the first ``rows`` decisions and take its time and memory."""
    end = START + timedelta(seconds=rows * STEP_S)
    present = rows * STEP_S * PRESENT / 86_400
    command = [
        sys.executable, "-m", "serving.cli", "monitor", "--store", str(store), "--no-keep", "--json",
        "--until", end.strftime("%Y-%m-%dT%H:%M:%S"), "--days", f"{present:.6f}",
        "--reference-days", f"{present * (1 - PRESENT) / PRESENT:.6f}",
    ]  # fmt: skip
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(sys.executable, command, os.environ | {"OMP_NUM_THREADS": "1"}, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 1):  # 1 says that there was an alarm
        raise SystemExit(f"monitor ended with {code}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def rows_of(name: str, count: int, taken: list[Taken]) -> list[Row]:
    """Turn the runs over so many decisions into figures."""

    def row(metric: str, values: list[float], unit: str) -> Row:
        return Row(
            system=OURS,
            metric=f"{metric}_{name}",
            value=round(statistics.median(values), 3),
            low=round(min(values), 3),
            high=round(max(values), 3),
            n=count,
            unit=unit,
        )

    return [
        row("monitor_s", [one.wall_s for one in taken], "s"),
        row("monitor_cpu_s", [one.cpu_s for one in taken], "s"),
        row("monitor_rows_per_s", [count / one.wall_s for one in taken], "rows/s"),
        row("monitor_peak_mb", [one.peak_mb for one in taken], "MB"),
    ]


def main() -> None:
    """Fill, watch, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path, help="filled where it is missing, and kept for the next time")
    parser.add_argument("--only-fill", action="store_true", help="measure later")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="monitor-"))
    try:
        path = given.store or folder / "store.db"
        if not path.exists():
            # In a process of its own: a process that starts another hands it the most memory that it ever held.
            filling = multiprocessing.get_context("spawn").Process(target=fill_store, args=(path, given.rows))
            filling.start()
            filling.join()
            if filling.exitcode:
                raise SystemExit(f"filling ended with {filling.exitcode}")
        if given.only_fill:
            return
        found: list[Row] = []
        for name, count in (("tenth", given.rows // 10), ("million", given.rows)):
            taken = [watch_once(path, count) for _ in range(RUNS)]
            print(name, taken, flush=True)
            found += rows_of(name, count, taken)
        results = Results(
            task="monitor_speed",
            command=f"python -m benchmarks.monitoring.run --rows {given.rows}",
            commit=code_commit(),
            date=now(),
            machine=machine(),
            data_sha256="",
            rows=tuple(found),
        )
        write_results(results, given.output)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
