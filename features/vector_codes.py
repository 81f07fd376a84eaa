"""Unit vectors in eight bits a number, searched in memory: a sieve by signs first, then the codes themselves."""

from __future__ import annotations

import numpy as np

_TOP = 6.4
"""Numbers of a unit vector beyond so many times their usual size, 1 / sqrt(dim), are cut."""

_DIRECT = 4_096
_SIEVE = 128
_SIEVE_SHARE = 2_000
_GROWTH = 1.5


def encode(vectors: np.ndarray) -> np.ndarray:
    """Give int8 codes of unit vectors of shape (n, dim)."""
    step = np.float32(min(1.0, _TOP / max(1, vectors.shape[1]) ** 0.5) / 127)
    return np.clip(np.round(vectors / step), -127, 127).astype(np.int8)


def decode(codes: np.ndarray) -> np.ndarray:
    """Give unit vectors, float32, of codes of shape (n, dim)."""
    rows = codes.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


class VectorCodes:
    """Codes of many vectors, each belonging to a slot; grows in place.

    Parameters
    ----------
    dim
        Length of a vector.

    Notes
    -----
    1.14 bytes a number and 8 bytes a vector: a million vectors of 256 take 300 MB, at most half as much again while
    the arrays grow.
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"got dim={dim}; expected a positive integer")
        self.dim = dim
        self._n = 0
        self._codes = np.zeros((0, dim), np.int8)
        self._signs = np.zeros((0, -(-dim // 64)), np.uint64)
        self._slots = np.zeros(0, np.int32)
        self._scales = np.zeros(0, np.float32)

    def __len__(self) -> int:
        return self._n

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return sum(one.nbytes for one in (self._codes, self._signs, self._slots, self._scales))

    def add(self, codes: np.ndarray, slots: np.ndarray) -> None:
        """Add codes of shape (n, dim) and the slot of each."""
        end = self._n + len(codes)
        if end > len(self._slots):
            self._grow(max(end, round(len(self._slots) * _GROWTH)))
        self._codes[self._n : end] = codes
        self._signs[self._n : end] = _signs(codes)
        self._slots[self._n : end] = slots
        lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float32))
        self._scales[self._n : end] = 1 / np.maximum(lengths, 1e-9)
        self._n = end

    def search(self, queries: np.ndarray, alive: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the slots with a vector nearest to any of the queries.

        Parameters
        ----------
        queries
            ndarray of shape (n, dim), float32, rows of length 1.
        alive
            ndarray of bool by slot; the others are passed over.
        k
            At most so many slots.

        Returns
        -------
        slots
            ndarray of shape (m,), int64, best first.
        cosines
            ndarray of shape (m,), float32: of the slot's best vector with the best query.
        """
        rows = self._candidates(queries, alive, max(_SIEVE, self._n // _SIEVE_SHARE, 8 * k))
        if not len(rows):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        cosines = (self._codes[rows].astype(np.float32) @ queries.T).max(1) * self._scales[rows]
        order = np.argsort(-cosines, kind="stable")
        slots = self._slots[rows[order]]
        _, first = np.unique(slots, return_index=True)
        keep = np.sort(first)[:k]
        return slots[keep].astype(np.int64), cosines[order[keep]]

    def _candidates(self, queries: np.ndarray, alive: np.ndarray, wanted: int) -> np.ndarray:
        living = alive[self._slots[: self._n]]
        if self._n <= max(_DIRECT, wanted):
            return np.flatnonzero(living)
        found = []
        for signs in _signs(queries):
            distance = np.zeros(self._n, np.uint16)
            for column in range(self._signs.shape[1]):
                distance += np.bitwise_count(self._signs[: self._n, column] ^ signs[column])
            distance[~living] = self.dim + 1
            limit = int(np.searchsorted(np.cumsum(np.bincount(distance, minlength=self.dim + 2)), wanted))
            found.append(np.flatnonzero(distance <= min(limit, self.dim))[: 2 * wanted])
        return np.unique(np.concatenate(found))

    def _grow(self, size: int) -> None:
        for name in ("_codes", "_signs", "_slots", "_scales"):
            old = getattr(self, name)
            fresh = np.zeros((size, *old.shape[1:]), old.dtype)
            fresh[: self._n] = old[: self._n]
            setattr(self, name, fresh)


def _signs(rows: np.ndarray) -> np.ndarray:
    """Signs of rows, 64 to a number, shape (n, ceil(dim / 64))."""
    packed = np.packbits(rows > 0, axis=1)
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
