"""Words in Latin letters that are not words: slips, drawn-out letters, vowels left out, sounds of Korean and Chinese.

A word of English stays what it is. What is no word is read as one of goods (`features.goods_words`) where exactly one
manner of disguise leads to it, and stays otherwise: names of makers are no words either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import product

from ahocorasick_rs import AhoCorasick, MatchKind

from features import words
from features.draft import Piece
from features.goods_words import chinese_goods, han_sounds, korean_goods, latin_goods

TOKEN = re.compile("(?<![a-z0-9])[a-z]{2,40}(?![a-z0-9])")
_ANY = re.compile("[a-z]{1,40}")
_APART = re.compile(r"(?<![a-z0-9'&])([a-z]{1,20})( | [-~] | ?~ ?)(?=([a-z]{1,20})(?![a-z0-9'&]))")
_BRACKETED = re.compile(
    r"(?<![a-z0-9])[a-z]*(?:[a-z][(\[<「【{]|(?<![a-z0-9])[(\[<「【{](?=[a-z]{1,2}[)\]>」】}][a-z]))"
    r"[a-z]{1,2}[)\]>」】}](?:[a-z(\[<「【{][a-z()\[\]<>「」【】{}]*)?"
)
_LETTERS = re.compile("[a-z]")
_RUN = re.compile(r"([a-z])\1{2,}")
_VOWELS = frozenset("aeiou")
_LEAST = 5  # letters of a word that a slip is looked for in
_LEAST_CHANGED = 7  # of one in which a letter is another one
_LEAST_BONES = 4  # letters left of a word without its vowels
_COMMON, _COMMON_SHORT = 1_000, 5_000
_LEADS = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
_VOWEL_SOUNDS = (
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu",
    "ui", "i",
)  # fmt: skip
_TAILS = (
    "", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t",
    "t", "k", "t", "p", "t",
)  # fmt: skip
_LEAST_SOUND = 5
_COVERED = 0.6


@lru_cache(maxsize=16_384)
def _is_plain(word: str) -> bool:
    """Whether everybody reads this as a word: English, ours, or a plural."""
    return words.is_word(word) or word in latin_goods() or (word.endswith("s") and words.is_word(word[:-1]))


@lru_cache(maxsize=16_384)
def _is_common(word: str) -> bool:
    """Whether a word stands for itself beside another one; short ones only where everybody uses them."""
    return word in words.known_words() or words.frequency(word) >= (
        _COMMON if len(word) > 3 else _COMMON_SHORT
    )


@lru_cache(maxsize=16_384)
def _is_usual(word: str) -> bool:
    return _is_plain(word) or _is_common(word)


@cache
def _targets() -> frozenset[str]:
    return frozenset(word for word in latin_goods() | words.known_words() if len(word) >= _LEAST)


def _without_one(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(1, len(word))}


@cache
def _shortened() -> dict[str, tuple[str, ...]]:
    """Return the words of goods by what is left of them without one letter; the first letter stays."""
    found: dict[str, list[str]] = {}
    for word in sorted(_targets()):
        for shorter in _without_one(word):
            found.setdefault(shorter, []).append(word)
    return {shorter: tuple(of) for shorter, of in found.items()}


def _best(found: Iterable[str]) -> str:
    """Return the word that is used most, the first by letters among equals."""
    return max(sorted(set(found)), key=words.frequency, default="")


def _slip(word: str) -> str:
    """Return the word that is one letter left out, doubled, swapped with its neighbour or changed away."""
    if len(word) < _LEAST - 1:
        return ""
    if len(word) >= _LEAST - 1 and (missing := _shortened().get(word)):
        return _best(w for w in missing if len(w) > _LEAST)
    near: list[str] = []
    for at in range(1, len(word)):
        shorter = word[:at] + word[at + 1 :]
        if shorter in _targets():
            near.append(shorter)
        swapped = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        if at > 1 and swapped in _targets():
            near.append(swapped)
    if near:
        return _best(near)
    if len(word) < _LEAST_CHANGED:
        return ""
    changed = Counter(w for shorter in _without_one(word) for w in _shortened().get(shorter, ()))
    return _best(w for w in changed if len(w) == len(word) and _one_changed(w, word))


def _one_changed(left: str, right: str) -> bool:
    return sum(a != b for a, b in zip(left, right, strict=True)) == 1


def _drawn_out(word: str) -> str:
    """Return the word of which letters were repeated: no word has one three times."""
    runs = list(_RUN.finditer(word))
    if not 0 < len(runs) <= 4:
        return ""
    for sizes in product((1, 2), repeat=len(runs)):
        short, done = "", 0
        for run, size in zip(runs, sizes, strict=True):
            short += word[done : run.start()] + run[1] * size
            done = run.end()
        short += word[done:]
        if _is_plain(short):
            return short
    return _slip(_RUN.sub(r"\1", word))


def _bones(word: str) -> str:
    return word[0] + "".join(c for c in word[1:] if c not in _VOWELS)


@cache
def _by_bones() -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for word in _targets():
        found.setdefault(_bones(word), []).append(word)
    return {bones: _best(of) for bones, of in found.items() if len(bones) >= _LEAST_BONES}


def _without_vowels(word: str) -> str:
    return _by_bones().get(word, "") if _VOWELS.isdisjoint(word[1:]) else ""


def romanised(word: str) -> str:
    """Return Hangul in Latin letters, syllable by syllable, by the revised romanisation."""
    found = ""
    for char in word:
        rest, tail = divmod(ord(char) - 0xAC00, 28)
        found += _LEADS[rest // 21] + _VOWEL_SOUNDS[rest % 21] + _TAILS[tail]
    return found


class _Sounds:
    """Terms of one language by their sound, found in a run of Latin letters."""

    def __init__(self, terms: dict[str, str], covered: float) -> None:
        self.terms = list(terms.values())
        self.covered = covered
        self._automaton = AhoCorasick(list(terms), matchkind=MatchKind.LeftmostLongest)

    def read(self, token: str) -> str:
        """Return the terms that a token says, with what is left over between them; empty where too little is said."""
        found = self._automaton.find_matches_as_indexes(token)
        if sum(end - start for _, start, end in found) < self.covered * len(token):
            return ""
        read, done = "", 0
        for number, start, end in found:
            left = token[done:start]
            read += (f" {left} " if left else "") + self.terms[number]
            done = end
        return (read + (f" {token[done:]}" if done < len(token) else "")).strip()


@cache
def _korean_sounds() -> _Sounds:
    sounds = {romanised(term): term for term in korean_goods() if all("가" <= c <= "힣" for c in term)}
    return _Sounds({s: t for s, t in sounds.items() if len(s) >= _LEAST_SOUND and not _is_plain(s)}, _COVERED)


@cache
def _chinese_sounds() -> _Sounds:
    said = {t: [han_sounds().get(c, "") for c in t] for t in chinese_goods()}
    sounds = {"".join(parts): term for term, parts in said.items() if all(parts)}
    return _Sounds({s: t for s, t in sounds.items() if len(s) >= _LEAST_SOUND and not _is_plain(s)}, 1.0)


def _said(token: str) -> str:
    return _korean_sounds().read(token) or _chinese_sounds().read(token) if len(token) >= _LEAST_SOUND else ""


@lru_cache(maxsize=16_384)
def meant(token: str) -> str:
    """Return the word that a token stands for, or the empty string where it stays what it is.

    Parameters
    ----------
    token
        Lower-case Latin letters.
    """
    if len(token) < _LEAST - 1 or _is_plain(token):
        return ""
    backwards = token[::-1]
    return (
        _drawn_out(token)
        or _slip(token)
        or (backwards if backwards in _targets() else "")
        or _without_vowels(token)
        or _said(token)
    )


def mend(token: str) -> list[Piece] | None:
    """Make pieces of the word that was meant."""
    word = meant(token)
    last = len(token) - 1
    return [(char, min(at, last)) for at, char in enumerate(word)] if word else None


def disguised(text: str) -> bool:
    """Whether any token of a text stands for another word, or was cut in two."""
    odd = [token for token in _ANY.findall(text) if not _is_usual(token)]
    if not odd:
        return False
    return any(meant(token) for token in odd) or any(_cut(match) for match in _APART.finditer(text))


def _cut(match: re.Match[str]) -> bool:
    """Whether two neighbours are one word of goods cut in two."""
    left, right = match[1], match[3]
    if left + right not in (latin_goods() if len(left) + len(right) >= _LEAST else words.known_words()):
        return False
    return not (_is_common(left) and _is_common(right))


def join_cut(text: str) -> list[tuple[int, int]]:
    """Return what stands between two halves of a word, as spans of the text."""
    return [match.span(2) for match in _APART.finditer(text) if _cut(match)]


BRACKETED = _BRACKETED


def open_brackets(run: str) -> list[Piece] | None:
    """Read ``c[a]mera``: brackets around one or two letters of a word."""
    letters = [(char, at) for at, char in enumerate(run) if _LETTERS.match(char)]
    word = "".join(char for char, _ in letters)
    inside = run[0].isalpha() and run[-1].isalpha()
    return letters if len(word) > 3 and (inside or _is_plain(word) or meant(word)) else None
