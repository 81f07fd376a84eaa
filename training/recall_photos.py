"""Photos that regulators link in their recalls: fetched after the records, and read for training.

Beside ``NAME.records.jsonl`` stand ``NAME.photos.jsonl``, one line for each recall and address, and the folder
``photos/``, where each photo lies once under the SHA-256 of its bytes. A line is written when its photo is on disk, so
that the file itself is the checkpoint: the next run asks only for what has no line, or failed for a passing reason.
Addresses come from outside: they go through `features.image_fetch`, which asks allowed hosts only and no way inside.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from features import image_intake
from features.errors import OutsideError
from features.image_intake import IntakeLimits, Photo, Unusable
from training.records import Recall
from training.sources.jsonl import RecordFile
from training.sources.parsing import SourceError

HOSTS: Mapping[str, tuple[str, ...]] = {
    "cpsc_api": ("www.cpsc.gov", "cpsc.gov"),
    "safety_gate": ("ec.europa.eu",),
}
"""Where the publishers keep their photos; others are asked only where the user names them."""

FOLDER = "photos"
PER_RECALL = 4
LIMITS = IntakeLimits(max_bytes=16 * 1024 * 1024, seconds=30.0)

_PASSING = frozenset({"not_reached", "too_slow", "truncated"})
_UNREACHED = 20
_SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "AVIF": ".avif"}


class PhotoFetcher(Protocol):
    """Gets the bytes behind an address, such as `features.image_fetch.Fetcher`."""

    def fetch(self, address: str) -> bytes | Unusable:
        """Give the bytes, or why there are none."""
        ...


@dataclass(frozen=True, slots=True)
class PhotoCounts:
    """What one run did: photos stored, addresses without a usable photo, and lines that stood before.

    Attributes
    ----------
    stored, unusable, known
        Counts of recall and address pairs.
    bytes
        Read from the network.
    """

    stored: int = 0
    unusable: int = 0
    known: int = 0
    bytes: int = 0

    def plus(self, **more: int) -> PhotoCounts:
        """These counts with some raised."""
        return replace(self, **{name: getattr(self, name) + by for name, by in more.items()})


@dataclass(frozen=True, slots=True)
class _Wanted:
    item: str
    address: str


def fetch_photos(
    folder: Path,
    name: str,
    fetcher: PhotoFetcher,
    *,
    per_recall: int = PER_RECALL,
    pause: float = 0.5,
    on_photo: Callable[[int, int, PhotoCounts], None] | None = None,
) -> PhotoCounts:
    """Fetch the photos of the recalls that `training.fetch.fetch` stored.

    Parameters
    ----------
    folder
        The one that the records are in.
    name
        Of the source.
    fetcher
        Asks allowed hosts only.
    per_recall
        At most so many photos of one recall, the first ones.
    pause
        Seconds between two requests.
    on_photo
        Called with (done, of, counts) after each address, for a progress bar.

    Returns
    -------
    PhotoCounts
        Of this run.

    Raises
    ------
    SourceError
        When there are no records, or the file of photos is not one.
    OutsideError
        When twenty addresses one after the other cannot be reached; what was stored stays.
    """
    wanted = list(_wanted(folder, name, per_recall))
    path = folder / f"{name}.photos.jsonl"
    lines = {(line["item"], line["address"]): line for line in read_lines(path)}
    by_address = {line["address"]: line for line in lines.values() if not _again(line)}
    counts, unreached, asked = PhotoCounts(), 0, -pause
    with _appending(path) as file:
        for done, one in enumerate(wanted, start=1):
            line = lines.get((one.item, one.address))
            if line is not None and not _again(line):
                counts = counts.plus(known=1)
            else:
                found = by_address.get(one.address)  # one photo may stand in several recalls
                if found is None:
                    time.sleep(max(0.0, asked + pause - time.monotonic()))
                    asked = time.monotonic()
                    found, size = _get(folder, one.address, fetcher)
                    counts = counts.plus(bytes=size)
                    unreached = unreached + 1 if found.get("unusable") == "not_reached" else 0
                line = {**found, "item": one.item, "address": one.address}
                _write(file, line)
                by_address[one.address] = line
                counts = counts.plus(**{"stored" if "file" in line else "unusable": 1})
            if on_photo is not None:
                on_photo(done, len(wanted), counts)
            if unreached >= _UNREACHED:
                raise OutsideError(
                    f"{unreached} photos of {name} one after the other could not be reached; check the network and "
                    "run again: it goes on from there"
                )
    return counts


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int, PhotoCounts], None] | None]:
    """A progress bar on a terminal; None where the output is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{name}: photos", total=None)

        def show(done: int, of: int, counts: PhotoCounts) -> None:
            bar.update(task, completed=done, total=of, description=f"{name}: {counts.stored:,} photos")

        yield show


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of photos; a line torn at the end is left out.

    Raises
    ------
    SourceError
        When a line before the last is none.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            try:
                line = json.loads(raw)
                _ = line["item"], line["address"]
            except (ValueError, KeyError, TypeError):
                raise SourceError(
                    f"{path}, line {number}: expected item and address of a photo; delete the file to fetch the "
                    "photos anew"
                ) from None
            yield line


