"""Reads the product group off a title: which product noun is the head, and which only describes it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from features.group_file import ProductGroup, read_group_file
from features.group_lexicon import BESIDE, CONTEXT, DECOY, EXCLUDE, NOUN, Lexicon, Pattern
from features.normalize import normalize

# Set by hand on titles of one's own making, not fitted: what a place in the title is worth.
_NOT_HEAD = 0.55
_ACCESSORY = 0.12
_AFTER_FOR = 0.15
_AFTER_WITH = 0.35
_INSIDE_COMPOUND = 0.6
_LATER_SEGMENT = 0.75
_REPEAT = 0.3
_EXCLUDED = 0.08
_RULED_OVER = 0.3
_DOMINANT_FROM = 0.45
_NOTHING = 0.5  # the weight of "no group": evidence must outweigh it
_ACCEPT = 0.38
_ACCEPT_WIDER = 0.45
_TEXT_MAX = 1_000

_SEGMENTS = re.compile(r"[,|/()\[\]{}【】;:·•+]+|\s[-–—]\s")
_AFTER = re.compile(
    r"(?<![a-z])(?:(for|fits?|compatible)|with|in|by|from|without|featuring|includes?|including|and)(?![a-z])"
)
_HANGUL = re.compile(r"[가-힣]")
_NEUTRAL = re.compile(
    r"을|를|은|는|이|가|의|에|와|과|도|로|으로|및|세트|종|형|식|용품|들|류|선물|대형|소형|미니|만들기|놀이|장난감|완구|교구|남|여|성인|개|매|인용|키트|팩"
)

Match = tuple[int, int, Pattern]


@dataclass(frozen=True, slots=True)
class GroupMatch:
    """What a title was read as.

    Attributes
    ----------
    code
        Product group, "" where the evidence for any is too thin.
    score
        Share of all evidence that stands for it, in [0, 1].
    matched
        Term, start and end in the text of each word that spoke for it, in order. A start of -1 means that
        the category said so.
    """

    code: str
    score: float
    matched: tuple[tuple[str, int, int], ...] = ()


@dataclass(slots=True)
class _Evidence:
    """What speaks for one group."""

    best: float = 0.0
    rest: float = 0.0
    strong: bool = False
    spans: list[tuple[str, int, int]] | None = None

    def add(self, value: float, term: str, start: int, end: int, weak: bool) -> None:
        self.rest += min(self.best, value)
        self.best = max(self.best, value)
        self.strong = self.strong or not weak
        if self.spans is None:
            self.spans = []
        self.spans.append((term, start, end))

    @property
    def score(self) -> float:
        return self.best + _REPEAT * min(self.rest, 1.0)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))


def _outermost(found: list[Match]) -> list[Match]:
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


class GroupMatcher:
    """Matches titles and category paths to product groups.

    Parameters
    ----------
    groups
        By code, as `features.groups.load_groups` returns them.

    Notes
    -----
    A product noun counts most where it is the head: last before a comma in Korean and Chinese, last before
    "for" or "with" in English. Before an accessory ("helmet bag") or "for" it hardly counts. The weights are
    set by hand; nothing is fitted to listings.
    """

    def __init__(self, groups: Mapping[str, ProductGroup]) -> None:
        self._codes = tuple(groups)
        self._groups = tuple(groups.values())
        index = {code: i for i, code in enumerate(self._codes)}
        self._parent = tuple(index.get(group.parent, -1) for group in self._groups)
        self._lines = tuple(self._line(i) for i in range(len(self._codes)))
        self._lexicon = Lexicon(groups)
        self._categories = {
            normalize(name).text: i for i, group in enumerate(self._groups) for name in group.categories
        }
        heads = read_group_file(None)
        self._accessory_cjk = re.compile(
            r"(?!套装|包邮|세트)(?:을|를|에)?\s?(?:용(?!품)|"
            + _alternatives((*heads.for_words, *heads.accessory_heads["ko"], *heads.accessory_heads["zh"]))
            + ")"
        )
        self._accessory_latin = re.compile(
            r"[\s-](?:" + _alternatives(heads.accessory_heads["en"]) + r")s?(?![a-z])(?! operated| powered)"
        )
        self._of_category = lru_cache(maxsize=4096)(self._read_category)

    def match(self, text: str, category: Sequence[str] = ()) -> GroupMatch:
        """Return the one group that a title stands for.

        Parameters
        ----------
        text
            Normalised title (`features.normalize.normalize`); what lies beyond 1,000 characters is not read.
        category
            Category path from the root to the leaf, as the marketplace wrote it.

        Returns
        -------
        GroupMatch
            With code "" where nothing is sure enough. Where two groups of one wider group compete, the wider.
        """
        scores, evidence = self._scores(text[:_TEXT_MAX], tuple(category))
        if not scores:
            return GroupMatch("", 0.0)
        total = sum(scores.values()) + _NOTHING
        best = max(scores, key=lambda g: (scores[g], -g))
        share = scores[best] / total
        if share < _ACCEPT:
            best, share = self._wider(scores, best, total)
        if best < 0:
            return GroupMatch("", share)
        return GroupMatch(self._codes[best], min(share, 1.0), self._spans(best, evidence))

    def match_all(self, text: str, category: Sequence[str] = ()) -> list[tuple[str, float]]:
        """Return every group with some evidence and its share, best first.

        The shares add up to less than one; what is missing stands for no group at all.
        """
        scores, _ = self._scores(text[:_TEXT_MAX], tuple(category))
        total = sum(scores.values()) + _NOTHING
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(self._codes[group], score / total) for group, score in ranked]

    def _line(self, group: int) -> tuple[int, ...]:
        line = [group]
        while (group := self._parent[group]) >= 0:
            line.append(group)
        return tuple(line)

    def _related(self, a: int, b: int) -> bool:
        return a in self._lines[b] or b in self._lines[a]

    def _family(self, group: int) -> int:
        line = self._lines[group]
        return line[max(len(line) - 2, 0)]

    def _wider(self, scores: Mapping[int, float], best: int, total: float) -> tuple[int, float]:
        for wider in self._lines[best][1:]:
            if self._parent[wider] < 0:
                break
            share = sum(s for g, s in scores.items() if wider in self._lines[g]) / total
            if share >= _ACCEPT_WIDER:
                return wider, share
        return -1, scores[best] / total

    def _spans(self, best: int, evidence: Mapping[int, _Evidence]) -> tuple[tuple[str, int, int], ...]:
        spans = {
            span
            for group, found in evidence.items()
            if self._related(group, best) and self._parent[group] >= 0
            for span in found.spans or ()
        }
        return tuple(sorted(spans, key=lambda span: (span[1], span[2])))

    def _read_title(self, text: str, known: frozenset[int]) -> tuple[dict[int, _Evidence], set[int]]:
        found = self._lexicon.find(text)
        excluded = {use.group for _, _, p in found for use in p.uses if use.kind == EXCLUDE}
        beside = known | {
            use.group
            for _, _, p in found
            for use in p.uses
            if use.kind in (NOUN, CONTEXT) and use.group not in excluded
        }
        kept = _outermost([m for m in found if self._speaks(m[2], beside)])
        places = self._places(text, kept)
        evidence: dict[int, _Evidence] = defaultdict(_Evidence)
        for (start, end, pattern), place in zip(kept, places, strict=True):
            for use in pattern.uses:
                if use.kind == CONTEXT:
                    value = use.weight * (_ACCESSORY if place == _ACCESSORY else 1.0)
                elif use.kind == NOUN or (use.kind == BESIDE and self._has_kin(use.group, beside)):
                    value = use.weight * place
                else:
                    continue
                evidence[use.group].add(value, pattern.text, start, end, use.weak)
        return evidence, excluded

    def _has_kin(self, group: int, present: Iterable[int]) -> bool:
        # Brothers count as much as ancestors: "slime" and "toy" both say that "soft" means a toy.
        parent = self._parent[group]
        return any(other == parent or (other != group and self._parent[other] == parent) for other in present)

    def _speaks(self, pattern: Pattern, beside: Iterable[int]) -> bool:
        return any(
            use.kind in (NOUN, CONTEXT, DECOY) or (use.kind == BESIDE and self._has_kin(use.group, beside))
            for use in pattern.uses
        )

    def _places(self, text: str, found: Sequence[Match]) -> list[float]:
        """Return for each match what its place in the title is worth, in (0, 1]."""
        cuts = [m.end() for m in _SEGMENTS.finditer(text)]
        turns = [(m.start(), m.group(1) is not None) for m in _AFTER.finditer(text)]
        places = [0.0] * len(found)
        next_noun: dict[tuple[int, bool], int] = {}
        starts = {start for start, _, pattern in found if pattern.noun}
        for i in range(len(found) - 1, -1, -1):
            start, end, pattern = found[i]
            segment = sum(cut <= start for cut in cuts)
            opening = cuts[segment - 1] if segment else 0
            turn = [after_for for at, after_for in turns if opening <= at < start] if pattern.latin else []
            zone = (segment, bool(turn))
            place = self._follow(text, end, pattern, starts)
            if turn:
                place *= _AFTER_FOR if any(turn) else _AFTER_WITH
            if zone in next_noun and next_noun[zone] > start:
                place *= _NOT_HEAD
            if pattern.noun and place > _ACCESSORY:
                next_noun[zone] = max(next_noun.get(zone, -1), start)
            places[i] = place * (_LATER_SEGMENT if segment else 1.0)
        return places

    def _follow(self, text: str, end: int, pattern: Pattern, starts: set[int]) -> float:
        if pattern.latin:
            return _ACCESSORY if self._accessory_latin.match(text, end) else 1.0
        if self._accessory_cjk.match(text, end):
            return _ACCESSORY
        glued = end < len(text) and end not in starts and _HANGUL.match(text, end) is not None
        if glued and _HANGUL.match(pattern.text[-1]) and not _NEUTRAL.match(text, end):
            return _INSIDE_COMPOUND
        return 1.0

    def _read_category(self, category: tuple[str, ...]) -> dict[int, float]:
        """Return what a category path says, the leaf most."""
        said: dict[int, float] = {}
        for depth, node in enumerate(reversed(category)):
            weight = 1.0 if depth == 0 else 0.6
            text = normalize(node).text
            if (group := self._categories.get(text)) is not None:
                said[group] = max(said.get(group, 0.0), weight)
                continue
            evidence, excluded = self._read_title(text[:200], frozenset())
            for group, found in evidence.items():
                if group not in excluded and found.best >= 0.5 and found.strong:
                    said[group] = max(said.get(group, 0.0), 0.6 * weight * min(found.best, 1.0))
        return said

    def _scores(self, text: str, category: tuple[str, ...]) -> tuple[dict[int, float], dict[int, _Evidence]]:
        said = self._of_category(category) if category else {}
        evidence, excluded = self._read_title(text, frozenset(said))
        scores = {
            group: found.score * (_EXCLUDED if group in excluded else 1.0)
            for group, found in evidence.items()
        }
        self._lend(scores)
        self._rule(scores, evidence, said)
        self._agree(scores, evidence, said)
        return {g: s for g, s in scores.items() if self._parent[g] >= 0 and s > 0.01}, evidence

    def _lend(self, scores: dict[int, float]) -> None:
        """Give what speaks for a wider group to the narrow ones below it that were named as well."""
        own = dict(scores)
        for group, score in own.items():
            for wider in self._lines[group][1:]:
                if wider in own and score > 0.1:
                    scores[group] += 0.6 * own[wider]
                    scores[wider] = min(scores[wider], 0.4 * own[wider])

    def _rule(
        self, scores: dict[int, float], evidence: Mapping[int, _Evidence], said: Mapping[int, float]
    ) -> None:
        rulers = [
            g
            for g in scores
            if self._groups[g].dominant
            and evidence[g].strong
            and evidence[g].best >= _DOMINANT_FROM
            and scores[g] >= 0.2
        ] + [g for g in said if self._groups[g].dominant and said[g] >= 0.6]
        if not rulers:
            return
        for group in scores:
            if not any(ruler in self._lines[group] for ruler in rulers):
                scores[group] *= _RULED_OVER

    def _agree(
        self, scores: dict[int, float], evidence: dict[int, _Evidence], said: Mapping[int, float]
    ) -> None:
        if not said:
            return
        families = {self._family(g) for g in said}
        for group in scores:
            if any(self._related(group, g) for g in said):
                scores[group] *= 1.5
            elif self._family(group) not in families:
                scores[group] *= 0.6
        strongest = max(scores.values(), default=0.0)
        for group, weight in said.items():
            below = [g for g in scores if g != group and group in self._lines[g] and scores[g] >= 0.4]
            if below:
                continue
            scores[group] = scores.get(group, 0.0) + (0.5 if strongest < 0.5 else 0.35) * weight
            evidence.setdefault(group, _Evidence()).add(weight, self._codes[group], -1, -1, False)
