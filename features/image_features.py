"""All that is read off one photo for matching, and its stored form."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features import image_points, image_views
from features.encoding import EncoderIdentity
from features.image_encoder import ImageEncoder
from features.image_intake import Photo, small
from features.image_points import Points
from features.image_views import Box

SIDE = 640
"""The longer side of what features are read from; more brings nothing and costs time."""

MIDDLE = 0.65
VIEWS = ("trimmed", "middle")
THUMB = 64
RECIPE = 1
_HEAD = struct.Struct("<B4f")


@dataclass(frozen=True, slots=True, eq=False)
class PhotoFeatures:
    """What one photo is compared by.

    Attributes
    ----------
    sha256
        Of the photo's bytes as they came.
    vectors
        ndarray of shape (2, dim), float32: what lies inside its borders, and the middle of that.
    hashes
        ndarray of shape (2, 8), uint64: the whole and the trimmed photo, each in eight positions, plain first.
    box
        What lies inside its borders.
    thumb
        ndarray of shape (64, 64), uint8: the whole photo in grey.
    points
        Local features.
    """

    sha256: str
    vectors: np.ndarray
    hashes: np.ndarray
    box: Box
    thumb: np.ndarray
    points: Points


@dataclass(frozen=True, slots=True, eq=False)
class StoredPhoto:
    """What the index keeps of a photo beside its vectors, for the exact check."""

    box: Box
    thumb: np.ndarray
    points: Points


class PhotoReader:
    """Reads features off photos.

    Parameters
    ----------
    encoder
        Such as `image_encoder.EfficientNetEncoder`.
    points
        Local features kept of a photo.
    """

    def __init__(self, encoder: ImageEncoder, points: int = image_points.KEPT) -> None:
        self.encoder = encoder
        self.points = points

    @property
    def identity(self) -> EncoderIdentity:
        """The encoder's: features of different identities are never compared."""
        return self.encoder.identity

    def read(self, photos: Sequence[Photo]) -> list[PhotoFeatures]:
        """Read the features of photos, one for one."""
        pixels = [small(photo, SIDE).pixels for photo in photos]
        boxes = [image_views.trimmed(one) for one in pixels]
        pictures: list[np.ndarray] = []
        for one, box in zip(pixels, boxes, strict=True):
            pictures += [box.cut(one), box.middle(MIDDLE).cut(one)]
        if not pictures:
            return []
        vectors = self.encoder.encode(pictures).reshape(len(photos), len(VIEWS), -1)
        return [
            PhotoFeatures(
                photo.sha256,
                vectors[i],
                np.stack([image_views.phashes(pixels[i]), image_views.phashes(boxes[i].cut(pixels[i]))]),
                boxes[i],
                np.round(image_views.grey_square(pixels[i], THUMB)).astype(np.uint8),
                image_points.detect(pixels[i], self.points),
            )
            for i, photo in enumerate(photos)
        ]


def main_vectors(photos: Sequence[Photo], encoder: ImageEncoder) -> np.ndarray:
    """Encode what lies inside the borders of photos, shape (n, dim): the first of the vectors of `PhotoFeatures`."""
    pixels = [small(photo, SIDE).pixels for photo in photos]
    return encoder.encode([image_views.trimmed(one).cut(one) for one in pixels])


def stored(features: PhotoFeatures) -> bytes:
    """Pack what the exact check needs: about 25 kB with 300 local features."""
    box = features.box
    head = _HEAD.pack(RECIPE, box.left, box.top, box.right, box.bottom)
    return head + features.thumb.tobytes() + image_points.to_bytes(features.points)


def unpacked(raw: bytes) -> StoredPhoto:
    """Unpack what `stored` gave.

    Raises
    ------
    ValueError
        When the bytes are of another recipe or do not fit.
    """
    if len(raw) < _HEAD.size + THUMB * THUMB + 6 or raw[0] != RECIPE:
        raise ValueError(
            f"got {len(raw)} bytes of stored features; expected recipe {RECIPE}: index the photos anew"
        )
    _, left, top, right, bottom = _HEAD.unpack_from(raw)
    end = _HEAD.size + THUMB * THUMB
    thumb = np.frombuffer(raw, np.uint8, THUMB * THUMB, _HEAD.size).reshape(THUMB, THUMB)
    return StoredPhoto(Box(left, top, right, bottom), thumb, image_points.from_bytes(raw[end:]))
