"""Labels with what a model may read of each item, and the past results that reasons point to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.encoding import Encoder
from features.groups import of_cpsc
from features.taxonomy import Taxonomy
from training.labels import LabelMatrix
from training.past import PastResults, principal_basis, quantise
from training.reading import Reader, Reading
from training.scores import PastResult
from training.splits import clusters


@dataclass(frozen=True, slots=True)
class Prepared:
    """Labels with what a model may read of each item.

    Attributes
    ----------
    labels
        n items.
    readings
        One per item.
    embeddings
        ndarray of shape (n, n_dimensions), float32.
    groups
        ndarray of shape (n,), int: items that share maker, number or near-duplicate name.
    """

    labels: LabelMatrix
    readings: list[Reading]
    embeddings: np.ndarray
    groups: np.ndarray


def prepare(labels: LabelMatrix, reader: Reader, encoder: Encoder) -> Prepared:
    """Read and encode every labelled item as if it were listed."""
    readings = [reader.read_item(item) for item in labels.items]
    views = [reading.view.text for reading in readings]
    embeddings = encoder.encode(views) if views else np.zeros((0, encoder.identity.dim), np.float32)
    groups = clusters(views, [item.keys for item in labels.items]) if views else np.zeros(0, dtype=int)
    return Prepared(labels, readings, embeddings, groups)


def kinds_of(labels: LabelMatrix) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number each item's kind of product, from the regulator's own product type; -1 where it gives none.

    Returns
    -------
    kinds : ndarray of shape (n,), int
    names : tuple of str
        The product types that occur at least three times, in alphabetical order, then the product groups of the rest.
    """
    types = [item.product_types[0] if item.product_types else "" for item in labels.items]
    names, counts = np.unique([name for name in types if name], return_counts=True)
    kept = {str(name) for name, count in zip(names, counts, strict=True) if count >= 3}
    named = [name if name in kept else next(iter(of_cpsc(name)), "") for name in types]
    order = tuple(sorted(set(named) - {""}))
    position = {name: i for i, name in enumerate(order)}
    return np.array([position.get(name, -1) for name in named], dtype=int), order


def past_results(parts: Sequence[Prepared], taxonomy: Taxonomy) -> PastResults:
    """Collect what a reason may point to: recalls, and laboratory results that failed."""
    results: list[PastResult] = []
    vectors: list[np.ndarray] = []
    for part in parts:
        for i, item in enumerate(part.labels.items):
            hazards = tuple(
                taxonomy.codes[k] for k in np.flatnonzero(part.labels.value[i] * part.labels.known[i])
            )
            if hazards:
                day = "" if item.time is None else item.time.isoformat()
                number = item.id.split(":", 1)[1]
                results.append(
                    PastResult(
                        item.regulator or item.source, number, day, item.name[:200], hazards, 0.0, item.url
                    )
                )
                vectors.append(part.embeddings[i])
    stacked = np.array(vectors) if vectors else np.zeros((0, parts[0].embeddings.shape[1]), np.float32)
    return PastResults.of(tuple(results), quantise(stacked), principal_basis(stacked))
