"""A hundred real processes killed while they write: nothing that was acknowledged is lost, nothing else breaks."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from features.encoders import EncoderIdentity
from features.similarity import Entry, IndexBusyError, SimilarityIndex

KILLS = 100
IDENTITY = EncoderIdentity("toy", "0" * 64, 64)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def vector(number: int) -> np.ndarray:
    row = np.random.default_rng(number).standard_normal((1, 64)).astype(np.float32)
    return row / np.linalg.norm(row)


def entry(number: int) -> Entry:
    return Entry(f"ban {number}", vector(number), payload=number.to_bytes(4, "little") * 500)


def write_until_killed(path: Path, first: int, pipe: int) -> None:
    """In the child: add entries, every third time remove one again; each acknowledgement goes down the pipe."""
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        os.write(pipe, b"ready\n")
        for number in range(first, first + 1_000_000):
            index.add([entry(number)])
            os.write(pipe, f"+{number}\n".encode())
            if number % 3 == 0:
                index.remove([f"ban {number}"])
                os.write(pipe, f"-{number}\n".encode())
            if number % 50 == 49:
                index.compact()


def killed_writer(path: Path, first: int, lines: int, after: float) -> list[str]:
    """Start a writer, kill it a moment after so many acknowledgements, give all that it acknowledged."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(out)
            write_until_killed(path, first, into)
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out, "rb") as said:
        heard = b"".join(said.readline() for _ in range(1 + lines))
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        heard += said.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return [line for line in heard.decode().split("\n")[:-1] if line != "ready"]


def test_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "bank.index"
    rng = random.Random(7)
    there: set[int] = set()
    gone: set[int] = set()
    SimilarityIndex(path, IDENTITY, write=True).close()
    with SimilarityIndex(path, IDENTITY) as reader:  # stays open through all the kills
        for kill in range(KILLS):
            heard = killed_writer(path, kill * 1_000_000, rng.randrange(4), rng.uniform(0, 0.03))
            for line in heard:
                number = int(line[1:])
                (there.add if line[0] == "+" else gone.add)(number)
            keys = {int(key.split()[1]) for key in set(reader.keys())}
            assert there - gone - keys <= {max(there, default=-1)}  # its removal may have been under way
            assert not gone & keys
            assert len(keys - there) <= kill + 1  # at most one a kill was written and not yet acknowledged
    assert len(there) > KILLS
    with SimilarityIndex(path, IDENTITY, write=True) as index:  # the lock died with its holder
        keys = index.keys()
        for key in random.Random(8).sample(keys, 60):
            number = int(key.split()[1])
            assert index.payload(key) == number.to_bytes(4, "little") * 500
            assert index.nearest(vector(number), 1)[0].key == key
        with pytest.raises(IndexBusyError):
            SimilarityIndex(path, IDENTITY, write=True)
        index.add([entry(999_999_999)])
        assert "ban 999999999" in index


def test_a_kill_while_the_index_is_first_made_leaves_one_that_can_be_made(tmp_path):
    rng = random.Random(9)
    for number in range(15):
        path = tmp_path / f"{number}.index"
        child = os.fork()
        if child == 0:
            try:
                SimilarityIndex(path, IDENTITY, write=True).add([entry(1)])
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with SimilarityIndex(path, IDENTITY, write=True) as index:
            assert set(index.keys()) <= {"ban 1"}
            index.add([entry(2)])
            assert "ban 2" in index
