"""Text that resists evasion: plain lower-case words, with the way back to what the seller wrote.

Undone: zero-width and look-alike characters, styled letters, spaced and dotted spellings, leet, split
Hangul, pictures between letters, repeated punctuation, marks on Latin letters. No script is dropped: what
is not Latin, Korean or Chinese stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from features import charmap, hangul, leet

Piece = tuple[str, int]
"""A character of the result and its position in the match it replaces."""

_MAX_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Normalized:
    """Normalised text and where each of its characters came from.

    Attributes
    ----------
    original
        As the seller wrote it.
    text
        Lower case, single spaces, no spaces at the ends.
    offsets
        ``len(text) + 1`` positions in ``original``, never falling; the last is ``len(original)``.
    """

    original: str
    text: str
    offsets: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Positions in the original of ``text[start:end]``, without invisible characters at its end."""
        end = min(end, len(self.text))
        if isinstance(self.offsets, range):
            return start, end
        first, last = self.offsets[start], self.offsets[end]
        if last <= first and end > start:  # one original character became several
            last = next((o for o in self.offsets[end:] if o > first), len(self.original))
        while last > first + 1 and charmap.plain_form(self.original[last - 1]) in ("", " ", charmap.NOISE):
            last -= 1
        return first, last

    def quote(self, start: int, end: int) -> str:
        """What the seller wrote for ``text[start:end]``."""
        first, last = self.span(start, end)
        return self.original[first:last]


# What goes almost straight through: ASCII, Hangul syllables, Han, kana.
_PLAIN = re.compile(r"[ -~가-힣\u4e00-\u9fffぁ-ゖァ-ヺー・·×°₩￦¥€£℃《》「」【】『』]*")
_SEPARATOR = r"[ ._\-*·•~|+,'^:/\\]{1,3}"
_CJK = "가-힣\u4e00-\u9fff"
_SPACED_LATIN = rf"(?<![^\W_])[a-z$@]({_SEPARATOR})[a-z0-9$@!](?:\1[a-z0-9$@!])+(?![^\W_])"
_SPACED_CJK = rf"(?<![{_CJK}])[{_CJK}ㄱ-ㅣ]( {{1,3}})[{_CJK}ㄱ-ㅣ](?:\1[{_CJK}ㄱ-ㅣ])+(?![{_CJK}])"
_DOTTED_CJK = _SPACED_CJK.replace("( {1,3})", r"([._\-*·•~|+,'^:/\\]{1,3})")
_PAIR_CJK = rf"(?<![{_CJK}])[{_CJK}][.*•~^|]{{1,2}}[{_CJK}](?![{_CJK}])"
_SPLIT_LATIN = r"(?<![^\W_])[a-z]{2,}[.*•~^|][a-z]{2,}(?![^\W_])"
_SPLIT_HANGUL = r"(?<![가-힣])(?:[가-힣]•[가-힣]{2,}|[가-힣]{2,}•[가-힣])(?![가-힣])"
_REPEATED = r"([^\w\s])\1+"
_BLANK = r" {2,}|^ | $"
# One look that decides whether any of the slow steps has work.
_ODD = re.compile(
    "|".join(
        [
            _BLANK,
            _REPEATED,
            leet.SUSPECT,
            r"(?<![^\W_])[a-z$@][ ._\-*·~|+,'^:/\\]{1,3}[a-z0-9$@!](?![^\W_])",
            rf"(?<![{_CJK}])[{_CJK}][ ._\-*·~|+,'^:/\\]{{1,3}}[{_CJK}](?![{_CJK}])",
            r"[a-z]{2}[.*~^|][a-z]{2}|_",
        ]
    )
)
_WORDS = re.compile(r"[^\W\d_]+")
_SIZES = frozenset("xsml")


class _Text:
    """Text under repair with the position of each character."""

    def __init__(self, chars: str, offsets: list[int], end: int) -> None:
        self.chars = chars
        self.offsets = offsets
        self.end = end

    def rewrite(self, pattern: re.Pattern[str], change: Callable[[str], list[Piece] | None]) -> None:
        """Replace each match by the pieces that ``change`` makes of it; None leaves it."""
        chars: list[str] = []
        offsets: list[int] = []
        done = 0
        for match in pattern.finditer(self.chars):
            pieces = change(match[0])
            if pieces is None:
                continue
            chars.append(self.chars[done : match.start()])
            offsets += self.offsets[done : match.start()]
            chars += [c for c, _ in pieces]
            offsets += [self.offsets[match.start() + at] for _, at in pieces]
            done = match.end()
        if done:
            self.chars = "".join(chars) + self.chars[done:]
            self.offsets = offsets + self.offsets[done:]


