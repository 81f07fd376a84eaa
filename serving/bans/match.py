"""What a match with a banned item is, and the evidence for it: words that both have, photos that are copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from features.offer import TITLE_MAX, OfferView
from features.offer_pairs import WeightCache
from features.schema import Listing
from features.titles import title_of
from serving.bans.book import Entry
from serving.bans.photos import NOT_INSTALLED
from serving.decisions import PhotosSeen
from serving.policy.evaluation import MatchFact

Tier = Literal["exact", "near"]

WORDS_SHOWN = 8
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class PhotoFinding:
    """One photo of a listing against one photo of a banned item.

    Attributes
    ----------
    photo, banned_photo
        Positions in the listing's and in the banned item's images.
    probability
        P(one photo is an edit of the other), calibrated to ``base_rate``.
    verified
        Whether the geometry agrees: as good as certain.
    """

    ban_id: str
    photo: int
    banned_photo: int
    probability: float
    base_rate: float
    verified: bool


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """What came of comparing a listing's photos with those of banned items."""

    findings: tuple[PhotoFinding, ...]
    seen: PhotosSeen = field(default_factory=PhotosSeen)


class PhotoSearch(Protocol):
    """Photos of banned items, however they are indexed."""

    @property
    def reads(self) -> bool:
        """Whether photos are really looked at, which takes time."""
        ...

    def against(self, listing: Listing) -> PhotoResult:
        """Find banned photos that the listing's photos may be copies of; unusable photos find nothing."""
        ...


@dataclass(frozen=True, slots=True)
class NoEyes:
    """Stands where photos cannot be compared, and says so in every decision on a listing that has some."""

    reads: bool = False

    def against(self, listing: Listing) -> PhotoResult:
        """Find nothing, and say why."""
        return PhotoResult((), PhotosSeen(0, (NOT_INSTALLED,)))


@dataclass(frozen=True, slots=True)
class SharedWords:
    """Words of the listing's title that the banned item has too: positions in the title as written, and weight."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """One banned item that a listing is taken for.

    Attributes
    ----------
    p
        P(same product) from all that is known, calibrated as the matcher's header says.
    p_text
        The same from words, codes, price and brand alone.
    same_offer
        Same seller and same title: the very offer that was banned.
    words, photos
        The evidence; photos are the findings that raised the probability.
    """

    entry: Entry
    tier: Tier
    p: float
    p_text: float
    same_offer: bool
    words: tuple[SharedWords, ...]
    photos: tuple[PhotoFinding, ...]

    def fact(self) -> MatchFact:
        """Return what the policy may look at."""
        return MatchFact(self.tier, self.entry.ban_id, self.p, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the evidence without the seller's words: positions in the title say which they are."""
        entry = self.entry
        return {
            "ban_id": entry.ban_id,
            "bank": entry.bank,
            "tier": self.tier,
            "p": float(f"{self.p:.6g}"),
            "p_text": float(f"{self.p_text:.6g}"),
            "same_offer": self.same_offer,
            "reason": entry.reason,
            "notice": entry.notice.model_dump() if entry.notice else None,
            "words": [{"start": w.start, "end": w.end, "weight": round(w.weight, 3)} for w in self.words],
            "photos": [
                {
                    "photo": f.photo,
                    "banned_photo": f.banned_photo,
                    "p": float(f"{f.probability:.6g}"),
                    "verified": f.verified,
                }
                for f in self.photos
            ],
        }


def combined(p_text: float, photos: Sequence[PhotoFinding]) -> float:
    """Join words and photos into one probability.

    The best photo adds what it tells beyond its base rate, in log-odds, as if words and photos spoke independently
    given the product. Without a telling photo the words decide alone: a re-lister changes photos, so a photo that
    does not match speaks neither way.
    """
    if not photos:
        return p_text
    best = max(photos, key=lambda finding: _log_odds(finding.probability) - _log_odds(finding.base_rate))
    told = max(0.0, _log_odds(best.probability) - _log_odds(best.base_rate))
    return 1 / (1 + math.exp(-(_log_odds(p_text) + told)))


def _log_odds(p: float) -> float:
    p = min(max(p, _LEAST), 1 - _LEAST)
    return math.log(p / (1 - p))


def shared_words(
    title: str, mine: OfferView, banned: OfferView, weights: WeightCache
) -> tuple[SharedWords, ...]:
    """Return the most telling words that the banned item has too, as positions in the title as written."""
    weight = np.zeros(len(mine.title))
    for token in mine.token_set & banned.all_set:
        at = mine.title.find(token)
        while at >= 0:
            inside = weight[at : at + len(token)]
            np.maximum(inside, weights.of(token) / len(token), out=inside)
            at = mine.title.find(token, at + 1)
    normal = title_of(title[:TITLE_MAX])
    found: list[SharedWords] = []
    for start, end in _runs(weight):
        if end <= len(normal.text):
            first, last = normal.span(start, end)
            found.append(SharedWords(first, last, float(weight[start:end].sum())))
    top = sorted(found, key=lambda words: -words.weight)[:WORDS_SHOWN]
    return tuple(sorted(top, key=lambda words: words.start))


def _runs(weight: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], weight > 0, [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
