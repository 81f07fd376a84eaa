from __future__ import annotations

import hashlib
import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features
from features.cache import CachedEncoder, EmbeddingCache, text_key
from features.encoding import Encoder, EncoderIdentity

DIM = 8
ANY_TEXT = st.text(st.characters(), max_size=20)  # lone surrogates included


class DigestEncoder:
    """A true encoder, only a poor one: its vectors are the digest of the text."""

    def __init__(self, name: str = "digest") -> None:
        self.name = name
        self.encoded: list[str] = []

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(self.name, hashlib.sha256(self.name.encode()).hexdigest(), DIM)

    def encode(self, texts) -> np.ndarray:
        self.encoded += texts
        raw = [hashlib.sha256(t.encode("utf-8", "surrogatepass")).digest()[:DIM] for t in texts]
        vectors = np.array([list(r) for r in raw], np.float32).reshape(-1, DIM) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def cache(tmp_path):
    cache = EmbeddingCache(tmp_path / "vectors")
    yield cache
    cache.close()


def test_an_empty_cache_finds_nothing_and_touches_no_disk_before_use(tmp_path):
    cache = EmbeddingCache(tmp_path / "vectors")
    assert not cache.folder.exists()
    vectors, found = cache.get_many(DigestEncoder().identity, ["a", "b"])
    assert vectors.shape == (2, DIM)
    assert not vectors.any()
    assert not found.any()


def test_what_is_put_is_found_bit_by_bit_also_after_reopening(cache):
    encoder = DigestEncoder()
    texts = ["lamp", "램프", "灯", ""]
    vectors = encoder.encode(texts)
    cache.put_many(encoder.identity, texts, vectors)
    cache.close()
    got, found = EmbeddingCache(cache.folder).get_many(
        encoder.identity, ["", "kettle", "灯", "램프", "lamp", "lamp"]
    )
    assert found.tolist() == [True, False, True, True, True, True]
    np.testing.assert_array_equal(got[found], vectors[[3, 2, 1, 0, 0]])


def test_encoders_do_not_see_each_other(cache):
    one, other = DigestEncoder("one"), DigestEncoder("other")
    cache.put_many(one.identity, ["lamp"], one.encode(["lamp"]))
    assert not cache.get_many(other.identity, ["lamp"])[1].any()


def test_no_text_is_written(cache):
    encoder = CachedEncoder(DigestEncoder(), cache)
    encoder.encode(["a very private product name"])
    cache.close()
    assert all(b"private" not in path.read_bytes() for path in cache.folder.iterdir())


def test_cached_encoder_is_an_encoder_and_encodes_once(cache):
    inner = DigestEncoder()
    encoder = CachedEncoder(inner, cache)
    assert isinstance(encoder, Encoder)
    assert encoder.identity == inner.identity
    first = encoder.encode(["a", "b", "a"])
    second = encoder.encode(["c", "b", "a"])
    assert inner.encoded == ["a", "b", "c"]
    np.testing.assert_array_equal(first[[1, 2]], second[[1, 2]])
    np.testing.assert_array_equal(second, DigestEncoder().encode(["c", "b", "a"]))


def test_no_texts_give_no_rows(cache):
    assert CachedEncoder(DigestEncoder(), cache).encode([]).shape == (0, DIM)


@settings(max_examples=25, deadline=None)
@given(calls=st.lists(st.lists(ANY_TEXT, max_size=6), max_size=4))
def test_through_the_cache_or_not_the_numbers_are_the_same(tmp_path_factory, calls):
    cache = EmbeddingCache(tmp_path_factory.mktemp("vectors"))
    encoder = CachedEncoder(DigestEncoder(), cache)
    for texts in calls:
        np.testing.assert_array_equal(encoder.encode(texts), DigestEncoder().encode(texts))
    cache.close()


@given(st.lists(ANY_TEXT, unique=True))
def test_different_texts_have_different_keys(texts):
    assert len({text_key(text) for text in texts}) == len(texts)


