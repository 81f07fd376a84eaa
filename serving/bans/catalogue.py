"""The live catalogue: what is on sale now, to be searched when a ban arrives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import UserError
from features.offer_index import Near, OfferIndex, Query
from features.schema import Listing, parse_listing
from serving.bans.bank import OfferReader
from serving.store import Store
from serving.store.catalogue import (
    CatalogueRow,
    Key,
    count_rows,
    put_rows,
    read_listings,
    read_marks,
    remove_rows,
)
from serving.store.engine import reading, writing
from serving.store.writer import wall_clock

if TYPE_CHECKING:
    from serving.bans.photo_catalogue import CataloguePhotos

BLOCK = 256


class CatalogueError(UserError):
    """A catalogue that cannot be searched."""


@dataclass(frozen=True, slots=True)
class Found:
    """A live listing near what was searched."""

    key: Key
    near: Near


class Catalogue:
    """Live listings of one store; nothing is kept in memory between calls, so all processes see the same.

    Parameters
    ----------
    store
        An open store.
    reader
        Makes the prints of listings.
    photos
        Index of live photos on this machine; None leaves them out.
    """

    def __init__(self, store: Store, reader: OfferReader, photos: CataloguePhotos | None = None) -> None:
        self.store = store
        self.reader = reader
        self.photos = photos

    def add(self, listings: Iterable[Listing]) -> Iterator[int]:
        """Add listings, or new versions of them, block by block; yields the size of each block once it is on disk."""
        for block in _batched(listings):
            marks = self.reader.marks(block)
            rows = [
                CatalogueRow(
                    listing.marketplace or "",
                    listing.id,
                    listing.model_dump(mode="json", exclude_defaults=True),
                    mark,
                    self.reader.made_by,
                )
                for listing, mark in zip(block, marks, strict=True)
            ]
            with writing(self.store.engine) as connection:
                put_rows(connection, rows, wall_clock())
            if self.photos is not None and any(listing.images for listing in block):
                self.photos.add(block)
            yield len(rows)

    def remove(self, keys: Sequence[Key]) -> int:
        """Take listings away; returns how many were there."""
        if self.photos is not None:
            self.photos.remove(keys)
        with writing(self.store.engine) as connection:
            return remove_rows(connection, keys)

    def size(self) -> int:
        """How many listings are live."""
        with reading(self.store.engine) as connection:
            return count_rows(connection)

    def listings(self, keys: Sequence[Key]) -> dict[Key, Listing]:
        """Read listings by key; keys that are gone are left out."""
        with reading(self.store.engine) as connection:
            found = read_listings(connection, keys)
        return {key: parse_listing(raw) for key, raw in found.items()}

    def search(self) -> CatalogueSearch:
        """Read all prints, ready to be searched.

        Raises
        ------
        CatalogueError
            When some prints were made by another encoder: searching the rest would miss listings in silence.
        """
        index = OfferIndex(self.reader.encoder.identity.dim)
        keys: list[Key] = []
        with reading(self.store.engine) as connection:
            whole = count_rows(connection)
            for block in read_marks(connection, self.reader.made_by):
                index.add([(str(len(keys) + i), mark) for i, (_, _, mark) in enumerate(block)])
                keys.extend((marketplace, listing_id) for marketplace, listing_id, _ in block)
        if whole != len(keys):
            raise CatalogueError(
                f"got {whole - len(keys)} of {whole} catalogue listings with prints of another encoder: add them again "
                "with `listing-risk catalogue add`"
            )
        return CatalogueSearch(index, keys)


@dataclass(frozen=True, slots=True)
class CatalogueSearch:
    """The catalogue's prints at one moment."""

    index: OfferIndex
    keys: list[Key]

    def __len__(self) -> int:
        return len(self.keys)

    def nearest(self, query: Query, k: int) -> list[Found]:
        """Return the union of the ``k`` nearest by meaning and by words."""
        return [Found(self.keys[int(near.key)], near) for near in self.index.nearest(query, k)]


def _batched(listings: Iterable[Listing]) -> Iterator[tuple[Listing, ...]]:
    """Do what `itertools.batched` does from Python 3.12 on."""
    rest = iter(listings)
    while block := tuple(itertools.islice(rest, BLOCK)):
        yield block
