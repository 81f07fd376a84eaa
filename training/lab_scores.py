"""What laboratories would find, in rows that a second reading of a listing may take the place of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class LabScores(NamedTuple):
    """Scores of n listings.

    Attributes
    ----------
    q, p
        ndarrays of shape (n, n_hazards).
    basis
        ndarray of shape (n, n_hazards), int8.
    p_noncompliant
        ndarray of shape (n,).
    """

    q: np.ndarray
    p: np.ndarray
    basis: np.ndarray
    p_noncompliant: np.ndarray

    def nearness(self, point: Mapping[str, float], hazards: Sequence[str]) -> np.ndarray:
        """Return how near each row is to an operating point, shape (n,): 1 where it reaches it.

        A policy asks both whether a listing is likely to fail at all and for what, so the smaller of the two counts.
        """
        if not len(self.p):
            return np.zeros(0)
        at = np.array([point.get(code, np.inf) for code in hazards])
        worst = (self.p / at).max(axis=1)
        return np.minimum(worst, self.p_noncompliant / point.get("p_noncompliant", np.inf))

    def take(self, row: int, other: LabScores, at: int) -> None:
        """Put a row of other scores in place of a row of these."""
        for mine, theirs in zip(self, other, strict=True):
            mine[row] = theirs[at]
