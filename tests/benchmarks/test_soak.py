"""The soak: figures follow from what was seen, losses are found where there are some, and all of it runs."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from benchmarks.results_file import OURS, read_results
from benchmarks.serving.listings import distinct
from benchmarks.soak.drive import Seen
from benchmarks.soak.figures import Sample, drift_ms, minutes, slope_per_minute
from benchmarks.soak.losses import Acknowledged, Ledger, losses
from benchmarks.soak.run import FULL, LOAD, main
from benchmarks.soak.traffic import BLOCK, SHARES, Traffic


def sampled(mb_per_minute: float, seed: int = 1) -> list[Sample]:
    noise = np.random.default_rng(seed).normal(0, 3, 600)
    return [Sample(2.0 * n, 400 + mb_per_minute * 2 * n / 60 + noise[n]) for n in range(600)]


@pytest.mark.parametrize("leak", [0.0, 0.5, 5.0])
def test_a_leak_is_found_and_none_is_made_up(leak: float) -> None:
    found = slope_per_minute(sampled(leak), after=240)
    assert found.low <= leak <= found.high
    assert found.high - found.low < 0.5
    assert (found.low > 0) == (leak > 0)


def test_one_outlier_makes_no_leak() -> None:
    samples = sampled(0.0)
    samples[-5:] = [Sample(one.at, one.rss_mb + 500) for one in samples[-5:]]
    assert slope_per_minute(samples, after=240).low <= 0.0


def test_a_drift_is_found() -> None:
    def seen(later: float) -> list[Seen]:
        return [Seen(n / 10, "single", 0.01 + (later if n > 2_000 else 0), 200) for n in range(3_000)]

    assert drift_ms(seen(0.0), 0, 300).value == pytest.approx(0.0)
    found = drift_ms(seen(0.005), 0, 300)
    assert found.low <= 5.0 <= found.high and found.value == pytest.approx(5.0)


def test_minutes_add_up() -> None:
    seen = [Seen(n / 2, "single", 0.01, 429 if n % 10 == 0 else 200) for n in range(360)]
    rows = minutes(seen, sampled(0.0), 180)
    assert [row["requests"] for row in rows] == [120, 120, 120]
    assert sum(row["refused"] for row in rows) == 36 and sum(row["errors"] for row in rows) == 0


def test_traffic_is_mixed_and_no_title_comes_twice() -> None:
    traffic = Traffic(distinct(None), "run")
    asks = []
    for ask in itertools.islice(traffic, 2_000):
        traffic.sent(ask)
        asks.append(ask)
    for kind, share in SHARES.items():
        assert sum(ask.kind == kind for ask in asks) / 2_000 == pytest.approx(share, abs=0.02)
    fresh = [ask for ask in asks if ask.kind != "repeat"]
    assert len({ask.key for ask in fresh}) == len(fresh)
    titles = [
        one["title"]
        for ask in fresh
        for body in [orjson.loads(ask.body)]
        for one in body.get("listings", [body])
    ]
    assert len(set(titles)) == len(titles) > BLOCK
    keys = {ask.key for ask in fresh}
    assert all(ask.key in keys for ask in asks if ask.kind == "repeat")


def test_what_is_not_on_record_is_found(sqlite_template: Path, tmp_path: Path, new_record) -> None:
    import shutil

    from serving.store import Store

    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'store.db')}"
    with Store(url) as store:
        store.record(records := [new_record(n, idempotency_key=f"key {n}") for n in range(3)])
    record = records[1]
    key = str(record.idempotency_key)
    there = Acknowledged(key, record.id, record.action)
    ledger = Ledger(tmp_path / "told.tsv")
    ledger.note(key, record.id, record.action)
    assert list(ledger) == [there]
    assert losses(url, ledger).none
    lost = losses(url, [there, Acknowledged("another", "never written", "allow")])
    assert (lost.acknowledged, lost.lost, lost.different, lost.none) == (2, 1, 0, False)
    other = losses(url, [Acknowledged(key, record.id, "allow")])
    assert (other.lost, other.different, other.none) == (0, 1, False)


def test_the_quick_form_runs(tmp_path: Path) -> None:
    """A real service with the starter bundle for some seconds: every kind of request, nothing lost."""
    done = CliRunner().invoke(
        main, ["--quick", "--output", str(tmp_path), "--figure", str(tmp_path / "minutes.png")]
    )
    assert done.exit_code == 0, done.output
    results = read_results(tmp_path / "soak.json")
    for metric in ("errors", "acknowledged_lost", "acknowledged_different", "wrong_answers", "workers_ended"):
        assert results.value(OURS, metric) == 0, done.output
    assert results.value(OURS, "audit_intact") == 1
    assert results.row(OURS, "acknowledged_lost").n > 50
    assert (tmp_path / "minutes.png").is_file() and (tmp_path / "soak.minutes.csv").is_file()


def test_the_full_form_is_what_it_says() -> None:
    assert FULL.steady == 20 * 60 and LOAD == 0.7
