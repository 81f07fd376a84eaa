"""Find the offers most like one offer among many, in memory: by meaning and by rare words in one pass.

An offer's print is 768 bytes: its title's embedding and a count sketch of its words. The scan is exact and reads
the meaning of every print and, of the words, the places that the query has: 10,000 prints take a quarter of a
millisecond, 100,000 a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.offer import OfferView, TokenWeights, bucket
from features.scan import LEVELS, ZERO, dot_products

SKETCH = 256
_MEANING = 127.0
_BLOCK = 16_384  # so that a few rows of float32 stay in the processor's cache
_LEAST_SHARE = 1e-6
_QUERIES = 64  # looked up together,
_SCORES = 4_000_000  # or fewer, so that no more scores than these are held at once
_TINY = np.float32(1e-30)
_PART = 32  # the best of so many neighbours says how good the k-th best of all is at least
_PLACE = np.uint32(SKETCH - 1)
_SIGN = np.uint32(8)


def _places(buckets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return place and sign in the sketch of each word, given by its bucket."""
    # A bucket has 16 bits: 8 say where, one of the others says which sign.
    return (buckets & _PLACE).astype(np.int64), np.where(buckets >> _SIGN & 1, 1.0, -1.0)


def sketch_of(offer: OfferView) -> np.ndarray:
    """Count sketch of the words of an offer's title, shape (SKETCH,)."""
    sketch = np.zeros(SKETCH)
    if offer.token_set:
        np.add.at(sketch, *_places(np.array([bucket(token) for token in offer.token_set], np.uint32)))
    return sketch


def print_of(offer: OfferView, vector: np.ndarray) -> bytes:
    """Return the print of an offer.

    Parameters
    ----------
    vector
        ndarray of shape (n_dimensions,), the embedding of the offer's title, of length 1.
    """
    whole = np.concatenate([np.asarray(vector, np.float64) * _MEANING, sketch_of(offer)])
    return np.clip(np.rint(whole), -127, 127).astype(np.int8).tobytes()


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: embedding of shape (n_dimensions,) and weighted words of shape (SKETCH,)."""

    meaning: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, offer: OfferView, vector: np.ndarray, weights: TokenWeights) -> Query:
        """Make a query of an offer."""
        words = np.zeros(SKETCH)
        if offer.token_set:
            # In one order, so that sums do not differ by a last bit between processes.
            buckets = np.array([bucket(token) for token in sorted(offer.token_set)], np.uint32)
            telling = weights.idf[buckets].astype(np.float64) ** 2
            places, signs = _places(buckets)
            np.add.at(words, places, signs * telling / telling.sum())
        return cls(np.asarray(vector, np.float32), words.astype(np.float32))

    def share_in(self, sketch: np.ndarray) -> float:
        """About which weighted share of the query's words the offer of a sketch has: `Near.words`, without an index."""
        return float(self.words @ sketch)


@dataclass(frozen=True, slots=True)
class Near:
    """An offer found: its key, the cosine of the titles, and about which weighted share of the words it has."""

    key: str
    cosine: float
    words: float


