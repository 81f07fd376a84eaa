"""Text that resists evasion: plain lower-case words, with the way back to what the seller wrote.

Undone: zero-width and look-alike characters, styled letters, spaced and dotted spellings, leet, split
Hangul, pictures between letters, repeated punctuation, marks on Latin letters. No script is dropped: what
is not Latin, Korean or Chinese stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

from features import charmap, cjk_words, hangul, latin_words, leet, spelling
from features.draft import Draft, Piece, blank, first_only
from features.scripts import language

__all__ = ["Normalized", "language", "normalize"]

# Each round can only shorten the text or leave its length, and the first usually settles it.
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
        """Positions in the original of ``text[start:end]``, without what is invisible at its end."""
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


# What needs no look at its characters: ASCII, Hangul syllables, Han, kana and a few signs.
_PLAIN_CHARS = r" -^`-~가-힣\u4e00-\u9fffぁ-ゖァ-ヺー·•×°₩￦¥€£《》「」【】『』★"
_PLAIN = re.compile(f"[{_PLAIN_CHARS}]*")
_NOT_PLAIN = re.compile(f"[{_PLAIN_CHARS}]?[^{_PLAIN_CHARS}]+")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,12});")
_BACKWARDS = re.compile("[\u202e\u2067\u202b]([^\u202a-\u202e\u2066-\u2069\n]{2,80})[\u202c\u2069]?")
_EAST_ASIAN = re.compile("[가-힣\u4e00-\u9fffㄱ-ㅎ]")
_BRACKETS = re.compile(r"[(\[<「【{][a-z]{1,2}[)\]>」】}]")
_REPEATED = re.compile(r"([^\w\s])\1+")
_BLANKS = re.compile(" {2,}")
_PICTURES = re.compile("[•★]+")
_EVASIVE = re.compile(f"{leet.SUSPECT}|{spelling.ANY}")
# Each begins with a set of characters, which the engine finds fast; most titles have none of the three.
_HINTS = (
    re.compile(r"[ ._\-*·•~|+,'^:/\\][a-z0-9$@!가-힣\u4e00-\u9fffㄱ-ㅣ][ ._\-*·•~|+,'^:/\\]"),
    re.compile("[.*•~^|][a-z가-힣\u4e00-\u9fff]"),
    re.compile(r"[0134578@$!|](?:[0134578@$!|]?[a-z]|(?<=[a-z]{2}[0134578@$])(?![^\W_]))"),
)


def _evasive(text: str) -> bool:
    """Whether any word may have been taken apart, spelled with figures or written in haste."""
    if any(hint.search(text) for hint in _HINTS) and _EVASIVE.search(text) is not None:
        return True
    if not text.isascii() and (spelling.han_parts().search(text) or _mendable(text)):
        return True
    return latin_words.disguised(text) or _BRACKETS.search(text) is not None


def _mendable(text: str) -> bool:
    """Whether Korean or Chinese words stand for others."""
    return cjk_words.DRAWN.search(text) is not None or (
        _EAST_ASIAN.search(text) is not None and bool(cjk_words.changes(text))
    )


def _encoded(text: str) -> bool:
    """Whether characters are written by number or shown backwards."""
    return ("&" in text and _ENTITY.search(text) is not None) or (
        not text.isascii() and _BACKWARDS.search(text) is not None
    )


def _decode(entity: str) -> list[Piece]:
    """Read a character that is written by number or name."""
    return [(char, 0) for char in unescape(entity)]


def _forwards(run: str) -> list[Piece]:
    """Read what a screen shows: letters between signs that turn them round."""
    shown = run.strip("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return [(char, 0) for char in (reversed(shown) if run[0] == "\u202e" else shown)]


def _untidy(text: str) -> bool:
    """Whether signs or blanks repeat, or pictures are left."""
    if text[:1] == " " or text[-1:] == " " or "  " in text or "•" in text or "★" in text:
        return True
    return _REPEATED.search(text) is not None


def _read(cluster: str) -> list[Piece]:
    """Read characters one by one, marks joined to their letters."""
    pieces: list[Piece] = []
    for at, char in enumerate(cluster):
        before = pieces[-1][0] if pieces else ""
        if char in charmap.JOINERS and charmap.joins(before):
            pieces.append((char, at))
            continue
        for plain in charmap.plain_form(char):
            if before and not before.isascii() and unicodedata.combining(plain):
                joined = unicodedata.normalize("NFC", before + plain)
                if len(joined) == 1:
                    pieces[-1] = (joined, pieces[-1][1])
                    continue
            if not charmap.is_diacritic(plain):
                pieces.append((plain, at))
    return pieces


def _read_characters(draft: Draft) -> None:
    """Plain characters of plain case; letters that pass for others are judged word by word."""
    draft.rewrite(_NOT_PLAIN, _read)
    if spelling.TWINS.search(draft.text):
        draft.rewrite(spelling.WORDS, spelling.latin_twins(draft.text))
    lower = draft.text.lower()
    if len(lower) != len(draft.text):  # a letter whose lower case is two characters
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in draft.text)
    draft.same_length(lower)
    if hangul.HAS_JAMO.search(draft.text):
        draft.rewrite(hangul.LATIN_CONSONANT, hangul.sound)
        draft.rewrite(hangul.LATIN_VOWEL, hangul.sound)
        draft.rewrite(hangul.RUN, hangul.compose)


def _join_words(draft: Draft) -> None:
    """Words that were taken apart or spelled with figures."""
    patterns = spelling.PATTERNS
    if not draft.text.isascii():
        draft.rewrite(spelling.han_parts(), spelling.join_parts)
    draft.rewrite(patterns["spaced"], spelling.join_spaced)
    for name in ("dotted_cjk", "pair_cjk", "spaced_cjk", "noisy_han", "noisy_hangul", "split_hangul"):
        draft.rewrite(patterns[name], spelling.letters_only)
    draft.rewrite(leet.CANDIDATE, leet.change)
    draft.rewrite(patterns["split_latin"], spelling.join_split)
    if _BRACKETS.search(draft.text):
        draft.rewrite(latin_words.BRACKETED, latin_words.open_brackets)
    for start, end in reversed(latin_words.join_cut(draft.text)):
        draft.cut(start, end)
    draft.rewrite(latin_words.TOKEN, latin_words.mend)
    if not draft.text.isascii():
        draft.rewrite(cjk_words.DRAWN, cjk_words.drawn_out)
        cjk_words.apply(draft)


def _tidy(draft: Draft) -> None:
    """One of each repeated sign, single spaces, no pictures."""
    draft.rewrite(_REPEATED, first_only)
    if "•" in draft.text or "★" in draft.text:
        draft.rewrite(_PICTURES, blank)
    if "  " in draft.text:
        draft.rewrite(_BLANKS, blank)
    draft.strip()


def _round(text: str) -> Draft:
    """Take every step once."""
    draft = Draft(text, list(range(len(text))))
    if _encoded(text):
        draft.rewrite(_ENTITY, _decode)
        draft.rewrite(_BACKWARDS, _forwards)
    draft.same_length(charmap.translate(draft.text))
    if _PLAIN.fullmatch(draft.text):
        draft.same_length(draft.text.lower())
    else:
        _read_characters(draft)
    if _evasive(draft.text):
        _join_words(draft)
    if _untidy(draft.text):
        _tidy(draft)
    return draft


def _settled(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and not _evasive(text) and not _untidy(text) and not _encoded(text)


def normalize(text: str) -> Normalized:
    """Undo evasive spelling.

    Parameters
    ----------
    text
        Any string: hostile, empty, with lone surrogates.

    Returns
    -------
    Normalized
        Normalising its ``text`` again changes nothing. Time grows with the length of the text.
    """
    if _PLAIN.fullmatch(text):
        lower = text.lower()
        if not _evasive(lower) and not _untidy(lower) and not _encoded(lower):
            return Normalized(text, lower, range(len(text) + 1))
    draft = _round(text)
    found, offsets = draft.text, draft.offsets
    for _ in range(_MAX_ROUNDS):
        if _settled(found):
            break
        draft = _round(found)
        if draft.text == found:
            break
        found, offsets = draft.text, [offsets[at] for at in draft.offsets]
    return Normalized(text, found, [*offsets, len(text)])
