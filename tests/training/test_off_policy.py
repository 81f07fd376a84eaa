import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.estimators import EstimateError
from training.off_policy import History, bounds, compare, evaluate_policy, retraining_weights
from training.sampling_design import draw


@pytest.fixture(scope="module")
def market():
    random = np.random.default_rng(8)
    n = 3_000
    risk = np.clip(random.gamma(0.7, 0.2, n), 0.001, 0.95)
    return random, risk, (random.random(n) < risk).astype(float)


def logged(random, risk, failed, size=300):
    drawn = draw(np.sqrt(risk), np.zeros(len(risk)), {0.0: size}, 0.3, random)
    seen = np.where(drawn.chosen, failed, np.nan)
    return History(seen, drawn.propensity, np.zeros(len(risk)), np.clip(risk * 1.3, 0, 1))


@pytest.mark.parametrize("method", ["ips", "self_normalised", "doubly_robust"])
def test_the_precision_of_a_new_policy_is_found_from_another_ones_history(market, method):
    random, risk, failed = market
    target = np.zeros(len(risk))
    target[np.argsort(-risk)[:400]] = 1
    truth = failed[target > 0].mean()
    found = [evaluate_policy(logged(random, risk, failed), target, method).estimate for _ in range(300)]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    assert np.mean([e.rate for e in found]) == pytest.approx(truth, abs=0.02)
    assert covered >= 0.91
    # The naive share over all tested goods answers another question and is far off.
    history = logged(random, risk, failed)
    assert abs(np.nanmean(history.failed) - truth) > 0.1


def test_without_logged_propensities_only_bounds_are_given(market):
    random, risk, failed = market
    history = logged(random, risk, failed)
    unlogged = History(history.failed, np.full(len(risk), np.nan), history.stratum)
    target = (risk > 0.3).astype(float)
    answer = evaluate_policy(unlogged, target, "ips")
    assert answer.estimate is None
    assert "no logged propensity" in answer.reason
    assert answer.bounds.low <= failed[target > 0].mean() <= answer.bounds.high


def test_goods_that_could_never_be_tested_leave_only_bounds(market):
    random, risk, failed = market
    history = logged(random, risk, failed)
    p = np.where(risk > 0.5, 0.0, history.propensity)
    seen = np.where(p > 0, history.failed, np.nan)
    answer = evaluate_policy(History(seen, p, history.stratum), (risk > 0.4).astype(float), "ips")
    assert answer.estimate is None
    assert "never have been tested" in answer.reason


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=1, max_size=30), st.integers(0, 2**32))
def test_bounds_hold_whatever_the_untested_goods_are(results, seed):
    failed = np.array(results)
    random = np.random.default_rng(seed)
    truth = np.where(np.isnan(failed), random.integers(0, 2, len(failed)), failed)
    weight = random.random(len(failed)) + 0.01
    low, high = bounds(History(failed, failed, failed), weight)
    assert low - 1e-9 <= np.average(truth, weights=weight) <= high + 1e-9


def test_two_policies_are_compared_pairwise(market):
    random, risk, failed = market
    new, old = (np.zeros(len(risk)) for _ in range(2))
    new[np.argsort(-risk)[:300]] = 1
    old[random.permutation(len(risk))[:300]] = 1
    truth = failed[new > 0].mean() - failed[old > 0].mean()
    found = [compare(logged(random, risk, failed, 600), new, old) for _ in range(200)]
    assert np.mean([d.low <= truth <= d.high for d in found]) >= 0.93
    assert np.mean([d.difference for d in found]) == pytest.approx(truth, abs=0.03)


def test_comparing_needs_propensities_only_where_policies_differ():
    failed = np.array([1, 0, 1, np.nan])
    history = History(failed, np.array([np.nan, 0.5, 0.5, 0.5]), np.zeros(4))
    assert compare(history, np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])).difference == pytest.approx(-1.0)
    with pytest.raises(EstimateError, match="logged propensity"):
        compare(history, np.array([1, 0, 0, 0]), np.array([0, 1, 0, 0]))


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=50), st.floats(1, 50))
def test_retraining_weights_have_mean_one_and_fall_with_the_propensity(propensity, cap):
    p = np.array(propensity)
    weights = retraining_weights(p, cap)
    assert weights.mean() == pytest.approx(1)
    assert np.all(np.diff(weights[np.argsort(p)]) <= 1e-9)


@pytest.mark.parametrize(("propensity", "cap"), [([0.0], 5), ([1.1], 5), ([0.5], 0.5)])
def test_weights_without_a_propensity_are_refused(propensity, cap):
    with pytest.raises(EstimateError, match=r"expected|cannot"):
        retraining_weights(np.array(propensity), cap)
