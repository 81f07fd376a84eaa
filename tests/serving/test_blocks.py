"""A listing's score depends on nothing but the listing: not on the block, not on what was scored before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.schema import Listing, parse_listing
from features.text import NgramVocabulary
from serving.policy.document import load_policy
from serving.predictor import Predictor
from serving.run import sample_listings
from serving.settings import STARTER
from training.bundle import Bundle
from training.explain import word_shares

ODD = [
    "😀😀",
    "ㅋ",
    "c a m e r a clock wifi",
    "납 납 납",
    "x" * 1000,
    "a b " * 250,
    "\u200b목걸이",
    "LED 조명 30W 充电器",
]


@pytest.fixture(scope="module")
def bundle():
    return Bundle.load(STARTER)


@pytest.fixture(scope="module")
def listings():
    return [parse_listing(raw) for raw in sample_listings()[::12]] + [
        Listing(id=str(i), title=title) for i, title in enumerate(ODD)
    ]


@pytest.fixture(scope="module")
def alone(bundle, listings):
    return [bundle.score([listing]) for listing in listings]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_a_block_gives_each_listing_the_bits_it_gets_alone(bundle, listings, alone, drawn):
    chosen = drawn.draw(st.lists(st.integers(0, len(listings) - 1), min_size=1, max_size=70))
    block = bundle.score([listings[i] for i in chosen])
    for row, i in enumerate(chosen):
        for name in ("p", "q", "basis", "p_noncompliant"):
            assert getattr(block, name)[row].tobytes() == getattr(alone[i], name)[0].tobytes(), name
        assert (block.groups[row], block.audiences[row]) == (alone[i].groups[0], alone[i].audiences[0])


def test_decisions_on_a_block_are_those_on_each_alone(bundle, listings):
    predictor = Predictor(bundle, load_policy(None))
    passing = {"decision_id", "decided_at", "held_until"}

    def plain(decision):
        return {name: value for name, value in decision.to_json(0.0).items() if name not in passing}

    together = predictor.decide(listings, explain="always")
    for listing, decision in zip(listings, together, strict=True):
        (single,) = predictor.decide([listing.model_copy()], explain="always")
        assert plain(single) == plain(decision)
        assert single.expected_harm == decision.expected_harm


def test_reasons_do_not_depend_on_what_was_read_before(bundle, listings):
    before = bundle.explain(listings[0], ["fire"])
    bundle.score([Listing(id=str(i), title=f"other goods {i}") for i in range(1100)])
    assert bundle.explain(listings[0], ["fire"]) == before


def test_no_listings_have_no_rows(bundle):
    scores = bundle.score([])
    assert scores.p.shape == scores.q.shape == scores.basis.shape == (0, len(bundle.manifest.hazards))


TEXTS = ["wooden duck", "wooden duck pull toy", "wooden toy duck duck", "soft duck toy"]
WORDS = ["wooden", "duck", "pull", "toy", "soft", "other"]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
def test_words_share_all_that_their_ngrams_add(words):
    vocabulary = NgramVocabulary.fit(TEXTS, min_documents=1)
    text = " ".join(words)
    columns, values = vocabulary.row(text)
    shares = word_shares(text, vocabulary, columns)
    assert shares.of_words(values.astype(np.float64)).sum() == pytest.approx(values.sum(), rel=1e-6)
    assert [text[start:end] for start, end in shares.places] == words


def test_a_vocabulary_gives_the_same_row_whatever_it_was_asked_before():
    fresh, used = (NgramVocabulary.fit(TEXTS, min_documents=1) for _ in range(2))
    for i in range(1100):
        used.row(f"wooden duck {i}")
    for text in TEXTS:
        for ours, theirs in zip(fresh.row(text), used.row(text), strict=True):
            assert ours.tobytes() == theirs.tobytes()
            with pytest.raises(ValueError, match="read-only"):
                ours[:] = 0
