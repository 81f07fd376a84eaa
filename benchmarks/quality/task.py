"""What a quality task is: labels of a locked test part, systems that score it, figures computed from scores alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.resample import Interval
from benchmarks.results_file import SCORE_COLUMNS, Row


@dataclass(frozen=True, slots=True)
class Labels:
    """The test part of a task, without text.

    Attributes
    ----------
    items
        n identifiers of the publisher.
    classes
        k names; one empty name where an item has one label only.
    Y
        ndarray of shape (n, k), float64, 0 or 1.
    parts
        Name -> ndarray of shape (n,), bool: subsets that are measured apart.
    """

    items: tuple[str, ...]
    classes: tuple[str, ...]
    Y: np.ndarray
    parts: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Task:
    """One quality task.

    Attributes
    ----------
    name
        Of the task and its files.
    files
        Data files below the data folder.
    labels
        Reads the labels of the test part from the data folder.
    systems
        Name -> function from the data folder to scores, ndarray of shape (n, k).
    measure
        Figures of all systems from labels and scores alone.
    note
        What the log of looks says of a run.
    """

    name: str
    files: tuple[str, ...]
    labels: Callable[[Path], Labels]
    systems: Mapping[str, Callable[[Path], np.ndarray]]
    measure: Callable[[Labels, Mapping[str, np.ndarray]], list[Row]]
    note: str


def frame_of(labels: Labels, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return scores as the long table that is stored, one row an item, system and class."""
    n, k = labels.Y.shape
    parts = [
        pd.DataFrame(
            {
                "item": np.repeat(labels.items, k),
                "system": system,
                "class": np.tile(labels.classes, n),
                "score": S.astype(np.float32).ravel(),
            }
        )
        for system, S in scores.items()
    ]
    return pd.concat(parts, ignore_index=True).loc[:, list(SCORE_COLUMNS)]


def scores_of(frame: pd.DataFrame, labels: Labels) -> dict[str, np.ndarray]:
    """Return what `frame_of` was made from, in the order of the labels, float64.

    Raises
    ------
    ValueError
        When the stored items are not those of the test part.
    """
    scores: dict[str, np.ndarray] = {}
    for system in dict.fromkeys(frame["system"]):
        rows = frame[frame["system"] == system]
        table = rows.pivot(index="item", columns="class", values="score")
        if set(table.index) != set(labels.items) or set(table.columns) != set(labels.classes):
            raise ValueError(
                f"The stored scores of {system} are of {len(table):,} items and {table.shape[1]} classes, not of "
                f"the {len(labels.items):,} items of the test part: measure the task again."
            )
        scores[str(system)] = table.loc[list(labels.items), list(labels.classes)].to_numpy(np.float64)
    return scores


def figure(
    system: str, metric: str, value: float, spread: Interval | None, n: int, unit: str = "share"
) -> Row | None:
    """Return a row, rounded to six places; None where the value does not exist."""
    if np.isnan(value):
        return None
    low, high = (None, None) if spread is None or np.isnan(spread.low) else (spread.low, spread.high)
    return Row(
        system=system,
        metric=metric,
        value=round(float(value), 6),
        low=None if low is None else round(low, 6),
        high=None if high is None else round(high, 6),
        n=n,
        unit=unit,
    )


def existing(rows: Iterable[Row | None]) -> list[Row]:
    """Leave out figures that do not exist."""
    return [row for row in rows if row is not None]


def squeezed(names: Sequence[str]) -> list[str]:
    """Lower case, and one space for every run of white space."""
    return [" ".join(name.lower().split()) for name in names]
