"""One service under load: from one client to more than it can do, with what each answer cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results_file import ROOT
from benchmarks.serving.listings import write_lines
from benchmarks.serving.processes import cpu_seconds, rss_mb, torch_loaded
from benchmarks.serving.systems import Served, System, Talk

BLOCK = 256
TIMES = 3.0
"""How many times its peak a service is offered."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long each part takes, in seconds, and with how many clients.

    Attributes
    ----------
    warm
        Before anything counts: banned items are read in full when they are first compared.
    clients
        Clients with one request in flight each; the peak is the best rate among them.
    level, bulk, over, photo
        Each number of clients; blocks; offered more than the peak; with a photo.
    """

    warm: float = 8.0
    clients: tuple[int, ...] = (1, 8, 32, 64)
    level: float = 5.0
    bulk: float = 5.0
    over: float = 6.0
    photo: float = 5.0
    single: int = 400
    batch: int = 4_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What one stretch of load gave: answers, milliseconds, processor seconds of the service and of the load."""

    clients: int
    ok: int
    late: int
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    load_cpu_s: float
    refused: int
    failed: int

    @property
    def rate(self) -> float:
        """Good answers a second; of open load, those that came while it lasted."""
        return (self.ok - self.late) / self.seconds

    @property
    def cpu_s_per_1000(self) -> float:
        """Processor seconds of the service for a thousand good answers."""
        return 1_000 * self.cpu_s / max(self.ok, 1)


