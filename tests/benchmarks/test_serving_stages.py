"""The benchmark of stages: it walks the service's own path, and counts each stage for itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.results_file import RESULTS, read_results
from benchmarks.serving import stages
from benchmarks.serving.probe_stages import CONTAINED, Allocations, Clock

WAYS = (
    "all_us",
    "without_record_us",
    "without_record_reasons_us",
    "without_record_matching_us",
    "model_alone_us",
)


@pytest.fixture(scope="module")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "BULK", 4)
        return {(row.system, row.metric): row for row in stages.measure(None, 20, 0.01)}


def test_every_way_and_every_stage_is_measured(rows):
    systems = {system for system, _ in rows}
    assert systems == {"ours", stages.BLOCKS}
    for system in systems:
        assert all(rows[system, way].value > 0 for way in WAYS)
        assert all(
            (system, f"{kind}_{stage}") in rows for kind in ("us", "kb", "blocks") for stage in CONTAINED
        )


def test_the_stages_were_met_on_the_way(rows):
    met = set(CONTAINED) - {"reasons"}
    for stage in met:
        assert rows["ours", f"us_{stage}"].high > 0, stage
        assert rows["ours", f"kb_{stage}"].high > 0, stage


def test_a_stage_within_another_counts_for_itself_alone(monkeypatch):
    now = iter(range(0, 10**9, 1_000))
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(now))
    clock = Clock()
    with clock.stage("match"):
        with clock.stage("encode"):
            pass
        with clock.stage("encode"):
            pass
    clock.finish(2)
    # Each look at the clock takes a tick: two ticks within encode, three in match before, between and after.
    assert clock.of("encode").tolist() == [1.0] and clock.of("match").tolist() == [1.5]
    assert clock.of("parse").tolist() == [0.0]


def test_memory_of_a_stage_is_what_it_held_at_most():
    counted = Allocations()
    try:
        with counted.stage("match"):
            with counted.stage("encode"):
                held = np.ones(1_000_000)
                del held
            kept = [bytes(50) for _ in range(1_000)]
        counted.finish(1)
    finally:
        counted.stop()
    assert counted.of("encode")[0] >= 8_000_000
    assert counted.of("match")[0] >= 8_000_000, "what is held within counts for what is around it too"
    assert counted.blocks("match")[0] >= len(kept) and abs(counted.blocks("encode")[0]) < 100


def test_the_committed_figures_name_the_stages_of_today():
    results = read_results(RESULTS / "serving_stages.json")
    metrics = {row.metric for row in results.rows}
    assert {f"us_{stage}" for stage in CONTAINED} <= metrics and set(WAYS) <= metrics
    assert not results.commit.endswith("-dirty")
