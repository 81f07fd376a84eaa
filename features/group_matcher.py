"""Decides on the product group of a listing from its title and its category path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from features.group_file import GroupFile, ProductGroup, read_group_file
from features.group_title import Evidence, TitleReader
from features.group_tree import GroupTree
from features.normalize import normalize

# Set by hand, not fitted to listings.
_EXCLUDED = 0.08
_RULED_OVER = 0.3
_DOMINANT_FROM = 0.45
_NOTHING = 0.5  # the weight of "no group": evidence must outweigh it
_ACCEPT = 0.38
_ACCEPT_WIDER = 0.45
_ACCEPT_LEADER = 0.25  # enough for one that has a strong word and is well ahead
_WELL_AHEAD = 1.25
_STRONG_WORD = 0.7
_NAMED = 0.3  # a noun that is not the head still names goods
_SAME_GROUP = 1.5
_OTHER_FAMILY = 0.6
_FROM_CATEGORY = 0.35
_FROM_CATEGORY_ALONE = 0.5
_ROOT_WEIGHT = 0.7
_TEXT_MAX = 1_000
_NODE_MAX = 200


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
    kinds
        How many groups the title names by a noun, none of them within another.
    """

    code: str
    score: float
    matched: tuple[tuple[str, int, int], ...] = ()
    kinds: int = 0


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
        words = read_group_file(None)
        self._tree = GroupTree(groups)
        self._title = TitleReader(GroupFile(groups, words.for_words, words.accessory_heads), self._tree)
        self._categories: dict[str, list[int]] = defaultdict(list)
        for i, group in enumerate(self._tree.groups):
            for name in group.categories:
                self._categories[normalize(name).text].append(i)
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
        ranked = sorted(scores, key=lambda group: (-scores[group], group))
        best, share = ranked[0], scores[ranked[0]] / total
        kinds = len(self._unrelated(scores, evidence))
        if share < _ACCEPT:
            best, share = self._wider(scores, best, total)
            if best < 0 and self._leads(scores, ranked, evidence, total):
                best = ranked[0]
        if best < 0:
            return GroupMatch("", share, kinds=kinds)
        return GroupMatch(self._tree.codes[best], min(share, 1.0), self._spans(best, evidence), kinds)

    def match_all(self, text: str, category: Sequence[str] = ()) -> list[tuple[str, float]]:
        """Return every group with some evidence and its share, best first.

        The shares add up to less than one; what is missing stands for no group at all.
        """
        scores, _ = self._scores(text[:_TEXT_MAX], tuple(category))
        total = sum(scores.values()) + _NOTHING
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(self._tree.codes[group], score / total) for group, score in ranked]

    def named(self, text: str) -> list[str]:
        """Return the groups of the goods that a text names by a noun, none within another, best first."""
        scores, evidence = self._scores(text[:_TEXT_MAX], ())
        return [self._tree.codes[group] for group in self._unrelated(scores, evidence)]

    def _unrelated(self, scores: Mapping[int, float], evidence: Mapping[int, Evidence]) -> list[int]:
        nouns = [g for g, said in evidence.items() if g in scores and said.noun and said.best >= _NAMED]
        found: list[int] = []
        for group in sorted(nouns, key=lambda one: (-scores[one], one)):
            if not any(self._tree.related(group, other) for other in found):
                found.append(group)
        return found

    def related(self, left: str, right: str) -> bool:
        """Whether one of two groups holds the other."""
        codes = self._tree.codes
        return self._tree.related(codes.index(left), codes.index(right))

    def _leads(
        self,
        scores: Mapping[int, float],
        ranked: Sequence[int],
        evidence: Mapping[int, Evidence],
        total: float,
    ) -> bool:
        best = ranked[0]
        second = scores[ranked[1]] if len(ranked) > 1 else 0.0
        return (
            scores[best] / total >= _ACCEPT_LEADER
            and scores[best] >= _WELL_AHEAD * second
            and evidence[best].best >= _STRONG_WORD
            and scores[best] >= _STRONG_WORD
        )

    def _wider(self, scores: Mapping[int, float], best: int, total: float) -> tuple[int, float]:
        for wider in self._tree.lines[best][1:]:
            share = sum(s for g, s in scores.items() if wider in self._tree.lines[g]) / total
            if share >= _ACCEPT_WIDER and not self._tree.groups[wider].abstract:
                return wider, share
        return -1, scores[best] / total

    def _spans(self, best: int, evidence: Mapping[int, Evidence]) -> tuple[tuple[str, int, int], ...]:
        spans = {
            span
            for group, found in evidence.items()
            if self._tree.related(group, best) or self._tree.child_form(best, group)
            for span in found.spans
        }
        return tuple(sorted(spans, key=lambda span: (span[1], span[2])))

    def _read_category(self, category: tuple[str, ...]) -> dict[int, float]:
        """Return what a category path says, the leaf most; a name that serves several groups says less."""
        said: dict[int, float] = {}
        for depth, node in enumerate(reversed(category)):
            weight = 1.0 if depth == 0 else _ROOT_WEIGHT
            text = normalize(node).text[:_NODE_MAX]
            if groups := self._categories.get(text):
                for group in groups:
                    said[group] = max(said.get(group, 0.0), weight / len(groups))
                continue
            evidence, excluded = self._title.read(text)
            for group, found in evidence.items():
                if group not in excluded and found.best >= 0.5 and found.strong:
                    said[group] = max(said.get(group, 0.0), 0.6 * weight * min(found.best, 1.0))
        return said

    def _scores(self, text: str, category: tuple[str, ...]) -> tuple[dict[int, float], dict[int, Evidence]]:
        said = self._of_category(category) if category else {}
        evidence, excluded = self._title.read(text, said.keys())
        scores = {
            group: found.score * (_EXCLUDED if group in excluded else 1.0)
            for group, found in evidence.items()
        }
        self._lend(scores)
        self._rule(scores, evidence, said)
        if said:
            self._agree(scores, evidence, said)
            self._fall_back(scores, evidence, said)
        kept = {g: s for g, s in scores.items() if not self._tree.groups[g].abstract and s > 0.01}
        return kept, evidence

    def _lend(self, scores: dict[int, float]) -> None:
        """Give what speaks for a wider group to the narrow ones below it that were named as well."""
        own = dict(scores)
        for group, score in own.items():
            for wider in self._tree.lines[group][1:]:
                if wider in own and score > 0.1:
                    scores[group] += 0.6 * own[wider]
                    scores[wider] = min(scores[wider], 0.4 * own[wider])

    def _rule(
        self, scores: dict[int, float], evidence: Mapping[int, Evidence], said: Mapping[int, float]
    ) -> None:
        """Let a dominant group rule over the nouns beside its words: a toy camera is a toy."""
        groups = self._tree.groups
        rulers = [
            g for g, weight in said.items() if groups[g].dominant == "category" and weight >= _ROOT_WEIGHT
        ]
        rulers += [
            g
            for g, score in scores.items()
            if groups[g].dominant
            and score >= 0.2
            and evidence[g].strong
            and evidence[g].best >= _DOMINANT_FROM
        ]
        for group in scores:
            if rulers and not any(ruler in self._tree.lines[group] for ruler in rulers):
                scores[group] *= _RULED_OVER

    def _agree(
        self, scores: dict[int, float], evidence: Mapping[int, Evidence], said: Mapping[int, float]
    ) -> None:
        """Weigh the title's groups by the category's; a shoe in a children's category is a child's shoe."""
        tree = self._tree
        families = {tree.family(group) for group in said}
        for group, score in list(scores.items()):
            child = next((g for g in said if tree.child_form(g, group)), None)
            if child is not None and group not in said:
                scores[child] = scores.get(child, 0.0) + score * _SAME_GROUP
                scores[group] = 0.0
            elif any(tree.related(group, g) for g in said):
                # Context such as "for cars" says nothing that the category has not said.
                scores[group] *= _SAME_GROUP if evidence[group].noun else 1.0
            elif tree.family(group) not in families:
                scores[group] *= _OTHER_FAMILY

    def _fall_back(
        self, scores: dict[int, float], evidence: dict[int, Evidence], said: Mapping[int, float]
    ) -> None:
        """Let the category speak for itself, louder where the title says little."""
        strongest = max(scores.values(), default=0.0)
        worth = _FROM_CATEGORY_ALONE if strongest < 0.5 else _FROM_CATEGORY
        for group, weight in said.items():
            narrower = any(
                group in self._tree.lines[g] and score >= 0.4 for g, score in scores.items() if g != group
            )
            if not narrower:
                scores[group] = scores.get(group, 0.0) + worth * weight
                found = evidence.setdefault(group, Evidence())
                found.spans.append((self._tree.codes[group], -1, -1))
