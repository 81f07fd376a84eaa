"""A hundred real processes killed while they write: nothing that was acknowledged is lost, nothing else breaks.

Run as a script (``test_index_kill.py INDEX``) this file starts the writers: one number a line on standard input, one
fresh process each. The script opens no index itself, so that no writer inherits an open one: SQLite forbids carrying
one across a fork.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from features.encoding import EncoderIdentity
from features.similarity import Entry, IndexBusyError, SimilarityIndex

KILLS = 100
MOST = 5_000
IDENTITY = EncoderIdentity("toy", "0" * 64, 64)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def vector(number: int) -> np.ndarray:
    row = np.random.default_rng(number).standard_normal((1, 64)).astype(np.float32)
    return row / np.linalg.norm(row)


def entry(number: int) -> Entry:
    return Entry(f"ban {number}", vector(number), payload=number.to_bytes(4, "little") * 500)


def changes(first: int) -> list[str]:
    """What a writer does, in order: ``+n`` adds an entry, ``-n`` removes it again (every third)."""
    return [
        line
        for n in range(first, first + MOST)
        for line in ((f"+{n}", f"-{n}") if n % 3 == 0 else (f"+{n}",))
    ]


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # at once, and too short to be torn by a kill


def write_until_killed(path: Path, first: int) -> None:
    """In a process of its own: make the changes, acknowledging each when the index has."""
    with SimilarityIndex(path, IDENTITY, write=True) as index:
        say("ready")
        for done, line in enumerate(changes(first)):
            if line[0] == "+":
                index.add([entry(int(line[1:]))])
            else:
                index.remove([f"ban {line[1:]}"])
            say(line)
            if done % 50 == 49:
                index.compact()


def start_writers(path: Path) -> None:
    """In a process of its own: start one writer after the other, and say how each ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                write_until_killed(path, int(line))
            finally:
                os._exit(1)
        say(f"pid {child}")
        say(f"dead {os.waitpid(child, 0)[1]}")


@contextmanager
def starter(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def heard_from(said: IO[str], enough: int) -> tuple[int, list[str]]:
    """Read until the writer is ready, has a known process number and has acknowledged enough."""
    pid, lines = 0, []
    while not pid or len(lines) < 1 + enough:
        line = said.readline().strip()
        assert line and not line.startswith("dead"), "the writer ended by itself"
        if line.startswith("pid"):
            pid = int(line.split()[1])
        else:
            lines.append(line)
    return pid, lines


def killed_writer(process: subprocess.Popen[str], first: int, enough: int, after: float) -> list[str]:
    """Start a writer, kill it a moment after so many acknowledgements, give all that it acknowledged."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{first}\n")
    process.stdin.flush()
    pid, lines = heard_from(process.stdout, enough)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    while not (line := process.stdout.readline().strip()).startswith("dead"):
        lines.append(line)
    assert int(line.split()[1]) == signal.SIGKILL
    assert lines[0] == "ready"
    return lines[1:]


def after_changes(before: frozenset[int], lines: Sequence[str]) -> frozenset[int]:
    there = set(before)
    for line in lines:
        (there.add if line[0] == "+" else there.discard)(int(line[1:]))
    return frozenset(there)


def numbers_in(index: SimilarityIndex) -> frozenset[int]:
    keys = index.keys()
    assert len(keys) == len(set(keys))
    return frozenset(int(key.split()[1]) for key in keys)


def test_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "bank.index"
    rng = random.Random(7)
    there: frozenset[int] = frozenset()
    acknowledged = 0
    SimilarityIndex(path, IDENTITY, write=True).close()
    with starter(path) as process, SimilarityIndex(path, IDENTITY) as reader:  # open through all the kills
        for kill in range(KILLS):
            first = kill * 1_000_000
            said = killed_writer(process, first, rng.randrange(4), rng.uniform(0, 0.03))
            planned = changes(first)
            assert said == planned[: len(said)]
            acknowledged += len(said)
            # Nothing else may be there than what was acknowledged, but for the one change that was under way when
            # the kill came: it may be on disk already. What that was, is settled now, and must stay so.
            settled = after_changes(there, said)
            begun = after_changes(there, planned[: len(said) + 1])
            found = numbers_in(reader)
            assert found in (settled, begun)
            there = found
    assert acknowledged > KILLS
    with SimilarityIndex(path, IDENTITY, write=True) as index:  # the lock died with its holder
        assert numbers_in(index) == there
        for number in random.Random(8).sample(sorted(there), 60):
            assert index.payload(f"ban {number}") == number.to_bytes(4, "little") * 500
            assert index.nearest(vector(number), 1)[0].key == f"ban {number}"
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


if __name__ == "__main__":
    start_writers(Path(sys.argv[1]))
