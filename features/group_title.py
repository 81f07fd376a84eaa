"""What a title says of each product group: which product noun is the head, and which only describes it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from features.group_file import GroupFile
from features.group_lexicon import BESIDE, CONTEXT, DECOY, EXCLUDE, NOUN, Lexicon, Pattern
from features.group_tree import GroupTree

# Set by hand on titles of one's own making, not fitted: what a place in the title is worth.
_NOT_HEAD = 0.55
ACCESSORY = 0.12
_AFTER_FOR = 0.15
_AFTER_WITH = 0.35
_INSIDE_COMPOUND = 0.6
_INSIDE_WORD = 0.15  # two syllables with others on both sides are mostly no word at all
_SHORT = 2
_LATER_SEGMENT = 0.75
_REPEAT = 0.3

_SEGMENTS = re.compile(r"[,|/()\[\]{}【】;:·•+]+|\s[-–—]\s")
_TURNS = re.compile(
    r"(?<![a-z])(?:(for|fits?|compatible)|with|in|by|from|without|featuring|includes?|including|and)(?![a-z])"
)
_HANGUL = re.compile(r"[가-힣]")
_NEUTRAL = re.compile(
    r"을|를|은|는|이|가|의|에|와|과|도|로|으로|및|세트|종|형|식|용품|들|류|선물|대형|소형|미니|만들기|놀이|장난감|완구|교구"
    r"|남|여|성인|개|매|인용|키트|팩"
)

Match = tuple[int, int, Pattern]


@dataclass(slots=True)
class Evidence:
    """What speaks for one group.

    Attributes
    ----------
    best, rest
        Worth of the best word and of all others.
    strong
        Whether a word without another meaning is among them.
    noun
        Whether a product noun is among them, not only context.
    spans
        Term, start and end of each word.
    """

    best: float = 0.0
    rest: float = 0.0
    strong: bool = False
    noun: bool = False
    spans: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, value: float, span: tuple[str, int, int], weak: bool) -> None:
        """Take in one more word."""
        self.rest += min(self.best, value)
        self.best = max(self.best, value)
        self.strong = self.strong or not weak
        self.spans.append(span)

    @property
    def score(self) -> float:
        """The best word, and a share of the others: repeating a word proves little."""
        return self.best + _REPEAT * min(self.rest, 1.0)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _outermost(found: Sequence[Match]) -> list[Match]:
    """Drop what lies within a longer match; the same span may serve several groups."""
    kept: list[Match] = []
    reach, span = -1, (-1, -1)
    for match in found:
        start, end, _ = match
        if end <= reach and (start, end) != span:
            continue
        kept.append(match)
        if end > reach:
            reach, span = end, (start, end)
    return kept


class TitleReader:
    """Reads evidence for groups off normalised titles.

    Parameters
    ----------
    file
        The groups and the words that serve all of them.
    tree
        Of the same groups.
    """

    def __init__(self, file: GroupFile, tree: GroupTree) -> None:
        self._tree = tree
        self._lexicon = Lexicon(file.groups)
        self._kin = tuple(tree.kin(i) for i in range(len(tree.codes)))
        heads = file.accessory_heads
        following = (*file.for_words, *heads["ko"], *heads["zh"])
        self._accessory_cjk = re.compile(
            rf"(?!\s?(?:套装|包邮|세트))(?:을|를|에)?\s?(?:용(?!품)|{_alternatives(following)})"
        )
        self._accessory_latin = re.compile(
            rf"[\s-](?:{_alternatives(heads['en'])})s?(?![a-z])(?! operated| powered)"
        )

    def read(self, text: str, known: AbstractSet[int] = frozenset()) -> tuple[dict[int, Evidence], set[int]]:
        """Return the evidence by group, and the groups that a word of the title excludes.

        Parameters
        ----------
        text
            Normalised.
        known
            Groups that the category names; a word that counts only beside its wider group counts beside them.
        """
        found = self._lexicon.find(text)
        excluded = {use.group for _, _, p in found for use in p.uses if use.kind == EXCLUDE}
        present = set(known)
        for _, _, pattern in found:
            present.update(
                use.group for use in pattern.uses if use.kind in (NOUN, CONTEXT) and use.group not in excluded
            )
        kept = _outermost([m for m in found if self._speaks(m[2], present)])
        decoys = [(s, e, u.group) for s, e, p in found for u in p.uses if u.kind == DECOY]
        evidence: dict[int, Evidence] = defaultdict(Evidence)
        for (start, end, pattern), place in zip(kept, self._places(text, kept), strict=True):
            for use in pattern.uses:
                value = use.weight * place
                if use.kind == CONTEXT:
                    value = use.weight * (place if place == ACCESSORY else 1.0)
                elif use.kind != NOUN and not (use.kind == BESIDE and present & self._kin[use.group]):
                    continue
                if self._decoyed(start, end, use.group, decoys):
                    continue
                found_so_far = evidence[use.group]
                found_so_far.add(value, (pattern.text, start, end), use.weak)
                found_so_far.noun = found_so_far.noun or use.kind != CONTEXT
        return evidence, excluded

    def _speaks(self, pattern: Pattern, present: set[int]) -> bool:
        return any(
            use.kind in (NOUN, CONTEXT) or (use.kind == BESIDE and present & self._kin[use.group])
            for use in pattern.uses
        )

    def _decoyed(self, start: int, end: int, group: int, decoys: Iterable[tuple[int, int, int]]) -> bool:
        return any(
            start < decoy_end
            and decoy_start < end
            and decoy_end >= end
            and self._tree.related(group, owner)
            and not (start <= decoy_start and decoy_end == end and end - start > decoy_end - decoy_start)
            for decoy_start, decoy_end, owner in decoys
        )

    def _places(self, text: str, found: Sequence[Match]) -> list[float]:
        """Return for each match what its place in the title is worth, in (0, 1]."""
        cuts = [m.end() for m in _SEGMENTS.finditer(text)]
        turns = [(m.start(), m.group(1) is not None) for m in _TURNS.finditer(text)]
        places = [0.0] * len(found)
        next_noun: dict[tuple[int, bool], int] = {}
        starts = {start for start, _, pattern in found if pattern.noun}
        for i in range(len(found) - 1, -1, -1):
            start, end, pattern = found[i]
            segment = sum(cut <= start for cut in cuts)
            opening = cuts[segment - 1] if segment else 0
            turn = [is_for for at, is_for in turns if opening <= at < start] if pattern.latin else []
            zone = (segment, bool(turn))
            place = self._follow(text, end, pattern, starts)
            if turn:
                place *= _AFTER_FOR if any(turn) else _AFTER_WITH
            if next_noun.get(zone, -1) > start:
                place *= _NOT_HEAD
            if pattern.noun and place > ACCESSORY:
                next_noun[zone] = max(next_noun.get(zone, -1), start)
            places[i] = place * (_LATER_SEGMENT if segment else 1.0)
        return places

    def _follow(self, text: str, end: int, pattern: Pattern, starts: set[int]) -> float:
        if pattern.latin:
            return ACCESSORY if self._accessory_latin.match(text, end) else 1.0
        if self._accessory_cjk.match(text, end):
            return ACCESSORY
        glued = end < len(text) and end not in starts and _HANGUL.match(text, end) is not None
        if glued and _HANGUL.match(pattern.text[-1]) and not _NEUTRAL.match(text, end):
            begin = end - len(pattern.text)
            inside = len(pattern.text) == _SHORT and begin > 0 and _HANGUL.match(text, begin - 1)
            return _INSIDE_WORD if inside else _INSIDE_COMPOUND
        return 1.0
