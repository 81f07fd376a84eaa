"""Many terms found in one pass over normalised text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from features.normalize import normalize

_CJK = "가-힣\u3400-\u9fff"
_Trie = dict[str, "_Trie"]
_REMEMBERED = 32_768  # more than a taxonomy has


@lru_cache(_REMEMBERED)
def plain_term(term: str) -> str:
    """Normalise a term; the same ones stand in several lists."""
    return normalize(term).text


def _trie(words: Iterable[str]) -> _Trie:
    root: _Trie = {}
    for word in words:
        node = root
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return root


def _pattern(node: _Trie) -> str:
    """Regular expression of a trie: shared beginnings once, longest match first."""
    branches = [
        (r"[ \-]?" if char == " " else re.escape(char)) + _pattern(after)
        for char, after in sorted(node.items())
        if char
    ]
    if not branches:
        return ""
    body = branches[0] if len(branches) == 1 and "" not in node else f"(?:{'|'.join(branches)})"
    return f"{body}?" if "" in node else body


def _first_letters(node: _Trie) -> str:
    return "".join(re.escape(c) for c in sorted(node) if c)


def _compile(words: list[str], before: str, after: str) -> re.Pattern[str] | None:
    if not words:
        return None
    root = _trie(words)
    return re.compile(f"{before}(?=[{_first_letters(root)}]){_pattern(root)}{after}")


class TermFinder:
    """Finds terms of any language in text that `features.normalize.normalize` made.

    Latin terms match whole words, with a plural and with ``-free``; a space in a term may be a hyphen or
    missing. Korean and Chinese terms match anywhere, except that a single character (and, with
    ``short_hangul_alone``, a Hangul term of two) must stand by itself: the Korean for lead is also a syllable of
    the one for storage.

    Parameters
    ----------
    terms
        In any spelling; they are normalised here.
    short_hangul_alone
        Hold Hangul terms of two syllables to whole words too.
    """

    def __init__(self, terms: Iterable[str], *, short_hangul_alone: bool = False) -> None:
        words = sorted({plain for term in terms if (plain := plain_term(term))})
        letters = re.compile(f"[{_CJK}]")
        latin = [w for w in words if not letters.search(w)]
        other = [w for w in words if letters.search(w)]
        alone_length = 2 if short_hangul_alone else 1
        alone = [w for w in other if len(w) <= (alone_length if "가" <= w[0] <= "힣" else 1)]
        free = [w for w in other if len(w) > (alone_length if "가" <= w[0] <= "힣" else 1)]
        compiled = (
            _compile(latin, "(?<![a-z0-9])", "(?:e?s)?(?:[ \\-]free)?(?![a-z0-9])"),
            _compile(alone, f"(?<![{_CJK}])", f"(?![{_CJK}])"),
            _compile(free, "", ""),
        )
        self._patterns = tuple(p for p in compiled if p is not None)
        self.terms = tuple(words)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yield matches, by kind of term and then by position."""
        for pattern in self._patterns:
            yield from pattern.finditer(text)

    def search(self, text: str) -> re.Match[str] | None:
        """First match of any kind, or None."""
        return next(self.finditer(text), None)

    def blank(self, text: str) -> str:
        """Overwrite every match with spaces; the length stays the same."""
        for pattern in self._patterns:
            text = pattern.sub(_spaces, text)
        return text


def _spaces(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())
