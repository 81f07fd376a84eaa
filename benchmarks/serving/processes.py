"""What processes cost: memory, processor time, and whether torch is loaded, for a process and all below it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """Return a process and everything below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def rss_mb(pid: int) -> float:
    """Resident memory, summed; pages that processes share count for each."""
    return sum(one.memory_info().rss for one in family(pid)) / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time used so far, of living processes and of those that they waited for."""
    return sum(sum(one.cpu_times()[:4]) for one in family(pid))


def torch_loaded(pid: int) -> bool:
    """Whether a process of the family has mapped torch's library."""
    for one in family(pid):
        with contextlib.suppress(OSError):
            if "libtorch" in Path(f"/proc/{one.pid}/maps").read_text(encoding="utf-8"):
                return True
    return False
