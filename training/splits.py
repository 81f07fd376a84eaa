"""Splits that do not overlap: by time with a gap, and by group of near-duplicate product, maker and number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from datasketch import MinHash, MinHashLSH
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

NEAR_DUPLICATE = 0.8
_SHINGLE = 4


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of a training and a test part."""

    train: np.ndarray
    test: np.ndarray


def time_split(
    dates: Sequence[date | None], cut: date, *, gap: timedelta = timedelta(0), end: date | None = None
) -> Split:
    """Train on what was known by ``cut`` (inclusive), test on what came more than ``gap`` later, up to ``end``.

    Undated rows belong to neither part.
    """
    known = [(i, day) for i, day in enumerate(dates) if day is not None]
    start = cut + gap
    train = [i for i, day in known if day <= cut]
    test = [i for i, day in known if day > start and (end is None or day <= end)]
    return Split(np.array(train, dtype=int), np.array(test, dtype=int))


def _shingles(text: str) -> set[bytes]:
    squeezed = "".join(text.lower().split())
    if len(squeezed) <= _SHINGLE:
        return {squeezed.encode()}
    return {squeezed[i : i + _SHINGLE].encode() for i in range(len(squeezed) - _SHINGLE + 1)}


def near_duplicates(texts: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> list[tuple[int, int]]:
    """Return pairs of rows whose 4-character shingles overlap by at least about ``threshold`` (Jaccard)."""
    lsh = MinHashLSH(threshold=threshold, num_perm=64)
    pairs: list[tuple[int, int]] = []
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        if text in first:
            pairs.append((first[text], i))
            continue
        first[text] = i
        sketch = MinHash(num_perm=64, seed=1)
        sketch.update_batch(sorted(_shingles(text)))
        pairs += [(int(str(j)), i) for j in lsh.query(sketch)]
        lsh.insert(i, sketch)
    return pairs


def clusters(texts: Sequence[str], keys: Sequence[Iterable[str]]) -> np.ndarray:
    """Number the groups of rows that share a near-duplicate text or any key (maker, recall number, seller).

    Parameters
    ----------
    texts
        One product name a row.
    keys
        Per row, the identifiers that tie it to others; empty ones are ignored.

    Returns
    -------
    ndarray of shape (n,), int
        Rows with the same number belong together.
    """
    left: list[int] = []
    right: list[int] = []
    holder: dict[str, int] = {}
    for i, row_keys in enumerate(keys):
        for key in row_keys:
            if key:
                left.append(holder.setdefault(key, i))
                right.append(i)
    for a, b in near_duplicates(texts):
        left.append(a)
        right.append(b)
    n = len(texts)
    graph = coo_matrix((np.ones(len(left)), (left, right)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def group_folds(groups: np.ndarray, n_folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal whole groups to folds, the largest first, each to the fold that is smallest so far.

    Returns
    -------
    list of ndarray
        Row numbers of each fold; together every row once, and no group in two folds.
    """
    if n_folds < 2:
        raise ValueError(f"Got n_folds={n_folds} but expected at least 2.")
    labels, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(labels))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(n_folds)
    fold_of: dict[int, int] = {}
    for position in order:
        fold = int(np.argmin(load))
        load[fold] += sizes[position]
        fold_of[int(labels[position])] = fold
    assigned = np.array([fold_of[int(group)] for group in groups], dtype=int)
    return [np.flatnonzero(assigned == fold) for fold in range(n_folds)]


def unseen(split: Split, groups: np.ndarray) -> np.ndarray:
    """Return the test rows whose group has no row in the training part."""
    return split.test[~np.isin(groups[split.test], groups[split.train])]
