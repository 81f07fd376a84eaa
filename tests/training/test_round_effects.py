"""Rounds that fail together are seen as such, and a new round is given room for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom

from training.heads import logit, sigmoid
from training.round_effects import RoundCount, RoundEffect, fit_round_effect, predict_round


def simulated(deviation: float, seed: int, rounds: int = 60, groups: int = 4) -> list[RoundCount]:
    rng = np.random.default_rng(seed)
    rows = []
    for r in range(rounds):
        shift = rng.normal(0, deviation)
        for _ in range(groups):
            expected = rng.uniform(0.1, 0.5)
            p = sigmoid(logit(np.array(expected)) + shift)
            n = int(rng.integers(10, 120))
            rows.append(
                RoundCount(f"r{r}", expected, n, int(rng.binomial(n, rng.beta(40 * p, 40 * (1 - p)))))
            )
    return rows


def test_the_effect_that_was_put_in_comes_out() -> None:
    strong, none = fit_round_effect(simulated(1.0, 1)), fit_round_effect(simulated(0.0, 2))
    assert 0.75 <= strong.deviation <= 1.4
    assert none.deviation <= 0.15
    assert abs(strong.shift) <= 0.4 and abs(none.shift) <= 0.2


def test_intervals_of_new_rounds_hold_what_they_claim() -> None:
    effect = fit_round_effect(simulated(0.8, 3))
    inside = []
    for row in simulated(0.8, 4, rounds=100, groups=2):
        a, b = predict_round(effect, row.expected)
        low, high = betabinom.ppf([0.05, 0.95], row.tested, a, b)
        inside.append(low <= row.failed <= high)
    assert 0.85 <= np.mean(inside) <= 0.97


@pytest.mark.parametrize("expected", [0.01, 0.2, 0.9])
def test_without_an_effect_the_expectation_stands(expected: float) -> None:
    a, b = predict_round(RoundEffect(0.0, 0.0, 20.0), expected)
    assert a / (a + b) == pytest.approx(expected, rel=0.05)
    wide = predict_round(RoundEffect(0.0, 1.0, 20.0), expected)
    assert sum(wide) < a + b


def test_no_rounds_give_a_wide_answer() -> None:
    assert sum(predict_round(fit_round_effect([]), 0.2)) < 15
