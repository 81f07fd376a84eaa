"""From what was seen to figures: slope of memory, drift of latency, both with intervals."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

from benchmarks.soak.drive import Seen

PIECE_S = 30.0
"""Samples are taken together to medians of so many seconds before a slope is put through them: neighbours within
are no independent evidence."""
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of the service at one moment: seconds since the beginning, MB of all its processes."""

    at: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def slope_per_minute(samples: Sequence[Sample], after: float, piece_s: float = PIECE_S) -> Estimate:
    """Theil-Sen slope of memory, MB a minute, from ``after`` seconds on.

    Raises
    ------
    ValueError
        When there are fewer than three pieces.
    """
    kept = [sample for sample in samples if sample.at >= after]
    pieces: dict[int, list[Sample]] = {}
    for sample in kept:
        pieces.setdefault(int((sample.at - after) // piece_s), []).append(sample)
    if len(pieces) < 3:
        raise ValueError(f"got {len(pieces)} pieces of {piece_s:g} s after the warm-up, expected at least 3")
    at = [float(np.median([s.at for s in piece])) / 60 for piece in pieces.values()]
    rss = [float(np.median([s.rss_mb for s in piece])) for piece in pieces.values()]
    found = theilslopes(rss, at, alpha=0.95)
    return Estimate(float(found[0]), float(found[2]), float(found[3]), len(pieces))


def drift_ms(seen: Sequence[Seen], after: float, until: float, seed: int = 7) -> Estimate:
    """Median latency of single requests in the last third less that of the first third, in ms; bootstrap interval."""
    third = (until - after) / 3
    first = _latencies(seen, after, after + third)
    last = _latencies(seen, until - third, until)
    if not len(first) or not len(last):
        raise ValueError("got no single request in the first or the last third, expected some in both")
    rng = np.random.default_rng(seed)
    # A thousand of each are drawn: more narrows the interval below what the machine's other work makes of it.
    size = min(1_000, len(first), len(last))
    drawn = np.median(rng.choice(last, (_RESAMPLES, size)), axis=1) - np.median(
        rng.choice(first, (_RESAMPLES, size)), axis=1
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(
        float(np.median(last) - np.median(first)), float(low), float(high), len(first) + len(last)
    )


def _latencies(seen: Sequence[Seen], begin: float, end: float) -> np.ndarray:
    return np.array(
        [1e3 * s.seconds for s in seen if s.kind == "single" and s.status == 200 and begin <= s.at < end]
    )


def percentile_ms(seen: Sequence[Seen], begin: float, end: float, share: float) -> float:
    """Latency of single requests answered between two moments, in ms; NaN where there were none."""
    found = _latencies(seen, begin, end)
    return float(np.quantile(found, share)) if len(found) else float("nan")


COLUMNS = ("minute", "rss_mb", "p50_ms", "p99_ms", "requests", "refused", "errors")


def minutes(seen: Sequence[Seen], samples: Sequence[Sample], until: float) -> list[dict[str, float]]:
    """One row a minute of what was seen."""
    rows = []
    for minute in range(int(np.ceil(until / 60))):
        begin, end = 60.0 * minute, 60.0 * (minute + 1)
        here = [one for one in seen if begin <= one.at < end]
        rss = [one.rss_mb for one in samples if begin <= one.at < end]
        values = (
            minute,
            float(np.median(rss)) if rss else float("nan"),
            percentile_ms(here, begin, end, 0.5),
            percentile_ms(here, begin, end, 0.99),
            len(here),
            sum(one.status == 429 for one in here),
            sum(one.status not in (200, 201, 429) for one in here),
        )
        rows.append({name: round(value, 2) for name, value in zip(COLUMNS, values, strict=True)})
    return rows


def write_minutes(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write the minutes as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def draw(path: Path, rows: Sequence[dict[str, float]], warm_s: float) -> None:
    """Draw memory and latency over the minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 4.6), layout="constrained")
    at = [row["minute"] + 0.5 for row in rows]
    above.plot(at, [row["rss_mb"] for row in rows], color="#1f4e79")
    above.set_ylabel("memory, MB")
    above.set_ylim(0, 1.2 * max(row["rss_mb"] for row in rows))
    above.axvspan(0, warm_s / 60, color="#dddddd", lw=0, label="warm-up")
    above.legend(frameon=False, loc="lower right")
    below.plot(at, [row["p50_ms"] for row in rows], color="#1f4e79", label="p50")
    below.plot(at, [row["p99_ms"] for row in rows], color="#c55a11", label="p99")
    below.set_yscale("log")
    below.set_ylabel("single request, ms")
    below.set_xlabel("minute")
    below.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
