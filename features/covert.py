"""Covert cameras, which are banned by policy: a detector of words and of how they stand together.

About half of such listings name neither spying nor hiding; they join a camera to an everyday thing ("wall
clock with 1080p wifi camera"). The weights are data (``covert_camera.yaml``), set by hand and documented there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from features.covert_weights import THINGS, CovertWeights
from features.details import pieces
from features.normalize import Normalized, normalize
from features.schema import Listing
from features.yaml_text import read_yaml

_CONCEALING = frozenset({"concealment", "explicit", "tiny", "unlit", "unnoticed"})
_ABILITIES = frozenset({"recording", "resolution", "remote", "wireless", "unattended", "dark", "unlit"})
_AND = re.compile("(?<![a-z])and(?![a-z])|[&+,/]|와 |과 |및|和|及")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\u3131-\u3163\u1100-\u11ff\uff21-\uff5a]")


@dataclass(frozen=True, slots=True)
class CovertEvidence:
    """Words that speak for or against a covert camera.

    ``start`` and ``end`` are positions in the original text of ``field``; ``weight`` is in log-odds; ``kind`` is
    the group, rule or relation of the weights file.
    """

    field: str
    start: int
    end: int
    text: str
    weight: float
    kind: str


@dataclass(frozen=True, slots=True)
class CovertScore:
    """Probability that a listing offers a covert camera, with what it rests on, heaviest first."""

    probability: float
    evidence: tuple[CovertEvidence, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a group was found: field name, normalised field, position."""

    field: str
    source: Normalized
    start: int
    end: int

    def evidence(self, weight: float, kind: str) -> CovertEvidence:
        start, end = self.source.span(self.start, self.end)
        return CovertEvidence(self.field, start, end, self.source.original[start:end], weight, kind)


@cache
def _packaged() -> CovertWeights:
    source = resources.files("features").joinpath("covert_camera.yaml")
    return CovertWeights(read_yaml(source.read_text(encoding="utf-8")))


