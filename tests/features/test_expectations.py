"""Words by which a person expects a hazard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.expectations import MOST, Expectations, expected_words
from features.taxonomy import load_taxonomy

CODES = tuple(load_taxonomy().codes)


@pytest.fixture(scope="module")
def expectations() -> Expectations:
    return Expectations(expected_words(), CODES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("roman blinds with cord", "strangulation"),
        ("전기장판 1인용", "fire"),
        ("婴儿床 实木", "entrapment"),
        ("folding ladder", "fall"),
    ],
)
def test_a_product_is_expected_to_have_its_hazard(expectations: Expectations, text: str, code: str) -> None:
    assert expectations.counts(text)[CODES.index(code)] >= 1


def test_a_latin_word_counts_where_a_word_begins(expectations: Expectations) -> None:
    fire = CODES.index("fire")
    assert expectations.counts("heaters")[fire] == 1
    assert expectations.counts("cheaterx")[fire] == 0


def test_places_are_those_of_the_text(expectations: Expectations) -> None:
    text = "oak crib"
    places = {text[one.start : one.end] for one in expectations.find(text)}
    assert places == {"crib"}


@given(st.text(max_size=200))
def test_any_text_has_counts_within_bounds(text: str) -> None:
    found = Expectations(expected_words(), CODES)
    counts = found.counts(text)
    assert counts.shape == (len(CODES),)
    assert ((counts >= 0) & (counts <= MOST)).all()
    assert all(0 <= one.start < one.end <= len(text) for one in found.find(text))


def test_repeating_a_word_adds_nothing(expectations: Expectations) -> None:
    assert expectations.counts("crib " * 30).tolist() == expectations.counts("crib").tolist()


def test_a_hazard_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="taxonomy"):
        Expectations({"bad_luck": ("mirror",)}, CODES)


def test_no_word_names_a_hazard_itself() -> None:
    named = {"fire", "choking", "lead", "burn", "shock", "hazard", "화재", "질식", "납", "火灾", "窒息", "铅"}
    assert not named & {word for words in expected_words().values() for word in words}
