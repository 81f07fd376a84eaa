"""Calibration moves levels, keeps order, and believes few positives little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.calibration import fit_platt, rebase
from training.heads import logit, sigmoid


def test_platt_recovers_a_known_curve():
    rng = np.random.default_rng(0)
    scores = rng.normal(-1, 2, 20_000)
    labels = (rng.random(20_000) < sigmoid(0.7 * scores - 0.4)).astype(float)
    slope, offset = fit_platt(scores, labels)
    assert slope == pytest.approx(0.7, abs=0.05)
    assert offset == pytest.approx(-0.4, abs=0.07)


def test_few_positives_move_the_level_and_not_the_slope():
    rng = np.random.default_rng(1)
    labels = np.zeros(500)
    labels[:4] = 1
    scores = rng.normal(0, 1, 500) + 3 * labels
    slope, offset = fit_platt(scores, labels)
    assert slope == 1.0
    assert sigmoid(scores + offset).mean() == pytest.approx(4 / 500, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 0.4))
def test_platt_never_turns_the_order_round(seed, rate):
    rng = np.random.default_rng(seed)
    labels = (rng.random(300) < rate).astype(float)
    slope, _ = fit_platt(rng.normal(0, 3, 300), labels)
    assert slope > 0


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_rebase_goes_there_and_back(p, here, there):
    moved = rebase(np.array([p]), here, there)
    assert np.all((moved > 0) & (moved < 1))
    # Further out probabilities are held, and what was there is not found again.
    if 1e-5 < moved[0] < 1 - 1e-5:
        assert rebase(moved, there, here)[0] == pytest.approx(p, abs=1e-4)
    assert (moved[0] >= p - 1e-9) == (there >= here) or there == pytest.approx(here)


def test_rebase_refuses_a_rate_of_zero():
    with pytest.raises(ValueError, match="base_to=0"):
        rebase(np.array([0.5]), 0.1, 0)


def test_logit_and_sigmoid_undo_each_other():
    p = np.array([1e-5, 0.2, 0.5, 0.99999])
    assert sigmoid(logit(p)) == pytest.approx(p)
