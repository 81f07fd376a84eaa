from __future__ import annotations

import numpy as np
import pytest

from features.image_match import PairEvidence
from training.image_matching import Allowance, JudgedPair, fit_photo_matcher


def evidence(rng: np.random.Generator, same: bool) -> PairEvidence:
    """Copies have more of everything, with some overlap between the two kinds."""
    high = rng.beta(6, 2, 5) if same else rng.beta(2, 6, 5)
    return PairEvidence(
        inliers=int(high[0] * 60),
        spread=float(high[1]),
        tiles=float(high[2]),
        overlap=float(rng.uniform(0.3, 1)),
        correlation=float(high[3]),
        cosine=float(high[4]),
        views=("trimmed", "trimmed"),
        hash_distance=int(rng.integers(0, 20) if same else rng.integers(10, 34)),
        position="plain",
    )


@pytest.fixture(scope="module")
def pairs() -> list[JudgedPair]:
    rng = np.random.default_rng(2)
    return [
        JudgedPair(evidence(rng, same), same, f"query {n}")
        for n in range(1_500)
        for same in (n % 3 == 0, False)
    ]


def test_errors_stay_within_what_was_allowed(pairs):
    allowance = Allowance(pair=1e-4, query=0.002, near=1e-3)
    matcher = fit_photo_matcher(
        pairs, n_negative_pairs=100_000, n_innocent_queries=1_500, allowance=allowance, fitted_on="made up"
    )
    p = np.array([matcher.probability(pair.evidence) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    assert (p[~same] >= matcher.exact).sum() <= 3  # 0.2 % of 1,500 queries binds before 10 of 100,000 pairs
    assert (p[~same] >= matcher.near).sum() <= 100
    assert (p[same] >= matcher.exact).mean() > 0.8
    assert matcher.near <= matcher.exact and matcher.fitted_on == "made up"
    assert min(matcher.weights) >= 0


def test_a_stricter_allowance_never_lowers_the_threshold(pairs):
    points = [
        fit_photo_matcher(
            pairs,
            n_negative_pairs=100_000,
            n_innocent_queries=1_500,
            allowance=Allowance(pair=rate, query=1.0),
        ).exact
        for rate in (1e-2, 1e-3, 1e-4, 1e-5, 0.0)
    ]
    assert points == sorted(points)


def test_probabilities_mean_what_they_say(pairs):
    """At the base rate that the fit states: one copy in twenty among the pairs that were brought up."""
    matcher = fit_photo_matcher(pairs, n_negative_pairs=100_000, n_innocent_queries=1_500)
    p = np.array([matcher.probability(pair.evidence) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    share = np.where(same, 0.05 / same.mean(), 0.95 / (1 - same.mean()))
    for low, high in ((0.0, 0.1), (0.1, 0.9), (0.9, 1.0)):
        inside = (p >= low) & (p <= high)
        said, true = (
            np.average(p[inside], weights=share[inside]),
            np.average(same[inside], weights=share[inside]),
        )
        assert abs(said - true) < 0.06


def test_too_few_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match="at least 30 of each"):
        fit_photo_matcher(pairs[:20], n_negative_pairs=100, n_innocent_queries=10)
