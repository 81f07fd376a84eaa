"""The words' side of re-listing: the committed figures made again from the committed scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality.resample import draw_counts, interval
from benchmarks.relisting.text import TASK, best_threshold, f1_draws
from benchmarks.results_file import RESULTS, Results, Row, read_results, read_scores
from training.matcher_sets import PUBLISHED, read_published
from training.matcher_train import PUBLISHED_FOLDER


@pytest.fixture(scope="module")
def results() -> Results:
    return read_results(RESULTS / f"{TASK}.json")


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return read_scores(TASK)


def of(scores: pd.DataFrame, kind: str, system: str) -> np.ndarray:
    return scores[(scores["class"] == kind) & (scores["system"] == system)]["score"].to_numpy()


def as_stated(hits: np.ndarray, row: Row) -> bool:
    spread = interval(draw_counts(len(hits)) @ hits / len(hits))
    again = (float(hits.mean()), spread.low, spread.high)
    return row.n == len(hits) and again == pytest.approx((row.value, row.low, row.high), abs=2e-6)


def test_the_best_threshold_is_the_best():
    same = np.array([True, True, False, True, False])
    score = np.array([0.9, 0.8, 0.8, 0.4, 0.1])
    ones = np.ones((1, 5))
    best = max(sorted(set(score)), key=lambda at: f1_draws(same, score >= at, ones)[0])
    assert best_threshold(same, score) == best == 0.4


@pytest.mark.parametrize("name", PUBLISHED)
def test_f1_follows_from_the_scores(results, scores, data_dir, name):
    same = read_published(data_dir / PUBLISHED_FOLDER / f"{name}.csv.gz", "test", name).same
    metric = name.replace("-", "_")
    for row in (one for one in results.rows if one.metric == f"f1_{metric}"):
        said = of(scores, metric, row.system) >= results.value(row.system, f"threshold_{metric}") - 1e-6
        spread = interval(f1_draws(same, said, draw_counts(len(same))))
        again = (f1_draws(same, said, np.ones((1, len(same))))[0], spread.low, spread.high)
        assert again == pytest.approx((row.value, row.low, row.high), abs=2e-6)
        assert row.n == len(same)


def test_recall_of_re_titled_listings_follows_from_the_scores(results, scores):
    rows = [row for row in results.rows if row.metric.startswith("retitled_recall_")]
    assert len(rows) == 8
    for row in rows:
        tier = row.metric.removeprefix("retitled_recall_")
        at = "retitled_threshold" if tier == "at_fmr_1e-4" else f"point_{tier}"
        hits = of(scores, "retitled", row.system) >= results.value(row.system, at) - 1e-6
        assert as_stated(hits, row), (row.system, row.metric)


def test_false_query_rates_follow_from_the_scores(results, scores):
    banned = results.value("labels", "banned")
    for system in ("ours", "starter"):
        top = of(scores, "innocent", system)
        for tier in ("near", "exact"):
            row = results.row(system, f"false_query_rate_{tier}")
            assert as_stated(top >= results.value(system, f"point_{tier}") - 1e-6, row)
            grown = results.value(system, f"false_query_rate_{tier}_at_10000_bans")
            assert grown == pytest.approx(1 - (1 - row.value) ** (10_000 / banned), abs=1e-5)
