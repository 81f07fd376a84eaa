"""The bound on what slips through holds on average over draws, and is refused where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.conformal import let_through, next_level, share_let_through


@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("n", [25, 60])
def test_the_expected_share_stays_below_the_level(level: float, n: int) -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(1_500):
        scores = rng.beta(2, 5, size=n + 40)
        shares.append(share_let_through(scores[n:], let_through(scores[:n], level)))
    assert np.mean(shares) <= level + 0.004
    assert np.mean(shares) >= level - 2 / (n + 1), "the bound should not be wasteful"


@given(st.lists(st.floats(0, 1), min_size=0, max_size=60), st.floats(0.01, 0.99))
def test_too_few_failing_goods_let_nothing_through(scores: list[float], level: float) -> None:
    bound = let_through(np.array(scores), level)
    assert bound.possible == (np.floor(level * (len(scores) + 1) + 1e-9) >= 1)
    if not bound.possible:
        assert bound.threshold == 0.0
    assert bound.failing == len(scores)


@given(st.lists(st.floats(0, 1), min_size=30, max_size=60), st.floats(0.05, 0.4))
def test_a_looser_level_never_lowers_the_threshold(scores: list[float], level: float) -> None:
    tight, loose = (let_through(np.array(scores), one) for one in (level, level * 2))
    assert loose.threshold >= tight.threshold


def test_ties_count_as_caught() -> None:
    bound = let_through(np.full(40, 0.2), 0.1)
    assert share_let_through(np.full(10, 0.2), bound) == 0.0


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        let_through(np.array([0.1]), level)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        let_through(np.array([0.1, np.nan]), 0.5)


def test_the_level_follows_what_slipped_through() -> None:
    assert next_level(0.1, 0.1, 0.3, 0.2) == pytest.approx(0.06)
    assert next_level(0.1, 0.1, 0.0, 0.2) == pytest.approx(0.12)
    assert next_level(0.1, 0.1, float("nan"), 0.2) == 0.1
    assert next_level(0.02, 0.1, 1.0, 1.0) == pytest.approx(0.02)
