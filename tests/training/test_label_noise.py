"""Mixed-up labels are found, and only where there are enough of both kinds to say so."""

from __future__ import annotations

import numpy as np

from training.label_noise import audit_labels
from training.labels import Item, LabelMatrix


def made(y: np.ndarray, source: str = "lab") -> LabelMatrix:
    items = tuple(Item(f"{source}:{i}", "lab", source, None, "goods") for i in range(len(y)))
    return LabelMatrix(
        items, y[:, None].astype(np.float32), np.ones((len(y), 1), bool), np.full(len(y), np.nan)
    )


def test_swapped_labels_are_named() -> None:
    truth = np.repeat([1.0, 0.0], [60, 140])
    p = np.where(truth > 0, 0.85, 0.1)
    y = truth.copy()
    y[[3, 7]], y[[100, 150, 190]] = 0, 1
    (noise,) = audit_labels(made(y), p[:, None], ("lead",))
    assert {d.item for d in noise.worst} == {"lab:3", "lab:7", "lab:100", "lab:150", "lab:190"}
    assert (noise.denied_positives, noise.denied_negatives, noise.cells) == (3, 2, 200)


def test_clean_labels_raise_no_doubt() -> None:
    y = np.repeat([1.0, 0.0], [40, 60])
    (noise,) = audit_labels(made(y), np.where(y > 0, 0.9, 0.1)[:, None], ("lead",))
    assert not noise.worst


def test_few_labels_and_unknown_scores_are_not_judged() -> None:
    y = np.repeat([1.0, 0.0], [4, 60])
    (noise,) = audit_labels(made(y), np.full((64, 1), 0.5), ("lead",))
    assert noise.cells == 0
    (noise,) = audit_labels(made(np.repeat([1.0, 0.0], [40, 60])), np.full((100, 1), np.nan), ("lead",))
    assert noise.cells == 0
