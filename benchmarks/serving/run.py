"""Speed and cost of serving beside a plain pipeline: ``python -m benchmarks.serving.run --peer-python PATH``.

Writes ``serving_speed.json``. Each figure is the median over the repeats, ``low`` and ``high`` their smallest and
largest; ours and the peer take turns. Wall times mean little on a machine that does other things, so processor time
stands beside them (``*_cpu_ms``, per listing) and the machine's load is in the file. The speedups are ratios of wall
time within one repeat, peer over ours.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from benchmarks.results_file import OURS, RESULTS, Results, Row, code_commit, machine, now, write_results
from benchmarks.results_file import data_sha256 as hash_of
from benchmarks.serving.listings import SOURCES, distinct
from benchmarks.serving.processes import cpu_seconds, rss_mb, torch_loaded
from benchmarks.serving.systems import Ours, Peer, Served, System
from serving.settings import STARTER

TASK = "serving_speed"
BLOCK = 256
CLIENTS = 2
UNITS = {"ready_s": "s", "rss_mb": "MB", "imports_torch": "share"}
SPEEDUPS = {"score": "score_p50_ms", "service": "service_p50_ms"}
FASTER = {"bulk": "bulk_listings_per_s", "batch": "batch_listings_per_s"}

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many listings go through each part."""

    warm: int
    single: int
    bulk: int
    batch: int
    repeats: int


FULL = Sizes(warm=50, single=400, bulk=BLOCK * 8, batch=8_000, repeats=3)
QUICK = Sizes(warm=20, single=150, bulk=BLOCK * 4, batch=800, repeats=1)


