"""Laboratory strictness: known laboratories are found again, and taken out of labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from training.strictness import StrictnessError, fit_strictness, strictness_weights, without_strictness

TRUE = np.array([0.8, -0.6, 0.0, 0.3, -0.5])
LABS = ("KTR", "KCL", "KOTITI", "FITI", "KATRI")


def results(seed, n=400, overlap=60, selective=False):
    random = np.random.default_rng(seed)
    group, spread = random.integers(0, 12, n), random.normal(0, 0.5, 12)
    known, own = random.normal(-1.2, 1, n), random.normal(0, 0.5, n)
    # A laboratory that is sent riskier goods is not stricter for that.
    lab = (
        np.where(random.random(n) < expit(2 * known + 2), 0, random.integers(1, 5, n))
        if selective
        else random.integers(0, 5, n)
    )
    again = random.choice(n, overlap, replace=False)
    rows = np.r_[np.arange(n), again]
    labs = np.r_[lab, (lab[again] + 1 + random.integers(0, 4, overlap)) % 5]
    p = expit(known[rows] + spread[group[rows]] + own[rows] + (TRUE - TRUE.mean())[labs])
    failed = (random.random(len(rows)) < p).astype(float)
    names = [LABS[k] for k in labs]
    return names, [str(k) for k in group[rows]], [str(k) for k in rows], failed, expit(known[rows])


def effects(fit):
    by = {one.laboratory: one for one in fit.laboratories}
    return [by[name] for name in LABS]


@pytest.mark.parametrize("selective", [False, True])
def test_known_strictness_is_found_again_with_honest_intervals(selective):
    wanted = TRUE - TRUE.mean()
    covered, errors = [], []
    for seed in range(12):
        found = effects(fit_strictness(*results(seed, selective=selective)))
        covered += [one.low <= true <= one.high for one, true in zip(found, wanted, strict=True)]
        errors += [one.effect - true for one, true in zip(found, wanted, strict=True)]
    assert np.mean(covered) > 0.85
    assert np.sqrt(np.mean(np.square(errors))) < 0.35
    assert abs(np.mean(errors)) < 0.01  # deviations sum to zero


def test_a_laboratory_is_told_apart_only_where_results_say_so():
    fit = fit_strictness(*results(3, n=1500, overlap=200))
    strictest = max(fit.laboratories, key=lambda one: one.effect)
    assert strictest.laboratory == "KTR"
    assert strictest.told
    assert strictest.odds == pytest.approx(np.exp(strictest.effect))
    assert fit.effect("KTR") == strictest.effect
    assert fit.effect("nobody") == 0.0


def test_laboratories_that_share_nothing_cannot_be_compared():
    labs, _, _, failed, p = results(0, overlap=1)
    with pytest.raises(StrictnessError, match="plan an overlap"):
        fit_strictness(labs, labs, [str(k) for k in range(len(labs))], failed, p)


def test_one_laboratory_or_one_outcome_is_not_enough():
    labs, group, sample, failed, p = results(0)
    with pytest.raises(StrictnessError, match="two laboratories"):
        fit_strictness(["KTR"] * len(labs), group, sample, failed, p)
    with pytest.raises(StrictnessError, match="fails"):
        fit_strictness(labs, group, sample, np.zeros(len(labs)), p)
    with pytest.raises(StrictnessError, match="lengths"):
        fit_strictness(labs[:-1], group, sample, failed, p)


def test_weights_give_the_rate_of_the_mean_laboratory():
    random = np.random.default_rng(5)
    fair = np.full(200_000, 0.2)
    effect = np.where(random.random(len(fair)) < 0.5, 1.0, 0.0)
    at_lab = expit(logit(fair) + effect)
    failed = random.random(len(fair)) < at_lab
    assert failed.mean() > 0.25
    weight = strictness_weights(failed, at_lab, effect)
    assert weight.mean() == pytest.approx(1.0)
    assert np.average(failed, weights=weight) == pytest.approx(0.2, abs=0.005)
    assert without_strictness(at_lab, effect) == pytest.approx(fair)
