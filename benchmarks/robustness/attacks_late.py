"""Attacks that were written after the normaliser was frozen for the second time: a third of all.

Nothing of `features` is imported here. `FROZEN` is the commit of normaliser and second reading as they were when this
file was begun. The list of manners was set down whole before any of them was run, and nothing of what they attack was
changed by what they showed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from urllib.parse import quote

import yaml

from benchmarks.robustness.attacks import Attack, Row, letters, on_words, script, swapped

FROZEN = "19f6ebec9eacb388c19e4c2202b6f5934eb09ea1"
WORDS = Path(__file__).with_name("attack_words_late.yaml")

_KEYS = dict(
    zip("qwertyuiopasdfghjklzxcvbnm", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", strict=True)
)
_FROM_KEYS = {letter: key for key, letter in _KEYS.items()} | {
    "ㅃ": "Q", "ㅉ": "W", "ㄸ": "E", "ㄲ": "R", "ㅆ": "T", "ㅒ": "O", "ㅖ": "P", "ㅘ": "hk", "ㅙ": "ho", "ㅚ": "hl",
    "ㅝ": "nj", "ㅞ": "np", "ㅟ": "nl", "ㅢ": "ml", "ㄳ": "rt", "ㄵ": "sw", "ㄶ": "sg", "ㄺ": "fr", "ㄻ": "fa",
    "ㄼ": "fq", "ㄽ": "ft", "ㄾ": "fx", "ㄿ": "fv", "ㅀ": "fg", "ㅄ": "qt",
}  # fmt: skip
_ALIKE = (("m", "rn"), ("w", "vv"), ("d", "cl"), ("h", "lı"), ("u", "ıı"), ("k", "lc"), ("b", "lo"))


@cache
def _lists() -> dict[str, dict[str, str]]:
    return yaml.safe_load(WORDS.read_text(encoding="utf-8"))


def _escaped(word: str, rng: Random) -> str:
    """As addresses or programs write letters."""
    if rng.random() < 0.5:
        return "".join(quote(c) if not c.isascii() else f"%{ord(c):02X}" for c in word)
    return "".join(f"\\u{ord(c):04x}" for c in word)


def _keyboard(word: str, rng: Random) -> str:
    """Typed with the keyboard of the other language."""
    if word.isascii():
        return "".join(_KEYS.get(c.lower(), c) for c in word)
    return "".join(_FROM_KEYS.get(part, part) for c in word for part in letters(c))


def _drawn_alike(word: str, rng: Random) -> str:
    """Letters drawn with others, syllables and characters that look like the right ones."""
    if word.isascii():
        for letter, drawn in rng.sample(_ALIKE, len(_ALIKE)):
            if letter in word.lower():
                return re.sub(letter, drawn, word, flags=re.IGNORECASE)
        return word
    table = _lists()["drawn_alike"]
    return "".join(table.get(c, c) for c in word)


def _traditional(word: str, rng: Random) -> str:
    """Chinese in the characters of Taiwan and Hong Kong."""
    table = _lists()["traditional"]
    return "".join(table.get(c, c) for c in word)


def _run_together(row: Row, rng: Random) -> Row | None:
    title = row["title"].replace(" ", "")
    return None if title == row["title"] else {**row, "title": title}


def _broken_lines(word: str, rng: Random) -> str:
    """A new line within the word."""
    at = rng.randrange(1, len(word))
    return f"{word[:at]}{rng.choice((chr(10), chr(13) + chr(10), chr(9)))}{word[at:]}"


def _interrupted(word: str, rng: Random) -> str:
    """A harmless word in brackets within the word."""
    at = rng.randrange(1, len(word))
    filler = rng.choice(
        ("new", "ok") if word.isascii() else ("신상", "추천") if "가" <= word[0] <= "힣" else ("新款", "好")
    )
    return f"{word[:at]}({filler}){word[at:]}"


def _affix(word: str, rng: Random) -> str:
    """Letters that belong to nothing before or after the word."""
    extra = "".join(rng.choice("xzqjv") for _ in range(rng.randint(1, 2)))
    return f"{extra}{word}" if rng.random() < 0.5 else f"{word}{extra}"


def _swapped_halves(word: str, rng: Random) -> str:
    """The second half first."""
    at = (len(word) + 1) // 2
    return f"{word[at:]}{rng.choice(('/', '_', ''))}{word[:at]}"


def _plain_title(row: Row) -> str:
    return _lists()["plain"][script(row["title"])]


def _bullet(row: Row, rng: Random) -> Row | None:
    """Goods named in one of several points that praise."""
    points = _lists()["points"][script(row["title"])].split("/")
    at = rng.randrange(len(points))
    said = [*points[:at], row["title"][:900], *points[at:]]
    return {**row, "title": _plain_title(row), "bullets": [*row.get("bullets", ()), *said]}


def _halves(row: Row, rng: Random) -> Row | None:
    """Half of the words in the title, the other half in an attribute."""
    words = row["title"].split()
    if len(words) < 2:
        return None
    at = len(words) // 2
    attributes = {**row.get("attributes", {}), "Info": " ".join(words[at:])}
    return {**row, "title": " ".join(words[:at]), "attributes": attributes}


def _third_language(row: Row, rng: Random) -> Row | None:
    """Words of Japanese, Russian or Spanish in place of the seller's own."""
    language = rng.choice(("ja", "ru", "es"))
    source = script(row["title"])
    table = {entry[source]: entry[language] for entry in _lists()["third"].values()}  # type: ignore[index]
    title = swapped(row["title"], table)
    return None if title == row["title"] else {**row, "title": title}


def _squares(word: str, rng: Random) -> str:
    """Letters of flags, or white on black."""
    first = rng.choice((0x1F1E6, 0x1F170, 0x1F130))
    return "".join(chr(first + ord(c) - ord("a")) if "a" <= (c := x.lower()) <= "z" else x for x in word)


LATE_ATTACKS: dict[str, Attack] = {
    "late_escaped": on_words(_escaped),
    "late_keyboard": on_words(_keyboard),
    "late_drawn_alike": on_words(_drawn_alike),
    "late_traditional": on_words(_traditional),
    "late_run_together": _run_together,
    "late_broken_lines": on_words(_broken_lines),
    "late_interrupted": on_words(_interrupted),
    "late_affix": on_words(_affix),
    "late_swapped_halves": on_words(_swapped_halves),
    "late_bullet": _bullet,
    "late_halves": _halves,
    "late_third_language": _third_language,
    "late_squares": on_words(_squares),
}
