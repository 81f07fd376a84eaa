"""Splits never overlap: not in time, not in maker, not in near-duplicate name."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.splits import Split, clusters, group_folds, near_duplicates, time_split, unseen

days = st.dates(date(1990, 1, 1), date(2030, 1, 1))


@given(st.lists(st.none() | days, max_size=40), days, st.integers(0, 400))
def test_time_split_keeps_the_gap(dates, cut, gap_days):
    gap = timedelta(gap_days)
    split = time_split(dates, cut, gap=gap)
    assert not set(split.train) & set(split.test)
    assert all(dates[i] <= cut for i in split.train)
    assert all(dates[i] > cut + gap for i in split.test)
    within = [d for d in dates if d is not None and cut < d <= cut + gap]
    dated = [d for d in dates if d is not None]
    assert len(split.train) + len(split.test) + len(within) == len(dated)


def test_time_split_has_an_end():
    dates = [date(2009, 12, 31), date(2010, 1, 1), date(2014, 1, 1)]
    split = time_split(dates, date(2009, 12, 31), end=date(2013, 12, 31))
    assert split.train.tolist() == [0]
    assert split.test.tolist() == [1]


names = st.lists(
    st.text(alphabet="abc ", min_size=1, max_size=12).filter(lambda name: name.strip()),
    min_size=2,
    max_size=25,
)


@given(names, st.integers(2, 5), st.integers(0, 9), st.data())
def test_folds_hold_whole_groups_and_every_row_once(texts, n_folds, seed, data):
    keys = [data.draw(st.lists(st.sampled_from(["m1", "m2", "m3", ""]), max_size=2)) for _ in texts]
    groups = clusters(texts, keys)
    folds = group_folds(groups, n_folds, np.random.default_rng(seed))
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(texts)))
    for i, left in enumerate(folds):
        for right in folds[i + 1 :]:
            assert not set(groups[left]) & set(groups[right])


@given(names, st.data())
def test_rows_with_a_common_key_are_one_group(texts, data):
    keys = [data.draw(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=2)) for _ in texts]
    groups = clusters(texts, keys)
    for i, left in enumerate(keys):
        for j, right in enumerate(keys):
            if set(left) & set(right) - {""}:
                assert groups[i] == groups[j]


def test_near_duplicates_finds_a_retitled_product_and_leaves_others_alone():
    texts = [
        "wooden stacking rings for toddlers",
        "wooden stacking ring for toddlers",
        "gas grill with side burner",
    ]
    assert (0, 1) in near_duplicates(texts)
    assert len(near_duplicates(texts)) == 1


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        group_folds(np.array([0, 1]), 1, np.random.default_rng(0))


def test_unseen_leaves_only_groups_that_training_never_saw():
    split = Split(np.array([0, 1]), np.array([2, 3]))
    assert unseen(split, np.array([0, 1, 1, 2])).tolist() == [3]
