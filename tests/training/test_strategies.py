"""Strategies: each keeps the budget and states the chance of what it drew; ordered rates leak nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.histories import crosses
from training.ordered import ordered_rates, rates_of
from training.replay import Goods, Seen, Stream, replay
from training.strategies import Ours, OursOptions, named


def stream(seed=0, weeks=10, size=120):
    random = np.random.default_rng(seed)
    n = weeks * size
    codes = np.column_stack([random.integers(0, 350, n), random.integers(0, 8, n)])
    bad = random.random(350) < 0.25
    failed = random.random(n) < np.where(bad[codes[:, 0]], 0.6, 0.05)
    goods = Goods(
        codes, random.lognormal(size=(n, 1)), ("seller", "group", "price"), np.repeat(np.arange(weeks), size)
    )
    return Stream(goods, failed, failed & (codes[:, 1] == 2))


NAMES = tuple(named(0, (0, 1), severities=(3.0,)))


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_keeps_the_rules(name):
    run = replay(stream(), name, named(0, (0, 1), severities=(3.0,))[name](), 0.2, 0)
    assert run.tested == (24,) * 10


def test_ours_finds_more_than_chance_and_states_its_draw():
    history = stream(weeks=12, size=400)
    weeks = []

    def watched(goods, rows, budget, seen, random):
        choice = ours(goods, rows, budget, seen, random)
        weeks.append(choice)
        return choice

    ours = Ours(OursOptions(crosses=(("seller", "group"),)))
    run = replay(history, "ours", watched, 0.2, 0)
    chance = history.failed.mean()
    assert run.precision(5) > 1.5 * chance
    later = weeks[-1]
    assert (later.propensity == 1).sum() == round(80 * 0.9)
    drawn = later.propensity[later.propensity < 1]
    assert len(drawn) == 8
    assert np.all(drawn > 0)


def test_severity_finds_more_critical_goods():
    history = stream(weeks=14)
    recall = {
        severity: np.mean([
            replay(history, "o", Ours(OursOptions(severity=severity)), 0.1, seed).critical_recall() for seed in range(2)
        ])
        for severity in (0.0, 20.0)
    }  # fmt: skip
    assert recall[20.0] > recall[0.0]


@given(st.integers(0, 10_000))
def test_a_result_never_describes_itself(seed):
    """Turning one result over changes no rate of its own row, whatever the order."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 40))
    keys = random.integers(0, 4, (n, 2))
    outcome = random.integers(0, 2, n).astype(float)
    row = int(random.integers(n))
    turned = outcome.copy()
    turned[row] = 1 - turned[row]
    # The mean is common to all rows: it is held fixed by comparing without imaginary results beyond rounding.
    before = ordered_rates(keys, outcome, np.random.default_rng(1), strength=1e-12)
    after = ordered_rates(keys, turned, np.random.default_rng(1), strength=1e-12)
    tested = before[row, 1::2] > 0
    assert np.allclose(before[row, ::2][tested], after[row, ::2][tested], atol=1e-6)
    assert np.array_equal(before[:, 1::2], after[:, 1::2])


def test_new_rows_are_described_by_all_results():
    keys = np.array([[0], [0], [1], [0]])
    outcome = np.array([1.0, 0.0, 0.0, 1.0])
    found = rates_of(keys, outcome, np.array([[0], [1], [7]]), strength=2.0)
    assert found[:, 1].tolist() == [3.0, 1.0, 0.0]
    assert found[:, 0] == pytest.approx([(2 + 1) / 5, (0 + 1) / 3, 0.5])


def test_without_results_there_is_nothing_to_tell():
    assert ordered_rates(np.zeros((0, 2), int), np.zeros(0), np.random.default_rng(0)).shape == (0, 4)
    assert rates_of(np.zeros((0, 1), int), np.zeros(0), np.array([[3]]))[0].tolist() == [0.5, 0.0]


def test_crosses_number_equal_combinations_alike():
    codes = np.array([[1, 2], [1, 2], [2, 1], [1, 1]])
    found = crosses(codes, [(0,), (0, 1)])
    assert found[0, 1] == found[1, 1]
    assert len(set(found[:, 1].tolist())) == 3


def test_until_there_is_something_to_learn_from_goods_are_drawn_evenly():
    history = stream()
    rows = np.flatnonzero(history.goods.week == 0)
    nothing = Seen(np.zeros(0, np.intp), np.zeros(0), np.zeros(0), np.zeros(0))
    choice = Ours()(history.goods, rows, 12, nothing, np.random.default_rng(0))
    assert np.allclose(choice.propensity, 12 / len(rows))
