"""The replay: a strategy sees only what it paid for; runs resume; summaries pair seeds."""

from __future__ import annotations

import numpy as np
import pytest

from training.replay import Choice, Goods, ReplayError, Stream, read_runs, replay, replay_all
from training.simulation import draw_curves, mean_of, paired, simulate, summary
from training.strategies import named, random_choice


def stream(weeks=8, size=60, seed=0):
    random = np.random.default_rng(seed)
    n = weeks * size
    codes = random.integers(0, [400, 6], (n, 2))
    failed = random.random(n) < np.where(codes[:, 1] == 3, 0.7, 0.1)
    critical = failed & (random.random(n) < 0.3)
    goods = Goods(
        codes, random.lognormal(size=(n, 1)), ("seller", "group", "price"), np.repeat(np.arange(weeks), size)
    )
    return Stream(goods, failed, critical)


def make():
    return stream(), named(0, (0, 1))


def test_a_strategy_learns_only_from_what_it_tested():
    history = stream()
    looked = []

    def curious(goods, rows, budget, seen, random):
        looked.append((set(seen.rows.tolist()), set(rows.tolist())))
        return random_choice(goods, rows, budget, seen, random)

    run = replay(history, "curious", curious, 0.2, 1)
    for before, now in looked:
        assert not before & now
    assert looked[0][0] == set()
    assert len(looked[-1][0]) == sum(run.tested[:-1])
    assert run.tested == (12,) * 8
    assert sum(run.critical_there) == int(history.critical.sum())


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        (lambda rows, n: Choice(rows[: n - 1], np.ones(n - 1)), "expected 12"),
        (lambda rows, n: Choice(np.repeat(rows[:1], n), np.ones(n)), "1 distinct"),
        (lambda rows, n: Choice(rows[:n] + 1000, np.ones(n)), "distinct goods of the week"),
        (lambda rows, n: Choice(rows[:n], np.zeros(n)), "propensities"),
    ],
)
def test_a_strategy_that_breaks_the_rules_is_refused(pick, message):
    with pytest.raises(ReplayError, match=message):
        replay(stream(), "bad", lambda goods, rows, budget, seen, random: pick(rows, budget), 0.2, 0)


@pytest.mark.parametrize("budget", [0.0, 1.5])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ReplayError, match="budget"):
        replay(stream(), "random", random_choice, budget, 0)


def test_finished_runs_are_not_repeated_and_a_cut_line_is(tmp_path):
    history, strategies = make()
    few = {name: strategies[name] for name in ("random", "history")}
    first = list(replay_all(history, few, [0.1], [0, 1], tmp_path))
    kept = tmp_path / "runs.jsonl"
    kept.write_text(kept.read_text()[:-20])
    assert len(read_runs(kept)) == 3
    steps = []
    again = list(replay_all(history, few, [0.1], [0, 1], tmp_path, steps.append))
    assert again == first
    assert len(steps) == 8  # one run, week by week


def test_seeds_may_run_in_processes_of_their_own(tmp_path):
    alone = list(simulate(make, [0.2], [0, 1], tmp_path / "a", only=["random", "best_seller"]))
    spread = list(simulate(make, [0.2], [0, 1], tmp_path / "b", only=["random", "best_seller"], processes=2))
    key = lambda run: (run.seed, run.strategy)  # noqa: E731
    assert sorted(alone, key=key) == sorted(spread, key=key)


def test_figures_are_means_over_seeds_and_differences_are_paired(tmp_path):
    runs = list(simulate(make, [0.2], range(3), tmp_path, only=["random", "history"]))
    found = summary(runs)
    assert found["history"]["precision_all"].value > found["random"]["precision_all"].value
    ahead = paired(runs, "history", "random", lambda run: run.precision())
    assert ahead.n == 3
    assert ahead.value == pytest.approx(
        found["history"]["precision_all"].value - found["random"]["precision_all"].value
    )
    with pytest.raises(ValueError, match="no seed"):
        paired(runs, "history", "nobody", lambda run: run.precision())
    draw_curves(runs, tmp_path / "curves.png", window=2)
    assert (tmp_path / "curves.png").stat().st_size > 5_000


def test_one_seed_has_no_interval():
    found = mean_of([0.4])
    assert (found.value, found.low, found.high, found.n) == (0.4, 0.4, 0.4, 1)
