"""What a command and everything below it costs, also processes that nobody waits for, as Ray's."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.results_file import ROOT

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and of processor time, and the most memory that was seen at once, in MB."""

    wall_s: float
    cpu_s: float
    rss_mb: float


@dataclass(slots=True)
class _Family:
    """Processor time of a process and all below it, as last seen; those that ended in between looks miss a little."""

    pid: int
    cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    rss: float = 0.0

    def look(self) -> None:
        """Look once."""
        try:
            top = psutil.Process(self.pid)
            family = [top, *top.children(recursive=True)]
        except psutil.Error:
            return
        rss = 0.0
        for one in family:
            try:
                with one.oneshot():
                    times = one.cpu_times()
                    self.cpu[one.pid, one.create_time()] = times.user + times.system
                    rss += one.memory_info().rss / 1e6
            except psutil.Error:
                continue
        self.rss = max(self.rss, rss)


def cost_of(command: Sequence[str], meanwhile: Callable[[int], None] | None = None) -> Cost:
    """Run a command to its end.

    Parameters
    ----------
    meanwhile
        Called with the process's id again and again while it runs.

    Raises
    ------
    RuntimeError
        When it fails; with the end of what it said.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
    }
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    reader.start()
    family = _Family(process.pid)
    while process.poll() is None:
        family.look()
        if meanwhile is not None:
            meanwhile(process.pid)
        time.sleep(_LOOK_EVERY_S)
    wall, after = time.perf_counter() - started, os.times()
    reader.join(10)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {''.join(said)[-600:]}")
    waited = after.children_user + after.children_system - before.children_user - before.children_system
    # Ours end before the command does and are waited for; Ray's are only seen.
    return Cost(wall, max(waited, sum(family.cpu.values())), family.rss)


def shards_in(folder: Path) -> int:
    """Return how many shards runs below a folder have put on the disk and not yet joined."""
    return len(list(folder.glob(".*.work/*.arrow")))
