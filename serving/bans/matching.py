"""Is this listing a banned item that came back? Words and photos, one probability, and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from features.offer_index import Near
from features.schema import Listing
from serving.bans.bank import Bank, ReadOffer
from serving.bans.book import Entry
from serving.bans.match import Match, PhotoFinding, PhotoResult, PhotoSearch, Tier, combined, shared_words
from serving.decisions import PhotosSeen
from serving.judging import Compared
from training.matcher import worth_comparing


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
        findings = [_by_ban(found.findings if found else ()) for found in photos]
        reads = self.reader.read(listings)
        matches = map(self._matches, listings, reads, self._probabilities(reads, findings), findings)
        return list(zip(matches, seen, strict=True))

    def _photos(self, listing: Listing) -> PhotoResult | None:
        return self.photos.against(listing) if self.photos is not None and listing.images else None

    def _matches(
        self,
        listing: Listing,
        read: ReadOffer,
        p_text: Mapping[str, float],
        findings: Mapping[str, Sequence[PhotoFinding]],
    ) -> tuple[Match, ...]:
        if not p_text:
            return ()
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

    def text_probabilities(self, read: ReadOffer, extra: Iterable[str] = ()) -> dict[str, float]:
        """P(same product) by words, by id: of what is `worth_comparing` on the shortlist, and of ``extra``."""
        return self._probabilities([read], [extra])[0]

    def _probabilities(
        self, reads: Sequence[ReadOffer], extras: Sequence[Iterable[str]]
    ) -> list[dict[str, float]]:
        """Do the same for a block of listings, all pairs at once."""
        found = self.bank.nearest([self.reader.query(read) for read in reads])
        near = [self._near(*one) for one in zip(reads, found, extras, strict=True)]
        pairs = [
            (read.view, self.bank.view(ban_id))
            for read, found in zip(reads, near, strict=True)
            for ban_id in found
        ]
        cosines = [cosine for found in near for cosine in found.values()]
        p = iter(self.reader.matcher.compare(pairs, cosines).tolist())
        return [{ban_id: next(p) for ban_id in found} for found in near]

    def _near(self, read: ReadOffer, found: Sequence[Near], extra: Iterable[str]) -> dict[str, float]:
        """Cosines of what is to be compared in full."""
        near = {one.key: one.cosine for one in found if worth_comparing(one.cosine, one.words)}
        for ban_id in extra:
            if ban_id not in near and ban_id in self.bank.book.entries:
                vector = self.reader.encoder.encode([self.bank.view(ban_id).title])[0]
                near[ban_id] = float(vector @ read.vector)
        return near

    def _lookalikes(self, p_text: Mapping[str, float]) -> dict[str, float]:
        """Per ban, how surely the listing is one of the look-alikes that people cleared of it."""
        found: dict[str, float] = {}
        for key, p in p_text.items():
            entry = self.bank.book.lookalikes.get(key)
            if entry is not None and p >= self.reader.matcher.near:
                found[entry.lookalike_of] = max(p, found.get(entry.lookalike_of, 0.0))
        return found

    def _judge(
        self, listing: Listing, read: ReadOffer, entry: Entry, p_text: float, photos: Sequence[PhotoFinding]
    ) -> Match | None:
        matcher = self.reader.matcher
        banned = self.bank.view(entry.ban_id)
        known = bool(banned.seller_written and banned.title)
        same_offer = known and banned.title == read.view.title and banned.seller == read.view.seller
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

    def announce(self, listings: Sequence[Listing]) -> None:
        """Say what will have to be encoded for these listings, if there is anything to compare them with."""
        if len(self.finder.bank):
            self.finder.reader.announce(listings)

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
