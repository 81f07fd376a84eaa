"""Speed of whole files by engine: ``python -m benchmarks.batch.run [--data FOLDER] [--quick]``.

Writes ``batch_speed.json``. The command ``listing-risk batch`` is run with one process, with two, and on Ray with two
actors, in turns, on a file of distinct listings and on a short one. The line through both gives what starting costs
and what a row does. Of that the work is what any engine has to do: rows read into
listings, scored, judged, and put into a table.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks.batch.meter import Cost, cost_of, shards_in
from benchmarks.batch.stages import stages
from benchmarks.results_file import OURS, RESULTS, Results, Row, code_commit, machine, now, write_results
from benchmarks.results_file import data_sha256 as hash_of
from benchmarks.serving.listings import SOURCES, distinct
from serving.batch.crew import ALONE
from serving.batch.outputs import sha256_of
from serving.settings import Settings

TASK = "batch_speed"
RAY = "ours-ray"
ENGINES = {
    OURS: ("--workers", "2"),
    "ours-alone": ("--workers", "1"),
    RAY: ("--engine", "ray", "--workers", "2"),
}
STAGE_ROWS = 3_000
FEW = 512 * (ALONE + 1)
"""Rows of the short file: so many that every process of an engine starts."""

Figures = dict[str, float]


def write_listings(path: Path, listings: Sequence[dict[str, Any]]) -> Path:
    """Write listings as JSONL."""
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in listings), encoding="utf-8")
    return path


def command(source: Path, output: Path, options: Sequence[str]) -> list[str]:
    """Return the command of one run, which does not leave an output alone that stands there."""
    return [
        sys.executable,
        "-m",
        "serving.cli",
        "batch",
        str(source),
        "--output",
        str(output),
        "--again",
        *options,
    ]


def figures(rows: int, whole: Cost, few: int, short: Cost, work_ms: float) -> Figures:
    """Return what two runs say of an engine: the line through both gives the start and what a row costs."""
    row_ms = 1e3 * (whole.cpu_s - short.cpu_s) / (rows - few)
    row_wall_ms = 1e3 * (whole.wall_s - short.wall_s) / (rows - few)
    # Where starting varies by more than the rows take, the clock says nothing of a row.
    steady = {"steady_rows_per_s": 1e3 / row_wall_ms} if row_wall_ms > 0.1 * row_ms else {}
    return {
        "rows_per_s": rows / whole.wall_s,
        **steady,
        "rows_per_cpu_s": rows / whole.cpu_s,
        "start_s": max(short.wall_s - few * row_wall_ms / 1e3, 0.0),
        "start_cpu_s": max(short.cpu_s - few * row_ms / 1e3, 0.0),
        "row_cpu_ms": row_ms,
        "overhead_cpu_ms": row_ms - work_ms,
        "rss_mb": whole.rss_mb,
    }


def measure(
    listings: Sequence[dict[str, Any]], repeats: int, folder: Path, engines: Sequence[str]
) -> dict[str, list[Figures]]:
    """Measure every engine in turns; one set of figures a repeat.

    Raises
    ------
    RuntimeError
        When two engines give different bytes.
    """
    many = write_listings(folder / "many.jsonl", listings)
    titles = write_listings(folder / "titles.jsonl", [{"id": x["id"], "title": x["title"]} for x in listings])
    few = write_listings(folder / "few.jsonl", listings[:STAGE_ROWS])
    first = listings[: min(FEW, len(listings) // 2)]
    short = write_listings(folder / "short.jsonl", first)
    found: dict[str, list[Figures]] = defaultdict(list)
    seen: set[str] = set()
    for repeat in range(repeats):
        spent = stages(few, folder / "stages.parquet", Settings())
        work = sum(spent[f"{stage}_cpu_ms"] for stage in ("parse", "judge", "table"))
        # What the one process that hands rows out and joins them does with each, whoever scores it.
        spent["pass_cpu_ms"] = sum(spent[f"{stage}_cpu_ms"] for stage in ("hash", "read", "keep"))
        for name in engines:
            output = folder / f"{name}.parquet"
            start = cost_of(command(short, folder / "short.parquet", ENGINES[name]))
            whole = cost_of(command(many, output, ENGINES[name]))
            seen.add(sha256_of(output))
            got = figures(len(listings), whole, len(first), start, work)
            if name != RAY:
                alone = cost_of(command(titles, folder / "titles.parquet", ENGINES[name]))
                got["titles_rows_per_s"] = len(listings) / alone.wall_s
                got["titles_rows_per_cpu_s"] = len(listings) / alone.cpu_s
            if name == OURS:
                got |= spent | {"work_cpu_ms": work, "bytes_out": output.stat().st_size / len(listings)}
                got["bytes_in"] = many.stat().st_size / len(listings)
            found[name].append(got)
            shown = ", ".join(f"{metric} {value:.4g}" for metric, value in got.items())
            click.echo(f"{repeat + 1}/{repeats} {name}: {shown}")
    if len(seen) > 1:
        raise RuntimeError(f"got {len(seen)} different outputs; expected the same bytes from every engine")
    return found


def killed(listings: Sequence[dict[str, Any]], folder: Path) -> Figures:
    """Kill an actor half way; what the run took, and whether its output is that of the others."""
    source, output = write_listings(folder / "killed.jsonl", listings), folder / "killed.parquet"
    victims: list[int] = []

    def kill(pid: int) -> None:
        # Shards are of so many rows that a fourth of the file is done by then.
        if victims or not shards_in(folder):
            return
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(pid).children(recursive=True):
                if not victims and "Scorer" in " ".join(one.cmdline()[:1]):
                    os.kill(one.pid, signal.SIGKILL)
                    victims.append(one.pid)

    options = [*ENGINES[RAY], "--shard-rows", str(max(len(listings) // 4, 1))]
    cost = cost_of(command(source, output, options), kill)
    expected = folder / "expected.parquet"
    cost_of(command(source, expected, ENGINES[OURS]))
    equal = sha256_of(output) == sha256_of(expected)
    return {
        "killed_rows_per_s": len(listings) / cost.wall_s,
        "killed_actors": float(len(victims)),
        "killed_output_equal": float(equal),
    }


def _unit(metric: str) -> str:
    if metric.endswith(("rows_per_s", "rows_per_cpu_s")):
        return "listings/s"
    for end, unit in (("_ms", "ms"), ("_s", "s"), ("_mb", "MB")):
        if metric.endswith(end):
            return unit
    return "bytes" if metric.startswith("bytes") else "count" if metric == "killed_actors" else "share"


def rows_of(found: dict[str, list[Figures]], rows: int) -> list[Row]:
    """Turn repeats into rows: the median, and the smallest and largest as interval."""
    made = []
    for system, repeats in found.items():
        for metric in dict.fromkeys(name for one in repeats for name in one):
            values = [round(one[metric], 4) for one in repeats if metric in one]
            middle = statistics.median(values)
            span = {"low": min(values), "high": max(values)} if len(values) > 1 else {}
            made.append(Row(system=system, metric=metric, value=middle, n=rows, unit=_unit(metric), **span))
    return made


@click.command()
@click.option("--quick", is_flag=True, help="One repeat of few rows, without Ray: to see that it runs.")
@click.option("--repeats", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--rows", type=click.IntRange(600, 1_000_000), help="Listings. [default: all distinct ones]")
@click.option("--data", type=click.Path(path_type=Path), envvar="LISTING_RISK_DATA", help="Real listings.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results.")
def main(quick: bool, repeats: int, rows: int | None, data: Path | None, output: Path) -> None:
    """Measure and write the results file."""
    listings = distinct(data)[:rows]
    repeats, listings = (1, listings[:700]) if quick else (repeats, listings)
    before, started = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = measure(listings, repeats, folder, [e for e in ENGINES if e != RAY or not quick])
        if not quick:
            found[RAY].append(killed(listings, folder))
    load = f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    results = Results(
        task=TASK,
        command=f"python -m benchmarks.batch.run --repeats {repeats}" + (f" --rows {rows}" if rows else ""),
        commit=code_commit(),
        date=now(),
        machine=f"{machine()}, {load}",
        data_sha256=hash_of(data, list(SOURCES)) if data else "",
        rows=tuple(rows_of(found, len(listings))),
    )
    click.echo(f"written: {write_results(results, output)} after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
