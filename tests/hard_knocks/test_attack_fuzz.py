"""Everything that reads what strangers wrote, on input bent by hypothesis and by a fuzzer that follows coverage."""

from __future__ import annotations

import importlib.util
import random
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
LONG_SECONDS, CPU_SECONDS = 60, 900
QUICK = ("column_map", "body", "results_csv")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzzed", HERE / "fuzzed.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


fuzzed = _load()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    return fuzzed.seeds(tmp_path_factory.mktemp("seeds"))


def bent(seed: bytes, number: int) -> bytes:
    """Bend sound input in a few places: bytes flipped, taken out, doubled, moved, cut off, foreign ones put in."""
    chance = random.Random(number)
    content = bytearray(seed)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(content) + 1)
        size = chance.choice((1, 1, 2, 4, 16, 64))
        part = bytes(content[at : at + size])
        foreign = chance.choice(
            (b"\x00", b"\xff" * 4, b'"', b"\n", b"&", b"'", b"=", b"\x80\x80", b"9" * 30, b"[" * 50)
        )
        done = chance.randrange(6)
        if done == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif done == 1:
            del content[at : at + size]
        elif done == 2:
            content[at:at] = part * chance.choice((1, 2, 40))
        elif done == 3:
            content[at:at] = foreign
        elif done == 4:
            content[at : at + size] = foreign
        elif done == 5 and chance.random() < 0.3:
            del content[at:]
    return bytes(content)


@pytest.mark.parametrize("target", fuzzed.TARGETS)
def test_nothing_but_a_refusal_comes_of_bent_input(target, seeds, long):
    """Nearly sound input, and bytes as they come."""
    work, sound = fuzzed.TARGETS[target], seeds[target]
    for seed in sound:
        work(seed)

    @settings(max_examples=3_000 if long else 40, deadline=None, derandomize=not long)
    @given(st.integers(0, 2**40), st.integers(0, 7), st.binary(max_size=300))
    def attack(number: int, which: int, raw: bytes) -> None:
        work(bent(sound[which % len(sound)], number))
        work(raw)

    attack()


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


@pytest.mark.parametrize("target", fuzzed.TARGETS)
def test_a_fuzzer_that_follows_coverage_finds_nothing(target, long, tmp_path):
    """Quick: some thousand runs of three targets; long: a minute of each. What it finds is in the output, as bytes."""
    pytest.importorskip("atheris", reason="no atheris: pip install 'listing-risk[fuzz]'")
    if not long and target not in QUICK:
        pytest.skip("in the long form only: pytest tests/hard_knocks --long")
    much = [f"-max_total_time={LONG_SECONDS}"] if long else ["-runs=1500", "-seed=7"]
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), target, str(tmp_path), *much, "-max_len=4096", "-timeout=120"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Done" in done.stderr or "DONE" in done.stderr, done.stderr[-1_000:]
