"""The serving benchmark: what it scores, how runs become figures, and that all of it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results_file import read_results
from benchmarks.serving.chart import draw, points
from benchmarks.serving.listings import distinct, titles_of
from benchmarks.serving.measure import Bodies, Sample, figures_of, quantile
from benchmarks.serving.processes import cpu_seconds, rss_mb
from benchmarks.serving.run import rows_of
from benchmarks.serving.systems import LIKE_BENTO, LIKE_MLFLOW, LIKE_OURS, PEER

ROOT = Path(__file__).parents[2]
FIGURES = {
    "score_p50_ms": 2.0,
    "service_p50_ms": 4.0,
    "cpu_s_per_1000": 2.0,
    "bulk_listings_per_s": 1000.0,
    "peak_rps": 800.0,
    "ready_s": 5.0,
    "rss_mb": 400.0,
    "goodput_at_3x": 0.95,
}
WANTED = {
    "score_p50_ms", "service_p50_ms", "service_p99_ms_c8", "peak_rps", "bulk_listings_per_s", "cpu_s_per_1000",
    "rss_mb", "ready_s", "goodput_at_3x", "accepted_p99_ms_at_3x", "failed_at_3x", "load_cpu_s_per_1000",
}  # fmt: skip


def test_no_title_is_scored_twice():
    listings = distinct(None)
    assert len(listings) >= 500
    assert len({one["title"] for one in listings}) == len({one["id"] for one in listings}) == len(listings)
    assert distinct(None) == listings
    titles = titles_of(listings, 5_000)
    assert len(set(titles)) == 5_000 and titles[: len(listings)] == [one["title"] for one in listings]


def test_requests_are_taken_once_and_run_out_loudly(tmp_path):
    bodies = Bodies([f"title {n}" for n in range(600)], tmp_path)
    one = bodies.single(LIKE_OURS, 3).read_text().splitlines()
    assert [json.loads(line) for line in one] == [{"id": f"l{n}", "title": f"title {n}"} for n in range(3)]
    block = json.loads(bodies.many(LIKE_BENTO, 1).read_text())
    assert block["titles"][:2] == ["title 3", "title 4"] and len(block["titles"]) == 256
    row = json.loads(bodies.single(LIKE_MLFLOW, 1).read_text())
    assert row == {"dataframe_records": [{"title": "title 259"}]}
    with pytest.raises(RuntimeError, match="expected more"):
        bodies.single(LIKE_OURS, 600)


def sample(clients: int, rate: float, p50: float) -> Sample:
    return Sample(
        clients=clients, ok=int(rate * 2), late=0, answers=int(rate * 2), seconds=2.0, p50_ms=p50, p99_ms=3 * p50,
        cpu_s=4.0, load_cpu_s=0.5, refused=0, failed=0,
    )  # fmt: skip


def test_the_peak_is_the_best_rate_and_costs_what_it_costs_there():
    found = figures_of([sample(1, 100, 5.0), sample(8, 400, 15.0), sample(32, 350, 80.0)])
    assert found["peak_rps"] == 400 and found["cpu_s_per_1000"] == pytest.approx(5.0)
    assert (found["service_p50_ms"], found["service_p99_ms_c32"]) == (5.0, 240.0)
    assert [quantile(list(range(1, 101)), share) for share in (0.5, 0.99)] == [51, 100] and quantile(
        [], 0.5
    ) == 0


def test_two_runs_become_a_mean_between_them():
    ours = [FIGURES | {"score_p50_ms": value} for value in (2.0, 3.0)]
    peer = [{name: 10 * value for name, value in FIGURES.items()}]
    rows = {(row.system, row.metric): row for row in rows_of({"ours": ours, PEER: peer})}
    single = rows["ours", "score_p50_ms"]
    assert (single.value, single.low, single.high, single.unit, single.n) == (2.5, 2.0, 3.0, "ms", 2)
    assert rows[PEER, "rss_mb"].unit == "MB" and rows[PEER, "rss_mb"].low is None
    assert rows["ours", "goodput_at_3x"].unit == "share" and rows["ours", "cpu_s_per_1000"].unit == "s"
    # Lower milliseconds and higher rates are both faster.
    assert rows["ours", "cpu_speedup"].value == pytest.approx(10.0)
    assert rows["ours", "bulk_speedup"].value == pytest.approx(0.1)
    assert (PEER, "score_speedup") not in rows


def test_a_process_is_measured_with_what_it_started():
    assert rss_mb(os.getpid()) > 10
    assert cpu_seconds(os.getpid()) > 0


def test_the_quick_form_measures_a_real_service(tmp_path):
    """Starts the service, sends all kinds of load, reads all figures; says nothing about speed."""
    command = [sys.executable, "-m", "benchmarks.serving.run", "--quick", "--output", str(tmp_path)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LISTING_RISK_")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    results = read_results(tmp_path / "serving_speed.json")
    found = {row.metric: row.value for row in results.rows if row.system == "ours"}
    assert found.keys() >= WANTED
    assert found["failed_at_3x"] == 0 and found["imports_torch"] == 0
    assert found["peak_rps"] > 0 and found["bulk_listings_per_s"] > 0
    assert [rate for rate, _ in points(results, "ours", "p99")] == [found["rps_c1"], found["rps_c8"]]
    draw(results, tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text(encoding="utf-8")
