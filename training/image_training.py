"""Photos of past results in training: read, encoded, and handed to the fusion with the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from features import image_intake
from features.errors import UserError
from features.image_encoder import ImageEncoder
from features.image_features import main_vectors
from features.image_intake import Unusable
from features.image_models import load_image_encoder
from training.config import Config
from training.image_fusion import FEW, fit_image_heads
from training.image_heads import ImageHeads, listing_vector
from training.labels import LabelMatrix
from training.manifest import EncoderRef
from training.recall_photos import stored_photos
from training.splits import clusters, group_folds

Say = Callable[[str], None]
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Learnt:
    """What photos taught.

    Attributes
    ----------
    heads
        None where photos help no hazard.
    encoder
        What the heads need; None without heads.
    figures
        For the bundle's metrics.
    """

    heads: ImageHeads | None = None
    encoder: EncoderRef | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """The photos of labelled items.

    Attributes
    ----------
    rows
        ndarray of shape (n,), int: which of the items have a usable photo.
    vectors
        ndarray of shape (n, dim), float32, rows of length 1.
    digests
        Per row, SHA-256 of its photos: items that share one are never parted.
    unusable
        Reason -> number of files.
    """

    rows: np.ndarray
    vectors: np.ndarray
    digests: tuple[tuple[str, ...], ...]
    unusable: Mapping[str, int]


def read_photos(
    ids: Sequence[str],
    photos: Mapping[str, Sequence[Path]],
    encoder: ImageEncoder,
    *,
    per_item: int = 4,
    say: Say = lambda _: None,
) -> PhotoSet:
    """Read and encode the photos of items; a photo that cannot be used is counted and left out."""
    rows: list[int] = []
    vectors: list[np.ndarray] = []
    digests: list[tuple[str, ...]] = []
    unusable: dict[str, int] = {}
    wanted = [i for i, one in enumerate(ids) if photos.get(one)]
    for done, i in enumerate(wanted):
        if done % _BLOCK == 0:
            say(f"reading photos of {done} of {len(wanted)} past results")
        usable = []
        for path in photos[ids[i]][:per_item]:
            found = image_intake.from_file(path)
            if isinstance(found, Unusable):
                unusable[found.reason] = unusable.get(found.reason, 0) + 1
            else:
                usable.append(found)
        if usable:
            rows.append(i)
            vectors.append(listing_vector(main_vectors(usable, encoder)))
            digests.append(tuple(sorted(photo.sha256 for photo in usable)))
    stacked = np.stack(vectors) if vectors else np.zeros((0, encoder.identity.dim), np.float32)
    return PhotoSet(np.array(rows, int), stacked.astype(np.float32), tuple(digests), unusable)


def photo_files(data: Path, files: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Give the photos of each item from files as ``listing-risk fetch --photos`` writes them.

    Raises
    ------
    UserError
        When a file is absent or no such file.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for name in files:
        path = data / name
        if not path.is_file():
            raise UserError(
                f"The file of photos {name!r} is not in {data}; check --data or the configuration."
            )
        for item, photos in stored_photos(path).items():
            found[item] = (*found.get(item, ()), *photos)
    return found


def learn_from_photos(
    config: Config,
    data: Path,
    labels: LabelMatrix,
    views: Sequence[str],
    held_out: np.ndarray,
    codes: Sequence[str],
    say: Say = lambda _: None,
) -> Learnt:
    """Learn what photos of past results add to the words; nothing where the configuration names no photos.

    Parameters
    ----------
    labels
        n past results.
    views
        Their name-only views; near-duplicates are never parted.
    held_out
        ndarray of shape (n, n_hazards): probabilities by the words from models that had not seen the item.
    codes
        Hazards in the order of the columns.
    """
    images = config.images
    if images is None:
        return Learnt()
    encoder = load_image_encoder(images.encoder)
    files = photo_files(data, images.photos)
    photos = read_photos([x.id for x in labels.items], files, encoder, per_item=images.per_item, say=say)
    figures: dict[str, Any] = {"items": len(photos.rows), "unusable": dict(photos.unusable)}
    if len(photos.rows) < 2 * FEW:
        return Learnt(figures={"images": figures})
    say(f"fitting what the photos of {len(photos.rows)} past results add")
    rows = photos.rows
    keys = [(*labels.items[i].keys, *digests) for i, digests in zip(rows, photos.digests, strict=True)]
    groups = clusters([views[int(i)] for i in rows], keys)
    folds = group_folds(groups, config.folds, np.random.default_rng(config.seed))
    heads, gained = fit_image_heads(
        photos.vectors, held_out[rows], labels.value[rows], labels.known[rows], folds, images.strength
    )
    figures["gain"] = {codes[k]: found for k, found in gained.items()}
    identity = encoder.identity
    ref = EncoderRef(spec=images.encoder, name=identity.name, sha256=identity.sha256, dim=identity.dim)
    return Learnt(heads, None if heads is None else ref, {"images": figures})
