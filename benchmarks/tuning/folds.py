"""Folds inside a training part: later years from earlier ones, and groups that share nothing with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from training.splits import group_folds


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers of a part to learn from and a part to judge by.

    Attributes
    ----------
    kind
        ``time``: all rows of later years. ``time_unseen``: those of them whose maker, number and near-duplicate
        names are new. ``group``: whole groups of any year.
    """

    kind: str
    name: str
    train: np.ndarray
    valid: np.ndarray


def time_folds(
    days: Sequence[date | None], groups: np.ndarray, cuts: Sequence[tuple[int, int]]
) -> list[Fold]:
    """Return, for each pair of years, learning up to the first and judging after it up to the second."""
    years = np.array([0 if day is None else day.year for day in days])
    folds = []
    for last, end in cuts:
        train, valid = np.flatnonzero(years <= last), np.flatnonzero((years > last) & (years <= end))
        new = valid[~np.isin(groups[valid], groups[train])]
        folds.append(Fold("time", f"<={last} -> {end}", train, valid))
        folds.append(Fold("time_unseen", f"<={last} -> {end}", train, new))
    return folds


def disjoint_folds(groups: np.ndarray, n_folds: int, seed: int) -> list[Fold]:
    """Return folds of whole groups."""
    everything = np.arange(len(groups))
    parts = group_folds(groups, n_folds, np.random.default_rng(seed))
    return [Fold("group", f"fold {i}", np.setdiff1d(everything, part), part) for i, part in enumerate(parts)]
