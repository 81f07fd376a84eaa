"""The index: what was acknowledged is there, for its writer and for readers beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features
from features.encoding import EncoderIdentity
from features.similarity import Entry, IndexBusyError, IndexFileError, SimilarityIndex
from features.vector_codes import VectorCodes, decode, encode

DIM = 64
IDENTITY = EncoderIdentity("toy", "0" * 64, DIM)
ROOT = Path(features.__file__).parents[1]


def unit(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def entry(number: int, vectors: int = 2) -> Entry:
    hashes = np.array([number * 0x9E3779B97F4A7C15 % 2**64, number], np.uint64)
    return Entry(f"photo {number}", unit(vectors, number), hashes, payload=f"payload {number}".encode())


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "bank.index"


def test_what_is_added_is_found_also_after_opening_again(path):
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        index.add(entry(n) for n in range(50))
        assert len(index) == 50 and "photo 7" in index
    with SimilarityIndex(path, IDENTITY) as index:
        assert index.keys() == tuple(f"photo {n}" for n in range(50))
        for n in (0, 17, 49):
            near = index.nearest(unit(2, n), 3)
            assert near[0].key == f"photo {n}" and near[0].value > 0.99 > near[1].value + 0.2
            assert index.payload(f"photo {n}") == f"payload {n}".encode()
            assert index.nearest_hashes(entry(n).hashes, 1)[0].key == f"photo {n}"


def test_adding_again_replaces_and_removing_removes(path):
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        index.add([entry(1), entry(2), entry(3)])
        index.add([Entry("photo 1", unit(1, 99), payload=b"new")])
        assert len(index) == 3 and index.payload("photo 1") == b"new"
        assert index.nearest(unit(2, 1), 1)[0].value < 0.7
        assert index.nearest(unit(1, 99), 1)[0].key == "photo 1"
        assert index.remove(["photo 2", "unknown", "photo 2"]) == 1
        assert "photo 2" not in index and index.keys() == ("photo 3", "photo 1")
        with pytest.raises(KeyError):
            index.payload("photo 2")
    for compacted in (False, True):
        with SimilarityIndex(path, IDENTITY, write=True) as index:
            assert index.keys() == ("photo 3", "photo 1")
            if not compacted:
                assert index.compact() == 2 and index.compact() == 0
                assert index.keys() == ("photo 3", "photo 1")
                assert index.nearest(unit(2, 3), 1)[0].key == "photo 3"


def test_a_reader_sees_what_another_process_adds_within_a_second(path):
    program = f"""
import sys, numpy as np
from pathlib import Path
from features.encoding import EncoderIdentity
from features.similarity import Entry, SimilarityIndex
index = SimilarityIndex(Path(sys.argv[1]), EncoderIdentity("toy", "0" * 64, {DIM}), write=True)
print("ready", flush=True)
for line in sys.stdin:
    vector = np.eye({DIM}, dtype=np.float32)[int(line) : int(line) + 1]
    index.add([Entry(line.strip(), vector)])
    print("added", flush=True)
