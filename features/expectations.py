"""What a product's name makes one expect, by hazard: prior knowledge from ``hazard_expectations.yaml``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ahocorasick_rs
import numpy as np
import yaml

from features.own_files import data_file

FILE = "hazard_expectations.yaml"
# More words of one hazard than this count no further: a long title is not a dangerous product.
MOST = 2
_EAST_ASIAN = re.compile("[가-힣㐀-鿿]")


@dataclass(frozen=True, slots=True)
class Expected:
    """One expectation: words of a text, at this place, that point to a hazard.

    Attributes
    ----------
    hazard
        Position in the order of hazards that was asked for.
    start, end
        In the text as given.
    """

    hazard: int
    start: int
    end: int


class Expectations:
    """Finds words by which a person would expect a hazard.

    Parameters
    ----------
    words
        Hazard code -> its words, as `expected_words` reads them.
    hazards
        Codes in the order of positions; a code without words is never expected.

    Raises
    ------
    ValueError
        When ``words`` name a hazard that is not among ``hazards``.
    """

    def __init__(self, words: Mapping[str, Sequence[str]], hazards: Sequence[str]) -> None:
        position = {code: i for i, code in enumerate(hazards)}
        by_phrase: dict[str, list[int]] = {}
        for code, phrases in words.items():
            if code not in position:
                raise ValueError(f"Got expectations of {code!r}; expected one of the taxonomy's hazards.")
            for phrase in phrases:
                # A Latin word counts where a word begins, so it is looked for with the space before it.
                pattern = phrase if _EAST_ASIAN.search(phrase) else f" {phrase}"
                by_phrase.setdefault(pattern, []).append(position[code])
        self.words = {code: tuple(phrases) for code, phrases in words.items()}
        self.hazards = tuple(hazards)
        self._patterns = tuple(by_phrase)
        self._hazards = tuple(by_phrase.values())
        self._search = ahocorasick_rs.AhoCorasick(list(self._patterns))
        self._n = len(hazards)

    def find(self, text: str) -> tuple[Expected, ...]:
        """Return what a normalised, lower-case text makes one expect: each hazard's first `MOST` different words."""
        found: list[Expected] = []
        seen: Counter[int] = Counter()
        told: set[int] = set()
        for pattern, start, end in self._search.find_matches_as_indexes(f" {text}", overlapping=True):
            if pattern not in told:
                told.add(pattern)
                # Places are one less in the text as given; a pattern's own leading space is no part of the word.
                first = max(start - 1 + (self._patterns[pattern][0] == " "), 0)
                for hazard in self._hazards[pattern]:
                    seen[hazard] += 1
                    if seen[hazard] <= MOST:
                        found.append(Expected(hazard, first, end - 1))
        return tuple(found)

    def counts(self, text: str) -> np.ndarray:
        """Return how many words of each hazard `find` finds, shape (n_hazards,), float32."""
        counts = np.zeros(self._n, dtype=np.float32)
        for one in self.find(text):
            counts[one.hazard] += 1
        return counts


def expected_words() -> Mapping[str, tuple[str, ...]]:
    """Read the words of each hazard, in lower case, from the file of `features.own_files.data_file`."""
    return _words(data_file(FILE))


@cache
def _words(path: Path) -> Mapping[str, tuple[str, ...]]:
    text = path.read_text(encoding="utf-8")
    raw: dict[str, list[str]] = yaml.safe_load(text)
    return {code: tuple(str(word).lower() for word in words) for code, words in raw.items()}
