"""Boosted trees asked all at once: each node's answer crosses out leaves, and the leaf left over is the tree's.

After Lucchese et al., "QuickScorer", SIGIR 2015. Every node is asked, also those that a walk from the root would never
meet; on small trees that costs less than walking them step by step in numpy, and the leaves found are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

MOST_LEAVES = 64
"""Trees with more leaves do not fit into the bits of one number."""


class TreeArrays(Protocol):
    """Trees as arrays of shape (n_trees, n_nodes); a leaf points at itself, other nodes at later ones."""

    @property
    def feature(self) -> np.ndarray:
        """Which number a node looks at."""
        ...

    @property
    def threshold(self) -> np.ndarray:
        """Up to it (inclusive) goes left."""
        ...

    @property
    def missing_left(self) -> np.ndarray:
        """Where an unknown number goes."""
        ...

    @property
    def left(self) -> np.ndarray:
        """Position of the next node."""
        ...

    @property
    def right(self) -> np.ndarray:
        """Position of the next node."""
        ...

    @property
    def value(self) -> np.ndarray:
        """What a leaf adds."""
        ...


@dataclass(frozen=True, slots=True)
class TreeMasks:
    """Inner nodes of all trees in a row, tree by tree.

    Attributes
    ----------
    feature, threshold, missing_left
        ndarrays of shape (n_inner,), as in the trees.
    if_left, if_right
        ndarrays of unsigned numbers of shape (n_inner,): the leaves that are left when the node says so, as bits.
    starts
        ndarray of shape (n_trees,): each tree's first node.
    leaves
        ndarray of shape (n_trees, most leaves of a tree), float64.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    if_left: np.ndarray
    if_right: np.ndarray
    starts: np.ndarray
    leaves: np.ndarray

    @classmethod
    def of(cls, trees: TreeArrays) -> Self | None:
        """Make masks of trees; None where a tree is a single leaf, has too many, or nodes that point back."""
        n_trees = len(trees.feature)
        inner: list[tuple[int, int, int, int]] = []
        starts: list[int] = []
        leaves = np.zeros((n_trees, MOST_LEAVES))
        widest = 0
        for tree in range(n_trees):
            found = _leaves_under(trees.left[tree].tolist(), trees.right[tree].tolist())
            if found is None or found[1] > MOST_LEAVES or not found[0]:
                return None
            nodes, n_leaves, order = found
            starts.append(len(inner))
            everything = (1 << n_leaves) - 1
            inner += [(tree, node, everything & ~right, everything & ~left) for node, left, right in nodes]
            leaves[tree, :n_leaves] = trees.value[tree, order]
            widest = max(widest, n_leaves)
        kind = np.min_scalar_type((1 << widest) - 1)
        at = np.array([(tree, node) for tree, node, _, _ in inner]).T
        rows, nodes = at[0], at[1]
        return cls(
            trees.feature[rows, nodes].astype(np.intp),
            trees.threshold[rows, nodes],
            trees.missing_left[rows, nodes],
            np.array([if_left for _, _, if_left, _ in inner], kind),
            np.array([if_right for _, _, _, if_right in inner], kind),
            np.array(starts, np.intp),
            np.ascontiguousarray(leaves[:, :widest]),
        )

    def total(self, X: np.ndarray) -> np.ndarray:
        """Sum the leaves that each row of ``X`` (n, n_features) falls into; shape (n,), float64."""
        x = X[:, self.feature]
        # The comparison is False for NaN, so an unknown number goes left only where the tree says so.
        goes_left = x <= self.threshold
        if np.isnan(X).any():
            goes_left |= np.isnan(x) & self.missing_left
        left_over = np.bitwise_and.reduceat(
            np.where(goes_left, self.if_left, self.if_right), self.starts, axis=1
        )
        # One bit is left; the exponent of its number is the leaf.
        leaf = np.frexp(left_over.astype(np.float64))[1] - 1
        return self.leaves[np.arange(len(self.starts)), leaf].sum(axis=1)


def _leaves_under(
    left: list[int], right: list[int]
) -> tuple[list[tuple[int, int, int]], int, list[int]] | None:
    """Inner nodes with the bits of the leaves below either side, the number of leaves, and their positions."""
    order: list[int] = []
    nodes: list[tuple[int, int, int]] = []

    def under(node: int, depth: int) -> int:
        if left[node] == node == right[node]:
            order.append(node)
            return 1 << (len(order) - 1)
        if depth > len(left) or min(left[node], right[node]) <= node:
            raise RecursionError
        at = len(nodes)
        nodes.append((node, 0, 0))
        below = under(left[node], depth + 1), under(right[node], depth + 1)
        nodes[at] = (node, *below)
        return below[0] | below[1]

    try:
        under(0, 0)
    except RecursionError:
        return None
    return nodes, len(order), order
