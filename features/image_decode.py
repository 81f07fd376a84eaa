"""Bytes of a photo: decoded within limits or refused with a reason.

Nothing here raises on what a photo holds. A photo that cannot be used is a result of its own, `Unusable`, so that the
decision on a listing can say which photo was not looked at and why, and everything else goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from features import weights

if TYPE_CHECKING:
    from PIL.Image import Image

Reason = Literal[
    "empty",
    "too_many_bytes",
    "not_an_image",
    "unsupported_format",
    "truncated",
    "broken",
    "too_many_pixels",
    "too_small",
    "too_slow",
    "not_base64",
    "not_found",
    "not_a_file",
    "not_an_archive",
    "encrypted",
    "fetching_off",
    "host_not_allowed",
    "address_refused",
    "too_many_redirects",
    "not_reached",
    "http_error",
]

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "AVIF")
"""What is decoded: every other decoder of the library is left alone, whatever the file claims to be."""

_SCANS = 64
_SMALLEST = 8
_FLAT = 4


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What one photo may cost.

    Attributes
    ----------
    max_bytes
        Of the file as it came.
    max_pixels
        Width times height as the file's head states it, refused before anything is decoded.
    max_frames
        Frames of an animation that are looked at; the rest is left unread.
    seconds
        Wall time of reading and decoding together.
    side
        The longer side of what is kept; larger photos are reduced.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_frames: int = 8
    seconds: float = 10.0
    side: int = 1_024


DEFAULT_LIMITS = IntakeLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo.

    Attributes
    ----------
    pixels
        ndarray of shape (height, width, 3), uint8, RGB, upright, transparency laid on white.
    sha256
        Of the bytes as they came.
    format
        As the library names it, such as ``JPEG``.
    size
        Width and height before reduction, upright.
    notes
        What was done that a reader of the decision may want to know, such as ``animated``.
    """

    pixels: np.ndarray
    sha256: str
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """A photo that was not looked at: the reason as a word, and a sentence that says what was got and expected."""

    reason: Reason
    detail: str


class TooSlowError(Exception):
    """The time of a photo is over."""


class _Timed(io.BytesIO):
    """Bytes that stop flowing when the time is over: the decoders ask for them block by block."""

    def __init__(self, raw: bytes, until: float) -> None:
        super().__init__(raw)
        self.until = until

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.until:
            raise TooSlowError
        return super().read(size)


def from_bytes(
    raw: bytes | bytearray | memoryview, limits: IntakeLimits = DEFAULT_LIMITS
) -> Photo | Unusable:
    """Decode a photo.

    Parameters
    ----------
    raw
        A file's bytes; hostile ones too.
    limits
        What it may cost.

    Returns
    -------
    Photo or Unusable
        Never raises on what the bytes hold.

    Raises
    ------
    weights.MissingExtraError
        When Pillow is not installed.
    """
    if len(raw) > limits.max_bytes:
        return too_many_bytes(len(raw), limits)
    if not raw:
        return Unusable("empty", "got no bytes; expected a photo")
    held = bytes(raw)
    until = time.monotonic() + limits.seconds
    try:
        found = _decode(held, limits, until)
    except MemoryError:
        return Unusable("too_many_pixels", "got a photo that does not fit into memory; send a smaller one")
    except Exception as error:  # the library raises most kinds there are on hostile bytes, SyntaxError too
        return _why(error, limits)
    if isinstance(found, Photo) and time.monotonic() > until:
        return too_slow(limits)
    return found


def _decode(raw: bytes, limits: IntakeLimits, until: float) -> Photo | Unusable:
    image_module = _decoders()
    if raw.startswith(b"\xff\xd8") and _scans(raw) > _SCANS:
        return Unusable("too_slow", f"got a JPEG of more than {_SCANS} scans; expected an ordinary one")
    with image_module.open(
        _Timed(raw, until), formats=[name for name in FORMATS if name in image_module.OPEN]
    ) as image:
        width, height = image.size
        if width * height > limits.max_pixels:
            return Unusable(
                "too_many_pixels",
                f"got {width} x {height} pixels; expected at most {limits.max_pixels} in all",
            )
        if min(width, height) < _SMALLEST:
            return Unusable(
                "too_small", f"got {width} x {height} pixels; expected at least {_SMALLEST} each way"
            )
        notes: list[str] = []
        name = str(image.format)
        upright, swapped = _upright(_frame(image, limits, notes, until), notes)
        size = (height, width) if swapped else (width, height)
        pixels = _rgb(upright, limits.side, notes)
    return Photo(pixels, hashlib.sha256(raw).hexdigest(), name, size, tuple(notes))


