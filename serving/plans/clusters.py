"""Which listings of a catalogue offer the same goods: the units that a plan samples.

Listings are compared with their nearest neighbours by the matcher that also finds banned goods again; those that are
taken for the same product (its ``near`` point) form a cluster, and so do chains of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from features.offer import view_of_listing
from features.schema import Listing
from serving.bans.bank import OfferReader

NEIGHBOURS = 8
_BLOCK = 512
# Below this cosine no pair of the matcher's own training pairs was the same product.
_LEAST_COSINE = 0.6


def cluster_listings(
    listings: Sequence[Listing], reader: OfferReader, progress: Callable[[int], None] = lambda _: None
) -> tuple[str, ...]:
    """Name the cluster of every listing.

    Parameters
    ----------
    listings
        A catalogue.
    reader
        Matcher and encoder.
    progress
        Called with the number of listings compared since the last call.

    Returns
    -------
    tuple of str
        The id of the cluster's first listing.
    """
    views = [view_of_listing(listing) for listing in listings]
    vectors = _encode(reader, [view.title for view in views])
    parent = np.arange(len(listings))
    for start in range(0, len(listings), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(listings)))
        pairs, cosines = _near(vectors, rows)
        p = reader.matcher.compare([(views[a], views[b]) for a, b in pairs], cosines)
        for (a, b), same in zip(pairs, (p >= reader.matcher.near).tolist(), strict=True):
            if same:
                _join(parent, a, b)
        progress(len(rows))
    return tuple(listings[_root(parent, row)].id for row in range(len(listings)))


def _encode(reader: OfferReader, titles: Sequence[str]) -> np.ndarray:
    if not titles:
        return np.zeros((0, reader.encoder.identity.dim), np.float32)
    blocks = [reader.encoder.encode(titles[at : at + _BLOCK]) for at in range(0, len(titles), _BLOCK)]
    return np.concatenate(blocks).astype(np.float32)


def _near(vectors: np.ndarray, rows: np.ndarray) -> tuple[list[tuple[int, int]], list[float]]:
    """Return pairs of each row with its nearest neighbours before it; every pair comes up once."""
    cosine = vectors[rows] @ vectors[: rows[-1] + 1].T
    cosine[np.arange(len(vectors[: rows[-1] + 1]))[None, :] >= rows[:, None]] = -1.0
    pairs: list[tuple[int, int]] = []
    found: list[float] = []
    for place, row in enumerate(rows.tolist()):
        line = cosine[place, :row]
        if not len(line):
            continue
        few = min(NEIGHBOURS, len(line))
        for other in np.argpartition(-line, few - 1)[:few].tolist():
            if line[other] >= _LEAST_COSINE:
                pairs.append((row, other))
                found.append(float(line[other]))
    return pairs, found


def _root(parent: np.ndarray, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _join(parent: np.ndarray, a: int, b: int) -> None:
    first, second = sorted((_root(parent, a), _root(parent, b)))
    parent[second] = first
