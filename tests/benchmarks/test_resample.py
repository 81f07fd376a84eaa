"""A figure under counts is the figure of the items written out that often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.resample import (
    average_precision_draws,
    brier_skill_draws,
    draw_counts,
    interval,
    roc_auc_draws,
    written_out_draws,
)
from training.metrics import average_precision, brier_skill, roc_auc


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30))
def test_counts_stand_for_repeated_items(items: list[tuple[bool, int, int]]) -> None:
    y, score, count = (np.array(column, dtype=np.float64) for column in zip(*items, strict=True))
    score, counts = score / 5, count[None, :]
    if not count.sum():
        return
    for metric, draws in (
        (average_precision, average_precision_draws),
        (roc_auc, roc_auc_draws),
        (brier_skill, brier_skill_draws),
    ):
        expected = written_out_draws(metric, y, score, counts)
        assert draws(y, score, counts) == pytest.approx(expected, nan_ok=True)


def test_draws_hold_as_many_items_as_there_are_and_repeat() -> None:
    counts = draw_counts(40, draws=50)
    assert (counts.sum(axis=1) == 40).all()
    assert (counts == draw_counts(40, draws=50)).all()
    assert not (counts == draw_counts(40, draws=50, seed=1)).all()


def test_interval_leaves_out_draws_without_a_figure() -> None:
    found = interval(np.array([np.nan, *np.linspace(0, 1, 101)]))
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert np.isnan(interval(np.array([np.nan])).low)


def test_precision_and_recall_at_budgets_are_those_of_the_written_out_items() -> None:
    from benchmarks.quality.resample import at_budgets_draws
    from training.metrics import at_budget

    rng = np.random.default_rng(5)
    Y, score, budgets = (rng.random((60, 2)) < 0.3).astype(float), rng.random(60), (0.03, 0.2, 1.0)
    counts = draw_counts(60, draws=40)
    precision, recall = at_budgets_draws(Y, score, counts, budgets)
    for b, budget in enumerate(budgets):
        for k, y in enumerate(Y.T):
            for count, p, r in zip(counts, precision[b, k], recall[b, k], strict=True):
                rows = np.repeat(np.arange(60), count.astype(int))
                assert (p, r) == pytest.approx(at_budget(y[rows], score[rows], budget))
