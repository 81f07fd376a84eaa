"""Watching what comes in and what is decided: counts of two windows, gathered row by row in constant memory.

Kept libraries for this (Evidently, NannyML) want both windows whole in memory, and frouros does not install beside
numpy 2; so counts are kept here, and the statistics over them (`serving.monitoring.figures`) are scipy's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

P_BINS = 56
_LOGIT_SPAN = 14.0
_VALUE_BINS = 64
MOST_NAMES = 2_000
"""Different values of a field that are counted by name; further ones are counted together."""
OTHER = "(other)"
SAMPLE = 1_500
"""Titles of each window that are encoded to look for drift in embedding space."""
_CELL = np.dtype([("p", "<f8"), ("q", "<f8"), ("injury", "<f8"), ("basis", "i1")])


@dataclass(frozen=True, slots=True)
class Block:
    """Some decisions as columns.

    Attributes
    ----------
    names
        Field -> one text a row, "" where missing: language, group, marketplace, category, action and the like.
    values
        Field -> ndarray of shape (n,), NaN where missing: price, units sold, length of the title and the like.
    p
        ndarray of shape (n, n_hazards): P(listing fails for h).
    p_noncompliant
        ndarray of shape (n,).
    titles
        As the sellers wrote them; "" once erased.
    """

    names: Mapping[str, Sequence[str]]
    values: Mapping[str, np.ndarray]
    p: np.ndarray
    p_noncompliant: np.ndarray
    titles: Sequence[str]

    def __len__(self) -> int:
        return len(self.p_noncompliant)


def unpack_block(scores: Sequence[bytes], n_hazards: int) -> np.ndarray:
    """Return P(fails for h) of packed scores, ndarray of shape (n, n_hazards); rows of another length are NaN."""
    size = n_hazards * _CELL.itemsize
    fits = [len(one) == size for one in scores]
    p = np.full((len(scores), n_hazards), np.nan)
    if any(fits):
        joined = b"".join(one for one, fit in zip(scores, fits, strict=True) if fit)
        p[np.array(fits)] = np.frombuffer(joined, _CELL).reshape(-1, n_hazards)["p"]
    return p


def probability_bins(p: np.ndarray) -> np.ndarray:
    """Return the bin of each probability, equal steps of log-odds; NaN gets bin 0."""
    clipped = np.clip(np.nan_to_num(p), 1e-6, 1 - 1e-6)
    at = (np.log(clipped) - np.log1p(-clipped) + _LOGIT_SPAN) * (P_BINS / (2 * _LOGIT_SPAN))
    return np.clip(at.astype(np.int64), 0, P_BINS - 1)


def _value_bins(values: np.ndarray) -> np.ndarray:
    """Return the bin of each number, about eight a decade; missing ones get the last bin, zero and below the first."""
    known = ~np.isnan(values)
    at = np.zeros(len(values), dtype=np.int64)
    positive = known & (values > 0)
    at[positive] = np.clip((np.log10(values[positive]) * 8).astype(np.int64) + 9, 1, _VALUE_BINS - 2)
    at[~known] = _VALUE_BINS - 1
    return at


@dataclass(slots=True)
class Window:
    """What is kept of one stretch of time; its size does not depend on how many rows went in.

    Attributes
    ----------
    n
        Rows.
    names
        Field -> value -> count.
    values
        Field -> ndarray of shape (64,): count by bin, the last one missing.
    p_bins, p_sums
        ndarrays of shape (n_hazards + 1, P_BINS): count and sum of probabilities, the last row P(non-compliant).
    by_action
        Action -> [count, sum of P(non-compliant)].
    titles
        A fair sample of `SAMPLE` titles.
    """

    n_hazards: int
    n: int = 0
    names: dict[str, Counter[str]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    p_bins: np.ndarray = field(init=False)
    p_sums: np.ndarray = field(init=False)
    by_action: dict[str, list[float]] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    _offered: int = 0

    def __post_init__(self) -> None:
        """Make the empty histograms."""
        self.p_bins = np.zeros((self.n_hazards + 1, P_BINS))
        self.p_sums = np.zeros((self.n_hazards + 1, P_BINS))

    def add(self, block: Block, rng: np.random.Generator) -> None:
        """Count some rows."""
        self.n += len(block)
        for name, texts in block.names.items():
            self._count_names(name, texts)
        for name, numbers in block.values.items():
            held = self.values.setdefault(name, np.zeros(_VALUE_BINS))
            held += np.bincount(_value_bins(numbers), minlength=_VALUE_BINS)
        everything = np.column_stack([block.p, block.p_noncompliant])
        rows = np.arange(self.n_hazards + 1) * P_BINS
        at = (probability_bins(everything) + rows).ravel()
        size = (self.n_hazards + 1) * P_BINS
        known = np.nan_to_num(everything).ravel()
        self.p_bins += np.bincount(at, minlength=size).reshape(self.p_bins.shape)
        self.p_sums += np.bincount(at, weights=known, minlength=size).reshape(self.p_sums.shape)
        for action in set(block.names.get("action", ())):
            chosen = np.array([one == action for one in block.names["action"]])
            held = self.by_action.setdefault(action, [0.0, 0.0])
            held[0] += float(chosen.sum())
            held[1] += float(block.p_noncompliant[chosen].sum())
        self._sample(block.titles, rng)

    def _count_names(self, name: str, texts: Iterable[str]) -> None:
        counts = self.names.setdefault(name, Counter())
        for text, count in Counter(texts).items():
            known = text in counts or len(counts) < MOST_NAMES
            counts[text if known else OTHER] += count

    def _sample(self, titles: Sequence[str], rng: np.random.Generator) -> None:
        """Keep a fair sample of all titles so far (algorithm R, Vitter 1985)."""
        usable = [title for title in titles if title]
        places = rng.integers(0, np.arange(self._offered, self._offered + len(usable)) + 1) if usable else ()
        for title, place in zip(usable, places, strict=True):
            if len(self.titles) < SAMPLE:
                self.titles.append(title)
            elif place < SAMPLE:
                self.titles[int(place)] = title
        self._offered += len(usable)


def listing_columns(
    listings: Sequence[Mapping[str, Any] | None],
) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
    """Return what is watched of listings as they were stored; erased ones are missing everywhere.

    Returns
    -------
    names, values
        For `Block`.
    """
    from features.normalize import language

    names: dict[str, list[str]] = {
        k: [] for k in ("language", "category", "market", "currency", "origin", "filled")
    }
    values: dict[str, list[float]] = {
        k: [] for k in ("price", "units_sold", "title_length", "description_length", "images", "attributes")
    }
    nan = float("nan")
    for one in listings:
        listing = one or {}
        title = listing.get("title") or ""
        category = listing.get("category") or ()
        names["language"].append(language(title) if title else "")
        names["category"].append(str(category[0]) if category else "")
        names["market"].append(listing.get("market") or "KR")
        names["currency"].append(listing.get("currency") or "")
        names["origin"].append(listing.get("origin") or "")
        names["filled"].append(
            "".join(mark for mark, field_name in _FILLED if listing.get(field_name) not in (None, "", [], {}))
        )
        values["price"].append(float(listing.get("price") or nan))
        values["units_sold"].append(
            float(nan if listing.get("units_sold") is None else listing["units_sold"])
        )
        values["title_length"].append(float(len(title)) if title else nan)
        values["description_length"].append(float(len(listing.get("description") or "")))
        values["images"].append(float(len(listing.get("images") or ())))
        values["attributes"].append(float(len(listing.get("attributes") or ())))
    return names, {name: np.array(numbers) for name, numbers in values.items()}


_FILLED = (
    ("d", "description"),
    ("c", "category"),
    ("p", "price"),
    ("s", "seller"),
    ("b", "brand"),
    ("i", "images"),
)
