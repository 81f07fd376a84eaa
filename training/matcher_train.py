"""Train the matcher file: pairs to learn from, then operating points on listings that made no pairs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from features.encoders import load_encoder
from features.encoding import Encoder
from features.errors import UserError
from features.offer import OfferView, view_of_listing
from features.offer_index import OfferIndex, Query, print_of
from features.schema import Listing
from training.matcher import EXACT, NEAR, SHORTLIST, Matcher
from training.matcher_fit import FitOptions, PairSet, fit_matcher
from training.matcher_sets import (
    PUBLISHED,
    part_of,
    read_names,
    read_published,
    read_real,
    read_sample,
    read_snapshots,
    retitled_set,
    sample_set,
)

PUBLISHED_FOLDER = "product-matching"
SNAPSHOTS = "listings/tmall_cosmetics_zh.csv.gz"
NEAR_QUERIES, EXACT_QUERIES = 5e-3, 5e-4
"""Shares of innocent listings that may reach the operating points, searched among as many as there are to search."""
WORDS_NEVER = 0.9999
_REAL_MAX = 4_000
_NAMES_MAX = 3_000

Say = Callable[[str], None]
Named = Sequence[tuple[str, Listing]]


def for_training(key: str) -> bool:
    """Whether a listing may be trained on; the other half measures."""
    return part_of(key) % 2 == 0


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
    real = _some(read_real(data, 0), _REAL_MAX)
    if real:
        sets.append(sample_set(real, encoder, copies=1, hard=2, name="real"))
    if not sets:
        raise UserError(
            f"{data} has neither {PUBLISHED_FOLDER}/*.csv.gz nor listings: point --data at the folder that holds "
            "them, or train on allowed sets only"
        )
    return sets


def train_matcher(
    data: Path, output: Path, *, allowed_only: bool = False, say: Say = lambda step: None
) -> Matcher:
    """Train and write a matcher file.

    Parameters
    ----------
    data
        Folder of past results.
    allowed_only
        Use the sample and names of recalled and tested goods only: what may be passed on with the package.
    """
    encoder = load_encoder("use")
    say("reading pairs")
    if allowed_only:
        names = _some(read_names(data), 2 * _NAMES_MAX)
        sets = [sample_set(names[::2], encoder, copies=1, hard=2, name="names")]
        held_out: Named = names[1::2]
    else:
        sets = pair_sets(data, encoder)
        held_out = read_real(data, 2)
    sets.append(sample_set(read_sample(), encoder))
    say(f"fitting on {sum(len(one.same) for one in sets):,} pairs")
    matcher = fit_matcher(sets, encoder, FitOptions(name="allowed" if allowed_only else "pairs"))
    if held_out:
        say(f"setting points on {len(held_out):,} listings")
        matcher = with_points(matcher, [view_of_listing(one) for _, one in held_out], encoder)
    if allowed_only:
        # Names of recalled goods are no market: among real listings three times as many come close to the points.
        # So words alone send to a person and never block; the same offer and verified photos still do.
        matcher = _with(matcher, {**matcher.header.points, EXACT: WORDS_NEVER})
    matcher.save(output)
    return matcher


def _some(listings: Named, count: int) -> Named:
    """Take some at random, the same ones every time."""
    rng = random.Random(0)  # noqa: S311  (not a secret)
    return rng.sample(list(listings), count) if len(listings) > count else listings


def with_points(matcher: Matcher, offers: Sequence[OfferView], encoder: Encoder) -> Matcher:
    """Set the operating points: ban every other offer and see how high innocent ones come.

    Some innocent offers truly are a banned product, so the points err on the side of too high.
    """
    vectors = encoder.encode([offer.title for offer in offers])
    index = OfferIndex(vectors.shape[1])
    index.add([(str(i), print_of(offers[i], vectors[i])) for i in range(0, len(offers), 2)])
    top = []
    for i in range(1, len(offers), 2):
        near = index.nearest(Query.of(offers[i], vectors[i], matcher.weights), SHORTLIST)
        near = [one for one in near if offers[int(one.key)].title != offers[i].title]
        p = matcher.compare([(offers[i], offers[int(one.key)]) for one in near], [one.cosine for one in near])
        top.append(float(p.max(initial=0.0)))
    ranked = np.sort(top)[::-1]
    points = {
        name: min(float(np.nextafter(ranked[int(share * len(ranked))], 1)), 0.9999)
        for name, share in ((NEAR, NEAR_QUERIES), (EXACT, EXACT_QUERIES))
    }
    return _with(matcher, points)


def _with(matcher: Matcher, points: Mapping[str, float]) -> Matcher:
    header = matcher.header.model_copy(update={"points": dict(points)})
    return Matcher(header, matcher.trees, matcher.weights)
