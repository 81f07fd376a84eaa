"""Is this listing a banned item that came back? Words and photos, one probability, and the evidence for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from features.encoders import Encoder
from features.normalize import normalize
from features.offer import TITLE_MAX, OfferView, view_of_listing
from features.offer_index import Near, OfferIndex, Query, print_of
from features.offer_pairs import WeightCache
from features.schema import Listing
from serving.bans.book import BanBook, Entry
from serving.bans.photos import NOT_INSTALLED
from serving.decisions import PhotosSeen
from serving.policy.evaluation import MatchFact
from serving.predictor import Compared
from training.matcher import SHORTLIST, Matcher

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


@dataclass(frozen=True, slots=True)
class _Read:
    """A listing as it is searched with."""

    view: OfferView
    vector: np.ndarray


class OfferReader:
    """Reads listings for comparison; the encoder must be the one that the matcher was made with."""

    def __init__(self, matcher: Matcher, encoder: Encoder) -> None:
        self.matcher = matcher
        self.encoder = encoder
        self.made_by = encoder.identity.sha256

    def read(self, listings: Sequence[Listing]) -> list[_Read]:
        """Read and encode listings as one block."""
        views = [view_of_listing(listing) for listing in listings]
        vectors = self.encoder.encode([view.title for view in views])
        return [_Read(view, vector) for view, vector in zip(views, vectors, strict=True)]

    def marks(self, listings: Sequence[Listing]) -> list[bytes]:
        """Return the prints of listings, to be stored."""
        return [print_of(read.view, read.vector) for read in self.read(listings)]

    def query(self, read: _Read) -> Query:
        """Return what the index is searched with."""
        return Query.of(read.view, read.vector, self.matcher.weights)


class Bank:
    """The banned items in force, searchable; follows a `BanBook` as it changes."""

    def __init__(self, reader: OfferReader) -> None:
        self.reader = reader
        self.book = BanBook()
        self._index = OfferIndex(reader.encoder.identity.dim)
        # Bans arrive in one thread while listings are looked up in others.
        self._lock = threading.Lock()
        self._views: dict[str, OfferView] = {}

    def __len__(self) -> int:
        return len(self._index)

    def follow(self, changed: Iterable[str]) -> None:
        """Bring the index in line with the book for these ids."""
        added: list[Entry] = []
        gone: list[str] = []
        for ban_id in changed:
            entry = self._searched(ban_id)
            if entry is None:
                gone.append(ban_id)
            elif ban_id not in self._index:
                added.append(entry)
        marks = self._marks(added)
        with self._lock:
            self._index.remove(gone)
            self._index.add(marks)

    def _searched(self, ban_id: str) -> Entry | None:
        entry = self.book.entries.get(ban_id)
        if entry is not None and entry.state == "active":
            return entry
        return self.book.lookalikes.get(ban_id)

    def _marks(self, entries: Sequence[Entry]) -> list[tuple[str, bytes]]:
        """Prints of entries; those that another encoder made are made again."""
        stale = [entry for entry in entries if entry.made_by != self.reader.made_by]
        marks = self.reader.marks([entry.item for entry in stale]) if stale else []
        renewed = dict(zip((entry.ban_id for entry in stale), marks, strict=True))
        return [(entry.ban_id, renewed.get(entry.ban_id, entry.mark)) for entry in entries]

    def nearest(self, query: Query, k: int = SHORTLIST) -> list[Near]:
        """Return bans and look-alikes worth comparing in full."""
        with self._lock:
            return self._index.nearest(query, k)

    def view(self, ban_id: str) -> OfferView:
        """Return an entry as it is compared; read on first use, since most entries never are."""
        found = self._views.get(ban_id)
        if found is None:
            entry = self.book.entries.get(ban_id) or self.book.lookalikes[ban_id]
            found = self._views[ban_id] = view_of_listing(entry.item)
        return found


class MatchFinder:
    """Finds the banned items that a listing may be.

    Parameters
    ----------
    bank
        What is banned.
    photos
        Photo matching; None leaves the words alone to decide.
    """

    def __init__(self, bank: Bank, photos: PhotoSearch | None = None) -> None:
        self.bank = bank
        self.photos = photos
        self.reader = bank.reader

    def find(self, listing: Listing) -> tuple[Match, ...]:
        """Return matches, the most probable first; empty where none reaches the near point."""
        return self.compare([listing])[0][0]

    def compare(self, listings: Sequence[Listing]) -> list[tuple[tuple[Match, ...], PhotosSeen | None]]:
        """Return, per listing, matches as `find`, and what was seen of its photos, None where it has none."""
        photos = [self._photos(listing) for listing in listings]
        seen = [None if found is None else found.seen for found in photos]
        if not len(self.bank) and not any(found and found.findings for found in photos):
            return [((), one) for one in seen]
        return [
            (self._matches(listing, read, _by_ban(found.findings if found else ())), one)
            for listing, read, found, one in zip(
                listings, self.reader.read(listings), photos, seen, strict=True
            )
        ]

    def _photos(self, listing: Listing) -> PhotoResult | None:
        return self.photos.against(listing) if self.photos is not None and listing.images else None

    def _matches(
        self, listing: Listing, read: _Read, findings: Mapping[str, Sequence[PhotoFinding]]
    ) -> tuple[Match, ...]:
        p_text = self.text_probabilities(read, extra=findings)
        fine = self._lookalikes(p_text)
        matches = [
            match
            for ban_id, p in p_text.items()
            if (entry := self.bank.book.entries.get(ban_id)) is not None
            and entry.state == "active"
            and self.bank.book.enabled(entry.bank, listing.id)
            and (match := self._judge(listing, read, entry, p, findings.get(ban_id, ()))) is not None
            and (match.same_offer or match.photos or fine.get(ban_id, 0.0) < p)
        ]
        return tuple(sorted(matches, key=lambda match: -match.p))

    def text_probabilities(self, read: _Read, extra: Iterable[str] = ()) -> dict[str, float]:
        """P(same product) by words, of the shortlist and of ``extra``; by id."""
        near = {found.key: found.cosine for found in self.bank.nearest(self.reader.query(read))}
        for ban_id in extra:
            if ban_id not in near and ban_id in self.bank.book.entries:
                vector = self.reader.encoder.encode([self.bank.view(ban_id).title])[0]
                near[ban_id] = float(vector @ read.vector)
        pairs = [(read.view, self.bank.view(ban_id)) for ban_id in near]
        p = self.reader.matcher.compare(pairs, list(near.values()))
        return dict(zip(near, p.tolist(), strict=True))

    def _lookalikes(self, p_text: Mapping[str, float]) -> dict[str, float]:
        """Per ban, how surely the listing is one of the look-alikes that people cleared of it."""
        found: dict[str, float] = {}
        for key, p in p_text.items():
            entry = self.bank.book.lookalikes.get(key)
            if entry is not None and p >= self.reader.matcher.near:
                found[entry.lookalike_of] = max(p, found.get(entry.lookalike_of, 0.0))
        return found

    def _judge(
        self, listing: Listing, read: _Read, entry: Entry, p_text: float, photos: Sequence[PhotoFinding]
    ) -> Match | None:
        matcher = self.reader.matcher
        banned = self.bank.view(entry.ban_id)
        known = bool(banned.seller and banned.title)
        same_offer = known and (banned.seller, banned.title) == (read.view.seller, read.view.title)
        telling = tuple(f for f in photos if f.verified or f.probability > f.base_rate)
        p = combined(p_text, telling)
        if same_offer or any(f.verified for f in telling) or p >= matcher.exact:
            tier: Tier = "exact"
        elif p >= matcher.near:
            tier = "near"
        else:
            return None
        words = shared_words(listing.title, read.view, banned, matcher.cache)
        return Match(entry, tier, 1.0 if same_offer else p, p_text, same_offer, words, telling)


class MatchCheck:
    """The predictor's door: listings -> what the policy may look at, with the evidence."""

    def __init__(self, finder: MatchFinder, refresh: Refresh | None = None) -> None:
        self.finder = finder
        self._refresh = refresh

    def __call__(self, listings: Sequence[Listing]) -> list[Compared]:
        """Return the matches as the policy reads them, and what was seen of the photos, per listing."""
        if self._refresh is not None:
            self._refresh()
        found = self.finder.compare(listings)
        return [Compared(tuple(match.fact() for match in matches), seen) for matches, seen in found]


class Refresh(Protocol):
    """Takes up bans that other processes placed."""

    def __call__(self) -> object:
        """Look for changes."""
        ...


def _by_ban(findings: Iterable[PhotoFinding]) -> dict[str, list[PhotoFinding]]:
    grouped: dict[str, list[PhotoFinding]] = {}
    for finding in findings:
        grouped.setdefault(finding.ban_id, []).append(finding)
    return grouped


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
    normal = normalize(title[:TITLE_MAX])
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
