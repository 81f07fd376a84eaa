"""Views of a photo that survive a re-lister's edits: borders trimmed, the middle, and hashes of its eight positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from features.image_points import opencv

HASH_BITS = 64
_HASH_SIDE = 32
_TRIM_SIDE = 128
_TRIM_LEVEL = 26
_TRIM_SHARE = 0.012
_TRIM_ROUNDS = 3
_SMALLEST = 0.25
THUMB = 48


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a photo in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """Give that part of the photo, at least 8 pixels each way."""
        height, width = pixels.shape[:2]
        x0, x1 = _range(self.left, self.right, width)
        y0, y1 = _range(self.top, self.bottom, height)
        return pixels[y0:y1, x0:x1]

    def middle(self, share: float) -> Box:
        """Give its own middle part."""
        dx, dy = (self.right - self.left) * (1 - share) / 2, (self.bottom - self.top) * (1 - share) / 2
        return Box(self.left + dx, self.top + dy, self.right - dx, self.bottom - dy)


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def trimmed(pixels: np.ndarray) -> Box:
    """Find what lies inside plain borders: of one colour each, a frame within a frame too.

    Parameters
    ----------
    pixels
        ndarray of shape (height, width, 3), uint8.

    Returns
    -------
    Box
        The whole photo where it has no plain border, or where little would remain.
    """
    cv2 = opencv()
    height, width = pixels.shape[:2]
    factor = min(1.0, _TRIM_SIDE / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    y0, y1, x0, x1 = 0, size[1], 0, size[0]
    for _ in range(_TRIM_ROUNDS):
        part = small[y0:y1, x0:x1]
        edge = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
        differs = np.abs(part - np.median(edge, axis=0)).max(2) > _TRIM_LEVEL
        rows = np.flatnonzero(differs.mean(1) > _TRIM_SHARE)
        columns = np.flatnonzero(differs.mean(0) > _TRIM_SHARE)
        if not len(rows) or not len(columns):
            break
        moved = (y0 + rows[0], y0 + rows[-1] + 1, x0 + columns[0], x0 + columns[-1] + 1)
        if moved[1] - moved[0] < _SMALLEST * size[1] or moved[3] - moved[2] < _SMALLEST * size[0]:
            break
        if moved == (y0, y1, x0, x1):
            break
        # Beside a cut lies a line of mixed colours, which would hide the next border.
        y0, x0 = moved[0] + (moved[0] > y0), moved[2] + (moved[2] > x0)
        y1, x1 = moved[1] - (moved[1] < y1), moved[3] - (moved[3] < x1)
    if (y0, y1, x0, x1) == (0, size[1], 0, size[0]):
        return WHOLE
    return Box(float(x0 / size[0]), float(y0 / size[1]), float(x1 / size[0]), float(y1 / size[1]))


def grey_square(pixels: np.ndarray, side: int) -> np.ndarray:
    """Reduce to a grey square, shape (side, side), float32."""
    cv2 = opencv()
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def square(pixels: np.ndarray, side: int) -> np.ndarray:
    """Reduce to an RGB square, uint8; the shape of the photo is given up, which also undoes stretching."""
    cv2 = opencv()
    inside = cv2.INTER_AREA if min(pixels.shape[:2]) > side else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(pixels), (side, side), interpolation=inside)


def phash(pixels: np.ndarray) -> int:
    """64-bit perceptual hash: signs of the low frequencies around their median (as the imagehash library has it)."""
    return int(_hashes(grey_square(pixels, _HASH_SIDE)[None])[0])


def phashes(pixels: np.ndarray) -> np.ndarray:
    """Hashes of the eight ways to turn and mirror a photo; shape (8,), uint64, the plain one first."""
    grey = grey_square(pixels, _HASH_SIDE)
    ways = [np.rot90(side, turn) for side in (grey, grey[:, ::-1]) for turn in range(4)]
    return _hashes(np.stack(ways))


def _hashes(greys: np.ndarray) -> np.ndarray:
    cosines = _cosines()
    low = (cosines @ greys @ cosines.T).reshape(len(greys), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64)[:, 0]


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """First eight rows of the cosine transform of 32 numbers."""
    place, wave = np.arange(_HASH_SIDE) + 0.5, np.arange(8)
    return np.cos(np.pi / _HASH_SIDE * wave[:, None] * place[None]).astype(np.float32)


def _range(low: float, high: float, length: int) -> tuple[int, int]:
    start = min(max(0, round(low * length)), max(0, length - 8))
    return start, max(start + min(8, length), min(length, round(high * length)))
