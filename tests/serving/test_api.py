"""Frames of listings in, frames of decisions out, of whatever kind they came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from features.frames import FrameError
from serving.api import ListingRisk

ROWS = [
    {"id": "1", "title": "여아 리본 목걸이 팔찌 세트", "price": 3900.0, "note": "not a field of ours"},
    {"id": "2", "title": "Mini wifi hidden spy camera disguised as alarm clock", "price": None, "note": None},
]


@pytest.fixture(scope="module")
def risk():
    return ListingRisk.load()


@pytest.mark.parametrize(
    "make",
    [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, list],
    ids=["pandas", "polars", "arrow", "list"],
)
def test_a_frame_comes_back_as_the_kind_it_was(risk, make):
    given = make(ROWS)
    found = risk.score(given)
    assert type(found) is type(given)
    rows = found if isinstance(found, list) else pa.table(found).to_pylist()
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[1]["action"] in ("review", "lab_test", "block")
    assert rows[0]["model_version"] == risk.version
    assert 0 < rows[0]["p_lead"] <= rows[0]["p_noncompliant"] <= 1


def test_a_pandas_index_is_kept_and_other_headers_are_mapped(risk):
    frame = pd.DataFrame({"상품명": ["나무 블록", "납 목걸이"], "판매가": [1.5, 2.5]}, index=["x", "y"])
    found = risk.score(frame, columns="title=상품명,price=판매가")
    assert list(found.index) == ["x", "y"]
    assert found["id"].str.startswith("row-").all()


def test_the_scikit_learn_methods_say_what_score_says(risk):
    frame = pl.DataFrame(ROWS)
    found = risk.score(frame)
    assert risk.predict(frame).tolist() == found["action"].to_list()
    p = risk.predict_proba(frame)
    assert p.shape == (2, len(risk.hazards))
    assert np.array_equal(p[:, risk.hazards.index("lead")], found["p_lead"].to_numpy())


def test_a_row_that_is_no_listing_is_named(risk):
    with pytest.raises(FrameError, match=r"1 of 2 rows.*row 1: title"):
        risk.score(pd.DataFrame({"title": ["a rattle", None]}))
    with pytest.raises(FrameError, match="no column"):
        risk.score(pd.DataFrame({"name": ["a rattle"]}), columns="title=titel")
    with pytest.raises(FrameError, match="expected a pandas"):
        risk.score(7)


def test_an_empty_frame_gives_an_empty_frame(risk):
    assert len(risk.score(pd.DataFrame({"title": []}))) == 0
    assert risk.predict_proba([]).shape == (0, len(risk.hazards))


def test_a_frame_without_a_title_says_how_to_name_its_columns(risk):
    with pytest.raises(FrameError, match="columns='title=NAME"):
        risk.score(pd.DataFrame({"상품명": ["도금 귀걸이"]}))
    assert risk.score(pd.DataFrame({"상품명": ["도금 귀걸이"]}), columns="title=상품명")["action"][0]
