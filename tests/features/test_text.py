"""N-grams agree with the library they replace online, and survive any text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.text import NgramVocabulary

TEXTS = [
    "wooden stacking rings",
    "soft plastic duck bath toy",
    "wooden duck pull toy",
    "charger for phone and tablet",
    "plastic phone case",
    "유아용 소프트 장난감 오리",
    "장난감 오리 목욕",
]


def test_rows_agree_with_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    vocabulary = NgramVocabulary.fit(TEXTS, min_documents=2)
    word = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\S+")
    char = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)
    expected = np.hstack([word.fit_transform(TEXTS).toarray(), char.fit_transform(TEXTS).toarray()])
    order = [*word.get_feature_names_out(), *char.get_feature_names_out()]
    assert order == [*vocabulary.words, *vocabulary.chars]
    for i, row in enumerate(TEXTS):
        columns, values = vocabulary.row(row)
        dense = np.zeros(len(vocabulary))
        dense[columns] = values
        assert dense == pytest.approx(expected[i], abs=1e-6)


@given(st.text(max_size=200))
def test_any_text_gives_a_row_of_known_columns(text):
    vocabulary = NgramVocabulary.fit(TEXTS)
    columns, values = vocabulary.row(text)
    assert len(columns) == len(values) == len(set(columns.tolist()))
    assert np.all(np.isfinite(values))
    assert np.all(columns < len(vocabulary))


def test_a_damaged_vocabulary_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        NgramVocabulary(("a",), (), np.zeros(3, dtype=np.float32))