class CovertCameraDetector:
    """Scores text for covert cameras.

    Parameters
    ----------
    path
        Weights file; None takes the one that comes with the package. It is read on first use.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    @cached_property
    def _weights(self) -> CovertWeights:
        return CovertWeights(read_yaml(self.path.read_text(encoding="utf-8"))) if self.path else _packaged()

    @property
    def version(self) -> int:
        """Version of the weights."""
        return self._weights.version

    def score_text(self, text: str) -> CovertScore:
        """Score a title alone."""
        return self._score(normalize(text), ())

    def score_listing(self, listing: Listing, title: Normalized | None = None) -> CovertScore:
        """Score a listing.

        Parameters
        ----------
        listing
            Title, bullets, attributes, variants, description and category are read.
        title
            The title normalised already, to save the work.

        Returns
        -------
        CovertScore
        """
        title = title or normalize(listing.title)
        score = self._score(title, tuple(_details(listing)))
        if self._weights.ordinary.search(title.text):
            return score
        told = max(self._told(listing), key=lambda other: other.probability, default=score)
        return told if told.probability > score.probability else score

    def _told(self, listing: Listing) -> Iterator[CovertScore]:
        """Read what stands outside the title piece by piece, each as if it were a title, at a discount."""
        for piece in pieces(listing):
            if not self._may_tell(piece.text):
                continue
            read = self._score(normalize(piece.text), ())
            logit = math.log(read.probability / (1.0 - read.probability)) - self._weights.pieces_discount
            yield CovertScore(
                _sigmoid(logit),
                tuple(
                    replace(one, field=piece.field, start=one.start + piece.start, end=one.end + piece.start)
                    for one in read.evidence
                ),
            )

    def _may_tell(self, text: str) -> bool:
        """Whether a piece has any letters of a camera word; most have none."""
        plain = normalize(text).text if not text.isascii() and _INVISIBLE.search(text) else text.lower()
        return any(stem in plain for stem in self._weights.details_stems)

    def _score(self, title: Normalized, details: tuple[tuple[str, str], ...]) -> CovertScore:
        weights = self._weights
        if not self._worth_reading(title.text) and not self._speaking(details):
            return CovertScore(_sigmoid(weights.bias), ())
        in_title = {
            name: _Found("title", title, match.start(), match.end())
            for name, group in weights.groups.items()
            if (match := group.finder.search(title.text))
        }
        in_details = self._read_details(details)
        evidence = list(self._weigh(title, in_title, in_details))
        logit = weights.bias + sum(item.weight for item in evidence)
        evidence.sort(key=lambda item: -abs(item.weight))
        return CovertScore(_sigmoid(logit), tuple(evidence))

    def _worth_reading(self, title: str) -> bool:
        """Whether the title may speak of a camera at all; most titles stop here."""
        weights = self._weights
        if weights.camera.search(title):
            return True
        return weights.ability.search(title) is not None and weights.about.search(title) is not None

    def _speaking(self, details: tuple[tuple[str, str], ...]) -> bool:
        """Whether the other fields say outright that there is a hidden or built-in camera."""
        left, stems = self._weights.details_length, self._weights.details_stems
        for _, text in details:
            piece = text[:left]
            evasive = not piece.isascii() and _INVISIBLE.search(piece)
            plain = normalize(piece).text if evasive else piece.lower()
            if any(stem in plain for stem in stems) and self._weights.in_details.search(plain):
                return True
            left -= len(piece)
            if left <= 0:
                break
        return False

    def _read_details(self, details: tuple[tuple[str, str], ...]) -> dict[str, _Found]:
        found: dict[str, _Found] = {}
        left = self._weights.details_length
        for field, text in details:
            if left <= 0:
                break
            source = normalize(text[:left])
            left -= len(source.original)
            for name in self._weights.details_groups:
                if name not in found and (match := self._weights.groups[name].finder.search(source.text)):
                    found[name] = _Found(field, source, match.start(), match.end())
        return found

    def _weigh(
        self, title: Normalized, in_title: dict[str, _Found], in_details: dict[str, _Found]
    ) -> Iterator[CovertEvidence]:
        weights = self._weights
        both = in_details | in_title
        seen = in_title.keys() | in_details.keys()
        relation = self._relation(title) or self._beside_goods(title, seen)
        ordinary = 0.0
        for name, found in both.items():
            group = weights.groups[name]
            if name in ("tiny", "small") and "camera" not in seen:
                continue
            if name == "explicit" and "detector" in seen:
                continue
            weight = group.weight if name in in_title else group.weight * weights.details_share
            if group.if_concealed is not None:
                weight *= _left_of_ordinary(group.if_concealed, seen, relation)
                weight = max(weight, weights.ordinary_floor - ordinary)
                ordinary += weight
            if weight:
                yield found.evidence(weight, name)
        yield from self._rules(both)
        if relation:
            yield relation
        if only_for := self._only_for(title, in_title.keys()):
            yield only_for

    def _only_for(self, title: Normalized, seen: Set[str]) -> CovertEvidence | None:
        """Evidence that the goods are a part or a case for such a thing."""
        match = self._weights.accessory_words.search(title.text)
        if match is None or len(seen & _ABILITIES) >= 2:
            return None
        found = _Found("title", title, match.start(), match.end())
        return found.evidence(self._weights.relations["accessory"], "accessory")

    def _rules(self, seen: dict[str, _Found]) -> Iterator[CovertEvidence]:
        thing = any(name in seen for name in THINGS)
        for rule in self._weights.rules:
            if rule.any_thing and not thing:
                continue
            if rule.any and not any(name in seen for name in rule.any):
                continue
            if all(name in seen for name in rule.all) and not any(name in seen for name in rule.unless):
                in_title = rule.full or all(seen[name].field == "title" for name in rule.all)
                weight = rule.weight * (1.0 if in_title else self._weights.details_share)
                yield seen[rule.all[0]].evidence(weight, rule.name)

    def _relation(self, title: Normalized) -> CovertEvidence | None:
        """How an everyday thing and a camera noun stand to each other; the strongest pair."""
        weights = self._weights
        cameras = list(weights.groups["camera"].finder.finditer(title.text))
        best: tuple[float, str, int, int] | None = None
        for name in THINGS:
            for thing in weights.groups[name].finder.finditer(title.text) if cameras else ():
                for camera in cameras:
                    kind = self._stand(title.text, thing, camera, accessory=name == THINGS[1])
                    weight = weights.relations[kind] if kind else 0.0
                    if kind and (best is None or weight > best[0]):
                        span = min(thing.start(), camera.start()), max(thing.end(), camera.end())
                        best = (weight, kind, *span)
        if best is None:
            return None
        weight, kind, start, end = best
        return _Found("title", title, start, end).evidence(weight, kind)

    def _beside_goods(self, title: Normalized, seen: Set[str]) -> CovertEvidence | None:
        """Goods of any kind right before a camera noun, or with one: the list of things is never complete."""
        weights = self._weights
        if "camera" not in seen or not seen.isdisjoint(THINGS) or seen.isdisjoint(_ABILITIES):
            return None
        if any(weights.groups[name].weight <= -1.0 for name in seen):
            return None
        cameras = list(weights.groups["camera"].finder.finditer(title.text))
        for goods in weights.goods.finditer(title.text):
            for camera in cameras:
                kind = self._stand(title.text, goods, camera, accessory=True)
                gap = camera.start() - goods.end()
                two = _AND.search(title.text, goods.end(), camera.start())
                if (
                    kind in ("thing_first", "thing_with")
                    and gap <= weights.relations["goods_gap"]
                    and not two
                ):
                    found = _Found("title", title, goods.start(), camera.end())
                    return found.evidence(weights.relations["goods_first"], "goods_first")
        return None

    def _stand(self, text: str, thing: re.Match[str], camera: re.Match[str], *, accessory: bool) -> str:
        """Name the relation of one pair; empty where they overlap or one is for the other."""
        weights = self._weights
        first, second = (thing, camera) if thing.start() < camera.start() else (camera, thing)
        if second.start() < first.end() or weights.for_after_camera.match(
            text[camera.end() : camera.end() + 4]
        ):
            return ""
        gap = text[first.end() : second.start()]
        if weights.for_words.search(gap):
            return ""
        if len(gap) > weights.relations["max_gap"] or weights.break_words.search(gap):
            return "far"
        if first is thing:
            return "thing_with" if weights.with_words.search(gap) else "thing_first"
        if weights.list_words.search(gap):
            return "far"
        if weights.with_words.search(gap):
            return "camera_first"
        return "camera_first_accessory" if accessory else "camera_first"


def _left_of_ordinary(if_concealed: float, seen: Set[str], relation: CovertEvidence | None) -> float:
    """Share of a word of ordinary cameras that still counts: sellers of covert ones borrow them."""
    if not seen.isdisjoint(_CONCEALING):
        return if_concealed
    if relation and relation.kind in ("thing_first", "thing_with"):
        return (1.0 + if_concealed) / 2
    return 1.0


def _details(listing: Listing) -> Iterator[tuple[str, str]]:
    """Fields other than the title, the telling ones first."""
    for at, bullet in enumerate(listing.bullets):
        yield f"bullets.{at}", bullet
    for name, value in listing.attributes.items():
        yield f"attributes.{name}", value
    for at, variant in enumerate(listing.variants[:20]):
        yield f"variants.{at}.name", variant.name
    if listing.description:
        yield "description", listing.description
    if listing.category:
        yield "category", " > ".join(listing.category)


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
