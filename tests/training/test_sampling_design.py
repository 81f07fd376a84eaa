import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.sampling_design import DesignError, draw, inclusion_probabilities, pivotal

SCORES = st.lists(st.floats(0, 1e6), min_size=1, max_size=80)


@given(SCORES, st.data())
def test_probabilities_sum_to_the_sample_size_and_keep_the_floor(scores, data):
    size = data.draw(st.integers(1, len(scores)))
    floor = data.draw(st.floats(0.01, 1))

    p = inclusion_probabilities(np.array(scores), size, floor)

    assert p.sum() == pytest.approx(size, abs=1e-6)
    assert p.min() >= min(floor * size / len(scores), 1) - 1e-9
    assert p.max() <= 1


@given(SCORES, st.data())
def test_every_draw_has_exactly_the_size(scores, data):
    size = data.draw(st.integers(1, len(scores)))
    p = inclusion_probabilities(np.array(scores), size, 0.2)

    chosen = pivotal(p, np.random.default_rng(data.draw(st.integers(0, 2**32))))

    assert chosen.sum() == size
    assert chosen[p >= 1].all()


@given(SCORES, st.integers(1, 5))
def test_a_higher_score_never_has_a_lower_probability(scores, size):
    p = inclusion_probabilities(np.array(scores), min(size, len(scores)), 0.3)
    order = np.argsort(scores)
    assert np.all(np.diff(p[order]) >= -1e-9)


def test_units_are_drawn_as_often_as_intended():
    random = np.random.default_rng(1)
    p = inclusion_probabilities(random.gamma(0.7, 1, 60), 12, 0.2)
    draws = 20_000
    share = np.mean([pivotal(p, random) for _ in range(draws)], axis=0)
    deviation = (share - p) / np.sqrt(p * (1 - p) / draws + 1e-12)
    # 60 standard normal deviations: beyond 4.5 by chance once in 2,000 runs.
    assert np.abs(deviation).max() < 4.5


def test_pairs_are_drawn_together_now_and_then():
    random = np.random.default_rng(2)
    p = inclusion_probabilities(random.gamma(1, 1, 12), 4, 0.3)
    together = np.zeros((12, 12))
    for _ in range(5_000):
        chosen = pivotal(p, random)
        together += np.outer(chosen, chosen)
    assert (together > 0).all()


def test_the_same_state_of_chance_gives_the_same_sample():
    scores, strata = np.linspace(1, 2, 30), np.repeat(["a", "b", "c"], 10)
    draws = [draw(scores, strata, {"a": 2, "b": 3, "c": 1}, 0.5, np.random.default_rng(7)) for _ in range(2)]
    assert np.array_equal(draws[0].chosen, draws[1].chosen)
    assert [int(draws[0].chosen[strata == name].sum()) for name in "abc"] == [2, 3, 1]


def test_all_scores_zero_is_an_even_draw():
    assert np.allclose(inclusion_probabilities(np.zeros(8), 2, 0.1), 0.25)


@pytest.mark.parametrize(
    ("scores", "size", "floor"),
    [
        ([1, np.nan], 1, 0.1),
        ([1, -1], 1, 0.1),
        ([1, 2], 3, 0.1),
        ([1, 2], 0, 0.1),
        ([1, 2], 1, 0),
        ([1, 2], 1, 1.5),
    ],
)
def test_what_cannot_be_drawn_is_refused(scores, size, floor):
    with pytest.raises(DesignError, match="expected"):
        inclusion_probabilities(np.array(scores, dtype=float), size, floor)


def test_probabilities_without_a_whole_sum_are_refused():
    with pytest.raises(DesignError, match="whole"):
        pivotal(np.array([0.5, 0.2]), np.random.default_rng(0))


def test_a_stratum_without_a_size_is_refused():
    with pytest.raises(DesignError, match="'b'"):
        draw(np.ones(2), np.array(["a", "b"]), {"a": 1}, 0.5, np.random.default_rng(0))
