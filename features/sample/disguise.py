"""How sellers disguise words: the manners of the sample's evasive variants."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_BRACES = re.compile(r"\{([^{}]*)\}")
_LOOK_ALIKE = str.maketrans("aceiopsxyABEHKMOPT", "асеіорѕхуАВЕНКМОРТ")
_LEET = str.maketrans("aeiostAEIOST", "431057" * 2)
_EMOJI = "✨🔥💥⭐"
_MIXED = str.maketrans(
    {"반": "bㅏㄴ", "모": "ㅁo", "헬": "hㅔㄹ", "충": "chㅜㅇ", "지": "jㅣ", "1": "l", "0": "O"}
)


def disguise(title: str, kind: str) -> str:
    """Disguise the words of a title that stand in braces.

    Parameters
    ----------
    title
        Such as ``"Mini {Spy Camera} 1cm"``.
    kind
        One of the names in ``KINDS``.

    Returns
    -------
    str
        The title without braces.

    Raises
    ------
    ValueError
        When the kind is unknown or nothing was disguised.
    """
    if kind not in KINDS:
        raise ValueError(f"evasion kind {kind!r} is unknown; expected one of {sorted(KINDS)}")
    result = _BRACES.sub(lambda match: KINDS[kind](match[1]), title)
    if result == _BRACES.sub(r"\1", title):
        raise ValueError(
            f"{kind} changes nothing in a title of {len(title)} characters; mark other words in braces"
        )
    return result


def _joined(separator: str) -> Callable[[str], str]:
    return lambda words: " ".join(separator.join(word) for word in words.split())


def _split_jamo(words: str) -> str:
    """Write Hangul letter by letter in compatibility jamo, as typed one key at a time."""
    return "".join(_compatibility(letter) for letter in unicodedata.normalize("NFD", words))


def _compatibility(letter: str) -> str:
    """The compatibility form of a conjoining jamo; other characters stay as they are."""
    leads, vowels = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
    tails = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
    for first, table in ((0x1100, leads), (0x1161, vowels), (0x11A8, tails)):
        if 0 <= ord(letter) - first < len(table):
            return table[ord(letter) - first]
    return letter


def _emoji(words: str) -> str:
    return "".join(
        letter + (_EMOJI[i % len(_EMOJI)] if letter != " " else "") for i, letter in enumerate(words)
    )


def _fullwidth(words: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in words)


KINDS: dict[str, Callable[[str], str]] = {
    "spaced": _joined(" "),
    "dotted": _joined("."),
    "zero_width": _joined("\u200b"),
    "look_alike": lambda words: words.translate(_LOOK_ALIKE),
    "leet": lambda words: words.translate(_LEET),
    "split_jamo": _split_jamo,
    "emoji": _emoji,
    "fullwidth": _fullwidth,
    "mixed_script": lambda words: words.translate(_MIXED),
}