def _same_length(word: str) -> list[Piece] | None:
    return [(c, i) for i, c in enumerate(word)] if word else None


def _letters_only(run: str) -> list[Piece]:
    return [(c, i) for i, c in enumerate(run) if c.isalnum() or c in "$@!"]


def _spaced(run: str) -> list[Piece] | None:
    """Join ``c.h.a.r.g.e.r``; sizes (S M L) and the alphabet (A B C) are not words."""
    pieces = _letters_only(run)
    letters = "".join(c for c, _ in pieces)
    digits = sum(not c.isalpha() for c in letters)
    if digits * 2 > len(letters) or not letters[-1].isalpha() or set(letters) <= _SIZES:
        return None
    if all(ord(b) - ord(a) == 1 for a, b in pairwise(letters)):
        return None
    return pieces


def _split_word(run: str) -> list[Piece] | None:
    """Join ``char*ger``: a word of ours, or one whose halves are not words."""
    pieces = _letters_only(run)
    word = "".join(c for c, _ in pieces)
    if word in leet.known_words():
        return pieces
    left, right = run[: -len(run) + _cut(run)], run[_cut(run) + 1 :]
    if len(word) < 5 or not leet.is_word(word) or (leet.is_word(left) and leet.is_word(right)):
        return None
    return pieces


def _cut(run: str) -> int:
    return next(i for i, c in enumerate(run) if not c.isalpha())


def _plain_letters(words: str) -> Callable[[str], list[Piece] | None]:
    """Make the judge of look-alike letters for one text: it needs to know the text's own scripts."""
    others = [w for w in _WORDS.findall(words) if not w.isascii()]
    foreign = any(not charmap.looks_like(c) and _has_twins(c) for w in others for c in w)
    latin = any(c.isascii() for w in _WORDS.findall(words) for c in w)

    def judge(word: str) -> list[Piece] | None:
        if word.isascii() or not any(_has_twins(c) for c in word):
            return None
        twins = [c if c.isascii() else charmap.looks_like(c) for c in word]
        mixed = any(c.isascii() for c in word)
        if all(twins) and (mixed or (latin and not foreign and len(word) > 1)):
            return _same_length("".join(twins))
        return _as_cyrillic(word) if mixed else None

    return judge


def _has_twins(char: str) -> bool:
    """Whether the letter's script is one whose letters pass for Latin ones."""
    code = ord(char)
    return (
        0x0370 <= code <= 0x058F
        or 0x13A0 <= code <= 0x13FF
        or 0x2C80 <= code <= 0x2CFF
        or (0xA4D0 <= code <= 0xA4FF or 0xAB70 <= code <= 0xABBF)
    )


_TO_CYRILLIC = dict(zip("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ", strict=True))


def _as_cyrillic(word: str) -> list[Piece] | None:
    """A Cyrillic word with some Latin letters among it."""
    latin = [c for c in word if c.isascii()]
    cyrillic = sum("\u0400" <= c <= "\u04ff" for c in word)
    if (
        cyrillic + len(latin) < len(word)
        or cyrillic <= len(latin)
        or any(c not in _TO_CYRILLIC for c in latin)
    ):
        return None
    return _same_length("".join(_TO_CYRILLIC.get(c, c) for c in word))


def _characters(text: str) -> _Text:
    """Step one: each character by itself, marks joined to their letters."""
    chars: list[str] = []
    offsets: list[int] = []
    for at, char in enumerate(text):
        before = chars[-1] if chars else ""
        joiner = char in charmap.JOINERS and charmap.joins(before)
        plain = char if joiner else charmap.plain_form(char)
        for c in plain:
            if unicodedata.combining(c) and chars:
                joined = unicodedata.normalize("NFC", chars[-1] + c)
                if len(joined) == 1 and not chars[-1].isascii():
                    chars[-1] = joined
                    continue
            if charmap.is_diacritic(c):
                continue
            chars.append(c)
            offsets.append(at)
    return _Text("".join(chars), offsets, len(text))


