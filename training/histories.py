"""Past results per key as features: how often goods with the same key failed, drawn toward coarser keys.

A key is one column or a cross of a few, such as product group x origin. Which crosses help is found on the results
themselves: each row is predicted from the OTHER rows of its key (leave one out), so no row explains itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

Key = tuple[int, ...]
# Log-likelihood, in nats over all results, that a key must add.
_GAIN = 3.0
_CLOSEST, _USUAL = 12, 2.0
# Imaginary results at the coarser key's rate: few where goods of one key all end alike, many where they do not.
_STRENGTHS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)


def crosses(codes: np.ndarray, keys: Sequence[Key]) -> np.ndarray:
    """Number the combinations of columns.

    Parameters
    ----------
    codes
        ndarray of shape (n, n_columns), int: one code per column, 0 or more.
    keys
        Columns of each cross.

    Returns
    -------
    ndarray of shape (n, n_keys), int64
        Equal numbers where all columns of the key are equal.
    """
    found = np.empty((len(codes), len(keys)), dtype=np.int64)
    for place, key in enumerate(keys):
        joined = np.zeros(len(codes), dtype=np.int64)
        for column in key:
            joined = joined * (int(codes[:, column].max(initial=0)) + 1) + codes[:, column]
        found[:, place] = np.unique(joined, return_inverse=True)[1]
    return found


@dataclass(slots=True)
class Histories:
    """Results per key, for the keys that told most; made by `fit`.

    Attributes
    ----------
    numbers
        ndarray of shape (n, n_keys): `crosses` of all rows, known before any result.
    keys
        Columns of each cross, coarse ones before the crosses that contain them.
    chosen
        Positions of the keys in use.
    strength
        Of each key in use: imaginary results at the coarser key's rate.
    """

    numbers: np.ndarray
    keys: Sequence[Key]
    chosen: list[int] = field(default_factory=list)
    strength: list[float] = field(default_factory=list)

    def fit(
        self, rows: np.ndarray, outcome: np.ndarray, most: int = 6, within: Sequence[int] | None = None
    ) -> None:
        """Choose the keys that predict best, one after the other.

        Parameters
        ----------
        rows
            ndarray of int: rows with a result.
        outcome
            ndarray of shape (len(rows),), 0 or 1.
        most
            Keys to choose.
        within
            Positions of the keys to choose from; None for all.
        """
        self.chosen, self.strength = [], []
        if not len(rows):
            return
        seen = _Seen(self.numbers[rows], outcome)
        left = list(range(len(self.keys))) if within is None else list(within)
        best, least = _loss(seen.chain([]), outcome), _GAIN / len(rows)
        chain: list[tuple[int, float]] = []
        while left and len(chain) < most:
            tried = sorted((_loss(seen.chain([*chain, (key, _USUAL)]), outcome), key) for key in left)
            loss, key, strength = min(
                (_loss(seen.chain([*chain, (key, strength)]), outcome), key, strength)
                for _, key in tried[:_CLOSEST]
                for strength in _STRENGTHS
            )
            if loss >= best - least:
                break
            best = loss
            chain.append((key, strength))
            left.remove(key)
        chain.sort(key=lambda link: seen.kinds(link[0]))
        self.chosen, self.strength = [key for key, _ in chain], [strength for _, strength in chain]

    def features(self, rows: np.ndarray, outcome: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Rate and count per chosen key, drawn toward the key before; results of a row itself are left out.

        Returns
        -------
        ndarray of shape (len(of), 2 * n_chosen), float64
            Rates, then log counts.
        """
        known = np.full(len(self.numbers), np.nan)
        known[rows] = outcome
        own = known[of]
        prior = np.full(len(of), outcome.mean() if len(outcome) else 0.5)
        rates, counts = [], []
        for key, strength in zip(self.chosen, self.strength, strict=True):
            size = int(self.numbers[:, key].max(initial=0)) + 1
            seen = self.numbers[rows, key]
            n = np.bincount(seen, minlength=size)[self.numbers[of, key]].astype(float)
            k = np.bincount(seen, outcome, minlength=size)[self.numbers[of, key]]
            n, k = n - ~np.isnan(own), k - np.nan_to_num(own)
            prior = (k + strength * prior) / (n + strength)
            rates.append(prior)
            counts.append(np.log1p(n))
        return np.column_stack([*rates, *counts]) if rates else np.zeros((len(of), 0))


class _Seen:
    """Results by key; each row is predicted from the other rows of its keys, coarse keys first."""

    def __init__(self, numbers: np.ndarray, outcome: np.ndarray) -> None:
        self._numbers, self._outcome = numbers, outcome
        self._tables: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}

    def _table(self, key: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the number of kinds, and per row the tests and fails of the other rows of its kind."""
        if key not in self._tables:
            kind = np.unique(self._numbers[:, key], return_inverse=True)[1]
            n, k = np.bincount(kind), np.bincount(kind, self._outcome)
            self._tables[key] = (len(n), n[kind] - 1.0, k[kind] - self._outcome)
        return self._tables[key]

    def kinds(self, key: int) -> int:
        """Return how many kinds of the key have results."""
        return self._table(key)[0]

    def chain(self, links: Sequence[tuple[int, float]]) -> np.ndarray:
        """Return the predicted rate per row."""
        rate = np.full(len(self._outcome), self._outcome.mean())
        for key, strength in sorted(links, key=lambda link: self.kinds(link[0])):
            _, n, k = self._table(key)
            rate = (k + strength * rate) / (n + strength)
        return rate


def _loss(rate: np.ndarray, outcome: np.ndarray) -> float:
    p = np.clip(rate, 1e-6, 1 - 1e-6)
    return float(-np.mean(outcome * np.log(p) + (1 - outcome) * np.log1p(-p)))


def pairs(columns: int, depth: int = 2) -> list[Key]:
    """All single columns, then all crosses of up to ``depth`` columns."""
    return [key for size in range(1, depth + 1) for key in combinations(range(columns), size)]
