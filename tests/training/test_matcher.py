"""The matcher: what it reads off offers, how it compares them, and that its arrays say what the fitted trees say."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from features.encoding import EncoderIdentity
from features.offer import OfferView, TokenWeights, codes_of, measures_of, tokens_of, view_of
from features.offer_index import OfferIndex, Query, print_of
from features.offer_pairs import PAIR_FEATURES, WeightCache, pair_features
from training.matcher import Matcher, MatcherError, Trees
from training.matcher_fit import FitOptions, PairSet, compile_trees, cosines, embed, fit_matcher
from training.matcher_sets import model_code, read_sample, sample_set
from training.retitle import EDITS, relisted


class HashEncoder:
    """Words hashed into a vector: an encoder small enough for a test, and deterministic."""

    identity = EncoderIdentity("hash", "0" * 64, 32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.full((len(texts), 32), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                rows[row, hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % 32] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return sample_set(read_sample()[:150], HashEncoder(), copies=2, hard=3)


@pytest.fixture(scope="module")
def matcher(pairs: PairSet) -> Matcher:
    return fit_matcher([pairs], HashEncoder(), FitOptions(trees=30, folds=3))


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("sony dav-is50/b home theater", {"davis50b"}),
        ("panasonic kx-tg9344t phone", {"kxtg9344t"}),
        ("500gb drive, 2.5 inch, 16:9, 110v", set()),
        ("teapot 85303", {"85303"}),
        ("2024 new 1.5v", set()),
    ],
)
def test_model_codes_are_no_measures(text, codes):
    assert codes_of(text) == codes


def test_units_written_differently_are_one():
    assert measures_of("8.5 inch") == measures_of('8.5"') == measures_of("8.5인치") == {("in", 8.5)}
    assert measures_of("구슬 216개") == {("pcs", 216.0)}
    assert measures_of("面霜50克") == {("g", 50.0)}


def test_words_of_scripts_without_spaces_come_in_pairs():
    assert tokens_of("磁力巴克球 ab12 자석") == ("磁力", "力巴", "巴克", "克球", "ab", "12", "자석")


def view(title: str, **more: object) -> OfferView:
    return view_of(title, **more)  # pyright: ignore[reportArgumentType]


TITLES = st.text(alphabet="ab 1-9./자석磁球é", max_size=40)


@given(TITLES, TITLES)
def test_order_does_not_matter_and_every_number_is_one(a, b):
    weights = WeightCache(TokenWeights(np.ones(1 << 16, np.float32)))
    there = pair_features(view(a, price=3.0), view(b, brand="x"), 0.5, weights)
    back = pair_features(view(b, brand="x"), view(a, price=3.0), 0.5, weights)
    assert len(there) == len(PAIR_FEATURES)
    assert np.allclose(there, back, equal_nan=True)
    assert not any(math.isinf(value) for value in there)


def test_prices_in_different_currencies_are_not_compared():
    weights = WeightCache(TokenWeights(np.ones(1 << 16, np.float32)))
    at = PAIR_FEATURES.index("price_ratio")
    won, dollar = view("a", price=1000.0, currency="KRW"), view("a", price=1.0, currency="USD")
    assert math.isnan(pair_features(won, dollar, 1.0, weights)[at])
    assert pair_features(won, won, 1.0, weights)[at] == 0


def test_arrays_say_what_the_fitted_trees_say():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    X[rng.random(X.shape) < 0.2] = np.nan
    y = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) ** 2 > 0.5
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(X, y)
    trees, baseline = compile_trees(model)
    unseen = rng.normal(size=(300, 5)) * 3
    unseen[rng.random(unseen.shape) < 0.3] = np.nan
    assert np.allclose(trees.total(unseen) + baseline, model.decision_function(unseen), atol=1e-9)
    # Asked all at once and walked step by step, alone and among others: the same numbers.
    assert np.array_equal(trees.total(unseen), trees.walk(unseen))
    assert [trees.total(row[None])[0] for row in unseen] == trees.total(unseen).tolist()


@pytest.mark.parametrize("wrong", ["cycle", "leaf", "many"])
def test_trees_of_another_form_are_walked(wrong):
    """A chain of 70 leaves, a tree of one leaf and nodes that point back do not fit into masks."""
    nodes = 141 if wrong == "many" else 3
    left, right = np.arange(nodes)[None].copy(), np.arange(nodes)[None].copy()
    if wrong == "many":
        left[0, :70] = np.arange(70) + 71
        right[0, :70] = np.arange(1, 71)
    elif wrong == "cycle":
        left[0, 0], right[0, 0], left[0, 1], right[0, 1] = 1, 2, 0, 2
    value = np.arange(nodes, dtype=float)[None]
    feature, threshold = np.zeros((1, nodes), np.int64), np.full((1, nodes), -1.0)
    trees = Trees(feature, threshold, feature.astype(bool), left, right, value, nodes)
    X = np.array([[0.0], [-2.0]])
    assert np.array_equal(trees.total(X), trees.walk(X))
    assert trees.total(X)[0] == {"many": 70.0, "leaf": 0.0, "cycle": 2.0}[wrong]


def test_a_file_gives_the_same_answers(matcher, pairs, tmp_path):
    matcher.save(tmp_path / "m.safetensors")
    loaded = Matcher.load(tmp_path / "m.safetensors")
    some = list(zip(pairs.left[:80], pairs.right[:80], strict=True))
    assert np.allclose(matcher.compare(some, [0.5] * 80), loaded.compare(some, [0.5] * 80), atol=2e-3)
    assert loaded.header == matcher.header


def test_a_file_that_points_outside_itself_is_refused(matcher, tmp_path):
    path = tmp_path / "m.safetensors"
    matcher.save(path)
    arrays = load_file(path)
    arrays["left"] = arrays["left"].copy()
    arrays["left"][0, 0] = 30_000
    save_file(arrays, path, metadata={"matcher": matcher.header.model_dump_json()})
    with pytest.raises(MatcherError, match="outside"):
        Matcher.load(path)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"not a matcher"])
def test_what_is_no_matcher_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(MatcherError, match="no matcher"):
        Matcher.load(tmp_path / "m")


def test_another_contract_is_refused(matcher, tmp_path):
    path = tmp_path / "m.safetensors"
    Matcher(matcher.header.model_copy(update={"contract": 99}), matcher.trees, matcher.weights).save(path)
    with pytest.raises(MatcherError, match="contract 99"):
        Matcher.load(path)


def test_it_tells_relisted_goods_from_others(matcher, pairs):
    unseen = sample_set(read_sample()[150:260], HashEncoder(), copies=2, hard=3, seed=1)
    p = matcher.compare(
        list(zip(unseen.left, unseen.right, strict=True)),
        list(cosines(unseen, embed(HashEncoder(), (*unseen.left, *unseen.right)))),
    )
    same, other = p[unseen.same], p[~unseen.same]
    assert np.median(same) > 0.8
    assert (other >= matcher.near).mean() < 0.05
    assert 0.5 <= matcher.near <= matcher.exact < 1


def test_one_digit_of_the_code_makes_another_product(matcher):
    code = "KX-TG9344"
    a = view(f"cordless phone {code} digital answering system")
    again = view(f"digital cordless phone kxtg9344 with answering system")  # noqa: F541
    twin = view("cordless phone KX-TG9342 digital answering system")
    vectors = embed(HashEncoder(), (a, again, twin))
    p = matcher.compare(
        [(a, again), (a, twin)], [float(vectors[a.title] @ vectors[x.title]) for x in (again, twin)]
    )
    assert p[0] > p[1]


def test_a_set_of_one_kind_only_is_refused(pairs):
    alone = PairSet("alone", pairs.left[:3], pairs.right[:3], np.ones(3, bool), pairs.groups[:3])
    with pytest.raises(ValueError, match="both are needed"):
        fit_matcher([alone], HashEncoder(), FitOptions(trees=2))


def test_every_edit_leaves_a_listing():
    rng = random.Random(0)
    for _, listing in read_sample()[:40]:
        for edit in EDITS:
            edited = edit(listing, rng, "ko")
            assert edited.title.strip() and len(edited.title) <= 1000
        assert relisted(listing, rng, "other").seller != listing.seller


def test_made_up_codes_are_codes():
    rng = random.Random(1)
    assert all(codes_of(model_code(rng).lower()) for _ in range(50))


def offers(count: int) -> list[OfferView]:
    rng = random.Random(2)
    words = [
        "ball",
        "magnet",
        "toy",
        "red",
        "blue",
        "wood",
        "duck",
        "rattle",
        "lamp",
        "cable",
        "자석",
        "장난감",
        "딸랑이",
        "球",
        "灯",
    ]
    return [view(" ".join(rng.sample(words, 4)) + f" n{i}") for i in range(count)]


def test_index_finds_itself_first_after_any_changes():
    encoder, weights = HashEncoder(), TokenWeights(np.ones(1 << 16, np.float32))
    some = offers(1200)
    vectors = encoder.encode([offer.title for offer in some])
    index = OfferIndex(32)
    index.add([(str(i), print_of(o, v)) for i, (o, v) in enumerate(zip(some, vectors, strict=True))])
    assert index.remove([str(i) for i in range(0, 1200, 3)]) == 400
    index.add([("7", print_of(some[8], vectors[8]))])
    assert len(index) == 800 and "0" not in index and "1" in index
    for i in (1, 4, 1198):
        near = index.nearest(Query.of(some[i], vectors[i], weights), 3)
        assert str(i) in [one.key for one in near if one.cosine > 0.98]
    near = index.nearest(Query.of(some[8], vectors[8], weights), 2)
    assert {"7", "8"} <= {one.key for one in near}
    assert index.nearest(Query.of(some[0], vectors[0], weights), 0) == []
    assert index.remove(["none"]) == 0


def test_a_print_of_another_length_is_refused():
    with pytest.raises(ValueError, match="another encoder"):
        OfferIndex(32).add([("a", b"\0" * 7)])
