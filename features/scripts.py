"""The language of a short text, told by its script."""

from __future__ import annotations

import re

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
    hangul, han, kana = _count(_HANGUL, text), _count(_HAN, text), _count(_KANA, text)
    latin = _count(_LATIN, text)
    rest = _count(_LETTER, text) - hangul - han - kana - latin
    if rest > latin and rest > hangul + han:
        return "other"
    if hangul >= 2 and hangul * 12 >= latin and hangul * 3 >= han:
        return "ko"
    if kana >= 2 and kana * 5 >= han + kana:
        return "other"
    if han >= 2 and han * 8 >= latin:
        return "zh"
    if latin:
        return "en"
    return "ko" if hangul else "zh" if han else "other"
