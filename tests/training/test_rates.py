"""Group rates lie between a group's own rounds and its parent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.rates import GroupCount, fit_concentration, group_rates

PARENTS = {"": None, "all": None, "toys": "all", "slime": "toys", "books": None}


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.02, 0.5), st.floats(0.5, 200))
def test_a_rate_lies_between_its_own_share_and_the_prior(tested, share, root, concentration):
    failed = round(tested * share)
    rates = group_rates(
        [GroupCount("toys", tested, failed)], PARENTS, root_rate=root, concentration=concentration
    )
    own = failed / tested
    low, high = sorted([own, root])
    assert low - 1e-9 <= rates["toys"].rate <= high + 1e-9
    assert rates["slime"].rate == pytest.approx(rates["toys"].rate)
    assert rates["books"].rate == pytest.approx(root)
    assert rates["toys"].low <= rates["toys"].rate + 1e-6
    assert rates["toys"].tested == tested


def test_more_goods_weigh_more_but_a_large_round_is_not_many_rounds():
    def rate(*counts):
        return group_rates(list(counts), PARENTS, root_rate=0.05, concentration=20)["toys"].rate

    small, large = rate(GroupCount("toys", 10, 5)), rate(GroupCount("toys", 400, 200))
    ten_rounds = rate(*[GroupCount("toys", 40, 20)] * 10)
    assert small < large < ten_rounds < 0.5


def test_rounds_that_differ_more_than_chance_give_a_small_concentration():
    alike = [GroupCount("toys", 100, 20)] * 8
    unlike = [GroupCount("toys", 100, k) for k in (0, 1, 2, 90, 95, 1, 0, 80)]
    assert fit_concentration(unlike, 0.3) < fit_concentration(alike, 0.2) / 10


def test_an_unknown_group_and_a_circle_are_refused():
    with pytest.raises(ValueError, match="'gadgets'"):
        group_rates([GroupCount("gadgets", 5, 1)], PARENTS, root_rate=0.05)
    with pytest.raises(ValueError, match="circle"):
        group_rates([], {"a": "b", "b": "a"}, root_rate=0.05)
