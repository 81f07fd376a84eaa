"""The bank: banned items in force, read for comparison and searchable; and the reader of listings against it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.encoding import Encoder
from features.offer import TITLE_MAX, OfferView, view_of_listing
from features.offer_index import Near, OfferIndex, Query, print_of, sketch_of
from features.remembering import RememberingEncoder
from features.schema import Listing
from features.titles import title_of
from serving.bans.book import BanBook, Entry
from training.matcher import SHORTLIST, Matcher, worth_comparing

VIEWS_KEPT = 10_000
"""Entries kept as they are compared, some 10 kB each; reading one takes longer than comparing it."""


@dataclass(frozen=True, slots=True)
class ReadOffer:
    """A listing as it is searched with.

    Attributes
    ----------
    view
        What is compared.
    vector
        ndarray of shape (n_dimensions,): the embedding of the title.
    """

    view: OfferView
    vector: np.ndarray


class OfferReader:
    """Reads listings for comparison; the encoder must be the one that the matcher was made with."""

    def __init__(self, matcher: Matcher, encoder: Encoder) -> None:
        self.matcher = matcher
        self.encoder = encoder
        self.made_by = encoder.identity.sha256

    def read(self, listings: Sequence[Listing]) -> list[ReadOffer]:
        """Read and encode listings as one block."""
        views = [view_of_listing(listing) for listing in listings]
        vectors = self.encoder.encode([view.title for view in views])
        return [ReadOffer(view, vector) for view, vector in zip(views, vectors, strict=True)]

    def announce(self, listings: Sequence[Listing]) -> None:
        """Let an encoder that remembers take what `read` encodes into its next run."""
        if isinstance(self.encoder, RememberingEncoder):
            self.encoder.announce([title_of(listing.title[:TITLE_MAX]).text for listing in listings])

    def marks(self, listings: Sequence[Listing]) -> list[bytes]:
        """Return the prints of listings, to be stored."""
        return [print_of(read.view, read.vector) for read in self.read(listings)]

    def query(self, read: ReadOffer) -> Query:
        """Return what the index is searched with."""
        return Query.of(read.view, read.vector, self.matcher.weights)

    def compare(self, banned: ReadOffer, found: Sequence[Near], listings: Sequence[Listing]) -> np.ndarray:
        """P(same product) of listings that a search for a banned item found, shape (n_listings,), float64.

        What a listing's own look-up would pass over is not compared here either, and has 0.
        """
        views = [view_of_listing(listing) for listing in listings]
        sketch = sketch_of(banned.view)
        worth = [
            at
            for at, (near, view) in enumerate(zip(found, views, strict=True))
            if worth_comparing(near.cosine, self.query(ReadOffer(view, banned.vector)).share_in(sketch))
        ]
        p = np.zeros(len(views))
        p[worth] = self.matcher.compare(
            [(views[at], banned.view) for at in worth], [found[at].cosine for at in worth]
        )
        return p


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

    def nearest(self, queries: Sequence[Query], k: int = SHORTLIST) -> list[list[Near]]:
        """Return, per query, bans and look-alikes that may be worth comparing in full."""
        with self._lock:
            return self._index.nearest_many(queries, k)

    def view(self, ban_id: str) -> OfferView:
        """Return an entry as it is compared; read on first use, and only the latest are kept."""
        found = self._views.get(ban_id)
        if found is None:
            entry = self.book.entries.get(ban_id) or self.book.lookalikes[ban_id]
            found = view_of_listing(entry.item)
            with self._lock:
                if len(self._views) >= VIEWS_KEPT:
                    del self._views[next(iter(self._views))]
                self._views[ban_id] = found
        return found