"""
    command = [sys.executable, "-c", program, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as writer:
        assert writer.stdout.readline() == "ready\n"
        with SimilarityIndex(path, IDENTITY) as reader, SimilarityIndex(path, IDENTITY) as second:
            assert len(reader) == 0
            with pytest.raises(IndexBusyError, match="held by another process"):
                SimilarityIndex(path, IDENTITY, write=True)
            for n in range(5):
                writer.stdin.write(f"{n}\n")
                writer.stdin.flush()
                assert writer.stdout.readline() == "added\n"
                for one in (reader, second):
                    assert one.nearest(np.eye(DIM, dtype=np.float32)[n : n + 1], 1)[0].key == str(n)
        writer.stdin.close()
    with SimilarityIndex(path, IDENTITY, write=True) as index:  # free again
        assert len(index) == 5


def test_readers_write_nothing_and_an_absent_index_is_named(path):
    with pytest.raises(IndexFileError, match="got no index at"):
        SimilarityIndex(path, IDENTITY)
    assert not path.exists()
    SimilarityIndex(path, IDENTITY, write=True).close()
    with SimilarityIndex(path, IDENTITY) as index:
        with pytest.raises(IndexFileError, match="write=True"):
            index.add([entry(1)])
        with pytest.raises(IndexFileError, match="write=True"):
            index.remove([])


def test_another_encoder_another_format_and_other_files_are_refused(path, tmp_path):
    SimilarityIndex(path, IDENTITY, write=True).close()
    with pytest.raises(IndexFileError, match="different encoders cannot be compared"):
        SimilarityIndex(path, EncoderIdentity("toy", "1" * 64, DIM))
    with sqlite3.connect(path) as file:
        file.execute("UPDATE about SET value = '99' WHERE name = 'format'")
    with pytest.raises(IndexFileError, match="of format 99"):
        SimilarityIndex(path, IDENTITY)
    other = tmp_path / "other"
    other.write_bytes(b"not a database at all" * 500)
    for write in (False, True):
        with pytest.raises(IndexFileError, match="not an index or a damaged one"):
            SimilarityIndex(other, IDENTITY, write=write)


@pytest.mark.parametrize(
    "vectors", [np.zeros((1, DIM + 1)), np.zeros(DIM), np.full((1, DIM), np.nan), np.full((1, DIM), np.inf)]
)
def test_wrong_vectors_change_nothing(path, vectors):
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        with pytest.raises(ValueError, match="expected finite numbers"):
            index.add([entry(1), Entry("bad", vectors)])
        assert len(index) == 0
        index.add([entry(2)])
        assert index.keys() == ("photo 2",)


def test_an_error_half_way_adds_nothing(path):
    def some():
        yield entry(1)
        raise RuntimeError("the source broke")

    with SimilarityIndex(path, IDENTITY, write=True) as index:
        with pytest.raises(RuntimeError, match="the source broke"):
            index.add(some())
        assert len(index) == 0


def test_an_empty_index_answers_with_nothing(path):
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        assert index.nearest(unit(1), 5) == [] and index.nearest_hashes(np.array([1], np.uint64), 5) == []
        index.add([Entry("words only", np.zeros((0, DIM), np.float32))])
        assert index.nearest(unit(1), 5) == [] and len(index) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=30), st.integers(1, 8))
@settings(max_examples=25)
def test_any_order_of_changes_gives_what_a_dictionary_gives(tmp_path_factory, changes, block):
    """Number 0 removes; others add under that name. A reader that looks in between and one that opens last agree."""
    path = tmp_path_factory.mktemp("index") / "x.index"
    wanted: dict[str, int] = {}
    with SimilarityIndex(path, IDENTITY, write=True) as index, SimilarityIndex(path, IDENTITY) as reader:
        for n, (key, number) in enumerate(changes):
            wanted.pop(key, None)
            if number:
                wanted[key] = number
                index.add([Entry(key, unit(1, number), payload=str(number).encode())])
            else:
                index.remove([key])
            if n % block == 0:
                assert set(reader.keys()) == set(wanted)
            if n == 12:
                index.compact()
        with SimilarityIndex(path, IDENTITY) as last:
            for one in (index, reader, last):
                assert one.keys() == tuple(wanted)
                assert [one.payload(key) for key in wanted] == [str(v).encode() for v in wanted.values()]


def test_codes_keep_cosines_and_the_sieve_finds_what_is_near():
    rows = unit(20_000, 1, 256)
    codes = VectorCodes(256)
    for start in range(0, len(rows), 7_000):
        part = rows[start : start + 7_000]
        codes.add(encode(part), np.arange(start, start + len(part), dtype=np.int32))
    assert len(codes) == len(rows)
    np.testing.assert_allclose((decode(encode(rows[:500])) * rows[:500]).sum(1), 1, atol=1e-3)
    rng = np.random.default_rng(3)
    alive = np.ones(len(rows), bool)
    alive[11] = False
    for n in (0, 11, 5_000, 19_999):
        query = rows[n] + 0.06 * rng.standard_normal(256).astype(np.float32)
        query /= np.linalg.norm(query)
        slots, cosines = codes.search(query[None], alive, 10)
        exact = np.argsort(-(rows @ query) * np.where(alive, 1, -1))
        assert len(slots) == 10 and (np.diff(cosines) <= 0).all()
        assert (slots[0] == n) == (n != 11) and (n == 11 or slots[0] == exact[0])


def test_a_million_vectors_fit_into_a_gigabyte():
    """By what one vector takes, arrays grown by half included."""
    codes = VectorCodes(256)
    codes.add(np.zeros((10_000, 256), np.int8), np.zeros(10_000, np.int32))
    codes.add(np.zeros((1, 256), np.int8), np.zeros(1, np.int32))
    assert codes.nbytes / 10_001 * 1e6 < 0.5e9


@pytest.mark.parametrize("dim", [3, 50, 64, 100, 384])
def test_vectors_of_any_length_can_be_indexed(dim):
    rows = unit(6_000, 5, dim)
    codes = VectorCodes(dim)
    codes.add(encode(rows), np.arange(len(rows), dtype=np.int32))
    slots, cosines = codes.search(rows[77:78], np.ones(len(rows), bool), 2)
    assert cosines[0] > 0.995
    assert slots[0] == 77 or dim == 3  # in three dimensions many lie that near
    with pytest.raises(ValueError, match="positive"):
        VectorCodes(0)
