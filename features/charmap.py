"""What single characters stand for: look-alikes, styled letters, marks and noise.

Tables are built from Unicode and from the confusables of the kept library ``confusable-homoglyphs``,
on first need and one character at a time, so that importing this module reads nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

NOISE = "•"
"""Stands for an emoji, a star or another picture until the words around it are known."""

# Default_Ignorable_Code_Point (Unicode 15), apart from the joiners that Arabic and Indic spelling needs.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
JOINERS = "\u200c\u200d"
_JOINING_SCRIPTS = re.compile("[\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u18af]")
_DIACRITICS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
# NFKC would take these letters apart into what their scripts do not write.
_KEPT_WHOLE = re.compile("[\u0e33\u0eb3\u0f0c\u0f77\u0f79\u0675-\u0678\u3131-\u318e]")
_REGIONAL = range(0x1F1E6, 0x1F200)
_FLAG = re.compile("(?<![\U0001f1e6-\U0001f1ff])[\U0001f1e6-\U0001f1ff]{2}(?![\U0001f1e6-\U0001f1ff])")
_WHITE_ON_BLACK = (0x1F150, 0x1F170)  # negative circled and squared capitals have no decomposition

_ONE_TO_ONE = {
    **dict.fromkeys(map(ord, "‘’‚‛ʼʹ′´`＇"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″＂"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-"),
    ord("_"): " ",
    **dict.fromkeys(map(ord, "‧・ㆍ∙⋅･"), "·"),
    **dict.fromkeys(map(ord, "…⋯"), "."),
    **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u3000\t\r\n"), " "),
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0) not in "'\"-`"},
    ord("、"): ",",
    ord("。"): ".",
}
_WITHOUT_DECOMPOSITION = {
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
    "ı": "i", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ẞ": "SS", "þ": "th", "Þ": "TH",
    "ð": "d", "Ð": "D",
}  # fmt: skip


@cache
def _one_to_one() -> dict[int, str]:
    """Every common character with exactly one plain counterpart: the quick way through."""
    table = {}
    for code in (
        *range(0x00A1, 0x0250),
        *range(0x1E00, 0x1F00),
        *range(0x2010, 0x2C00),
        *range(0x1F300, 0x1FB00),
    ):
        plain = plain_form(chr(code))
        if len(plain) == 1 and plain != chr(code) and not unicodedata.combining(plain):
            table[code] = plain
    return table | _ONE_TO_ONE


def translate(text: str) -> str:
    """Replace what has exactly one plain counterpart; the length stays the same."""
    if text.isascii():
        return text.replace("_", " ")
    return _FLAG.sub(NOISE * 2, text.translate(_one_to_one()))


@cache
def _letters_alike() -> dict[str, str]:
    """Letters that look like one ASCII letter, upper case kept."""
    from confusable_homoglyphs.confusables import confusables_data

    alike: dict[str, str] = {}
    for char, found in confusables_data.items():
        if len(char) == 1 and char.isalpha() and not char.isascii():
            for entry in found:
                if len(entry["c"]) == 1 and entry["c"].isascii() and entry["c"].isalpha():
                    alike.setdefault(char, entry["c"])
    # The table leaves out look-alikes that only a small font shows.
    alike |= dict(zip("кмтвнгɴʟʀʜᴅᴇᴋᴍᴘᴛᴊʙɢᴀᴜᴄᴏꜱκτη", "kmtbhrnlrhdekmptjbgaucosktn", strict=True))
    # The final sigma is what the lunate one becomes; the small palochka is a bare stroke.
    alike |= {"ς": "c", "ϲ": "c", "ӏ": "l"}
    # Signs of measurement, and letters whose likeness no reader sees.
    for char in "ΩΩωƍγσЬ":
        alike.pop(char, None)
    return alike


def looks_like(char: str) -> str:
    """ASCII letter that ``char`` can pass for, or the empty string."""
    return _letters_alike().get(char, "")


def joins(before: str) -> bool:
    """Whether a zero-width joiner after this character is spelling and not noise."""
    return bool(before) and _JOINING_SCRIPTS.match(before) is not None


def is_diacritic(char: str) -> bool:
    """Whether ``char`` is a free-standing accent of a general block (not a vowel sign of some script)."""
    return _DIACRITICS.match(char) is not None


def _latin(char: str) -> str:
    """Plain letters of a Latin letter with marks, or of a styled form; empty where it has none."""
    if char in _WITHOUT_DECOMPOSITION:
        return _WITHOUT_DECOMPOSITION[char]
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if base and base.isascii():
        return base
    return looks_like(char) if unicodedata.name(char, "").startswith("LATIN") else ""


def _symbol(char: str) -> str:
    """Letters that a symbol carries (such as a circled letter), else noise."""
    code = ord(char)
    if char == "°":
        return char
    if code in _REGIONAL:
        return chr(code - _REGIONAL.start + ord("a"))
    for start in _WHITE_ON_BLACK:
        if start <= code < start + 26:
            return chr(code - start + ord("a"))
    plain = unicodedata.normalize("NFKC", char)
    return plain if plain != char and char not in "™℠" else NOISE


@cache
def plain_form(char: str) -> str:
    """What one character is read as, before its word is known; case is kept.

    Parameters
    ----------
    char
        One code point, any, lone surrogates included.

    Returns
    -------
    str
        Empty for the invisible, `NOISE` for pictures, otherwise one or more characters. A letter never
        becomes nothing.
    """
    category = unicodedata.category(char)
    if _IGNORABLE.match(char):
        return ""
    if char.isspace() or category[0] == "Z":
        return " "
    if category == "Cc":
        return ""
    if category in ("Co", "Cs"):
        return NOISE
    if char == "_" or _KEPT_WHOLE.match(char):
        return " " if char == "_" else char
    if category == "So":
        return _symbol(char)
    if category == "Sk" and not char.isascii():
        return NOISE
    if category[0] == "L" and (latin := _latin(char)):
        return latin
    return unicodedata.normalize("NFKC", char)
