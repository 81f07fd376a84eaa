"""Photos as they come: bytes, base64, files, archive members, addresses; decoded or refused with a reason.

Nothing here raises on what a photo holds. A photo that cannot be used is a result of its own, `Unusable`, so that the
decision on a listing can say which photo was not looked at and why, and everything else goes on.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from features.image_decode import (
    DEFAULT_LIMITS,
    FORMATS,
    IntakeLimits,
    Photo,
    Reason,
    TooSlowError,
    Unusable,
    from_bytes,
    small,
    too_many_bytes,
    too_slow,
)

__all__ = [
    "DEFAULT_LIMITS",
    "FORMATS",
    "IntakeLimits",
    "Photo",
    "Reason",
    "Unusable",
    "from_archive",
    "from_base64",
    "from_bytes",
    "from_file",
    "from_reference",
    "small",
]

_DATA = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w=.+-]+)*(;base64)?,", re.IGNORECASE)


def from_base64(text: str, limits: IntakeLimits = DEFAULT_LIMITS) -> Photo | Unusable:
    """Decode a photo from base64, plain or as a ``data:`` address, standard or URL-safe alphabet."""
    if len(text) > limits.max_bytes * 4 // 3 + 1_000:
        return too_many_bytes(len(text) * 3 // 4, limits)
    head = _DATA.match(text[:200])
    body = re.sub(r"\s+", "", text[head.end() if head else 0 :]).translate({45: 43, 95: 47}).rstrip("=")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return Unusable("not_base64", f"got {len(text)} characters that are not base64")
    return from_bytes(raw, limits)


def from_file(path: Path, limits: IntakeLimits = DEFAULT_LIMITS) -> Photo | Unusable:
    """Decode a photo from a regular file; pipes, devices and folders are refused without being waited for."""
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
            return too_many_bytes(about.st_size, limits)
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
    try:
        if not archive.is_file():
            return Unusable("not_found", "got no such archive file")
        with _TimedFile(archive, time.monotonic() + limits.seconds) as file:
            read = _zip_member if zipfile.is_zipfile(archive) else _tar_member
            raw = read(file, member, limits)
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


class _TimedFile(io.FileIO):
    """A file that can no longer be read when the time is over: an archive may unpack without end."""

    def __init__(self, path: Path, until: float) -> None:
        super().__init__(path, "rb")
        self.until = until

    def read(self, size: int | None = -1, /) -> bytes | None:
        if time.monotonic() > self.until:
            raise TooSlowError
        return super().read(-1 if size is None else size)

    def readinto(self, buffer: Any, /) -> int | None:
        if time.monotonic() > self.until:
            raise TooSlowError
        return super().readinto(buffer)


def _zip_member(file: io.FileIO, member: str, limits: IntakeLimits) -> bytes | Unusable:
    with zipfile.ZipFile(file) as opened:
        try:
            about = opened.getinfo(member)
        except KeyError:
            return Unusable("not_found", "got a member name that the archive does not hold")
        if about.flag_bits & 1:
            return Unusable("encrypted", "got an encrypted archive member; expected a readable one")
        with opened.open(about) as body:  # the stated size may lie, so what is read is counted
            return _counted(body.read, limits)


def _tar_member(file: io.FileIO, member: str, limits: IntakeLimits) -> bytes | Unusable:
    with tarfile.open(fileobj=file, mode="r:*") as opened:
        for about in opened:
            if about.name == member:
                body = opened.extractfile(about) if about.isreg() else None
                if body is None:
                    return Unusable("not_a_file", "got an archive member that is not a regular file")
                return _counted(body.read, limits)
    return Unusable("not_found", "got a member name that the archive does not hold")


def _counted(read: Callable[[int], bytes], limits: IntakeLimits) -> bytes | Unusable:
    raw = read(limits.max_bytes + 1)
    return too_many_bytes(len(raw), limits) if len(raw) > limits.max_bytes else raw


def _archive_trouble(error: Exception, limits: IntakeLimits) -> Unusable:
    if isinstance(error, TooSlowError):
        return too_slow(limits)
    if isinstance(error, tarfile.ReadError | zipfile.BadZipFile):
        return Unusable(
            "not_an_archive", "got a file that is neither a ZIP nor a TAR archive, or a damaged one"
        )
    return Unusable("broken", f"got {type(error).__name__} reading the archive")
