"""The same question as a user asks it later: three tables up to 2012, tested on recalls of 2013 to 2023."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.hazard_type import CLASSES, FILE, HERE, Recall, measure, our_classes
from benchmarks.quality.recall_systems import Parts, name_systems
from benchmarks.quality.recall_tables import SPORTS, TOYS, Row, read_rows
from benchmarks.quality.task import Labels, Task, squeezed
from benchmarks.results_file import OURS
from training.splits import near_duplicates

CUT = date(2012, 12, 31)
FEWEST = 10
BARE = "ours_without_expectations"


@cache
def split(data: Path) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return the training rows, and the later ones whose number and near-duplicate names are not among them."""
    rows = [row for row in read_rows(data) if row.classes]
    train = tuple(row for row in rows if row.day <= CUT)
    later = [row for row in rows if row.day > CUT]
    n = len(train)
    names = squeezed([row.name for row in (*train, *later)])
    twins = {max(pair) - n for pair in near_duplicates(names) if min(pair) < n <= max(pair)}
    return train, tuple(row for i, row in enumerate(later) if i not in twins)


def outcomes(rows: Sequence[Row]) -> np.ndarray:
    """Return 1 where a recall has a class, shape (n, 15)."""
    Y = np.zeros((len(rows), len(CLASSES)))
    for i, row in enumerate(rows):
        Y[i, list(row.classes)] = 1
    return Y


@cache
def kept_classes(data: Path) -> tuple[int, ...]:
    """Return the positions of the classes with enough positives in both parts to be measured."""
    train, test = split(data)
    enough = (outcomes(test).sum(axis=0) >= FEWEST) & (outcomes(train).sum(axis=0) >= FEWEST)
    return tuple(int(k) for k in np.flatnonzero(enough))


def class_names(data: Path) -> tuple[str, ...]:
    """Return the measured classes."""
    names = tuple(CLASSES)
    return tuple(names[k] for k in kept_classes(data))


def labels(data: Path) -> Labels:
    """Read the labels of the test part; "unseen" are the rows whose makers are new as well, where they are named."""
    train, test = split(data)
    makers = frozenset(maker for row in train for maker in row.makers)
    tables = np.array([row.table for row in test])
    parts = {"unseen": np.array([not row.makers & makers for row in test], dtype=bool)}
    parts |= {f"table_{name}": tables == name for name in ("recalls", "toys", "sports")}
    return Labels(
        tuple(f"{row.table}:{row.number}" for row in test),
        class_names(data),
        outcomes(test)[:, list(kept_classes(data))],
        parts,
    )


def _parts(data: Path) -> Parts:
    train, test = split(data)
    return [r.name for r in train], outcomes(train)[:, list(kept_classes(data))], [r.name for r in test]


def _ours(data: Path, config: str = "hazard_type_2013plus.yaml") -> np.ndarray:
    recalls = [
        Recall(f"{row.table}:{row.number}", row.name, row.makers, "", row.day, row.classes)
        for row in split(data)[1]
    ]
    S = our_classes(HERE / config, data, CUT, recalls)
    return S[:, list(kept_classes(data))]


def _ours_bare(data: Path) -> np.ndarray:
    """Ours without prior knowledge, which was written in 2026 and so knows what happened after 2012."""
    return _ours(data, "hazard_type_2013plus_bare.yaml")


TASK = Task(
    name="hazard_type_2013plus",
    files=(FILE, TOYS, SPORTS),
    labels=labels,
    systems=name_systems(_parts, class_names) | {BARE: _ours_bare, OURS: _ours},
    measure=measure,
    note="US recalls 2013-2023 of three tables",
)
