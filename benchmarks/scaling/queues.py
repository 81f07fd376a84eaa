"""Queues under bursts: workers that share arrivals, a writer that commits whoever waits, look-backs after an alert.

All are exact recursions over single arrivals (Lindley's, and Kiefer and Wolfowitz's for many servers), no samples of a
formula; chance comes from the generator that is handed in.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Waits:
    """What arrivals met: milliseconds from arrival to answer of those that were taken, and the share refused."""

    p50_ms: float
    p99_ms: float
    refused: float
    n: int


def arrivals(
    rate: float, seconds: float, chance: np.random.Generator, burst: float = 1.0, burst_s: float = 0.0
) -> np.ndarray:
    """Draw times of a Poisson stream whose rate is multiplied by ``burst`` for ``burst_s`` in the middle.

    Returns
    -------
    ndarray of shape (n,)
        Seconds, ascending.
    """
    middle = (seconds - burst_s) / 2
    spans = [(0.0, middle, rate), (middle, burst_s, rate * burst), (middle + burst_s, middle, rate)]
    drawn = [
        start + length * np.sort(chance.random(chance.poisson(r * length))) for start, length, r in spans
    ]
    return np.concatenate(drawn)


def service_times(n: int, mean_s: float, spread: float, chance: np.random.Generator) -> np.ndarray:
    """Draw service times: lognormal, ``spread`` is the standard deviation over the mean; shape (n,), seconds."""
    sigma = np.sqrt(np.log1p(spread**2))
    return chance.lognormal(np.log(mean_s) - sigma**2 / 2, sigma, n)


def workers(times: np.ndarray, service: np.ndarray, cores: int, most_wait_s: float = np.inf) -> Waits:
    """Serve arrivals first come, first served; one that would wait too long is refused at once.

    Parameters
    ----------
    times, service
        Seconds, shape (n,).
    cores
        Servers, each with one request at a time.
    """
    free = [0.0] * cores
    taken, refused = np.empty(len(times)), 0
    for at, (arrived, needs) in enumerate(zip(times.tolist(), service.tolist(), strict=True)):
        begins = max(free[0], arrived)
        if begins - arrived > most_wait_s:
            taken[at] = np.nan
            refused += 1
            continue
        heapq.heapreplace(free, begins + needs)
        taken[at] = begins + needs - arrived
    return _waits(taken[~np.isnan(taken)], refused)


def writer(times: np.ndarray, commit_s: float, row_s: float, most: int = 512) -> Waits:
    """Commit in groups: whoever waits when the one before is on the disk, at most so many; shape (n,), seconds."""
    taken = np.empty(len(times))
    first, done = 0, 0.0
    while first < len(times):
        begins = max(done, float(times[first]))
        last = min(int(np.searchsorted(times, begins, "right")), first + most)
        done = begins + commit_s + row_s * (last - first)
        taken[first:last] = done - times[first:last]
        first = last
    return _waits(taken, 0)


def look_backs(bans: int, seconds_each: float) -> np.ndarray:
    """Search one after the other for so many bans that came at once; seconds until each is done, shape (bans,)."""
    return seconds_each * np.arange(1, bans + 1)


def _waits(taken: np.ndarray, refused: int) -> Waits:
    if not len(taken):
        return Waits(float("inf"), float("inf"), 1.0, refused)
    p50, p99 = 1e3 * np.percentile(taken, [50, 99])
    n = len(taken) + refused
    return Waits(float(p50), float(p99), refused / n, n)