_HANGUL_L = re.compile("(?<=[가-힣])[l|](?=[가-힣])")
_COMPILED = {
    "spaced": re.compile(_SPACED_LATIN),
    "dotted_cjk": re.compile(_DOTTED_CJK),
    "spaced_cjk": re.compile(_SPACED_CJK),
    "pair": re.compile(_PAIR_CJK),
    "split": re.compile(_SPLIT_LATIN),
    "split_hangul": re.compile(_SPLIT_HANGUL),
    "repeated": re.compile(_REPEATED),
    "noise": re.compile("[•_]+"),
    "blank": re.compile(r"\s{2,}|^\s|\s$"),
}


def _once(text: str) -> _Text:
    """All steps in their order."""
    work = _characters(charmap.translate(text))
    if not work.chars.isascii():
        work.rewrite(_WORDS, _plain_letters(work.chars))
    work.chars = "".join(c if len(c.lower()) != 1 else c.lower() for c in work.chars)
    for name in ("spaced", "dotted_cjk", "pair", "spaced_cjk"):
        work.rewrite(_COMPILED[name], _spaced if name == "spaced" else _letters_only)
    if hangul.HAS_JAMO.search(work.chars):
        work.rewrite(hangul.RUN, lambda run: hangul.compose(run) if hangul.HAS_JAMO.search(run) else None)
    work.rewrite(_COMPILED["split_hangul"], _letters_only)
    work.rewrite(leet.CANDIDATE, lambda token: _same_length(leet.read(token)))
    work.rewrite(_COMPILED["split"], _split_word)
    work.rewrite(_COMPILED["repeated"], lambda run: [(run[0], 0)])
    work.rewrite(_COMPILED["noise"], lambda _: [(" ", 0)])
    _trim(work)
    return work


def _trim(work: _Text) -> None:
    """Single spaces, none at the ends."""
    work.rewrite(re.compile(r"\s+"), lambda _: [(" ", 0)])
    left = len(work.chars) - len(work.chars.lstrip(" "))
    right = len(work.chars.rstrip(" "))
    if left or right < len(work.chars):
        work.chars, work.offsets = work.chars[left:right], work.offsets[left:right]


def normalize(text: str) -> Normalized:
    """Undo evasive spelling.

    Parameters
    ----------
    text
        Any string: hostile, empty, with lone surrogates.

    Returns
    -------
    Normalized
        Normalising its ``text`` again changes nothing.
    """
    plain = text if _PLAIN.fullmatch(text) else charmap.translate(text)
    if _PLAIN.fullmatch(plain):
        lower = plain.lower()
        if not _ODD.search(lower):
            return Normalized(text, lower, range(len(text) + 1))
    work = _once(text)
    chars, offsets = work.chars, work.offsets
    for _ in range(_MAX_ROUNDS):
        if _PLAIN.fullmatch(chars) and not _ODD.search(chars):
            break
        again = _once(chars)
        if again.chars == chars:
            break
        chars, offsets = again.chars, [offsets[at] for at in again.offsets]
    return Normalized(text, chars, [*offsets, len(text)])


_HANGUL = re.compile("[가-힣ㄱ-ㅣᄀ-ᇿ]+")
_KANA = re.compile("[ぁ-ゖァ-ヺｦ-ﾝ]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\uff21-\uff5a]+")
_LETTER = re.compile(r"[^\W\d_]+")


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))


def language(text: str) -> str:
    """Tell the language by its script.

    Parameters
    ----------
    text
        Raw or normalised.

    Returns
    -------
    str
        ``ko``, ``en`` (mostly Latin letters), ``zh`` or ``other`` (kana, any further script, no letters). A
        Korean or Chinese title with English brands stays Korean or Chinese: one of their characters carries
        about as much as two or three Latin letters, and brands are long.
    """
    if text.isascii():
        return "en" if _LATIN.search(text) else "other"
    hangul_n, han, kana = _count(_HANGUL, text), _count(_HAN, text), _count(_KANA, text)
    latin = _count(_LATIN, text)
    rest = _count(_LETTER, text) - hangul_n - han - kana - latin
    if rest > latin and rest > hangul_n + han:
        return "other"
    if hangul_n >= 2 and hangul_n * 12 >= latin and hangul_n * 3 >= han:
        return "ko"
    if kana * 5 >= han + kana and kana >= 2:
        return "other"
    if han >= 2 and han * 8 >= latin:
        return "zh"
    if latin:
        return "en"
    return "ko" if hangul_n else "zh" if han else "other"