class OfferIndex:
    """Prints of many offers, changed in place.

    Parameters
    ----------
    dim
        Length of the embedding.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        # A number of a print plus `ZERO`; and the sum of each row.
        self._meaning = np.zeros((0, dim), np.uint8)
        self._sums = np.zeros(0, np.int64)
        # Place by place: a query has some ten of the places, and reads no others.
        self._words = np.zeros((SKETCH, 0), np.int8)
        self._longest = 0.0
        self._keys: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    @property
    def nbytes(self) -> int:
        """Bytes of the prints in use."""
        return len(self) * (self.dim + SKETCH)

    def add(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Add prints, or put new ones in the place of those that have the same key.

        Raises
        ------
        ValueError
            When a print has another length.
        """
        width = self.dim + SKETCH
        for _, found in entries:
            if len(found) != width:
                raise ValueError(
                    f"got a print of {len(found)} bytes, expected {width}: made by another encoder"
                )
        if not entries:
            return
        self._make_room(len(self) + len(entries))
        places = np.empty(len(entries), np.intp)
        for i, (key, _) in enumerate(entries):
            places[i] = self._at.setdefault(key, len(self._keys))
            if places[i] == len(self._keys):
                self._keys.append(key)
        rows = np.frombuffer(b"".join(found for _, found in entries), np.int8).reshape(-1, width)
        self._meaning[places] = rows[:, : self.dim].view(np.uint8) ^ ZERO
        self._sums[places] = self._meaning[places].sum(axis=1, dtype=np.int64)
        self._words[:, places] = rows[:, self.dim :].T
        lengths = np.linalg.norm(rows[:, : self.dim].astype(np.float32), axis=1)
        self._longest = max(self._longest, float(lengths.max()))

    def _make_room(self, need: int) -> None:
        n, room = len(self), len(self._meaning)
        if need <= room:
            return
        size = max(need, 2 * room, 64)
        meaning, words = np.zeros((size, self.dim), np.uint8), np.zeros((SKETCH, size), np.int8)
        meaning[:n], words[:, :n] = self._meaning[:n], self._words[:, :n]
        self._meaning, self._words = meaning, words
        self._sums = np.resize(self._sums, size)

    def remove(self, keys: Iterable[str]) -> int:
        """Remove offers; return how many were there."""
        removed = 0
        for key in keys:
            at = self._at.pop(key, None)
            if at is None:
                continue
            removed += 1
            last = self._keys.pop()
            if last != key:  # the last row moves into the gap
                self._keys[at] = last
                self._at[last] = at
                self._meaning[at] = self._meaning[len(self._keys)]
                self._sums[at] = self._sums[len(self._keys)]
                self._words[:, at] = self._words[:, len(self._keys)]
        return removed

    def nearest(self, query: Query, k: int) -> list[Near]:
        """Return the union of the ``k`` nearest by meaning and the ``k`` nearest by words, nearest meaning first."""
        return self.nearest_many([query], k)[0]

    def nearest_many(self, queries: Sequence[Query], k: int) -> list[list[Near]]:
        """Return what `nearest` returns, for many queries; prints are read once for a block of them."""
        if not self._keys or k < 1:
            return [[] for _ in queries]
        found: list[list[Near]] = []
        size = max(1, min(_QUERIES, _SCORES // len(self)))
        for start in range(0, len(queries), size):
            part = queries[start : start + size]
            rows = self._worth_a_look(part, k)
            found += [self._nearest(query, k, looked) for query, looked in zip(part, rows, strict=True)]
        return found

    def _nearest(self, query: Query, k: int, rows: np.ndarray) -> list[Near]:
        words = self._by_words(query)
        cosines = self._cosines(query, rows)
        best = np.argsort(-cosines, kind="stable")[:k]
        found = dict(zip(rows[best].tolist(), cosines[best].tolist(), strict=True))
        more = [row for row in _top(words, k).tolist() if row not in found]
        if more:
            found.update(zip(more, self._cosines(query, np.array(more, np.intp)).tolist(), strict=True))
        ranked = sorted(found, key=lambda row: (-found[row], row))
        return [Near(self._keys[row], found[row], float(words[row])) for row in ranked]

    def _by_words(self, query: Query) -> np.ndarray:
        """Weighted share of the query's words in every print, shape (n,), float32."""
        n, places = len(self), np.flatnonzero(query.words)
        found, weights = np.zeros(n, np.float32), query.words[places]
        for start in range(0, n if len(places) else 0, _BLOCK):
            end = min(start + _BLOCK, n)
            found[start:end] = weights @ self._words[places, start:end].astype(np.float32)
        return found

    def _worth_a_look(self, queries: Sequence[Query], k: int) -> list[np.ndarray]:
        """Per query, rows among which the ``k`` nearest by meaning are for certain.

        A query is rounded for the scan. What that can change of a cosine at most, by the inequality of Cauchy and
        Schwarz, is the width of the band below the k-th best that is looked at again.
        """
        n = len(self)
        if n <= k:
            return [np.arange(n)] * len(queries)
        meaning = np.stack([query.meaning for query in queries])
        step = np.maximum(np.abs(meaning).max(axis=1), _TINY)[:, None] / LEVELS
        rounded = np.rint(meaning / step).astype(np.int8)
        scores = dot_products(rounded, self._meaning[:n], self._sums[:n])
        off = np.linalg.norm(meaning - rounded * step, axis=1)
        bands = (2 * off * self._longest + 1e-3) / step[:, 0]
        return [
            np.flatnonzero(one >= _kth_best(one, k) - band) for one, band in zip(scores, bands, strict=True)
        ]

    def _cosines(self, query: Query, rows: np.ndarray) -> np.ndarray:
        # Row by row, since a product of matrices rounds by the number of rows: a listing's score must not depend on
        # how many prints were looked at.
        return np.einsum("ij,j->i", self._numbers(rows), query.meaning / _MEANING)

    def _numbers(self, rows: np.ndarray | int) -> np.ndarray:
        return self._meaning[rows].astype(np.float32) - ZERO

    def vector(self, key: str) -> np.ndarray:
        """Return the embedding kept for a key, to about 1 %, shape (dim,), float32."""
        return self._numbers(self._at[key]) / np.float32(_MEANING)


def _kth_best(scores: np.ndarray, k: int) -> float:
    """A value that at least ``k`` scores reach, and few more where scores are many."""
    whole = len(scores) // _PART * _PART
    if whole // _PART <= k:
        return float(np.partition(scores, len(scores) - k)[len(scores) - k])
    best = scores[:whole].reshape(-1, _PART).max(axis=1)
    return float(np.partition(best, len(best) - k)[len(best) - k])


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the ``k`` largest, the earlier ones where scores are equal; of many, none without a shared word."""
    if k >= len(scores):
        return np.arange(len(scores))
    rows = np.flatnonzero(scores >= max(_kth_best(scores, k), _LEAST_SHARE))
    return rows[np.argsort(-scores[rows], kind="stable")[:k]]
