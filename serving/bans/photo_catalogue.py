"""Photos of the live catalogue, searched when a ban arrives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.errors import OutsideError
from features.image_features import PhotoFeatures
from features.image_match import PhotoMatcher, load_matcher, photo_entry
from features.schema import Listing
from serving.bans.photo_index import SharedIndex
from serving.bans.photos import Eyes
from serving.store.catalogue import Key

PHOTOS_OF_A_LISTING = 3
"""Photos of a live listing that are indexed: the first ones show the goods."""
_ROUNDS = 50


class CataloguePhotos:
    """The index of live photos on this machine, filled by ``catalogue add``.

    Parameters
    ----------
    eyes
        Reads photos.
    folder
        Where the index lies.
    matcher
        The package's own where None.
    """

    def __init__(self, eyes: Eyes, folder: Path, matcher: PhotoMatcher | None = None) -> None:
        self.eyes = eyes
        self.matcher = matcher or load_matcher()
        self.index = SharedIndex(folder / "catalogue.index", eyes.identity)

    def add(self, listings: Sequence[Listing]) -> int:
        """Index the photos of listings, in the place of what these listings had; returns how many photos.

        Raises
        ------
        OutsideError
            When another process writes to the index.
        """
        self.write()
        entries = []
        for listing in listings:
            few = listing.model_copy(update={"images": listing.images[:PHOTOS_OF_A_LISTING]})
            key = (listing.marketplace or "", listing.id)
            entries += [
                photo_entry(_key(key, photo.position), photo.features) for photo in self.eyes.look(few).photos
            ]
        made = {entry.key for entry in entries}
        keys = [(listing.marketplace or "", listing.id) for listing in listings]
        self.index.change(entries, [key for key in _keys_of(keys) if key not in made])
        return len(entries)

    def remove(self, keys: Sequence[Key]) -> None:
        """Take listings away."""
        if len(self.index):
            self.write()
            self.index.change([], _keys_of(keys))

    def write(self) -> None:
        """Become the writer.

        Raises
        ------
        OutsideError
            When another process is.
        """
        self.index.claim()
        if not self.index.writes:
            raise OutsideError(f"another process writes to {self.index.path}; try again when it is done")

    def release(self) -> None:
        """Let others write; what is searched stays."""
        self.index.close()

    def hits(self, photos: Sequence[PhotoFeatures]) -> dict[Key, float]:
        """Live listings with a photo that may be a copy of one of these, with the best probability."""
        found: dict[Key, float] = {}
        for photo in photos:
            seen: frozenset[str] = frozenset()
            for _ in range(_ROUNDS):  # the shortlist is short: look again past what was found
                fresh = [one for one in self.index.match(self.matcher, photo, seen) if one.tier != "none"]
                if not fresh:
                    break
                seen |= {one.key for one in fresh}
                for one in fresh:
                    key = _place(one.key)
                    found[key] = max(one.probability, found.get(key, 0.0))
        return found


def _key(key: Key, position: int) -> str:
    return f"{key[0]}\0{key[1]}\0{position}"


def _place(key: str) -> Key:
    marketplace, listing_id, _ = key.split("\0")
    return marketplace, listing_id


def _keys_of(keys: Sequence[Key]) -> list[str]:
    return [_key(key, position) for key in keys for position in range(PHOTOS_OF_A_LISTING)]
