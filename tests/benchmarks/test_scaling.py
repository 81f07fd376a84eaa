"""The plan past one machine: queues against formulas, arithmetic by hand, and a page that says what the figures say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.results_file import RESULTS, data_sha256, read_results
from benchmarks.scaling.__main__ import MEASURED, PAGE, figures, page, read_measured, rows_of
from benchmarks.scaling.capacity import store_capacity
from benchmarks.scaling.inputs import ASSUMPTIONS, SOURCES, assumptions, measured
from benchmarks.scaling.plan import growth, month_of_uploads, worst_second
from benchmarks.scaling.queues import arrivals, look_backs, service_times, workers, writer


def chance():
    return np.random.default_rng(3)


def erlang_c_wait(rate: float, mean_s: float, servers: int) -> float:
    """Mean wait of M/M/c, from the textbook."""
    load = rate * mean_s
    term, total = 1.0, 1.0
    for k in range(1, servers):
        term *= load / k
        total += term
    last = term * load / servers / (1 - load / servers)
    return last / (total + last) * mean_s / (servers - load)


@pytest.mark.parametrize("servers", [1, 4])
def test_waits_are_those_of_the_textbook(servers):
    rate, mean = 80.0 * servers, 0.01
    times = arrivals(rate, 1_500 / servers, chance())
    service = chance().exponential(mean, len(times))
    free = [0.0] * servers
    waits = []
    for arrived, needs in zip(times, service, strict=True):
        at = int(np.argmin(free))
        begins = max(free[at], arrived)
        free[at] = begins + needs
        waits.append(begins - arrived)
    got = workers(times, service, servers)
    taken = np.array(waits) + service
    assert got.p50_ms == pytest.approx(1e3 * np.percentile(taken, 50))
    assert got.p99_ms == pytest.approx(1e3 * np.percentile(taken, 99))
    assert np.mean(waits) == pytest.approx(erlang_c_wait(rate, mean, servers), rel=0.15)


def test_arrivals_come_at_the_rate_and_the_burst_stands_in_the_middle():
    times = arrivals(1_000, 20, chance(), burst=3, burst_s=4)
    assert np.all(np.diff(times) >= 0)
    inside = np.count_nonzero((times >= 8) & (times < 12))
    assert inside == pytest.approx(12_000, rel=0.05)
    assert len(times) - inside == pytest.approx(16_000, rel=0.05)


def test_service_times_have_the_mean_and_the_spread():
    drawn = service_times(200_000, 0.004, 0.6, chance())
    assert drawn.mean() == pytest.approx(0.004, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(0.6, rel=0.05)


def test_more_than_the_cores_can_do_is_refused_and_the_rest_does_not_wait_longer():
    times = arrivals(2_000, 10, chance())
    service = service_times(len(times), 0.004, 0.6, chance())
    got = workers(times, service, 4, most_wait_s=0.1)
    assert got.refused == pytest.approx(0.5, abs=0.03)
    assert got.p99_ms < 100 + 1e3 * service.max()


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=60),
    st.floats(1e-4, 0.5),
    st.floats(1e-5, 0.1),
    st.integers(1, 9),
)
@settings(max_examples=60)
def test_a_writer_commits_everyone_in_order_and_no_group_is_too_large(at, commit, row, most):
    times = np.sort(np.array(at))
    got = writer(times, commit, row, most)
    assert got.n == len(times)
    assert got.refused == 0
    assert got.p50_ms >= 1e3 * (commit + row) * (1 - 1e-9)
    assert got.p99_ms <= 1e3 * (len(times) * (commit + row)) * (1 + 1e-9)


def test_one_at_a_time_a_writer_is_as_fast_as_its_commit():
    got = writer(np.arange(0.0, 10.0, 1.0), 0.01, 0.001)
    assert (got.p50_ms, got.p99_ms) == pytest.approx((11.0, 11.0))


def test_look_backs_are_done_one_after_the_other():
    assert look_backs(3, 2.0).tolist() == [2.0, 4.0, 6.0]


HAND = {
    "row_cpu_ms": 1.0, "pass_cpu_ms": 0.02, "bytes_in": 500.0, "bytes_out": 400.0, "worker_mb": 300.0,
    "upload_cpu_ms": 3.0,
    "group_fsync_ms": 0.4, "photo_cpu_ms": 50.0, "photo_look_up_cpu_ms": 10.0, "photo_vector_bytes": 300.0,
    "search_million_ms": 16.0, "look_back_words_s": 1.0, "look_back_photos_s": 0.0,
    "store_rows_per_s": 2_500.0, "decision_bytes": 1_000.0,
}  # fmt: skip


def test_the_arithmetic_is_what_one_does_by_hand():
    a = assumptions() | {"uploads_per_month": 2.592e9, "busy": 0.5, "uploads_per_s": 1_000.0, "photos": 1.0}
    month = month_of_uploads(HAND, a)
    assert month["mean_per_s"] == pytest.approx(1_000)
    assert month["batch_core_hours"] == pytest.approx(720)
    assert month["batch_cores"] == pytest.approx(2)
    assert month["feeds"] == pytest.approx(50)
    assert month["batch_out_gb"] == pytest.approx(1_036.8)
    second = worst_second(HAND, a)
    assert (second["cores"], second["photo_cores"], second["stores"]) == (6, 120, 1)


def test_the_market_fills_up_and_then_stays():
    a = assumptions() | {"live_months": 2.0, "uploads_per_month": 1e6, "first_share": 1.0}
    months = growth(HAND, a, 60)
    assert months[0].live < months[5].live < 2e6
    assert months[-1].live == pytest.approx(2e6, rel=1e-6)
    assert months[-1].look_back_cpu_s == pytest.approx(20.0, rel=1e-6)
    assert months[11].decisions_gb == pytest.approx(12.0)
    assert months[12].decisions_gb == pytest.approx(12.5), "text is erased after a year"


def test_a_market_that_grows_is_smaller_at_first():
    a = assumptions() | {"uploads_per_month": 1e6, "first_share": 0.1, "grown_months": 10.0}
    at_once, grown = growth(HAND, a | {"first_share": 1.0}, 60), growth(HAND, a, 60)
    assert grown[0].live == pytest.approx(0.1 * at_once[0].live)
    assert all(one.live < other.live for one, other in zip(grown[:9], at_once, strict=False))
    assert grown[-1].live == pytest.approx(at_once[-1].live)
    assert grown[-1].decisions_gb < at_once[-1].decisions_gb


def test_capacity_counts_what_was_acknowledged(tmp_path):
    found = {one.name: one.value for one in store_capacity(tmp_path, rows=400)}
    assert found["store_rows_per_s"] > 1
    assert 500 < found["decision_bytes"] < 20_000


def test_every_figure_that_goes_in_is_in_committed_results():
    assert {one.name for one in measured()} == set(SOURCES)
    assert {one.name for one in read_measured()} == set(SOURCES) | {
        "store_rows_per_s",
        "store_row_cpu_ms",
        "decision_bytes",
    }


def test_page_and_results_follow_from_the_two_files():
    inputs, a = read_measured(), assumptions()
    m = {one.name: one.value for one in inputs}
    found = figures(m, a)
    assert PAGE.read_text(encoding="utf-8") == page(inputs, a, found), "run: python -m benchmarks.scaling"
    results = read_results(RESULTS / "scaling.json")
    assert [row.model_dump() for row in results.rows] == [row.model_dump() for row in rows_of(m, found)]
    assert results.data_sha256 == data_sha256(MEASURED.parent, [MEASURED.name, ASSUMPTIONS.name])
