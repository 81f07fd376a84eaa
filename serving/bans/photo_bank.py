"""Photos of banned items: kept in the store, searched through an index on this machine that follows it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from features.image_features import PhotoFeatures
from features.image_match import PhotoMatch, PhotoMatcher, load_matcher, photo_entry
from features.schema import Listing
from features.similarity import Entry
from serving.bans.book import BanBook
from serving.bans.match import PhotoFinding, PhotoResult
from serving.bans.photo_index import SharedIndex, packed, unpacked
from serving.bans.photos import Eyes, Look, SeenPhoto, picture_of
from serving.store import Store
from serving.store.ban_photos import BanPhoto, read_ban_photos, read_places
from serving.store.engine import reading

BASE_RATE = 0.05
"""Share of true copies that the matcher's probabilities are calibrated to (`training.image_matching.BASE_RATE`)."""
WAIT_S = 2.0
"""Longest that a new ban waits for the process that writes the index."""
_BLOCK = 64


def key_of(ban_id: str, position: int) -> str:
    """Key of a banned item's photo in the index."""
    return f"{ban_id}#{position}"


def place_of(key: str) -> tuple[str, int]:
    """Undo `key_of`."""
    ban_id, _, position = key.rpartition("#")
    return ban_id, int(position)


class BannedPhotos:
    """The photos of all bans in force.

    Parameters
    ----------
    store
        An open store.
    eyes
        Reads photos.
    folder
        Where the index lies on this machine; it is made again from the store where it is lost.
    matcher
        Says whether one photo is an edit of another; the package's own where None.
    """

    reads = True

    def __init__(self, store: Store, eyes: Eyes, folder: Path, matcher: PhotoMatcher | None = None) -> None:
        self.store = store
        self.eyes = eyes
        self.matcher = matcher or load_matcher()
        self.index = SharedIndex(folder / "banned.index", eyes.identity)

    # --- placing -------------------------------------------------------------------------------------------------

    def records(self, look: Look) -> list[BanPhoto]:
        """Return the photos of an item as they are kept with its ban."""
        return [self._record(photo) for photo in look.photos]

    def _record(self, photo: SeenPhoto) -> BanPhoto:
        entry = packed(photo_entry("", photo.features))
        return BanPhoto(photo.position, picture_of(photo.photo), entry, self.eyes.identity.sha256)

    # --- following -------------------------------------------------------------------------------------------------

    def follow(self, book: BanBook, changed: Iterable[str]) -> None:
        """Bring the index in line with the book for these ids, or for all when this process is newly its writer."""
        fresh = self.index.claim()
        if not self.index.writes:
            return
        ids = None if fresh else list(changed)
        with reading(self.store.engine) as connection:
            places = read_places(connection, ids)
        active = {entry.ban_id for entry in book.active()}
        wanted = {key_of(*place) for place in places if place[0] in active}
        there = self.index.keys()
        about = there if ids is None else {key for key in there if place_of(key)[0] in set(ids)}
        self.index.change([], sorted(about - wanted))
        missing = list(dict.fromkeys(place_of(key)[0] for key in sorted(wanted - there)))
        for start in range(0, len(missing), _BLOCK):
            self.index.change(self._entries(missing[start : start + _BLOCK]), [])

    def _entries(self, ban_ids: Sequence[str]) -> list[Entry]:
        with reading(self.store.engine) as connection:
            found = [(ban_id, photo) for ban_id in ban_ids for photo in read_ban_photos(connection, ban_id)]
        return [self._entry(key_of(ban_id, photo.position), photo) for ban_id, photo in found]

    def _entry(self, key: str, photo: BanPhoto) -> Entry:
        """Return what is searched; made again from the picture where another encoder made it."""
        if photo.made_by == self.eyes.identity.sha256:
            return unpacked(key, photo.entry)
        from features.image_decode import Photo, from_bytes

        again = from_bytes(photo.picture)
        if not isinstance(again, Photo):
            raise ValueError(f"got photo {key}, which was readable when it was banned and is not now")
        return photo_entry(key, self.eyes.reader.read([again])[0])

    def await_keys(self, ban_id: str, positions: Iterable[int]) -> bool:
        """Wait until a new ban's photos are searched, at most `WAIT_S`; whether they are."""
        keys = [key_of(ban_id, position) for position in positions]
        end = time.monotonic() + WAIT_S
        while not self.index.has(keys):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def features_of(self, ban_id: str) -> list[PhotoFeatures]:
        """Read the photos of a ban again, to search with them."""
        from features.image_decode import Photo, from_bytes

        with reading(self.store.engine) as connection:
            kept = read_ban_photos(connection, ban_id)
        photos = [photo for one in kept if isinstance(photo := from_bytes(one.picture), Photo)]
        return self.eyes.reader.read(photos)

    # --- searching -------------------------------------------------------------------------------------------------

    def against(self, listing: Listing) -> PhotoResult:
        """Find banned photos that the listing's photos may be copies of."""
        if not len(self.index):  # nothing to compare with: photos are taken in for the notes alone
            return PhotoResult((), self.eyes.look(listing, read=False).seen())
        look = self.eyes.look(listing)
        return PhotoResult(tuple(self._findings(look)), look.seen())

    def _findings(self, look: Look) -> Iterable[PhotoFinding]:
        for photo in look.photos:
            for match in self.index.match(self.matcher, photo.features):
                if match.tier != "none":
                    yield self._finding(photo, match)

    def _finding(self, photo: SeenPhoto, match: PhotoMatch) -> PhotoFinding:
        ban_id, position = place_of(match.key)
        verified = match.tier == "exact"
        return PhotoFinding(ban_id, photo.position, position, match.probability, BASE_RATE, verified)