def stored_photos(path: Path) -> dict[str, tuple[Path, ...]]:
    """Give the photos of each item, in the order of the file.

    Parameters
    ----------
    path
        ``NAME.photos.jsonl``; ``file`` of a line is relative to its folder. One's own works as well: a line needs
        ``item`` (``source:number`` as in the records), ``address`` and ``file``.

    Raises
    ------
    SourceError
        When a line is none, or points outside the folder.
    """
    last = {(line["item"], line["address"]): line for line in read_lines(path)}
    found: dict[str, dict[Path, None]] = {}
    root = path.parent.resolve()
    for line in last.values():
        if "file" in line:
            file = (root / str(line["file"])).resolve()
            if not file.is_relative_to(root):
                raise SourceError(f"{path}: got the photo {line['file']!r}; expected one below {root}")
            found.setdefault(str(line["item"]), {})[file] = None
    return {item: tuple(files) for item, files in found.items()}


def _wanted(folder: Path, name: str, per_recall: int) -> Iterable[_Wanted]:
    path = folder / f"{name}.records.jsonl"
    if not path.is_file():
        raise SourceError(f"got no {path}; fetch the records of {name} first, then their photos")
    for record in RecordFile("records").read(path):
        if isinstance(record, Recall):
            for address in tuple(dict.fromkeys(record.images))[:per_recall]:
                yield _Wanted(f"{record.source}:{record.native_id}", address)


def _again(line: Mapping[str, Any]) -> bool:
    return line.get("unusable") in _PASSING


def _get(folder: Path, address: str, fetcher: PhotoFetcher) -> tuple[dict[str, Any], int]:
    """Fetch, look at and store one photo; what its line says, and the bytes read."""
    raw = fetcher.fetch(address)
    if isinstance(raw, Unusable):
        return {"unusable": raw.reason, "detail": raw.detail}, 0
    photo = image_intake.from_bytes(raw, LIMITS)
    if isinstance(photo, Unusable):
        return {"unusable": photo.reason, "detail": photo.detail}, len(raw)
    return _stored(folder, raw, photo), len(raw)


def _stored(folder: Path, raw: bytes, photo: Photo) -> dict[str, Any]:
    """Put a photo under its hash, whole or not at all."""
    place = f"{FOLDER}/{photo.sha256[:2]}/{photo.sha256}{_SUFFIX[photo.format]}"
    path = folder / place
    if not path.is_file() or path.stat().st_size != len(raw):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    width, height = photo.size
    return {"file": place, "sha256": photo.sha256, "width": width, "height": height}


def _write(file: IO[bytes], line: Mapping[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=True, sort_keys=True).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _appending(path: Path) -> IO[bytes]:
    """Open for appending, after cutting a line torn by a kill."""
    raw = path.read_bytes() if path.is_file() else b""
    whole = raw.rfind(b"\n") + 1
    file = path.open("r+b" if path.is_file() else "w+b")
    file.truncate(whole)
    file.seek(whole)
    return file
