"""The batch benchmark: what a command costs, what of a row is work, and how repeats become figures."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks.batch.meter import Cost, cost_of
from benchmarks.batch.run import ENGINES, figures, rows_of, write_listings
from benchmarks.batch.stages import stages
from serving.run import sample_listings
from serving.settings import Settings


def test_what_processes_below_a_command_cost_is_counted():
    busy = "import subprocess, sys; [sum(range(10**7)) for _ in range(3)]"
    command = [
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])",
    ]
    looks: list[int] = []
    cost = cost_of(command, looks.append)
    assert 0.1 < cost.cpu_s <= cost.wall_s * (os.cpu_count() or 1) + 0.1
    assert cost.rss_mb > 5
    assert looks


def test_a_command_that_fails_is_no_measurement():
    with pytest.raises(RuntimeError, match="broken on purpose"):
        cost_of([sys.executable, "-c", "raise SystemExit('broken on purpose')"])


def test_the_start_is_taken_off_and_the_work_out():
    got = figures(1_200, Cost(14.0, 11.0, 500.0), 200, Cost(4.0, 6.0, 400.0), work_ms=4.0)
    assert got["row_cpu_ms"] == pytest.approx(5.0)
    assert got["overhead_cpu_ms"] == pytest.approx(1.0)
    assert got["steady_rows_per_s"] == pytest.approx(100.0)
    assert (got["start_s"], got["start_cpu_s"]) == pytest.approx((2.0, 5.0))
    assert got["rows_per_s"] == pytest.approx(1_200 / 14)
    assert got["rows_per_cpu_s"] == pytest.approx(1_200 / 11)


def test_every_stage_of_a_row_is_counted(tmp_path):
    listings = [one | {"id": f"l{n}"} for n, one in enumerate(sample_listings()[:20])]
    spent = stages(write_listings(tmp_path / "in.jsonl", listings), tmp_path / "out.parquet", Settings())
    assert set(spent) == {f"{name}_cpu_ms" for name in ("hash", "read", "parse", "judge", "table", "keep")}
    assert spent["judge_cpu_ms"] > spent["parse_cpu_ms"] > 0
    assert (tmp_path / "out.parquet").is_file()


def test_repeats_become_rows_with_their_span():
    found = {"ours": [{"rows_per_s": 900.0, "rss_mb": 5.0}, {"rows_per_s": 1100.0, "rss_mb": 6.0}]}
    found["ours-ray"] = [{"rows_per_s": 300.0}, {"killed_output_equal": 1.0}]
    rows = {(row.system, row.metric): row for row in rows_of(found, 50)}
    assert rows["ours", "rows_per_s"].value == 1000.0
    assert (rows["ours", "rows_per_s"].low, rows["ours", "rows_per_s"].high) == (900.0, 1100.0)
    assert rows["ours", "rss_mb"].unit == "MB"
    assert rows["ours-ray", "killed_output_equal"].unit == "share"
    assert rows["ours-ray", "rows_per_s"].low is None
    assert set(ENGINES) >= set(found)
