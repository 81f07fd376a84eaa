"""Photos as they come: bytes, base64, files, archive members; decoded within limits or refused with a reason.

Nothing here raises on what a photo holds. A photo that cannot be used is a result of its own, `Unusable`, so that the
decision on a listing can say which photo was not looked at and why, and everything else goes on.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
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
_DATA = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w=.+-]+)*(;base64)?,", re.IGNORECASE)
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


class _TooSlowError(Exception):
    """The time of a photo is over."""


class _Timed(io.BytesIO):
    """Bytes that stop flowing when the time is over: the decoders ask for them block by block."""

    def __init__(self, raw: bytes, until: float) -> None:
        super().__init__(raw)
        self.until = until

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.until:
            raise _TooSlowError
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
        return _too_many_bytes(len(raw), limits)
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
        return _too_slow(limits)
    return found


def from_base64(text: str, limits: IntakeLimits = DEFAULT_LIMITS) -> Photo | Unusable:
    """Decode a photo from base64, plain or as a ``data:`` address, standard or URL-safe alphabet."""
    if len(text) > limits.max_bytes * 4 // 3 + 1_000:
        return _too_many_bytes(len(text) * 3 // 4, limits)
    head = _DATA.match(text[:200])
    body = re.sub(r"\s+", "", text[head.end() if head else 0 :]).translate({45: 43, 95: 47}).rstrip("=")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return Unusable("not_base64", f"got {len(text)} characters that are not base64")
    return from_bytes(raw, limits)


def from_file(path: Path, limits: IntakeLimits = DEFAULT_LIMITS) -> Photo | Unusable:
    """Decode a photo from a regular file; pipes, devices and folders are refused without being waited for."""
    import os
    import stat

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return Unusable("not_found", f"got {type(error).__name__} opening the file")
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        return Unusable("not_a_file", "got something that is not a regular file; expected a photo's file")
    with os.fdopen(handle, "rb") as file:
        if about.st_size > limits.max_bytes:
            return _too_many_bytes(about.st_size, limits)
        try:
            raw = file.read(limits.max_bytes + 1)
        except OSError as error:
            return Unusable("broken", f"got {type(error).__name__} reading the file")
    return from_bytes(raw, limits)


def from_archive(archive: Path, member: str, limits: IntakeLimits = DEFAULT_LIMITS) -> Photo | Unusable:
    """Decode a photo that lies in a ZIP or TAR archive; nothing is unpacked to disk.

    Parameters
    ----------
    archive
        The archive's file.
    member
        Name of the photo inside it, exactly as stored.
    limits
        What the photo may cost; the archive itself may be larger.
    """
    import zipfile

    try:
        if not archive.is_file():
            return Unusable("not_found", "got no such archive file")
        read = _zip_member if zipfile.is_zipfile(archive) else _tar_member
        raw = read(archive, member, limits)
    except Exception as error:  # archive readers raise as freely as image readers
        return _archive_trouble(error, limits)
    return raw if isinstance(raw, Unusable) else from_bytes(raw, limits)


def from_reference(
    text: str,
    *,
    limits: IntakeLimits = DEFAULT_LIMITS,
    fetch: Callable[[str], bytes | Unusable] | None = None,
    folder: Path | None = None,
) -> Photo | Unusable:
    """Decode what a listing gives as its image: an address, base64, or a file below a folder.

    Parameters
    ----------
    text
        ``https://...``, ``data:...``, base64, or a file name; ``archive.zip!member`` names a member.
    limits
        What it may cost.
    fetch
        Gets an address, such as ``image_fetch.Fetcher(...).fetch``; addresses are refused without it.
    folder
        File names are looked up below it and nowhere else; without it no file is ever opened.
    """
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text):
        if fetch is None:
            return Unusable(
                "fetching_off", "got an address; fetching is off until hosts are allowed in the settings"
            )
        raw = fetch(text)
        return raw if isinstance(raw, Unusable) else from_bytes(raw, limits)
    if not text.strip():
        return Unusable("empty", "got an empty text; expected a photo")
    if folder is not None and not text.startswith("data:") and len(text) < 1_024:
        return _below(folder, text, limits)
    return from_base64(text, limits)


def _below(folder: Path, text: str, limits: IntakeLimits) -> Photo | Unusable:
    name, _, member = text.partition("!")
    try:
        root = folder.resolve()
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError):
        return Unusable("not_found", "got a file name that cannot be resolved")
    if not path.is_relative_to(root):
        return Unusable("not_found", "got a file name that leads out of the folder of photos")
    return from_archive(path, member, limits) if member else from_file(path, limits)


def _zip_member(archive: Path, member: str, limits: IntakeLimits) -> bytes | Unusable:
    import zipfile

    with zipfile.ZipFile(archive) as opened:
        try:
            about = opened.getinfo(member)
        except KeyError:
            return Unusable("not_found", "got a member name that the archive does not hold")
        if about.flag_bits & 1:
            return Unusable("encrypted", "got an encrypted archive member; expected a readable one")
        with opened.open(about) as file:  # the stated size may lie, so what is read is counted
            return _counted(file.read, limits)


def _tar_member(archive: Path, member: str, limits: IntakeLimits) -> bytes | Unusable:
    import tarfile

    until = time.monotonic() + limits.seconds
    with tarfile.open(archive, "r:*") as opened:
        for about in opened:
            if time.monotonic() > until:
                return _too_slow(limits)
            if about.name == member:
                file = opened.extractfile(about) if about.isreg() else None
                if file is None:
                    return Unusable("not_a_file", "got an archive member that is not a regular file")
                return _counted(file.read, limits)
    return Unusable("not_found", "got a member name that the archive does not hold")


def _counted(read: Callable[[int], bytes], limits: IntakeLimits) -> bytes | Unusable:
    raw = read(limits.max_bytes + 1)
    return _too_many_bytes(len(raw), limits) if len(raw) > limits.max_bytes else raw


def _archive_trouble(error: Exception, limits: IntakeLimits) -> Unusable:
    import tarfile
    import zipfile

    if isinstance(error, _TooSlowError):
        return _too_slow(limits)
    if isinstance(error, tarfile.ReadError | zipfile.BadZipFile):
        return Unusable(
            "not_an_archive", "got a file that is neither a ZIP nor a TAR archive, or a damaged one"
        )
    return Unusable("broken", f"got {type(error).__name__} reading the archive")


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
            raise _TooSlowError
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
    except _TooSlowError:
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

    if isinstance(error, _TooSlowError):
        return _too_slow(limits)
    if isinstance(error, Image.DecompressionBombError):
        return Unusable("too_many_pixels", "got more pixels than can be honest; send a smaller photo")
    if isinstance(error, UnidentifiedImageError):
        return Unusable("not_an_image", "got bytes that are not JPEG, PNG, WebP, GIF or AVIF")
    if isinstance(error, EOFError) or "truncated" in str(error):
        return Unusable("truncated", "got a photo that ends before it is complete; send it again")
    return Unusable("broken", f"got {type(error).__name__} decoding the photo; it is damaged")


def _too_many_bytes(got: int, limits: IntakeLimits) -> Unusable:
    return Unusable("too_many_bytes", f"got at least {got} bytes; expected at most {limits.max_bytes}")


def _too_slow(limits: IntakeLimits) -> Unusable:
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
