"""Korean and Chinese words of goods that were cut, drawn out, misspelled by ear or written by their first letters.

One automaton a manner finds every term of `features.goods_words` at once, so time grows with the length of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from ahocorasick_rs import AhoCorasick, MatchKind

from features.draft import Draft, Piece
from features.goods_words import chinese_goods, han_sounds, korean_goods, with_blanks
from features.hangul import LEADS, TAILS, VOWELS

_CJK = "가-힣\u4e00-\u9fff"
_GAP = r" ~\-·()\[\]<>「」【】{}"
GAPPED = re.compile(rf"[{_CJK}][{_GAP}]{{1,3}}[{_CJK}]")
_GAPS = frozenset(" ~-·()[]<>「」【】{}")
DRAWN = re.compile(rf"(?<=[{_CJK}])~+(?=[{_CJK}])")
FIRSTS = re.compile("[ㄱ-ㅎ]{3,12}")
_SYLLABLES = range(0xAC00, 0xD7A4)
# By ear: vowels and consonants that are taken for one another.
_EAR_VOWELS = dict(zip(VOWELS, "ㅏㅐㅏㅐㅓㅐㅓㅐㅗㅘㅙㅙㅗㅗㅝㅙㅟㅗㅓㅣㅣ", strict=True))
_EAR_LEADS = dict(zip(LEADS, "ㄱㄱㄴㄷㄷㄹㅁㅂㅂㅅㅅㅇㅈㅈㅊㅋㅌㅍㅎ", strict=True))
_LEAST_BY_EAR = 3
# Shorter ones are heard in every other text; of these no ordinary word sounds the same.
_SHORT = frozenset(
    {
        "摄像", "录像", "针孔", "偷拍", "隐形", "监控", "镜头", "玩具", "电池", "磁铁", "磁力", "项链", "手链",
        "头盔", "泳圈", "婴儿", "儿童", "激光",
    }
)  # fmt: skip
# The end of a borrowed word is written either way: a light, a lighter.
_ENDS = frozenset(("ㅡ", "ㅓ"))
_Change = tuple[int, int, str]


def _syllable(char: str) -> tuple[str, str, str]:
    rest, tail = divmod(ord(char) - 0xAC00, 28)
    return LEADS[rest // 21], VOWELS[rest % 21], TAILS[tail]


@cache
def _ear() -> dict[int, str]:
    """Return for every syllable the one it is taken for by ear, and for every Chinese character one sign a sound."""
    table: dict[int, str] = {}
    for code in _SYLLABLES:
        lead, vowel, _ = _syllable(chr(code))
        at = LEADS.index(_EAR_LEADS[lead]) * 21 + VOWELS.index(_EAR_VOWELS[vowel])
        table[code] = chr(0xAC00 + at * 28 + (code - 0xAC00) % 28)
    signs: dict[str, str] = {}
    for char, sound in han_sounds().items():
        table[ord(char)] = signs.setdefault(sound, chr(0xE000 + len(signs)))
    return table


def by_ear(text: str) -> str:
    """Return the text with everything that sounds alike written alike; the length stays the same."""
    return text.translate(_ear())


class _Finder:
    """Terms in some other writing, found all at once."""

    def __init__(self, terms: Iterable[tuple[str, str]]) -> None:
        kept = dict(terms)
        self.terms = list(kept.values())
        self._automaton = AhoCorasick(list(kept), matchkind=MatchKind.Standard)

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            yield start, end, self.terms[number]


@cache
def _goods() -> frozenset[str]:
    return frozenset((*korean_goods(), *chinese_goods()))


@cache
def _as_written() -> _Finder:
    return _Finder((term, term) for term in sorted(_goods()))


@cache
def _heard() -> _Finder:
    terms = [term for term in korean_goods() if len(term) >= _LEAST_BY_EAR]
    terms += [term for term in chinese_goods() if len(term) >= _LEAST_BY_EAR or term in _SHORT]
    return _Finder((by_ear(term), term) for term in terms)


@cache
def _firsts() -> dict[str, str]:
    """Return Korean terms by the first letters of their syllables; the shortest of several."""
    found: dict[str, str] = {}
    for term in sorted(korean_goods(), key=lambda term: (len(term), term)):
        if len(term) >= 3 and all("가" <= c <= "힣" for c in term):
            found.setdefault("".join(_syllable(c)[0] for c in term), term)
    return found


def _over_gaps(text: str) -> Iterator[_Change]:
    """Yield terms that blanks, dashes, waves or brackets cut."""
    kept = [at for at, char in enumerate(text) if char not in _GAPS]
    packed = "".join([text[at] for at in kept])
    for start, end, term in _as_written().find(packed):
        first, last = kept[start], kept[end - 1] + 1
        if last - first > end - start and _cut(text, first, last, term):
            yield first, last, term


def _cut(text: str, first: int, last: int, term: str) -> bool:
    """Whether a term was cut on purpose rather than put together from neighbouring words."""
    shown = text[first:last]
    parts = [part for part in re.split(rf"[{_GAP}]+", shown) if part]
    before = text[first - 1] if first else " "
    after = text[last] if last < len(text) else " "
    edges = (before in _GAPS) + (after in _GAPS)
    if "".join(parts) != term or any(part in _goods() for part in parts) or shown in with_blanks():
        return False
    if set(shown) & _GAPS <= {" "}:
        return edges == 2 if len(term) < 3 else edges >= 1
    return True


def _sounding(text: str) -> Iterator[_Change]:
    """Yield terms that are written otherwise and sound the same."""
    heard = by_ear(text)
    for start, end, term in _heard().find(heard):
        written = text[start:end]
        if written == term or written in _goods():
            continue
        same = sum(a == b for a, b in zip(written, term, strict=True))
        if "가" <= term[0] <= "힣":
            if same * 2 >= len(term) - 1 and not _either_way(written, term):
                yield start, end, term
        elif (len(term) >= 3) or same:
            yield start, end, term


def _either_way(written: str, term: str) -> bool:
    """Whether two borrowed words differ in how they end and in nothing else."""
    ends = frozenset((_syllable(written[-1])[1], _syllable(term[-1])[1]))
    return written[:-1] == term[:-1] and ends == _ENDS


def _longest(found: Iterable[_Change]) -> list[_Change]:
    """Keep the longest of those that overlap, in order."""
    kept: list[_Change] = []
    for one in sorted(found, key=lambda c: (c[0] - c[1], c[0], c[2])):
        if all(one[1] <= other[0] or other[1] <= one[0] for other in kept):
            kept.append(one)
    return sorted(kept)


@lru_cache(maxsize=64)
def changes(text: str) -> list[_Change]:
    """Return what to put in place of which spans of a normalised text, in order and apart."""
    found: list[_Change] = []
    if GAPPED.search(text):
        found += _over_gaps(text)
    taken = list(_as_written_spans(text))
    for start, end, term in _sounding(text):
        # What is a word of goods as it stands needs no other reading.
        if not any(s < end and start < e for s, e in taken):
            found.append((start, end, term))
    for match in FIRSTS.finditer(text):
        if term := _firsts().get(match[0]):
            found.append((*match.span(), term))
    return _longest(found)


def _as_written_spans(text: str) -> Iterator[tuple[int, int]]:
    for start, end, _ in _as_written().find(text):
        yield start, end


def apply(draft: Draft) -> None:
    """Put every term in place of what stands for it."""
    done, chars, offsets = 0, [], []
    text = draft.text
    for start, end, term in changes(text):
        chars += [text[done:start], term]
        offsets += [
            *draft.offsets[done:start],
            *(draft.offsets[min(start + at, end - 1)] for at in range(len(term))),
        ]
        done = end
    if done:
        draft.text = "".join(chars) + text[done:]
        draft.offsets = offsets + draft.offsets[done:]


def drawn_out(_: str) -> list[Piece]:
    """Leave out the waves that draw a word out."""
    return []