def test_more_texts_than_one_question_holds(cache):
    encoder = DigestEncoder()
    texts = [f"article {i}" for i in range(1_203)]
    cache.put_many(encoder.identity, texts, encoder.encode(texts))
    got, found = cache.get_many(encoder.identity, texts[::-1])
    assert found.all()
    np.testing.assert_array_equal(got, encoder.encode(texts[::-1]))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((1, DIM), np.float32), r"got vectors of shape \(1, 8\); expected \(2, 8\)"),
        (np.zeros((2, DIM + 1), np.float32), r"expected \(2, 8\)"),
        (np.full((2, DIM), np.nan, np.float32), "not finite"),
    ],
)
def test_wrong_vectors_are_refused(cache, vectors, message):
    with pytest.raises(ValueError, match=message):
        cache.put_many(DigestEncoder().identity, ["a", "b"], vectors)


def test_a_damaged_vector_counts_as_absent_and_is_encoded_again(cache):
    inner = DigestEncoder()
    encoder = CachedEncoder(inner, cache)
    whole = encoder.encode(["a", "b"])
    cache.close()
    with sqlite3.connect(cache.path(encoder.identity)) as connection:
        (stored,) = connection.execute("SELECT vector FROM vectors WHERE key = ?", [text_key("a")]).fetchone()
        changed = bytes([stored[0] ^ 1]) + stored[1:]
        connection.execute("UPDATE vectors SET vector = ? WHERE key = ?", [changed, text_key("a")])
    connection.close()
    np.testing.assert_array_equal(encoder.encode(["a", "b"]), whole)
    assert inner.encoded == ["a", "b", "a"]
    assert cache.get_many(encoder.identity, ["a"])[1].all()


@pytest.mark.parametrize("damage", [b"this is no database" * 500, None])
def test_a_damaged_file_is_set_aside(cache, damage):
    inner = DigestEncoder()
    encoder = CachedEncoder(inner, cache)
    texts = [f"article {i}" for i in range(500)]
    whole = encoder.encode(texts)
    cache.close()
    path = cache.path(encoder.identity)
    content = path.read_bytes()
    path.write_bytes(damage if damage else content[:4096] + b"\xa5" * (len(content) - 4096))
    np.testing.assert_array_equal(encoder.encode(texts), whole)
    assert path.with_name(path.name + ".damaged").exists()
    assert cache.get_many(encoder.identity, texts)[1].all()


def test_a_lock_is_not_damage(cache, monkeypatch):
    """What another process holds is waited for and then reported, never moved away."""
    encoder = DigestEncoder()
    cache.put_many(encoder.identity, ["a"], encoder.encode(["a"]))
    monkeypatch.setattr(
        "sqlite3.connect", lambda *a, real=sqlite3.connect, **k: real(*a, **{**k, "timeout": 0.05})
    )
    cache.close()
    other = sqlite3.connect(cache.path(encoder.identity))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        cache.put_many(encoder.identity, ["b"], encoder.encode(["b"]))
    other.rollback()
    other.close()
    assert cache.get_many(encoder.identity, ["a"])[1].all()


WRITER = """
import os, sys, pathlib
import numpy as np
from features.cache import EmbeddingCache
from features.encoding import EncoderIdentity
cache = EmbeddingCache(pathlib.Path(sys.argv[1]))
identity = EncoderIdentity("digest", sys.argv[2], 8)
for i in range(int(sys.argv[3])):
    cache.put_many(identity, [f"{sys.argv[4]} {i}"], np.full((1, 8), i, np.float32))
os._exit(0)  # as a killed process: nothing is closed
"""


def test_processes_that_write_together_and_die_lose_nothing(cache):
    identity = DigestEncoder().identity
    root = Path(features.__file__).parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(cache.folder), identity.sha256, "40", name],
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for name in ("left", "right")
    ]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    texts = [f"{name} {i}" for name in ("left", "right") for i in range(40)]
    vectors, found = cache.get_many(identity, texts)
    assert found.all()
    assert vectors[:, 0].tolist() == [*range(40), *range(40)]


def test_a_cache_travels_without_its_connections(cache):
    encoder = DigestEncoder()
    cache.put_many(encoder.identity, ["a"], encoder.encode(["a"]))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get_many(encoder.identity, ["a"])[1].all()
    copy.close()
