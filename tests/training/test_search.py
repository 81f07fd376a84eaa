"""A search is judged on later, unseen products, and the last stretch is looked at once."""

from __future__ import annotations

import importlib.util
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.config import Config
from training.search import SearchError, forward_folds, search


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), min_size=30, max_size=120))
def test_folds_look_forward_and_share_no_product(rows):
    dates = [date(2025, 1, 1) + timedelta(days=day) for day, _ in rows]
    groups = np.array([group for _, group in rows])
    for split in forward_folds(dates, groups, 3):
        assert not set(groups[split.train]) & set(groups[split.test])
        if len(split.test):
            assert max(dates[i] for i in split.train) < min(dates[i] for i in split.test)


def test_too_few_results_are_refused():
    with pytest.raises(SearchError, match="3 dated results"):
        forward_folds([date(2025, 1, d) for d in (1, 2, 3)], np.arange(3), 4)


def test_a_search_goes_on_and_never_chooses_what_is_worse(tmp_path):
    spec = importlib.util.spec_from_file_location(
        "own_data", Path(__file__).parents[1] / "files" / "own_data.py"
    )
    assert spec and spec.loader
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    rows = [{"product_name": r["상품명"], "analyte": r["검사항목"], "verdict": r["판정"], "date": r["검사일"],
             "sample_id": r["시료번호"]} for r in own.results(240)]  # fmt: skip
    own.write(tmp_path / "r.csv", rows)
    config = Config.model_validate(
        {
            "name": "s", "sources": [{"reader": "lab_results", "path": "r.csv"}], "folds": 2,
            "lab": {"min_failed": 8}, "root_rate": 0.1, "root_rate_source": "made up",
        }
    )  # fmt: skip
    study = tmp_path / "study.db"
    found = search(config, tmp_path, trials=2, folds=2, storage=study)
    assert found.trials == 2
    assert found.inner >= found.inner_before > 0.4
    assert 0 < found.outer <= 1
    assert search(config, tmp_path, trials=3, folds=2, storage=study).trials == 3
