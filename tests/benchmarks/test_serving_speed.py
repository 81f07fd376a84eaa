"""The serving benchmark: what it scores, and how repeats become figures."""

from __future__ import annotations

import os

import pytest

from benchmarks.serving.listings import distinct
from benchmarks.serving.processes import cpu_seconds, rss_mb
from benchmarks.serving.run import QUICK, rows_of

FIGURES = {
    "score_p50_ms": 2.0,
    "service_p50_ms": 4.0,
    "bulk_listings_per_s": 1000.0,
    "batch_listings_per_s": 800.0,
    "ready_s": 5.0,
    "rss_mb": 400.0,
    "imports_torch": 0.0,
}


def test_no_title_is_scored_twice():
    listings = distinct(None)
    assert len(listings) >= 500
    assert len({one["title"] for one in listings}) == len({one["id"] for one in listings}) == len(listings)
    assert distinct(None) == listings


def test_repeats_become_a_median_between_its_smallest_and_largest():
    ours = [FIGURES | {"score_p50_ms": value} for value in (2.0, 3.0, 10.0)]
    peer = [{name: 10 * value for name, value in FIGURES.items()}] * 3
    rows = {(row.system, row.metric): row for row in rows_of({"ours": ours, "peer": peer}, QUICK)}
    single = rows["ours", "score_p50_ms"]
    assert (single.value, single.low, single.high, single.unit, single.n) == (
        3.0,
        2.0,
        10.0,
        "ms",
        QUICK.single,
    )
    assert rows["peer", "rss_mb"].unit == "MB"
    # Lower milliseconds and higher rates are both faster: 20 / 3 of ours in the middle repeat, a tenth of the rate.
    assert rows["ours", "score_speedup"].value == pytest.approx(20 / 3, abs=1e-4)
    assert rows["ours", "bulk_speedup"].value == pytest.approx(0.1)
    assert ("peer", "score_speedup") not in rows


def test_a_process_is_measured_with_what_it_started():
    assert rss_mb(os.getpid()) > 10
    assert cpu_seconds(os.getpid()) > 0