def _frame(image: Image, limits: IntakeLimits, notes: list[str], until: float) -> Image:
    """The picture of a still, or the first frame of an animation that is not one flat colour."""
    if not getattr(image, "is_animated", False) or image.format == "MPO":
        image.draft("RGB", (limits.side, limits.side))  # a JPEG much larger than needed is decoded reduced
        image.load()
        return image
    notes.append("animated")
    for number in range(limits.max_frames):
        if time.monotonic() > until:
            raise TooSlowError
        try:
            image.seek(number)
        except EOFError:
            break
        image.load()
        if np.ptp(np.asarray(image.convert("L").reduce(max(1, min(image.size) // 16)))) > _FLAT:
            return image
    image.seek(0)
    image.load()
    return image


def _upright(image: Image, notes: list[str]) -> tuple[Image, bool]:
    """Turn by the orientation mark; say whether width and height changed places."""
    from PIL import ImageOps

    try:
        mark = image.getexif().get(0x0112, 1)
        if mark in range(2, 9):
            notes.append("turned")
            return ImageOps.exif_transpose(image) or image, mark >= 5
    except TooSlowError:
        raise
    except Exception:  # a broken mark does not make the photo unusable
        notes.append("orientation_unread")
    return image, False


def _rgb(image: Image, side: int, notes: list[str]) -> np.ndarray:
    """Any mode to RGB, at most ``side`` long, transparency on white."""
    mode = image.mode
    if mode.startswith(("I", "F")):
        notes.append("deep")
        image = _eight_bits(image)
    elif mode == "CMYK":
        notes.append("cmyk")
    elif mode in ("P", "PA", "LA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        image = _on_white(image)
    image = image.convert("RGB")
    if max(image.size) > side:
        notes.append("reduced")
        image.thumbnail((side, side), _pillow().Resampling.BOX, reducing_gap=2.0)
    if min(image.size) < _SMALLEST:  # a strip: its short side may vanish when reduced
        image = image.resize((max(image.width, _SMALLEST), max(image.height, _SMALLEST)))
    return np.ascontiguousarray(np.asarray(image, np.uint8))


def _on_white(image: Image) -> Image:
    rgba = image.convert("RGBA")
    ground = _pillow().new("RGBA", rgba.size, (255, 255, 255, 255))
    return _pillow().alpha_composite(ground, rgba)


def _eight_bits(image: Image) -> Image:
    """Grey of 16 or 32 bits or of floats: by its own range where it is not the plain 16 bits."""
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = (
        65_535.0 if image.mode.startswith("I") and values.max(initial=0) <= 65_535 else values.max(initial=0)
    )
    low = min(0.0, float(values.min(initial=0)))
    scaled = (values - low) / max(float(top) - low, 1e-9) * 255
    return _pillow().fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _scans(raw: bytes) -> int:
    """Scans of a JPEG, counted by their marks: each one costs a pass over all pixels."""
    return raw.count(b"\xff\xda")


def _why(error: Exception, limits: IntakeLimits) -> Unusable:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, TooSlowError):
        return too_slow(limits)
    if isinstance(error, Image.DecompressionBombError):
        return Unusable("too_many_pixels", "got more pixels than can be honest; send a smaller photo")
    if isinstance(error, UnidentifiedImageError):
        return Unusable("not_an_image", "got bytes that are not JPEG, PNG, WebP, GIF or AVIF")
    if isinstance(error, EOFError) or "truncated" in str(error):
        return Unusable("truncated", "got a photo that ends before it is complete; send it again")
    return Unusable("broken", f"got {type(error).__name__} decoding the photo; it is damaged")


def too_many_bytes(got: int, limits: IntakeLimits) -> Unusable:
    """Say that a file is too large."""
    return Unusable("too_many_bytes", f"got at least {got} bytes; expected at most {limits.max_bytes}")


def too_slow(limits: IntakeLimits) -> Unusable:
    """Say that reading and decoding took too long."""
    return Unusable("too_slow", f"got a photo that took more than {limits.seconds:g} seconds")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise weights.missing("Pillow", "images") from error
    return Image


def _decoders() -> Any:
    """Have the decoders of `FORMATS` known to the library; it loads those of some of them only on demand."""
    image_module = _pillow()
    from PIL import GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

    with contextlib.suppress(ImportError):
        from PIL import AvifImagePlugin  # noqa: F401
    return image_module


def small(photo: Photo, side: int) -> Photo:
    """Give the photo with its longer side at most ``side``."""
    height, width = photo.pixels.shape[:2]
    if max(height, width) <= side:
        return photo
    image = _pillow().fromarray(photo.pixels)
    image.thumbnail((side, side), _pillow().Resampling.BOX)
    return replace(photo, pixels=np.asarray(image, np.uint8))
