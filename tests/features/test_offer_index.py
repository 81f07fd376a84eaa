"""The search for like offers finds what a comparison with every one of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.offer import TokenWeights, view_of
from features.offer_index import SKETCH, OfferIndex, Query, print_of, sketch_of

DIM = 48
WEIGHTS = TokenWeights(np.linspace(0.1, 8.0, 1 << 16, dtype=np.float32))
WORDS = ["rattle", "wooden", "lamp", "usb", "목걸이", "儿童", "bear", "red", "12v", "charger"]


def unit(seed: int, count: int, alike: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, DIM)) + alike * rng.normal(size=DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(seed: int, count: int, alike: float) -> tuple[OfferIndex, np.ndarray]:
    """Return an index and the prints in it, shape (count, DIM + SKETCH)."""
    rng, vectors = np.random.default_rng(seed + 1), unit(seed, count, alike)
    prints = [print_of(view_of(" ".join(rng.choice(WORDS, 3))), vector) for vector in vectors]
    index = OfferIndex(DIM)
    index.add([(str(i), mark) for i, mark in enumerate(prints)])
    return index, np.frombuffer(b"".join(prints), np.int8).reshape(count, -1).astype(np.float64)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    count=st.sampled_from([1, 5, 40, 700, 3_000]),
    k=st.integers(1, 20),
    alike=st.sampled_from([0.0, 3.0, 30.0]),
)
def test_it_finds_the_nearest_by_meaning_and_by_words(seed, count, k, alike):
    index, rows = filled(seed, count, alike)
    query = Query.of(view_of("wooden rattle usb"), unit(seed + 2, 1, alike)[0], WEIGHTS)
    found = {int(near.key): near for near in index.nearest(query, k)}
    meaning, words = rows[:, :DIM] @ query.meaning / 127, rows[:, DIM:] @ query.words
    for row, near in found.items():
        assert near.cosine == pytest.approx(meaning[row], abs=1e-5)
        assert near.words == pytest.approx(words[row], abs=1e-5)
    for scores, least in ((meaning, -2.0), (words, 1e-5)):
        kth = np.sort(scores)[-min(k, count)]
        better = np.flatnonzero((scores > kth + 1e-5) & (scores > least))
        assert set(better.tolist()) <= found.keys(), "nothing better than the last that is found is missed"
        assert sum(scores[row] >= min(kth, 0) - 1e-5 for row in found) >= min(k, count) or least > 0
    assert len(found) <= 2 * k
    cosines = [near.cosine for near in index.nearest(query, k)]
    assert cosines == sorted(cosines, reverse=True)


def test_the_share_of_words_is_what_a_search_says():
    offers = [
        view_of(title) for title in ("wooden rattle", "usb lamp red", "儿童 목걸이", "", "wooden bear 12v")
    ]
    index = OfferIndex(DIM)
    marks = [print_of(offer, vector) for offer, vector in zip(offers, unit(8, 5), strict=True)]
    index.add([(str(i), mark) for i, mark in enumerate(marks)])
    query = Query.of(view_of("red wooden charger"), unit(7, 1)[0], WEIGHTS)
    found = index.nearest(query, 5)
    assert len({near.words for near in found}) > 2
    for near in found:
        assert near.words == pytest.approx(query.share_in(sketch_of(offers[int(near.key)])), abs=1e-6)


def test_one_query_among_many_gives_the_bits_it_gives_alone():
    index, _ = filled(3, 900, 1.0)
    titles = ["red bear", "usb lamp", "", "12v charger"]
    queries = [
        Query.of(view_of(title), vector, WEIGHTS) for title, vector in zip(titles, unit(9, 4), strict=True)
    ]
    assert index.nearest_many(queries, 7) == [index.nearest(query, 7) for query in queries]


def test_a_query_of_nothing_finds_without_harm():
    index, _ = filled(4, 100, 0.0)
    nothing = Query(np.zeros(DIM, np.float32), np.zeros(SKETCH, np.float32))
    assert all(near.cosine == 0 for near in index.nearest(nothing, 5))
    assert OfferIndex(DIM).nearest(nothing, 5) == [] and index.nearest(nothing, 0) == []


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(["add", "remove"]), st.lists(st.integers(0, 9), max_size=5)), max_size=20
    )
)
def test_it_holds_what_was_added_and_not_removed(changes):
    index, held = OfferIndex(DIM), dict[str, bytes]()
    for step, (kind, numbers) in enumerate(changes):
        keys = [str(n) for n in numbers]
        if kind == "add":
            marks = [print_of(view_of(WORDS[n]), unit(100 * step + n, 1)[0]) for n in numbers]
            index.add(list(zip(keys, marks, strict=True)))
            held |= dict(zip(keys, marks, strict=True))
        else:
            assert index.remove(keys) == len(held.keys() & set(keys))
            held = {key: mark for key, mark in held.items() if key not in keys}
    assert len(index) == len(held) and all(key in index for key in held)
    assert index.nbytes == len(held) * (DIM + SKETCH)
    for key, mark in held.items():
        wanted = np.frombuffer(mark, np.int8)
        assert np.allclose(index.vector(key) * 127, wanted[:DIM])
        query = Query(index.vector(key), wanted[DIM:].astype(np.float32))
        assert key in {near.key for near in index.nearest(query, len(held))}


def test_a_print_of_another_encoder_is_refused():
    index, _ = filled(5, 3, 0.0)
    with pytest.raises(ValueError, match="got a print of 10 bytes, expected 304"):
        index.add([("a", b"x" * 10)])
    assert len(index) == 3
