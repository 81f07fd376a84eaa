from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.risk import (
    RISK_LEVELS,
    expected_harm,
    exposure_of,
    hazard_risk_levels,
    injury_probability,
    listing_risk_level,
    risk_level,
    worst_level,
)
from features.taxonomy import AUDIENCES, load_taxonomy

RANK = {level: rank for rank, level in enumerate(RISK_LEVELS)}
probabilities = st.floats(0, 1)


@pytest.fixture(scope="module")
def taxonomy():
    return load_taxonomy()


def test_the_table_is_the_guidelines_and_marked_unverified(taxonomy):
    expected = {
        0.6: "high serious serious serious",
        0.2: "medium serious serious serious",
        0.02: "medium serious serious serious",
        0.002: "low high serious serious",
        0.0002: "low medium high serious",
        0.00002: "low low medium high",
        0.000002: "low low low medium",
        0.0000002: "low low low low",
    }
    for probability, levels in expected.items():
        assert list(risk_level(np.full(4, probability), np.arange(1, 5))) == levels.split()
    assert taxonomy.risk_matrix.levels.shape == (8, 4)
    assert taxonomy.risk_matrix.mark == "unverified"


def test_the_one_cell_that_was_read():
    # Folding chair of the guideline's example: severity 1, one in 500.
    assert risk_level(np.array(1 / 500), np.array(1)) == "low"


@pytest.mark.parametrize(("bound", "below", "above"), [(0.01, "high", "serious"), (0.0001, "low", "medium")])
def test_a_bound_belongs_to_the_band_below(bound, below, above):
    assert risk_level(np.array(bound), np.array(2)) == below
    assert risk_level(np.array(np.nextafter(bound, 1)), np.array(2)) == above


@given(st.lists(probabilities, min_size=2, max_size=20), st.integers(1, 4))
def test_more_probable_is_never_less_risky(values, severity):
    levels = risk_level(np.sort(values), np.array(severity))
    ranks = [RANK[level] for level in levels]
    assert ranks == sorted(ranks)


@given(probabilities)
def test_more_severe_is_never_less_risky(probability):
    ranks = [RANK[level] for level in risk_level(np.full(4, probability), np.arange(1, 5))]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_no_probability_outside_0_to_1(value, taxonomy):
    with pytest.raises(ValueError, match="expected probabilities"):
        risk_level(np.array([value]), np.array([1]))
    with pytest.raises(ValueError, match="expected probabilities"):
        injury_probability(np.full((1, 30), value), taxonomy, ["general"])


def test_wrong_severities_shapes_and_audiences_are_named(taxonomy):
    with pytest.raises(ValueError, match=r"expected 1, 2, 3 or 4"):
        risk_level(np.array([0.1]), np.array([5]))
    with pytest.raises(ValueError, match=r"expected \(n_listings, 30\)"):
        injury_probability(np.zeros((2, 29)), taxonomy, ["general"] * 2)
    with pytest.raises(ValueError, match="got 1 audiences for 2 listings"):
        injury_probability(np.zeros((2, 30)), taxonomy, ["general"])
    with pytest.raises(ValueError, match="got audiences \\['adult'\\]"):
        injury_probability(np.zeros((1, 30)), taxonomy, ["adult"])
    with pytest.raises(ValueError, match="expected four numbers"):
        expected_harm(np.zeros((1, 30)), taxonomy, ["general"], weights=[1, 2])
    with pytest.raises(ValueError, match="got exposure of shape"):
        expected_harm(np.zeros((1, 30)), taxonomy, ["general"], exposure=np.ones(2))


def test_injury_is_failing_times_injury_given_failing(taxonomy):
    p = np.zeros((2, 30))
    p[:, taxonomy.index("choking")] = 0.5
    injury = injury_probability(p, taxonomy, ["under_3", "general"])
    for row, audience in enumerate(("under_3", "general")):
        expected = 0.5 * taxonomy.hazard("choking").injury[audience].probability
        assert injury[row, taxonomy.index("choking")] == pytest.approx(expected)
    assert injury.sum() == pytest.approx(injury[:, taxonomy.index("choking")].sum())


def test_the_level_of_a_listing_is_that_of_its_worst_hazard(taxonomy):
    p = np.zeros((3, 30))
    p[1, taxonomy.index("nickel")] = 0.5
    p[2, taxonomy.index("nickel")] = 0.5
    p[2, taxonomy.index("choking")] = 0.9
    levels = hazard_risk_levels(p, taxonomy, ["under_3"] * 3)
    listing = listing_risk_level(p, taxonomy, ["under_3"] * 3)
    assert listing[0] == "low"
    assert listing[1] == levels[1, taxonomy.index("nickel")] == "high"
    assert listing[2] == levels[2, taxonomy.index("choking")] == "serious"
    assert list(worst_level(np.array([["low", "medium"], ["serious", "high"]]))) == ["medium", "serious"]


def test_children_make_the_same_failure_worse(taxonomy):
    p = np.zeros((2, 30))
    p[:, taxonomy.index("choking")] = 0.3
    young, adult = listing_risk_level(p, taxonomy, ["under_3", "general"])
    assert RANK[young] > RANK[adult]


def test_expected_harm_is_the_weighted_sum(taxonomy):
    p = np.zeros((1, 30))
    p[0, taxonomy.index("choking")] = 0.2
    p[0, taxonomy.index("laceration")] = 0.4
    choking, laceration = taxonomy.hazard("choking"), taxonomy.hazard("laceration")
    expected = (
        1000 * 0.2 * choking.injury["under_14"].probability
        + 10 * 0.4 * laceration.injury["under_14"].probability
    )
    assert expected_harm(p, taxonomy, ["under_14"])[0] == pytest.approx(expected)
    assert expected_harm(p, taxonomy, ["under_14"], np.array([50.0]))[0] == pytest.approx(50 * expected)
    assert expected_harm(p, taxonomy, ["under_14"], weights=[0, 0, 0, 1])[0] == pytest.approx(
        0.2 * choking.injury["under_14"].probability
    )


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=20))
def test_exposure_is_at_least_one(units):
    exposure = exposure_of(units)
    assert exposure.shape == (len(units),)
    assert all(got == max(units_sold or 1, 1) for got, units_sold in zip(exposure, units, strict=True))


def test_negative_units_are_refused():
    with pytest.raises(ValueError, match="below 0"):
        exposure_of([1, -1])


def test_an_empty_block_gives_an_empty_answer(taxonomy):
    assert expected_harm(np.zeros((0, 30)), taxonomy, []).shape == (0,)
    assert listing_risk_level(np.zeros((0, 30)), taxonomy, []).shape == (0,)


def test_a_block_gives_what_its_rows_give_alone(taxonomy):
    p = np.random.default_rng(0).random((300, 30))
    audiences = [AUDIENCES[row % 3] for row in range(300)]
    rows = range(0, 300, 7)
    levels, harms = listing_risk_level(p, taxonomy, audiences), expected_harm(p, taxonomy, audiences)
    assert [levels[r] for r in rows] == [
        listing_risk_level(p[[r]], taxonomy, [audiences[r]])[0] for r in rows
    ]
    np.testing.assert_allclose(
        [harms[r] for r in rows],
        [expected_harm(p[[r]], taxonomy, [audiences[r]])[0] for r in rows],
        rtol=1e-12,
    )
