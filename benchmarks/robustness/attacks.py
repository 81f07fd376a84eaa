"""What sellers do to a listing so that nobody finds it: one function a manner, on plain rows.

Nothing of `features` is imported here, and no list of its words was copied. These are the attacks that were known while
the normaliser was first worked on; `attacks_second` and `attacks_late` hold those that were written after its first and
second freeze.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from benchmarks.robustness.words import lists

Row = dict[str, Any]
Attack = Callable[[Row, Random], Row | None]
"""Takes a row and chance; None where the manner changes nothing of this row."""

_HANGUL, _HAN = re.compile("[가-힣]"), re.compile("[\u4e00-\u9fff]")
_CHUNK = re.compile(r"[가-힣]{2,}|[\u4e00-\u9fff]{2,}|[A-Za-z]{3,}")
_LEADS, _VOWELS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_TAILS = ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"]
_ROMAN_LEADS = "g kk n d tt r m b pp s ss _ j jj ch k t p h".split()  # noqa: SIM905
_ROMAN_VOWELS = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()  # noqa: SIM905
_ROMAN_TAILS = "_ k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split()  # noqa: SIM905
_INVISIBLE = ("\u200b", "\u200c", "\u2060", "\u00ad", "\ufeff")
_TWINS = {"a": "аɑ", "c": "сϲ", "e": "еҽ", "i": "іı", "o": "оο", "p": "рρ", "s": "ѕ", "x": "хⅹ", "y": "уү", "B": "ВΒ",
          "A": "АΑ", "E": "ЕΕ", "H": "НΗ", "K": "КΚ", "M": "МΜ", "O": "ОΟ", "P": "РΡ", "T": "ТΤ", "C": "С", "S": "Ѕ",
          "h": "һ", "j": "ј", "l": "ӏⅼ", "n": "ո", "u": "ս", "v": "ν", "w": "ԝ", "d": "ԁ", "g": "ɡ"}  # fmt: skip
_FIGURES = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "l": "1", "b": "8"}
_PICTURES = "✨🔥💥⭐🌸❤️✅🎁"
_VOWEL_SLIPS = str.maketrans("ㅐㅔㅗㅜㅓㅡㅏㅑㅕ", "ㅔㅐㅜㅗㅡㅓㅑㅏㅓ")


def script(text: str) -> str:
    """Return ``ko``, ``zh`` or ``en`` by the letters of a title."""
    hangul, han = len(_HANGUL.findall(text)), len(_HAN.findall(text))
    if not hangul and not han:
        return "en"
    return "ko" if hangul >= han else "zh"


def telling(text: str) -> list[re.Match[str]]:
    """Return the longer half of the words, at least two: what a seller takes the trouble to disguise."""
    chunks = sorted(_CHUNK.finditer(text), key=lambda m: -len(m[0]) * (1 if m[0].isascii() else 3))
    return chunks[: max(2, (len(chunks) + 1) // 2)]


def on_words(change: Callable[[str, Random], str]) -> Attack:
    """Make an attack that changes the telling words of the title."""

    def attack(row: Row, rng: Random) -> Row | None:
        title = row["title"]
        for word in sorted(telling(title), key=lambda m: -m.start()):
            title = title[: word.start()] + change(word[0], rng) + title[word.end() :]
        return None if title == row["title"] else {**row, "title": title}

    return attack


def _spacing(word: str, rng: Random) -> str:
    return f"  {' '.join(word)}  "


def _dots(word: str, rng: Random) -> str:
    return rng.choice(".-*·_/|").join(word)


def _zero_width(word: str, rng: Random) -> str:
    return "".join(letter + rng.choice(_INVISIBLE) for letter in word)


def _look_alikes(word: str, rng: Random) -> str:
    return "".join(rng.choice(_TWINS[c]) if c in _TWINS else c for c in word)


def _leet(word: str, rng: Random) -> str:
    return "".join(rng.choice(_FIGURES[c]) if (c := x.lower()) in _FIGURES else x for x in word)


def letters(syllable: str) -> str:
    """Return the letters of a Hangul syllable; anything else as it is."""
    if not "가" <= syllable <= "힣":
        return syllable
    rest, tail = divmod(ord(syllable) - 0xAC00, 28)
    return _LEADS[rest // 21] + _VOWELS[rest % 21] + _TAILS[tail]


def _parts(word: str, rng: Random) -> str:
    """Hangul letter by letter, Chinese characters as their parts."""
    parts = lists().parts_zh
    return "".join(parts.get(c, letters(c)) for c in word)


def romanised(word: str) -> str:
    """Return Hangul in Latin letters, syllable by syllable."""
    found = ""
    for c in word:
        if "가" <= c <= "힣":
            rest, tail = divmod(ord(c) - 0xAC00, 28)
            c = _ROMAN_LEADS[rest // 21] + _ROMAN_VOWELS[rest % 21] + _ROMAN_TAILS[tail]
        found += c.replace("_", "")
    return found


def swapped(title: str, table: Mapping[str, str], limit: int = 3) -> str:
    """Return the title with up to ``limit`` words of the table put in place of what they stand for."""
    done = 0
    for word, instead in table.items():
        if not word or not instead or word == instead:
            continue
        pattern = re.escape(word)
        if word.isascii():
            pattern = rf"(?<![A-Za-z]){pattern}(?![A-Za-z])"
        title, times = re.subn(pattern, instead, title, count=1, flags=re.IGNORECASE)
        done += times
        if done >= limit:
            break
    return title


def _table(title: str, target: str) -> dict[str, str]:
    source = script(title)
    return {row[source]: row[target.format(source)] for row in lists().swaps if row[source]}


def _swap(title: str, table: Mapping[str, str], row: Row) -> Row | None:
    changed = swapped(title, table)
    return None if changed == title else {**row, "title": changed}


def _transliteration(row: Row, rng: Random) -> Row | None:
    title = row["title"]
    if script(title) == "ko":
        return on_words(lambda word, _: romanised(word))(row, rng)
    return _swap(title, _table(title, "hangul" if script(title) == "en" else "pinyin"), row)


def _euphemism(row: Row, rng: Random) -> Row | None:
    return _swap(row["title"], _table(row["title"], "euphemism_{}"), row)


def _language_mixing(row: Row, rng: Random) -> Row | None:
    title = row["title"]
    other = rng.choice([code for code in ("en", "ko", "zh") if code != script(title)])
    return _swap(title, _table(title, other), row)


def _emoji(word: str, rng: Random) -> str:
    return "".join(letter + rng.choice(_PICTURES[:4]) for letter in word)


def _misspelling(row: Row, rng: Random) -> Row | None:
    if script(row["title"]) == "zh":
        return _swap(row["title"], lists().sounds_zh, row)
    return on_words(_misspelled)(row, rng)


def _misspelled(word: str, rng: Random) -> str:
    if not word.isascii():
        at = rng.randrange(len(word))
        slip = letters(word[at]).translate(_VOWEL_SLIPS)
        return word[:at] + (_syllable(slip) if "가" <= word[at] <= "힣" else word[at]) + word[at + 1 :]
    if len(word) < 4:
        return word
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
        ]
    )


def _syllable(parts: str) -> str:
    lead, vowel = _LEADS.index(parts[0]), _VOWELS.index(parts[1])
    return chr(0xAC00 + (lead * 21 + vowel) * 28 + _TAILS.index(parts[2:3]))


def _word_order(row: Row, rng: Random) -> Row | None:
    words = row["title"].split()
    if len(words) < 3:
        return None
    rng.shuffle(words)
    return {**row, "title": " ".join(words)}


def _bland(title: str, rng: Random) -> str:
    return rng.choice(list(lists().bland[script(title)]))


def _attributes(row: Row, rng: Random) -> Row | None:
    name = {"en": "Type", "ko": "종류", "zh": "类型"}[script(row["title"])]
    hidden = {**row.get("attributes", {}), name: row["title"][:1000]}
    return {**row, "title": _bland(row["title"], rng), "attributes": hidden}


def _description(row: Row, rng: Random) -> Row | None:
    story = lists().story[script(row["title"])]
    said = " ".join([row.get("description", ""), story, row["title"]]).strip()
    return {**row, "title": _bland(row["title"], rng), "description": said}


def _stuffing(row: Row, rng: Random) -> Row | None:
    words = list(lists().harmless[script(row["title"])])
    rng.shuffle(words)
    return {**row, "title": " ".join([*words[:4], row["title"], *words[4:10]])}


def _wide(word: str, rng: Random) -> str:
    """Full-width letters, or the bold ones of mathematics."""
    bold = rng.random() < 0.5
    found = ""
    for c in word:
        if c.isascii() and c.isalpha():
            first = 0x1D400 + (0 if c.isupper() else 26 - 32)
            c = chr(first + ord(c) - ord("A")) if bold else chr(ord(c) + 0xFEE0)
        found += c
    return found


ATTACKS: dict[str, Attack] = {
    "spacing": on_words(_spacing),
    "dots": on_words(_dots),
    "zero_width": on_words(_zero_width),
    "look_alikes": on_words(_look_alikes),
    "leet": on_words(_leet),
    "parts_of_letters": on_words(_parts),
    "transliteration": _transliteration,
    "emoji": on_words(_emoji),
    "euphemism": _euphemism,
    "misspelling": _misspelling,
    "word_order": _word_order,
    "language_mixing": _language_mixing,
    "attributes": _attributes,
    "description": _description,
    "stuffing": _stuffing,
    "wide_letters": on_words(_wide),
}

HARMLESS_PHRASES: dict[str, dict[str, str]] = {
    "for": {"en": "Spare screws for {}", "ko": "{}용 여분 나사", "zh": "{} 专用备用螺丝"},
    "case_for": {"en": "Storage case for {}", "ko": "{}용 보관 케이스", "zh": "{} 专用收纳包"},
}
"""Phrases that make an accessory of goods; for covert cameras they are written out in ``harmless_titles.tsv``."""


def phrase(name: str, row: Row) -> Row:
    """Return the row with its title in a harmless phrase."""
    title = HARMLESS_PHRASES[name][script(row["title"])].format(row["title"])
    return {**row, "title": title}


def attacked(name: str, row: Row, attacks: Mapping[str, Attack]) -> Row | None:
    """Return the row under one attack, the same every time; None where it changes nothing.

    The id becomes ``<attack>/<id>``.
    """
    changed = attacks[name](row, Random(f"{name}/{row['id']}"))
    return None if changed is None else {**changed, "id": f"{name}/{row['id']}"}
