"""Words written with digits and signs for letters, such as ``c4mera``.

A spelling is read as leet only where a real word comes out: from the short list kept beside this module
(goods, hazards and the words covert goods go by), or, for digits inside a word, from the English
frequency list of the kept library ``pyspellchecker``. So ``3D``, ``USB3.0`` and model numbers stay.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod

from features.draft import Piece, in_place
from features.goods_words import latin_goods
from features.words import common_words, english_words, known_words

_SIGNS = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "il", "|": "li",
}  # fmt: skip
_KNOWN_SIGNS = _SIGNS | {"1": "ily", "6": "gb", "!": "ily"}
_MAX_READINGS = 64
_LEAST_OF_FIGURES = 5

CANDIDATE = re.compile(r"(?<![a-z0-9@$!|])[a-z0-9@$!|]{2,40}(?![a-z0-9@$!|])")
_UNITS = "kg|mm|cm|ml|pc|pcs|xl|xxl|ft|in|oz|gb|tb|mb|lbs?|st|nd|rd|th|wd|pk|sets?|pairs?|hz|mah|mp|yr|ply|way|in\\d"
SUSPECT = (
    rf"[a-z][0134578@$!|]{{1,3}}[a-z]|(?<![^\W_])[0134578@$]{{1,3}}(?!(?:{_UNITS})(?![^\W_]))[a-z]{{2}}"
    r"|[a-z]{2}[0134578@$]{1,3}(?![^\W_])|[0134578@$!|][a-z][0134578@$!|]"
)
"""What hints at leet; a figure with a unit does not."""


_FIGURE = re.compile(rf"[0-9]+(?:{_UNITS}|amps?)")


def _readings(token: str, signs: dict[str, str]) -> list[str]:
    choices = [signs.get(c, c) for c in token]
    if prod(map(len, choices)) > _MAX_READINGS:
        return []
    return ["".join(letters) for letters in product(*choices) if "".join(letters).isalpha()]


def read(token: str) -> str:
    """Read one token.

    Parameters
    ----------
    token
        Lower case, letters, digits and the signs ``@ $ ! |``.

    Returns
    -------
    str
        The word meant, of the same length; the empty string where the token is not leet.
    """
    if _FIGURE.fullmatch(token):
        return ""
    letters = sum(c.isalpha() for c in token)
    if letters == len(token) or len(token) > 24 or token.isdigit():
        return ""
    if letters * 3 < len(token) or letters < 2:
        return _mostly_figures(token)
    for word in _readings(token, _KNOWN_SIGNS):
        if word in known_words() or word in latin_goods():
            return word
    if len(token) < 4 or letters * 3 < len(token) * 2 or not (token[0].isalpha() and token[-1].isalpha()):
        return _mostly_figures(token)
    return next((w for w in _readings(token, _SIGNS) if w in english_words()), "")


def _mostly_figures(token: str) -> str:
    """Read a word of which little is left, such as ``7!$5u3``: a longer one, since model numbers are short."""
    if len(token) < _LEAST_OF_FIGURES:
        return ""
    return next(
        (word for word in _readings(token, _SIGNS) if word in common_words() or word in latin_goods()), ""
    )


def change(token: str) -> list[Piece] | None:
    """Pieces of the word meant; signs at the ends are punctuation, not letters."""
    core = token.strip("!|")
    word = read(core) if len(core) > 1 else ""
    if not word:
        return None
    start = token.index(core)
    return in_place(token[:start] + word + token[start + len(core) :])