class Bodies:
    """Files of requests, each title in one of them once."""

    def __init__(self, titles: Sequence[str], folder: Path) -> None:
        self._titles = titles
        self._folder = folder
        self._at = 0

    def titles(self, count: int) -> list[tuple[str, str]]:
        """Take titles that were not taken before, each with an identifier."""
        rows = list(enumerate(self._titles))[self._at : self._at + count]
        if len(rows) < count:
            raise RuntimeError(
                f"got {len(self._titles)} titles, expected more: {self._at + count} are needed by now"
            )
        self._at += count
        return [(f"l{number}", title) for number, title in rows]

    def single(self, talk: Talk, count: int) -> Path:
        """A file with one title a request."""
        return write_lines(self._folder / "one.jsonl", [talk.one(*row) for row in self.titles(count)])

    def many(self, talk: Talk, blocks: int) -> Path:
        """A file with `BLOCK` titles a request."""
        rows = [talk.many(self.titles(BLOCK)) for _ in range(blocks)]
        return write_lines(self._folder / "many.jsonl", rows)

    def with_photo(self, talk: Talk, photos: Sequence[str]) -> Path:
        """A file with one title and one photo a request."""
        pairs = zip(self.titles(len(photos)), photos, strict=True)
        return write_lines(
            self._folder / "photo.jsonl", [talk.one(*row) | {"images": [photo]} for row, photo in pairs]
        )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def send(
    served: Served, file: Path, path: str, *, clients: int = 1, rate: float = 0.0, seconds: float
) -> Sample:
    """Send load from a process of its own."""
    before = cpu_seconds(served.pid)
    command = [sys.executable, "-m", "benchmarks.serving.load", served.address, str(file), "--path", path]
    options = ["--clients", str(clients), "--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    times: dict[str, list[float]] = found["latencies_ms"]
    good, answers = times.get("200", []), sum(map(len, times.values()))
    refused = len(times.get("429", []))
    return Sample(
        clients=clients,
        ok=len(good),
        late=found["late"],
        answers=answers,
        seconds=found["seconds"],
        p50_ms=quantile(good, 0.5),
        p99_ms=quantile(good, 0.99),
        cpu_s=cpu_seconds(served.pid) - before,
        load_cpu_s=found["cpu_seconds"],
        refused=refused,
        failed=answers - len(good) - refused + found["unanswered"],
    )


def most(seconds: float, fastest: float) -> int:
    """How many requests to have ready, so that they do not run out."""
    return int(seconds * fastest) + 64


def measure_levels(served: Served, talk: Talk, bodies: Bodies, sizes: Sizes, fastest: float) -> list[Sample]:
    """From one client to many."""
    send(served, bodies.single(talk, most(sizes.warm, fastest)), talk.path, clients=4, seconds=sizes.warm)
    return [
        send(
            served,
            bodies.single(talk, most(sizes.level, fastest)),
            talk.path,
            clients=clients,
            seconds=sizes.level,
        )
        for clients in sizes.clients
    ]


def measure_bulk(served: Served, talk: Talk, bodies: Bodies, sizes: Sizes, fastest: float) -> Sample:
    """Blocks from two clients."""
    file = bodies.many(talk, int(sizes.bulk * fastest / BLOCK) + 8)
    return send(served, file, talk.path_many, clients=2, seconds=sizes.bulk)


def measure_over(served: Served, talk: Talk, bodies: Bodies, sizes: Sizes, peak: float) -> Sample:
    """Offer a multiple of the peak, whatever comes back."""
    rate = TIMES * peak
    file = bodies.single(talk, most(sizes.over, 1.2 * rate))
    return send(served, file, talk.path, rate=rate, seconds=sizes.over)


def figures_of(levels: Sequence[Sample]) -> Figures:
    """Latencies by number of clients, the best rate, and what a listing costs there."""
    found: Figures = {}
    for sample in levels:
        end = "" if sample.clients == 1 else f"_c{sample.clients}"
        found |= {f"service_p50_ms{end}": sample.p50_ms, f"service_p99_ms{end}": sample.p99_ms}
        found[f"rps_c{sample.clients}"] = sample.rate
    best = max(levels, key=lambda one: one.rate)
    return found | {
        "peak_rps": best.rate,
        "cpu_s_per_1000": best.cpu_s_per_1000,
        "load_cpu_s_per_1000": 1_000 * best.load_cpu_s / max(best.answers, 1),
    }


def measure_service(
    system: System, bodies: Bodies, sizes: Sizes, *, fastest: float, photos: Sequence[str] = ()
) -> tuple[Figures, list[Sample]]:
    """Everything over HTTP: start, levels, blocks, memory, more than it can do, and with a photo where asked."""
    talk = system.talk
    with system.served() as served:
        found: Figures = {"ready_s": served.ready_s}
        levels = measure_levels(served, talk, bodies, sizes, fastest)
        found |= figures_of(levels)
        if sizes.bulk:
            bulk = measure_bulk(served, talk, bodies, sizes, 2 * fastest)
            found |= {
                "bulk_listings_per_s": bulk.rate * BLOCK,
                "bulk_cpu_s_per_1000": bulk.cpu_s_per_1000 / BLOCK,
            }
        found |= {"rss_mb": rss_mb(served.pid), "imports_torch": float(torch_loaded(served.pid))}
        if sizes.over:
            over = measure_over(served, talk, bodies, sizes, found["peak_rps"])
            found |= {
                "goodput_at_3x": over.rate / found["peak_rps"],
                "accepted_p99_ms_at_3x": over.p99_ms,
                "refused_at_3x": over.refused / max(over.answers, 1),
                "failed_at_3x": over.failed / max(over.answers, 1),
            }
        if photos:
            found |= _with_photo(served, talk, bodies, sizes, photos)
    return found, levels


def _with_photo(served: Served, talk: Talk, bodies: Bodies, sizes: Sizes, photos: Sequence[str]) -> Figures:
    half = len(photos) // 2
    alone = send(served, bodies.with_photo(talk, photos[:half]), talk.path, seconds=sizes.photo)
    eight = send(served, bodies.with_photo(talk, photos[half:]), talk.path, clients=8, seconds=sizes.photo)
    return {
        "photo_p50_ms": alone.p50_ms,
        "photo_p99_ms_c8": eight.p99_ms,
        "photo_rps": eight.rate,
        "photo_cpu_s_per_1000": eight.cpu_s_per_1000,
    }
