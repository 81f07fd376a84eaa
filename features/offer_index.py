"""Find the offers most like one offer among many, in memory: by meaning and by rare words in one pass.

An offer's print is 768 bytes: its title's embedding and a count sketch of its words. The scan is exact and reads
every print; 10,000 take a few milliseconds, 100,000 some tens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.offer import OfferView, TokenWeights, bucket

SKETCH = 256
_MEANING = 127.0
_BLOCK = 512  # so that a block of float32 rows stays in the processor's cache
_PLACE = np.uint32(SKETCH - 1)
_SIGN = np.uint32(8)


def _places(tokens: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return place and sign of each word in the sketch."""
    buckets = np.array([bucket(token) for token in tokens], np.uint32)
    # A bucket has 16 bits: 8 say where, one of the others says which sign.
    return (buckets & _PLACE).astype(np.int64), np.where(buckets >> _SIGN & 1, 1.0, -1.0)


def print_of(offer: OfferView, vector: np.ndarray) -> bytes:
    """Return the print of an offer.

    Parameters
    ----------
    vector
        ndarray of shape (n_dimensions,), the embedding of the offer's title, of length 1.
    """
    sketch = np.zeros(SKETCH)
    if offer.token_set:
        np.add.at(sketch, *_places(offer.token_set))
    whole = np.concatenate([np.asarray(vector, np.float64) * _MEANING, sketch])
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
            tokens = sorted(offer.token_set)
            telling = np.array([weights.of(token) for token in tokens]) ** 2
            places, signs = _places(tokens)
            np.add.at(words, places, signs * telling / telling.sum())
        return cls(np.asarray(vector, np.float32), words.astype(np.float32))


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
        self._rows = np.zeros((0, dim + SKETCH), np.int8)
        self._keys: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._at

    @property
    def nbytes(self) -> int:
        """Bytes of the prints in use."""
        return len(self) * self._rows.shape[1]

    def add(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Add prints, or put new ones in the place of those that have the same key.

        Raises
        ------
        ValueError
            When a print has another length.
        """
        width = self._rows.shape[1]
        for _, found in entries:
            if len(found) != width:
                raise ValueError(
                    f"got a print of {len(found)} bytes, expected {width}: made by another encoder"
                )
        need = len(self) + len(entries)
        if need > len(self._rows):
            grown = np.zeros((max(need, 2 * len(self._rows), 64), width), np.int8)
            grown[: len(self)] = self._rows[: len(self)]
            self._rows = grown
        for key, found in entries:
            at = self._at.setdefault(key, len(self._keys))
            if at == len(self._keys):
                self._keys.append(key)
            self._rows[at] = np.frombuffer(found, np.int8)

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
                self._rows[at] = self._rows[len(self._keys)]
        return removed

    def nearest(self, query: Query, k: int) -> list[Near]:
        """Return the union of the ``k`` nearest by meaning and the ``k`` nearest by words, nearest meaning first."""
        return self.nearest_many([query], k)[0]

    def nearest_many(self, queries: Sequence[Query], k: int) -> list[list[Near]]:
        """Return what `nearest` returns, for many queries in one pass over the prints."""
        n, m = len(self), len(queries)
        if n == 0 or k < 1:
            return [[] for _ in queries]
        both = np.zeros((self.dim + SKETCH, 2 * m), np.float32)
        for column, query in enumerate(queries):
            both[: self.dim, column] = query.meaning / _MEANING
            both[self.dim :, m + column] = query.words
        scores = np.empty((n, 2 * m), np.float32)
        block = np.empty((min(_BLOCK, n), self._rows.shape[1]), np.float32)
        for start in range(0, n, _BLOCK):
            end = min(start + _BLOCK, n)
            np.copyto(block[: end - start], self._rows[start:end])
            np.dot(block[: end - start], both, out=scores[start:end])
        return [self._chosen(scores[:, column], scores[:, m + column], k) for column in range(m)]

    def _chosen(self, meaning: np.ndarray, words: np.ndarray, k: int) -> list[Near]:
        chosen = {int(at) for side in (meaning, words) for at in _top(side, k)}
        ranked = sorted(chosen, key=lambda at: -meaning[at])
        return [Near(self._keys[at], float(meaning[at]), float(words[at])) for at in ranked]

    def vector(self, key: str) -> np.ndarray:
        """Return the embedding kept for a key, to about 1 %, shape (dim,), float32."""
        return self._rows[self._at[key], : self.dim].astype(np.float32) / np.float32(_MEANING)


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    return np.arange(len(scores)) if k >= len(scores) else np.argpartition(-scores, k)[:k]
