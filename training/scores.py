"""What a bundle says of listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Basis = Literal["lab", "recall", "prior", "policy"]
BASES: tuple[Basis, ...] = ("lab", "recall", "prior", "policy")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of the seller that moved a score.

    ``start`` and ``end`` are positions in the ORIGINAL text of ``field``; ``weight`` is in log-odds.
    """

    field: str
    start: int
    end: int
    text: str
    weight: float
    hazard: str


@dataclass(frozen=True, slots=True)
class PastResult:
    """A past result near a listing: who found what, when, and how near (cosine, 0 to 1)."""

    regulator: str
    number: str
    date: str
    product: str
    hazards: tuple[str, ...]
    similarity: float
    url: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a block of listings; hazards in taxonomy order.

    Attributes
    ----------
    listing_ids
        One per row.
    p_noncompliant
        ndarray of shape (n_listings,), float64. P(fails any laboratory-type hazard).
    p
        ndarray of shape (n_listings, n_hazards), float64. Joint P(listing fails for h).
    q
        ndarray of shape (n_listings, n_hazards), float64. P(h | non-compliant); NaN for policy hazards.
    basis
        ndarray of shape (n_listings, n_hazards), int8, positions in `BASES`.
    base_rate
        ndarray of shape (n_hazards,), float64. The rate each probability is calibrated to.
    groups
        Product group code per listing, "" where none was recognised.
    audiences
        Per listing: ``under_3``, ``under_14`` or ``general``.
    languages
        Per listing: ``ko``, ``en``, ``zh`` or ``other``.
    """

    listing_ids: tuple[str, ...]
    p_noncompliant: np.ndarray
    p: np.ndarray
    q: np.ndarray
    basis: np.ndarray
    base_rate: np.ndarray
    groups: tuple[str, ...]
    audiences: tuple[str, ...]
    languages: tuple[str, ...]
