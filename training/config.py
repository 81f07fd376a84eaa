"""The training configuration: a file, checked before anything is read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import UserError


class ConfigError(UserError):
    """A configuration that cannot be used; says which entry is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceRef(_Part):
    """One file and the reader that knows its form.

    ``columns`` says which column feeds which of our fields where a file of your own has other headers, ``encoding``
    how a text file is written; both only for readers of your own files (`training.dataset.OWN`).
    """

    reader: str
    path: str
    columns: dict[str, str] = {}
    encoding: str = "utf-8"


class CutRef(_Part):
    """From which value a laboratory result fails, and why that value."""

    value: float = Field(gt=0)
    unit: str
    basis: str


class Heads(_Part):
    """See `training.model.HeadSettings`."""

    strength: float = Field(default=1.0, gt=0)
    kind_strength: float = Field(default=30.0, gt=0)
    min_documents: int = Field(default=2, ge=1)
    half_life_years: float = Field(default=6.0, gt=0)
    kind_smoothing: float = Field(default=0.5, ge=0)
    expected_weight: float = Field(default=0.8, ge=0, le=5)


class Lab(_Part):
    """Direct models: a hazard gets one from ``min_failed`` failed and as many passed results on.

    Attributes
    ----------
    ladder
        Further values from which a result counts as failed while learning, as multiples of the hazard's cut: near
        misses and gross failures tell more than the cut alone. The log-odds of all are averaged into one model.
    """

    strength: float = Field(default=1.0, gt=0)
    min_documents: int = Field(default=2, ge=1)
    min_failed: int = Field(default=30, ge=5)
    ladder: list[Annotated[float, Field(gt=0)]] = Field(default=[], max_length=8)


class Images(_Part):
    """Photos of past results, for users who have them; see `training.image_fusion`.

    Attributes
    ----------
    photos
        Files as ``listing-risk fetch --photos`` writes them, below the data folder.
    encoder
        As `features.image_models.load_image_encoder` takes it.
    strength
        Inverse regularisation of the heads on photos.
    per_item
        At most so many photos of a past result.
    """

    photos: list[str] = Field(min_length=1)
    encoder: str = "efficientnet"
    strength: float = Field(default=10.0, gt=0)
    per_item: int = Field(default=4, ge=1, le=50)


class Config(_Part):
    """Everything that decides what a bundle becomes, besides the data.

    Attributes
    ----------
    name
        Name of the bundle and of its registered model.
    encoder
        As `features.encoders.load_encoder` takes it.
    sources
        Files below the data folder.
    cuts
        Hazard code -> value from which a laboratory result fails.
    as_of
        Leave out what was not known on this day.
    folds
        Group-disjoint folds behind the calibration and the held-out figures.
    root_rate, root_rate_source
        Failure rate of goods that nobody singled out for an inspection.
    images
        Learn from photos too; without it a bundle reads words only.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    encoder: str = "use"
    sources: list[SourceRef] = Field(min_length=1)
    cuts: dict[str, CutRef] = {}
    as_of: date | None = None
    folds: int = Field(default=5, ge=2, le=20)
    seed: int = 0
    heads: Heads = Heads()
    lab: Lab = Lab()
    images: Images | None = None
    root_rate: float = Field(gt=0, lt=1)
    root_rate_source: str


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Raises
    ------
    ConfigError
        Naming every wrong entry.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"Got {type(raw).__name__} in {path} but expected a mapping of settings.")
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(f"{path}: {wrong}") from None