def for_peer(sizes: Sizes) -> Sizes:
    """A fourth of the bulk work: the peer would keep the machine for long and its rate would be no other."""
    return replace(sizes, bulk=sizes.bulk // 4, batch=sizes.batch // 4)


class Client:
    """One client that keeps its connection."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)

    def post(self, path: str, content: Any) -> None:
        """Post JSON and read the answer; RuntimeError unless it is a 200."""
        self._connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"got status {answer.status} from {path}: {body[:300]!r}")


def _title_only(listing: dict[str, Any]) -> dict[str, Any]:
    return {"id": listing["id"], "title": listing["title"]}


def measure_single(system: System, listings: Sequence[dict[str, Any]], sizes: Sizes, folder: Path) -> Figures:
    """Scores in process, one by one, text only."""
    chosen = [_title_only(one) for one in listings[: sizes.warm + sizes.single]]
    found = system.single(_write(folder / "single.jsonl", chosen))
    wall, cpu = found["wall"][sizes.warm :], found["cpu"][sizes.warm :]
    return {"score_p50_ms": statistics.median(wall), "score_cpu_ms": statistics.mean(cpu)}


def measure_service(system: System, listings: Sequence[dict[str, Any]], sizes: Sizes) -> Figures:
    """The service: start, single requests of one client, blocks of two clients, memory after all of it."""
    with system.served() as served:
        single = _one_client(served, [_title_only(one) for one in listings], sizes)
        many = _blocks(served, [_title_only(one) for one in listings[-sizes.bulk :]])
        return {
            "ready_s": served.ready_s,
            **single,
            **many,
            "rss_mb": rss_mb(served.pid),
            "imports_torch": float(torch_loaded(served.pid)),
        }


def _one_client(served: Served, listings: Sequence[dict[str, Any]], sizes: Sizes) -> Figures:
    client, wall = Client(served.address), []
    for listing in listings[: sizes.warm]:
        client.post("/v1/score", listing)
    used = cpu_seconds(served.pid)
    for listing in listings[sizes.warm : sizes.warm + sizes.single]:
        started = time.perf_counter()
        client.post("/v1/score", listing)
        wall.append(1e3 * (time.perf_counter() - started))
    cpu = 1e3 * (cpu_seconds(served.pid) - used) / len(wall)
    return {"service_p50_ms": statistics.median(wall), "service_cpu_ms": cpu}


def _blocks(served: Served, listings: Sequence[dict[str, Any]]) -> Figures:
    blocks = [listings[i : i + BLOCK] for i in range(0, len(listings), BLOCK)]
    used, started = cpu_seconds(served.pid), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda i: _post_blocks(served, blocks[i::CLIENTS]), range(CLIENTS)))
    wall, cpu = time.perf_counter() - started, cpu_seconds(served.pid) - used
    return {"bulk_listings_per_s": len(listings) / wall, "bulk_cpu_ms": 1e3 * cpu / len(listings)}


def _post_blocks(served: Served, blocks: Sequence[Sequence[dict[str, Any]]]) -> None:
    client = Client(served.address)
    for block in blocks:
        client.post("/v1/score-many", {"listings": block})


def measure_batch(system: System, listings: Sequence[dict[str, Any]], sizes: Sizes, folder: Path) -> Figures:
    """A file from start to end of the command, loading included."""
    chosen = list(listings[: sizes.batch])
    wall, cpu = system.batch(_write(folder / "batch.jsonl", chosen), folder / "scores.csv")
    return {"batch_listings_per_s": len(chosen) / wall, "batch_cpu_ms": 1e3 * cpu / len(chosen)}


def _write(path: Path, listings: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in listings), encoding="utf-8")
    return path


def measure(
    systems: Sequence[System], listings: Sequence[dict[str, Any]], sizes: Sizes, folder: Path
) -> dict[str, list[Figures]]:
    """Measure every system in turns; one set of figures a repeat."""
    found: dict[str, list[Figures]] = defaultdict(list)
    for repeat in range(sizes.repeats):
        for system in systems:
            own = sizes if system.name == OURS else for_peer(sizes)
            figures = measure_single(system, listings, own, folder)
            figures |= measure_service(system, listings, own)
            figures |= measure_batch(system, listings, own, folder)
            found[system.name].append(figures)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            click.echo(f"{repeat + 1}/{sizes.repeats} {system.name}: {shown}")
    return found


def _unit(metric: str) -> str:
    return UNITS.get(metric) or ("ms" if metric.endswith("_ms") else "listings/s")


def _row(system: str, metric: str, values: Sequence[float], n: int, unit: str) -> Row:
    middle, low, high = statistics.median(values), min(values), max(values)
    return Row(
        system=system,
        metric=metric,
        value=round(middle, 4),
        low=round(low, 4),
        high=round(high, 4),
        n=n,
        unit=unit,
    )


def _counts(sizes: Sizes) -> dict[str, int]:
    return {"score": sizes.single, "service": sizes.single, "bulk": sizes.bulk, "batch": sizes.batch}


def rows_of(found: dict[str, list[Figures]], sizes: Sizes) -> list[Row]:
    """Turn repeats into rows."""
    counts = {OURS: _counts(sizes)} | {name: _counts(for_peer(sizes)) for name in found if name != OURS}
    rows = [
        _row(
            system,
            metric,
            [one[metric] for one in repeats],
            counts[system].get(metric.split("_")[0], 1),
            _unit(metric),
        )
        for system, repeats in found.items()
        for metric in repeats[0]
    ]
    for other in (name for name in found if name != OURS):
        pairs = list(zip(found[OURS], found[other], strict=True))
        for name, metric in SPEEDUPS.items():
            ratios = [b[metric] / a[metric] for a, b in pairs]
            rows.append(_row(OURS, f"{name}_speedup", ratios, counts[OURS][name], "times"))
        for name, metric in FASTER.items():
            ratios = [a[metric] / b[metric] for a, b in pairs]
            rows.append(_row(OURS, f"{name}_speedup", ratios, counts[OURS][name], "times"))
    return rows


@click.command()
@click.option("--quick", is_flag=True, help="One short repeat: to see that it runs.")
@click.option("--peer-python", type=click.Path(path_type=Path), help="Interpreter with the peer's packages.")
@click.option("--data", type=click.Path(path_type=Path), envvar="LISTING_RISK_DATA", help="Real listings.")
@click.option("--bundle", type=click.Path(path_type=Path), envvar="LISTING_RISK_BUNDLE", default=STARTER)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="Folder of the results.")
@click.option("--port", default=3917)
def main(
    quick: bool, peer_python: Path | None, data: Path | None, bundle: Path, output: Path, port: int
) -> None:
    """Measure and write the results file."""
    sizes = QUICK if quick else FULL
    listings = distinct(data)
    sizes = Sizes(sizes.warm, sizes.single, sizes.bulk, min(sizes.batch, len(listings)), sizes.repeats)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        systems: list[System] = [Ours(bundle, port, folder)]
        if peer_python is None:
            click.echo("no --peer-python: the peer is left out")
        else:
            peer = Peer(peer_python, port + 1, folder)
            peer.fit(bundle / "past_results.jsonl")
            systems.append(peer)
        found = measure(systems, listings, sizes, folder)
    load = f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    results = Results(
        task=TASK,
        command="python -m benchmarks.serving.run --peer-python PATH" + (" --quick" if quick else ""),
        commit=code_commit(),
        date=now(),
        machine=f"{machine()}, {load}",
        data_sha256=hash_of(data, list(SOURCES)) if data else "",
        rows=tuple(rows_of(found, sizes)),
    )
    click.echo(f"written: {write_results(results, output)}")


if __name__ == "__main__":
    main()
