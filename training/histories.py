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
_GAIN = 1e-4
_KEPT = 60


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
    strength
        Imaginary results at the coarser key's rate.
    chosen
        Positions of the keys in use.
    """

    numbers: np.ndarray
    keys: Sequence[Key]
    strength: float = 2.0
    chosen: list[int] = field(default_factory=list)

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
        self.chosen = []
        rate = np.full(len(rows), outcome.mean())
        left = list(range(len(self.keys))) if within is None else list(within)
        best = _loss(rate, outcome)
        while left and len(self.chosen) < most:
            tried = sorted((_loss(self._loo(key, rows, outcome, rate), outcome), key) for key in left)
            loss, key = tried[0]
            if loss >= best - _GAIN:
                break
            rate, best = self._loo(key, rows, outcome, rate), loss
            self.chosen.append(key)
            # A key that is far from helping now seldom helps next to a better one.
            left = [other for _, other in tried[1:_KEPT]]

    def _loo(self, key: int, rows: np.ndarray, outcome: np.ndarray, prior: np.ndarray) -> np.ndarray:
        number = self.numbers[rows, key]
        size = int(self.numbers[:, key].max(initial=0)) + 1
        n, k = np.bincount(number, minlength=size), np.bincount(number, outcome, minlength=size)
        return (k[number] - outcome + self.strength * prior) / (n[number] - 1 + self.strength)

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
        for key in self.chosen:
            size = int(self.numbers[:, key].max(initial=0)) + 1
            seen = self.numbers[rows, key]
            n = np.bincount(seen, minlength=size)[self.numbers[of, key]].astype(float)
            k = np.bincount(seen, outcome, minlength=size)[self.numbers[of, key]]
            n, k = n - ~np.isnan(own), k - np.nan_to_num(own)
            prior = (k + self.strength * prior) / (n + self.strength)
            rates.append(prior)
            counts.append(np.log1p(n))
        return np.column_stack([*rates, *counts]) if rates else np.zeros((len(of), 0))


def _loss(rate: np.ndarray, outcome: np.ndarray) -> float:
    p = np.clip(rate, 1e-6, 1 - 1e-6)
    return float(-np.mean(outcome * np.log(p) + (1 - outcome) * np.log1p(-p)))


def pairs(columns: int, depth: int = 2) -> list[Key]:
    """All single columns, then all crosses of up to ``depth`` columns."""
    return [key for size in range(1, depth + 1) for key in combinations(range(columns), size)]
