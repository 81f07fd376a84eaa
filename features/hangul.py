"""Hangul that was taken apart: letters (jamo) put back into syllables."""

from __future__ import annotations

import re

LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
TAILS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

_CONJOINING = {
    **{chr(0x1100 + i): c for i, c in enumerate(LEADS)},
    **{chr(0x1161 + i): c for i, c in enumerate(VOWELS)},
    **{chr(0x11A7 + i): c for i, c in enumerate(TAILS) if i},
}
_TAIL_PAIRS: dict[str, str] = {
    "ㄱㅅ": "ㄳ", "ㄴㅈ": "ㄵ", "ㄴㅎ": "ㄶ", "ㄹㄱ": "ㄺ", "ㄹㅁ": "ㄻ", "ㄹㅂ": "ㄼ",
    "ㄹㅅ": "ㄽ", "ㄹㅌ": "ㄾ", "ㄹㅍ": "ㄿ", "ㄹㅎ": "ㅀ", "ㅂㅅ": "ㅄ",
}  # fmt: skip
_VOWEL_PAIRS: dict[str, str] = {
    "ㅏㅣ": "ㅐ", "ㅑㅣ": "ㅒ", "ㅓㅣ": "ㅔ", "ㅕㅣ": "ㅖ", "ㅗㅏ": "ㅘ", "ㅗㅐ": "ㅙ",
    "ㅗㅣ": "ㅚ", "ㅜㅓ": "ㅝ", "ㅜㅔ": "ㅞ", "ㅜㅣ": "ㅟ", "ㅡㅣ": "ㅢ",
}  # fmt: skip
_FIRST, _LAST = 0xAC00, 0xD7A3

HAS_JAMO = re.compile("[\u1100-\u11ff\u3131-\u3163]")
RUN = re.compile("[가-힣ㄱ-ㅣᄀ-ᇿ]+")
LATIN_CONSONANT = re.compile("(?<![a-z])(?:ch|kk|pp|tt|ss|jj|[bcdghjkmnprstl])(?=[ㅏ-ㅣ])")
LATIN_VOWEL = re.compile("(?<=[ㄱ-ㅎ])(?:yeo|wa|wo|eo|eu|ae|ya|yo|yu|[aeiou])(?![a-z])")
_SOUNDS = {
    "b": "ㅂ", "c": "ㅋ", "ch": "ㅊ", "d": "ㄷ", "g": "ㄱ", "h": "ㅎ", "j": "ㅈ", "k": "ㅋ", "m": "ㅁ",
    "n": "ㄴ", "p": "ㅍ", "r": "ㄹ", "l": "ㄹ", "s": "ㅅ", "t": "ㅌ", "kk": "ㄲ", "pp": "ㅃ", "tt": "ㄸ",
    "ss": "ㅆ", "jj": "ㅉ", "a": "ㅏ", "e": "ㅔ", "i": "ㅣ", "o": "ㅗ", "u": "ㅜ", "eo": "ㅓ", "eu": "ㅡ",
    "ae": "ㅐ", "ya": "ㅑ", "yo": "ㅛ", "yu": "ㅠ", "yeo": "ㅕ", "wa": "ㅘ", "wo": "ㅝ",
}  # fmt: skip


def _syllable(lead: str, vowel: str, tail: str = " ") -> str:
    return chr(_FIRST + (LEADS.index(lead) * 21 + VOWELS.index(vowel)) * 28 + TAILS.index(tail))


def _is_open(char: str) -> bool:
    """A syllable without a final consonant."""
    return _FIRST <= ord(char) <= _LAST and (ord(char) - _FIRST) % 28 == 0


def _is_syllable(char: str) -> bool:
    return _FIRST <= ord(char) <= _LAST


class _Reader:
    """Reads syllables off a run, remembering where each began."""

    def __init__(self, run: str) -> None:
        self.joined = {i for i, c in enumerate(run) if "\u11a8" <= c <= "\u11c2"}
        self.run = "".join(_CONJOINING.get(c, c) for c in run)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.run[at] if at < len(self.run) else ""

    def vowel(self) -> str:
        """Take one vowel, or two that make one."""
        pair = _VOWEL_PAIRS.get(self.peek() + self.peek(1))
        self.at += 2 if pair else 1
        return pair or self.run[self.at - 1]

    def tail(self) -> str:
        """Take the final consonant(s), leaving what begins the next syllable."""
        first, second, third = self.peek(), self.peek(1), self.peek(2)
        if not first or first not in TAILS or (second and second in VOWELS):
            return " "
        pair = _TAIL_PAIRS.get(first + second) if second else None
        if pair and not (third and third in VOWELS):
            self.at += 2
            return pair
        self.at += 1
        return first

    def closes(self) -> bool:
        """Whether the lone consonant here belongs under the open syllable before it.

        ``모ㄹ카`` does; ``ㄱ자`` (a shape), ``ㅋㅋ`` (laughter) and a consonant at the end do not.
        """
        here, after = self.peek(), self.peek(1)
        if here not in TAILS or here == " ":
            return False
        if self.at in self.joined:
            return True
        return (
            bool(after) and after != "자" and (_is_syllable(after) or self._begins(1)) and here not in "ㅋㅎ"
        )

    def _begins(self, ahead: int) -> bool:
        lead, vowel = self.peek(ahead), self.peek(ahead + 1)
        return bool(lead and vowel) and lead in LEADS and vowel in VOWELS


def compose(run: str) -> list[tuple[str, int]]:
    """Put letters back into syllables.

    Parameters
    ----------
    run
        Hangul only: syllables, compatibility letters, conjoining letters, in any mix.

    Returns
    -------
    list of (str, int)
        Each character of the result with its position in ``run``. Letters that make no syllable stay
        as they are.
    """
    reader = _Reader(run)
    found: list[tuple[str, int]] = []
    while here := reader.peek():
        start, after = reader.at, reader.peek(1)
        if here in LEADS and after and after in VOWELS:
            reader.at += 1
            vowel = reader.vowel()
            found.append((_syllable(here, vowel, reader.tail()), start))
        elif _is_open(here) and after == "ㅣ" and _with_i(here):
            reader.at += 2
            found.append((_with_i(here), start))
        elif _is_open(here) and after:
            reader.at += 1
            closing = reader.peek() if reader.closes() else ""
            reader.at += len(closing)
            found.append((chr(ord(here) + TAILS.index(closing)) if closing else here, start))
        else:
            reader.at += 1
            found.append((here, start))
    return found


def _with_i(char: str) -> str:
    """``머`` + ``ㅣ`` is ``메``: the same syllable with its vowel completed, or nothing."""
    lead, vowel = divmod((ord(char) - _FIRST) // 28, 21)
    full = _VOWEL_PAIRS.get(VOWELS[vowel] + "ㅣ")
    return _syllable(LEADS[lead], full) if full else ""


def sound(letters: str) -> list[tuple[str, int]]:
    """Hangul letter of the Latin letters written in its place, as in ``bㅏ``."""
    return [(_SOUNDS[letters], 0)]
