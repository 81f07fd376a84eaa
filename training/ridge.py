"""One closed-form fit for many classes at once: ridge heads in the dual.

A thousand one-against-rest regressions on five thousand short texts take a quarter of an hour; one solve of an
n x n system takes seconds and gives every class (Saunders, Gammerman and Vovk 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix


@dataclass(frozen=True, slots=True)
class RidgeSettings:
    """How ridge heads are fitted.

    Attributes
    ----------
    strength
        Inverse regularisation.
    balance
        0 counts rows alike; 1 counts every class alike, so that a rare class is not drowned.
    """

    strength: float = 1.0
    balance: float = 0.0


# Views of the same texts: sparse n-grams, dense embeddings; their kernels are added.
View = csr_matrix | np.ndarray
Predict = Callable[[Sequence[View]], list[np.ndarray]]


def _weights(Y: np.ndarray, balance: float) -> np.ndarray:
    """Return a weight a row, the inverse size of its class to the power ``balance``, one on average."""
    size = Y @ Y.sum(axis=0)
    w = np.power(np.maximum(size, 1.0), -balance)
    return w / w.mean()


def _kernel(left: Sequence[View], right: Sequence[View]) -> np.ndarray:
    K = np.ones((_rows(left[0]), _rows(right[0])))
    for A, B in zip(left, right, strict=True):
        product = A @ B.T
        K += product.toarray() if isinstance(product, csr_matrix) else np.asarray(product)
    return K


def _rows(view: View) -> int:
    n, _ = cast("tuple[int, int]", view.shape)
    return n


def fit_ridge(views: Sequence[View], targets: Sequence[np.ndarray], settings: RidgeSettings) -> Predict:
    """Fit one ridge head a class for several sets of classes.

    Parameters
    ----------
    views
        One or more matrices of shape (n, n_features of the view); a constant is added.
    targets
        One indicator matrix a set, each of shape (n, n_classes): one class a row.

    Returns
    -------
    callable
        From the same views of m texts to one score matrix a set, each of shape (m, n_classes).

    Raises
    ------
    ValueError
        When a set has another number of rows than the views.
    """
    K = _kernel(views, views)
    if settings.balance == 0:  # one system serves every set
        widths = np.cumsum([Y.shape[1] for Y in targets])[:-1]
        alphas = np.split(_solve(K, np.hstack(targets), settings), widths, axis=1)
    else:
        alphas = [_solve(K, Y, settings) for Y in targets]

    def predict(other: Sequence[View]) -> list[np.ndarray]:
        K = _kernel(other, views)
        return [K @ alpha for alpha in alphas]

    return predict


def _solve(K: np.ndarray, Y: np.ndarray, settings: RidgeSettings) -> np.ndarray:
    if len(Y) != len(K):
        raise ValueError(f"Got {len(Y)} rows of classes for {len(K)} texts; expected as many.")
    system = K.copy()
    system[np.diag_indices_from(system)] += 1.0 / (settings.strength * _weights(Y, settings.balance))
    return cho_solve(
        cho_factor(system, lower=True, overwrite_a=True, check_finite=False), Y, check_finite=False
    )
