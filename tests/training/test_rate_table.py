import numpy as np
import pytest

from training.estimators import EstimateError
from training.rate_table import ANY_HAZARD, Frame, rate_table, respond, sample_of
from training.sampling_design import draw


@pytest.fixture
def frame():
    random = np.random.default_rng(4)
    n = 600
    category = np.repeat(["toys", "helmets", "rare"], [400, 195, 5])
    risk = np.where(category == "toys", 0.1, 0.3)[:, None] * np.array([1.0, 0.5])
    drawn = draw(np.ones(n), np.zeros(n), {0.0: 90}, 0.5, random)
    chosen = drawn.chosen & (category != "rare")
    covered = np.ones((n, 2), dtype=bool)
    covered[category == "helmets", 1] = False
    failed = np.where(chosen[:, None] & covered, (random.random((n, 2)) < risk).astype(float), np.nan)
    return Frame(
        [f"u{i}" for i in range(n)], drawn.propensity, np.full(n, "lab"), {"category": category},
        ("lead", "choking"), covered, chosen, failed, risk,
    )  # fmt: skip


def test_every_domain_and_hazard_has_a_row_even_never_tested_ones(frame):
    rows = {(row.name, row.hazard): row for row in rate_table(frame)}
    rare = rows["rare", "lead"]
    assert np.isnan(rare.hajek.rate)
    assert (rare.hajek.low, rare.hajek.high) == (0, 1)
    assert 0 < rare.pooled[0] < 0.5
    assert rare.pooled[2] - rare.pooled[1] < 1
    assert ("helmets", "choking") not in rows
    assert rows["all", "choking"].outside == 195
    assert rows["all", ANY_HAZARD].hajek.rate >= rows["all", "lead"].hajek.rate


def test_pooling_draws_small_groups_toward_the_whole_and_never_past_it(frame):
    rows = [row for row in rate_table(frame) if row.hazard == "lead"]
    whole = rows[0].hajek.rate
    for row in rows[1:]:
        if np.isfinite(row.hajek.rate):
            ends = sorted((row.hajek.rate, whole))
            assert ends[0] - 1e-9 <= row.pooled[0] <= ends[1] + 1e-9


def test_chosen_goods_without_result_are_counted_and_the_rest_stands_for_them(frame):
    failed = frame.failed.copy()
    lost = np.flatnonzero(frame.chosen)[:10]
    failed[lost] = np.nan
    changed = Frame(
        frame.units, frame.propensity, frame.stratum, frame.domains, frame.hazards, frame.covered,
        frame.chosen, failed, frame.predicted,
    )  # fmt: skip
    row = rate_table(changed)[0]
    assert row.missing == 10
    whole = sample_of(changed, "lead")
    # Adjusted weights still add up to about the whole frame.
    assert (1 / whole.propensity).sum() == pytest.approx(600 * frame.chosen.sum() / 90, rel=0.01)


def test_a_stratum_without_results_keeps_its_propensities():
    p = np.full(4, 0.5)
    chosen = np.array([True, True, False, False])
    assert np.array_equal(respond(p, chosen, np.zeros(4, dtype=bool), np.array(["a"] * 4)), p)


def test_results_of_goods_that_were_not_chosen_are_refused(frame):
    failed = frame.failed.copy()
    failed[np.flatnonzero(~frame.chosen)[0]] = 1.0
    with pytest.raises(EstimateError, match="did not choose"):
        rate_table(
            Frame(
                frame.units,
                frame.propensity,
                frame.stratum,
                frame.domains,
                frame.hazards,
                frame.covered,
                frame.chosen,
                failed,
            )
        )


def test_an_unknown_hazard_is_refused(frame):
    with pytest.raises(EstimateError, match="'radon'"):
        sample_of(frame, "radon")
