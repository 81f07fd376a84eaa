"""Words taken apart or written with foreign letters, put right.

Each repair is a pattern that finds candidates and a judge that makes pieces of one, or leaves it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from itertools import pairwise

from features import charmap, words
from features.draft import Change, Piece, in_place

_CJK = "가-힣\u4e00-\u9fff"
_PART = f"[{_CJK}ㄱ-ㅣ]"
_MARK = r"[._\-*·•~|+,'^:/\\]{1,3}"
_LETTER = "[a-z0-9$@!]"


def _apart(before: str, first: str, separator: str, part: str, after: str) -> str:
    """Three single characters or more with the same separator between all of them."""
    return rf"{before}{first}(?P<sep>{separator}){part}(?:(?P=sep){part})+{after}"


# A letter that begins a run with another separator belongs to that run.
_NO_OTHER_RUN = rf"(?!{_MARK}{_LETTER}(?![^\W_]))"
_ALONE = ("(?<![^\\W_])", f"(?![^\\W_]){_NO_OTHER_RUN}")
_ALONE_CJK = (f"(?<![{_CJK}])", f"(?![{_CJK}])")
_PATTERNS = {
    "spaced": _apart(_ALONE[0], "[a-z$@]", rf" {{1,3}}|{_MARK}", _LETTER, _ALONE[1]),
    "dotted_cjk": _apart(_ALONE_CJK[0], _PART, _MARK, _PART, _ALONE_CJK[1]),
    "pair_cjk": rf"{_ALONE_CJK[0]}[{_CJK}][-/.*•~^|]{{1,2}}[{_CJK}]{_ALONE_CJK[1]}",
    "spaced_cjk": _apart(_ALONE_CJK[0], _PART, " {1,3}", _PART, _ALONE_CJK[1]),
    "noisy_han": "(?<=[\u4e00-\u9fff])[•★]{1,3}(?=[\u4e00-\u9fff])",
    "noisy_hangul": "[가-힣]•{1,3}[가-힣](?:•{1,3}[가-힣])+",
    "split_latin": rf"{_ALONE[0]}[a-z]{{2,}}[.*•~^|][a-z]{{2,}}{_ALONE[1]}",
    "split_hangul": "(?<![가-힣])(?:[가-힣]•[가-힣]{2,}|[가-힣]{2,}•[가-힣])(?![가-힣])",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
ANY = "|".join(
    re.sub(
        r"\(\?P<sep>|\(\?P=sep\)", lambda m, n=i: f"(?P<sep{n}>" if "<" in m[0] else f"(?P=sep{n})", pattern
    )
    for i, pattern in enumerate(_PATTERNS.values())
)

WORDS = re.compile(r"[^\W\d_]+")
TWINS = re.compile("[\u0370-\u058f\u13a0-\u13ff\u2c80-\u2cff\ua4d0-\ua4ff\uab70-\uabbf]")
"""Letters of the scripts that pass for Latin ones: Greek, Cyrillic, Armenian, Cherokee, Coptic, Lisu."""

_SIZES = frozenset("xsml")
_TO_CYRILLIC = dict(zip("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ", strict=True))


def letters_only(run: str) -> list[Piece]:
    """Keep letters, digits and the signs that stand for letters."""
    return [(char, at) for at, char in enumerate(run) if char.isalnum() or char in "$@!"]


def join_spaced(run: str) -> list[Piece] | None:
    """Join ``c.h.a.r.g.e.r``; sizes (S M L) and the alphabet (A B C) are not words."""
    pieces = letters_only(run)
    letters = "".join(char for char, _ in pieces)
    digits = sum(not char.isalpha() for char in letters)
    if digits * 4 > len(letters) or not letters[-1].isalpha() or set(letters) <= _SIZES:
        return None
    if all(ord(b) - ord(a) == 1 for a, b in pairwise(letters)):
        return None
    return _parted(pieces) if letters.isalpha() else pieces


def _parted(pieces: list[Piece]) -> list[Piece]:
    """Put spaces between the words of a run in which every letter stood alone."""
    apart: list[Piece] = []
    at = 0
    for word in words.part("".join(char for char, _ in pieces)):
        if at:
            apart.append((" ", pieces[at][1] - 1))
        apart += pieces[at : at + len(word)]
        at += len(word)
    return apart


def join_split(run: str) -> list[Piece] | None:
    """Join ``char*ger``: a word of ours, or one whose halves are not both words."""
    cut = next(at for at, char in enumerate(run) if not char.isalpha())
    left, right = run[:cut], run[cut + 1 :]
    word = left + right
    if word in words.known_words():
        return letters_only(run)
    if len(word) < 5 or not words.is_word(word) or (words.is_word(left) and words.is_word(right)):
        return None
    return letters_only(run)


def latin_twins(text: str) -> Change:
    """Make the judge of look-alike letters for one text.

    A word that mixes scripts is read as Latin where every foreign letter in it passes for a Latin one. A
    word wholly in such letters is read as Latin only among Latin words, and not where the text has a word
    that is foreign beyond doubt: genuine Russian and Greek stay.
    """
    found = WORDS.findall(text)
    foreign = any(not charmap.looks_like(c) for word in found for c in TWINS.findall(word))
    latin = any(c.isascii() for word in found for c in word)

    def judge(word: str) -> list[Piece] | None:
        if word.isascii() or not TWINS.search(word):
            return None
        twins = [c if c.isascii() else charmap.looks_like(c) for c in word]
        mixed = any(c.isascii() for c in word)
        if mixed and foreign and (cyrillic := _as_cyrillic(word)):
            return cyrillic
        if all(twins) and (mixed or (latin and not foreign)):
            return in_place("".join(twins))
        return _as_cyrillic(word) if mixed else None

    return judge


def _as_cyrillic(word: str) -> list[Piece] | None:
    """Read a Cyrillic word with some Latin letters among it."""
    latin = [c for c in word if c.isascii()]
    cyrillic = sum("\u0400" <= c <= "\u04ff" for c in word)
    if cyrillic + len(latin) < len(word) or cyrillic <= len(latin):
        return None
    if any(c not in _TO_CYRILLIC for c in latin):
        return None
    return in_place("".join(_TO_CYRILLIC.get(c, c) for c in word))


@cache
def _parts() -> dict[str, str]:
    """Return Chinese characters by the parts that they are written as."""
    lines = resources.files("features").joinpath("han_parts.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {parts: whole for whole, *ways in rows for parts in ways}


@cache
def han_parts() -> re.Pattern[str]:
    """Return what finds characters that were taken apart; the longest first."""
    return re.compile("|".join(sorted(_parts(), key=lambda parts: (-len(parts), parts))))


def join_parts(run: str) -> list[Piece]:
    """Put the character in place of its parts."""
    return [(_parts()[run], 0)]
