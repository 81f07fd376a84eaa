"""Hazards that a sentence of an authority names: recall reasons, danger texts, inspection remarks.

For label sources only. Listings are never read with it: a seller does not name the hazard.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_HANGUL = re.compile("[가-힣]")
_HAN = re.compile("[㐀-鿿]")
# A one-syllable Korean term counts only as a word of its own, with or without a particle.
_PARTICLE = "(?=[^가-힣]|[이가은는을를과와도의로에]|$)"


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """Terms of one scheme, folded to lower case without underscores.

    ``names`` holds what a term asserts (empty: it names no hazard), ``possible`` what it may mean besides.
    """

    scheme: str
    names: Mapping[str, frozenset[str]]
    possible: Mapping[str, frozenset[str]]
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class HazardReading:
    """What a text names.

    ``hazards`` are asserted; ``possible`` may also be meant, so they are unknown rather than absent; ``terms`` are the
    words that were found, folded, in order of appearance.
    """

    hazards: frozenset[str]
    possible: frozenset[str]
    terms: tuple[str, ...]


def fold(term: str) -> str:
    """Fold a term so that letter case, underscores and blanks make no difference."""
    return " ".join(term.replace("_", " ").casefold().split())


class HazardWords:
    """Finds crosswalk terms in running text, the longest first.

    Parameters
    ----------
    schemes
        Crosswalks by the script they are used for: ``ko``, ``zh`` and ``en`` (always used).
    ordinary
        Words that contain a term without naming a hazard; they win over it.
    """

    def __init__(self, schemes: Mapping[str, Crosswalk], ordinary: Iterable[str]) -> None:
        self._schemes = schemes
        ordinary = {fold(word) for word in ordinary}
        self._patterns = {
            script: _pattern({term for term in crosswalk.names if term and _wordy(term)} | ordinary)
            for script, crosswalk in schemes.items()
        }

    def read(self, text: str) -> HazardReading:
        """Read a text.

        Parameters
        ----------
        text
            As the authority wrote it.

        Returns
        -------
        HazardReading
        """
        folded = fold(text)
        hazards: set[str] = set()
        possible: set[str] = set()
        found: dict[str, int] = {}
        for script in self._scripts(folded):
            crosswalk = self._schemes[script]
            for match in self._patterns[script].finditer(folded):
                term = match.group()
                if term in crosswalk.names:
                    found.setdefault(term, match.start())
                    hazards |= crosswalk.names[term]
                    possible |= crosswalk.possible.get(term, frozenset())
        terms = tuple(sorted(found, key=lambda term: (found[term], term)))
        return HazardReading(frozenset(hazards), frozenset(possible - hazards), terms)

    def _scripts(self, text: str) -> Sequence[str]:
        scripts = ["en"]
        if _HANGUL.search(text):
            scripts.append("ko")
        elif _HAN.search(text):
            scripts.append("zh")
        return [script for script in scripts if script in self._schemes]


def _wordy(term: str) -> bool:
    return any(character.isalnum() for character in term)


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    # Alternatives grouped by first letter: one long alternation is tried term by term at every position.
    by_first: dict[str, list[str]] = defaultdict(list)
    for term in sorted(terms, key=lambda term: (-len(term), term)):
        by_first[term[0]].append(term)
    ascii_heads, other_heads = [], []
    for first, group in sorted(by_first.items()):
        tails = "|".join(re.escape(term[1:]) + _right_edge(term) for term in group)
        (ascii_heads if first.isascii() and first.isalnum() else other_heads).append(
            f"{re.escape(first)}(?:{tails})"
        )
    parts = []
    if ascii_heads:
        parts.append(f"(?<![a-z0-9])(?:{'|'.join(ascii_heads)})")
    if other_heads:
        parts.append(f"(?:{'|'.join(other_heads)})")
    return re.compile("|".join(parts) or r"(?!)")


def _right_edge(term: str) -> str:
    if term[-1].isascii() and term[-1].isalnum():
        return "(?![a-z0-9])"
    if len(term) == 1 and _HANGUL.match(term):
        return f"(?<![가-힣]{term}){_PARTICLE}"
    return ""
