"""Which strings are words: our own short list and a list of English."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources

_MIN_FREQUENCY = 40
_COMMON_FREQUENCY = 1_000
_MAX_RUN = 40


@cache
def known_words() -> frozenset[str]:
    """Words of goods and evasions that are worth reading out of any spelling."""
    text = resources.files("features").joinpath("leet_words.txt").read_text(encoding="utf-8")
    return frozenset(w for line in text.splitlines() if not line.startswith("#") for w in line.split())


@cache
def english_words() -> frozenset[str]:
    """English words of four letters and more, from the frequency list of ``pyspellchecker``."""
    return frozenset(w for w, n in _counts().items() if len(w) >= 4 and n >= _MIN_FREQUENCY and w.isascii())


@cache
def common_words() -> frozenset[str]:
    """English words that everybody knows, and ours: what may be read out of a word with hardly a letter left."""
    return known_words() | {w for w in english_words() if _counts()[w] >= _COMMON_FREQUENCY}


@cache
def _counts() -> dict[str, int]:
    packed = resources.files("spellchecker").joinpath("resources", "en.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))


def frequency(word: str) -> int:
    """How often a word stands in the list of English, 0 where it does not."""
    return _counts().get(word, 0)


def is_word(word: str) -> bool:
    """Whether ``word`` (lower case) is an English word or one of ours."""
    return word in known_words() or word in english_words()


def part(run: str) -> list[str]:
    """Part letters that were run together into the fewest words.

    Parameters
    ----------
    run
        Lower-case letters without spaces, such as ``hiddencamera``.

    Returns
    -------
    list of str
        The words; the run alone where it is one word or does not part into words.
    """
    if is_word(run) or len(run) > _MAX_RUN:
        return [run]
    best: list[list[str] | None] = [[]] + [None] * len(run)
    for end in range(1, len(run) + 1):
        for start in range(max(0, end - 16), end - 2):
            before, word = best[start], run[start:end]
            shorter = before is not None and (best[end] is None or len(before) + 1 < len(best[end] or ()))
            if before is not None and shorter and is_word(word):
                best[end] = [*before, word]
    return best[-1] or [run]
