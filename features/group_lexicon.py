"""The words of all product groups in one automaton, found in one pass over a title."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from ahocorasick_rs import AhoCorasick, MatchKind

from features.group_file import ProductGroup
from features.lexicon import plain_term

NOUN, CONTEXT, BESIDE, DECOY, EXCLUDE = range(5)
_LATIN = re.compile(r"[a-z0-9]")
_HANGUL = re.compile(r"[가-힣]")
_CJK = re.compile(r"[가-힣\u3400-\u9fff]")
_LATIN_WEIGHT = {1: 0.85, 2: 1.1, 3: 1.3}
_HANGUL_WEIGHT = {1: 0.6, 2: 0.8, 3: 1.0, 4: 1.15}
_HAN_WEIGHT = {1: 0.5, 2: 0.85, 3: 1.1, 4: 1.3}
_WEAK = 0.45
_CONTEXT = 0.6
_MAX_SPACES = 3


@dataclass(frozen=True, slots=True)
class Use:
    """What one pattern says for one group."""

    group: int
    weight: float
    kind: int
    weak: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """One spelling of a term.

    Attributes
    ----------
    before, after
        Characters that must not touch the match: None, Latin letters and digits, or Hangul.
    latin
        Whether its end is Latin, so that English word order rules.
    """

    text: str
    before: re.Pattern[str] | None
    after: re.Pattern[str] | None
    latin: bool
    uses: tuple[Use, ...]
    noun: bool


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh", "z")):
        return word + "es"
    if len(word) > 2 and word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def spellings(term: str) -> Iterator[str]:
    """Yield the ways a normalised term is written: with and without spaces or hyphens, and plural."""
    if _CJK.search(term):
        parts = term.split(" ")
        if len(parts) - 1 > _MAX_SPACES:
            yield term
            return
        for glue in product((" ", ""), repeat=len(parts) - 1):
            yield "".join(part + mark for part, mark in zip(parts, (*glue, ""), strict=True))
        return
    forms = {term, term.replace("-", " "), term.replace(" ", "-")}
    for form in forms:
        yield form
        if form[-1].isalpha():
            yield _plural(form)


def _weight(term: str) -> float:
    if not _CJK.search(term):
        words = len(re.findall(r"[a-z0-9]+", term))
        return _LATIN_WEIGHT.get(words, 1.4)
    letters = len(term.replace(" ", ""))
    if _HANGUL.search(term):
        return _HANGUL_WEIGHT.get(letters, 1.3)
    return _HAN_WEIGHT.get(letters, 1.4)


def _edges(term: str, whole: bool) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    alone = whole or (len(term) == 1 and _HANGUL.match(term) is not None)

    def edge(char: str) -> re.Pattern[str] | None:
        if _LATIN.match(char):
            return _LATIN
        return _CJK if alone and _CJK.match(char) else None

    return edge(term[0]), edge(term[-1])


@dataclass(frozen=True, slots=True)
class _Term:
    text: str
    kind: int
    weak: bool
    whole: bool


def _term(word: str, kind: int) -> _Term:
    weak = whole = False
    while word and word[0] in "?&@":
        weak = weak or word[0] == "?"
        kind = {"&": BESIDE, "@": CONTEXT}.get(word[0], kind)
        word = word[1:]
    if len(word) > 2 and word[0] == word[-1] == "|":
        word, whole = word[1:-1], True
    return _Term(plain_term(word), kind, weak, whole)


def _terms(group: ProductGroup) -> Iterator[_Term]:
    for words, kind in (
        *((words, NOUN) for words in group.terms.values()),
        (group.decoys, DECOY),
        (group.exclude, EXCLUDE),
    ):
        for word in words:
            term = _term(word, kind)
            if term.text:
                yield term


def _use(index: int, group: ProductGroup, term: _Term) -> Use:
    weight = _weight(term.text)
    if term.kind == CONTEXT:
        weight *= 0.8 if group.dominant else _CONTEXT
    return Use(index, weight * (_WEAK if term.weak else 1.0), term.kind, term.weak)


class Lexicon:
    """All patterns of a set of groups and the automaton that finds them.

    Parameters
    ----------
    groups
        By code; their order gives the group numbers in `Use`.
    """

    def __init__(self, groups: Mapping[str, ProductGroup]) -> None:
        uses: dict[tuple[str, bool], dict[tuple[int, int], Use]] = defaultdict(dict)
        for index, group in enumerate(groups.values()):
            for term in _terms(group):
                use = _use(index, group, term)
                for text in spellings(term.text):
                    kept = uses[text, term.whole].get((index, term.kind))
                    if kept is None or kept.weight < use.weight:
                        uses[text, term.whole][index, term.kind] = use
        self.patterns = tuple(_pattern(text, whole, found.values()) for (text, whole), found in uses.items())
        self._automaton = AhoCorasick([p.text for p in self.patterns], matchkind=MatchKind.Standard)

    def find(self, text: str) -> list[tuple[int, int, Pattern]]:
        """Return start, end and pattern of everything that stands in the text as a word of its own.

        Sorted by start, the longer first. A match that lies within a longer one is kept.
        """
        size = len(text)
        found = []
        patterns = self.patterns
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            pattern = patterns[number]
            if pattern.before is not None and start and pattern.before.match(text, start - 1):
                continue
            if pattern.after is not None and end < size and pattern.after.match(text, end):
                continue
            found.append((start, end, pattern))
        found.sort(key=_order)
        return found


def _order(match: tuple[int, int, Pattern]) -> tuple[int, int]:
    return match[0], -match[1]


def _pattern(text: str, whole: bool, uses: Iterable[Use]) -> Pattern:
    before, after = _edges(text, whole)
    kept = tuple(uses)
    return Pattern(
        text=text,
        before=before,
        after=after,
        latin=_LATIN.match(text[-1]) is not None,
        uses=kept,
        noun=any(use.kind in (NOUN, BESIDE) for use in kept),
    )
