"""Labels that a model which never saw them denies: confident learning over each source (Northcutt et al. 2021).

Nothing is dropped: the report names how many there are and which, so that a person can look them up. A recall that
names two hazards where CPSC's category has one shows here as much as a mixed-up sample number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.labels import LabelMatrix

# Below so many of either kind, an estimated noise rate is chance.
FEWEST = 10
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Doubt:
    """One label that is denied.

    Attributes
    ----------
    labelled
        True where the source names the hazard, or the result failed.
    probability
        Held-out chance of that.
    """

    item: str
    hazard: str
    labelled: bool
    probability: float


@dataclass(frozen=True, slots=True)
class SourceNoise:
    """What was found in one label source.

    Attributes
    ----------
    cells
        Labels that could be audited: item and hazard, with enough of both kinds.
    denied_positives, denied_negatives
        Labels that the held-out model denies, by kind.
    worst
        The most doubtful first, at most `MOST_NAMED`.
    """

    source: str
    cells: int
    denied_positives: int
    denied_negatives: int
    worst: tuple[Doubt, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "cells": self.cells,
            "denied_positives": self.denied_positives,
            "denied_negatives": self.denied_negatives,
            "worst": [
                {
                    "item": d.item,
                    "hazard": d.hazard,
                    "labelled": d.labelled,
                    "probability": round(d.probability, 4),
                }
                for d in self.worst
            ],
        }


def audit_labels(labels: LabelMatrix, held_out: np.ndarray, codes: Sequence[str]) -> tuple[SourceNoise, ...]:
    """Audit each source of a label matrix.

    Parameters
    ----------
    labels
        n items.
    held_out
        ndarray of shape (n, n_hazards): probabilities from a model that did not learn from the row; NaN where none.
    codes
        Hazards in column order.

    Returns
    -------
    tuple of SourceNoise
        One a source, in alphabetical order.
    """
    sources = np.array([item.source for item in labels.items])
    found: list[SourceNoise] = []
    for source in sorted(set(sources.tolist())):
        cells, doubts = 0, []
        for k, code in enumerate(codes):
            rows = np.flatnonzero((sources == source) & labels.known[:, k] & ~np.isnan(held_out[:, k]))
            y = labels.value[rows, k].astype(int)
            if min(y.sum(), len(y) - y.sum()) < FEWEST:
                continue
            cells += len(rows)
            doubts += [
                Doubt(labels.items[rows[i]].id, code, bool(y[i]), float(held_out[rows[i], k]))
                for i in _denied(y, held_out[rows, k])
            ]
        doubts.sort(key=lambda d: d.probability if d.labelled else 1 - d.probability)
        kinds: defaultdict[bool, int] = defaultdict(int)
        for doubt in doubts:
            kinds[doubt.labelled] += 1
        found.append(SourceNoise(source, cells, kinds[True], kinds[False], tuple(doubts[:MOST_NAMED])))
    return tuple(found)


def _denied(y: np.ndarray, p: np.ndarray) -> list[int]:
    from cleanlab.filter import find_label_issues

    both = np.column_stack([1 - p, p])
    issues = find_label_issues(
        y, both, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return [int(i) for i in np.asarray(issues)]
