"""Train the matcher file from published pairs and re-titled listings, or from the sample alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from features.encoders import Encoder, load_encoder
from features.errors import UserError
from training.matcher import Matcher
from training.matcher_fit import FitOptions, PairSet, fit_matcher
from training.matcher_sets import (
    PUBLISHED,
    read_published,
    read_sample,
    read_snapshots,
    retitled_set,
    sample_set,
)

PUBLISHED_FOLDER = "product-matching"
SNAPSHOTS = "listings/tmall_cosmetics_zh.csv.gz"

Say = Callable[[str], None]


def for_training(key: str) -> bool:
    """Whether a re-titled listing is trained on; the other half measures."""
    return zlib.crc32(key.encode("utf-8", "replace")) % 2 == 0


def pair_sets(data: Path, encoder: Encoder) -> list[PairSet]:
    """Read every pair set below a data folder, training parts only; what is not there is left out.

    Raises
    ------
    UserError
        When none is there.
    """
    paths = {name: data / PUBLISHED_FOLDER / f"{name}.csv.gz" for name in PUBLISHED}
    sets = [read_published(path, "train", name) for name, path in paths.items() if path.is_file()]
    if (data / SNAPSHOTS).is_file():
        seen = read_snapshots(data / SNAPSHOTS)
        sets.append(retitled_set({k: v for k, v in seen.items() if for_training(k)}, encoder, "retitled"))
    if not sets:
        raise UserError(
            f"{data} has neither {PUBLISHED_FOLDER}/*.csv.gz nor {SNAPSHOTS}: point --data at the folder that holds "
            "them, or leave it out to train on the sample alone"
        )
    return sets


def train_matcher(
    data: Path | None, output: Path, say: Say = lambda step: None, options: FitOptions | None = None
) -> Matcher:
    """Train and write a matcher file.

    Parameters
    ----------
    data
        Folder of past results; None trains on the sample catalogue alone, which is what the package carries.
    """
    encoder = load_encoder("use")
    say("reading pairs")
    sets = [] if data is None else pair_sets(data, encoder)
    sets.append(sample_set(read_sample(), encoder))
    say(f"fitting on {sum(len(one.same) for one in sets):,} pairs")
    matcher = fit_matcher(sets, encoder, options or FitOptions(name="sample" if data is None else "pairs"))
    matcher.save(output)
    return matcher
