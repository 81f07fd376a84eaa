"""Does a product hold 1 ppm of mercury or of arsenic or more: New York's laboratory results, as for lead."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.quality.lab_lead import measure
from benchmarks.quality.lab_rows import (
    CUT,
    FILE,
    HERE,
    RECALLS,
    Sample,
    lab_systems,
    labels_of,
    listing_of,
    read_results,
)
from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.task import Labels, Task
from benchmarks.results_file import OURS

METALS = frozenset({"Mercury", "Arsenic"})
PPM = 1.0


def read_samples(data: Path) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Read the training and the test rows of the task."""
    return read_results(data, METALS, PPM)


def labels(data: Path) -> Labels:
    """Read the labels of the test part: both metals, each of them, and each product type."""
    return labels_of(*read_samples(data))


def _ours(data: Path) -> np.ndarray:
    # A listing says nothing of what a laboratory will look for: one probability for both metals.
    listings = [listing_of(sample) for sample in read_samples(data)[1]]
    scores = train_and_batch(HERE / "lab_metals.yaml", data, CUT, listings)
    return np.asarray(scores["p_chemical_other"], dtype=np.float64)[:, None]


TASK = Task(
    name="lab_metals",
    files=(FILE, RECALLS),
    labels=labels,
    systems=lab_systems(read_samples) | {OURS: _ours},
    measure=measure,
    note="New York mercury and arsenic results 2019-2020",
)
