"""Attacks that were written after the first freeze of the normaliser and known when it was worked on again.

Nothing of `features` is imported here. `FROZEN` is the commit of the normaliser as it was when this file was begun; the
first figures of these eight, 0.60 of the flags kept, are those of a normaliser that did not know them. Since then it
does, and `attacks_late` holds what came after the second freeze.
"""

from __future__ import annotations

from random import Random

from benchmarks.robustness.attacks import ATTACKS, Attack, letters, on_words

FROZEN = "26bae81eabac2ead729ed3054da92f5aee95c04a"

_SMALL = dict(zip("abcdefghijklmnoprstuvwyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷʸᶻ", strict=True))
_CAPITALS = dict(zip("abcdefghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇғɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ", strict=True))
_BRACKETS = ("()", "[]", "【】", "「」", "<>")


def _reversed(word: str, rng: Random) -> str:
    """Backwards, between signs that make a screen show it forwards."""
    return f"\u202e{word[::-1]}\u202c"


def _entities(word: str, rng: Random) -> str:
    """As a web page writes letters by number."""
    return "".join(f"&#{ord(c)};" if rng.random() < 0.5 else c for c in word)


def _bracketed(word: str, rng: Random) -> str:
    """One or two letters in brackets."""
    at = rng.randrange(len(word))
    left, right = rng.choice(_BRACKETS)
    return word[:at] + left + word[at] + right + word[at + 1 :]


def _left_out(word: str, rng: Random) -> str:
    """Without vowels; of Hangul the first letter of each syllable only."""
    if word.isascii():
        return word[0] + "".join(c for c in word[1:] if c.lower() not in "aeiou")
    return "".join(letters(c)[0] if "가" <= c <= "힣" else c for c in word)


def _small(word: str, rng: Random) -> str:
    """Raised letters or small capitals."""
    table = rng.choice((_SMALL, _CAPITALS))
    return "".join(table.get(c.lower(), c) for c in word)


def _stretched(word: str, rng: Random) -> str:
    """A letter drawn out, a syllable with its vowel said twice."""
    if word.isascii():
        at = rng.randrange(1, len(word))
        return word[:at] + word[at] * rng.randint(2, 4) + word[at:]
    at = rng.randrange(len(word))
    return word[: at + 1] + "~" * rng.randint(2, 3) + word[at + 1 :]


def _cut(word: str, rng: Random) -> str:
    """Cut in two by a blank or a dash."""
    if len(word) < 3:
        return word
    at = rng.randrange(1, len(word) - 1) if len(word) < 5 else rng.randrange(2, len(word) - 2)
    return word[:at] + rng.choice((" ", " - ", "~")) + word[at:]


def _two_at_once(row: dict[str, object], rng: Random) -> dict[str, object] | None:
    """Figures for letters, or parts of letters, with something invisible or a dot between them."""
    first = ATTACKS["leet"](row, rng) or ATTACKS["parts_of_letters"](row, rng) or row
    return ATTACKS[rng.choice(("zero_width", "emoji"))](first, rng)


SECOND_ATTACKS: dict[str, Attack] = {
    "reversed": on_words(_reversed),
    "entities": on_words(_entities),
    "bracketed": on_words(_bracketed),
    "left_out": on_words(_left_out),
    "small_letters": on_words(_small),
    "stretched": on_words(_stretched),
    "cut_in_two": on_words(_cut),
    "two_at_once": _two_at_once,
}
