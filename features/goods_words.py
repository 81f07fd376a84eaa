"""Words of goods that a disguised spelling may be read as: ``goods_words.txt``, made by ``benchmarks/tuning``."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def _words() -> tuple[str, ...]:
    text = resources.files("features").joinpath("goods_words.txt").read_text(encoding="utf-8")
    return tuple(w for line in text.splitlines() if not line.startswith("#") for w in line.split())


@cache
def latin_goods() -> frozenset[str]:
    """Return words in Latin letters, four letters and more."""
    return frozenset(word for word in _words() if word.isascii())


@cache
def korean_goods() -> tuple[str, ...]:
    """Return Korean terms without blanks, two syllables and more."""
    return _without_blanks("가", "힣")


@cache
def chinese_goods() -> tuple[str, ...]:
    """Return Chinese terms, two characters and more."""
    return _without_blanks("\u4e00", "\u9fff")


def _without_blanks(first: str, last: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(w.replace("_", "") for w in _words() if first <= w[0] <= last))


@cache
def with_blanks() -> frozenset[str]:
    """Return the Korean and Chinese terms that are written with blanks, as they are written."""
    return frozenset(word.replace("_", " ") for word in _words() if "_" in word)


@cache
def han_sounds() -> dict[str, str]:
    """Return the sound of each common Chinese character, in Latin letters without tones."""
    text = resources.files("features").joinpath("han_sounds.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {char: sound for sound, chars in rows for char in chars}
