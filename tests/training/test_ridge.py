"""Ridge heads: the dual solve is the textbook one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from training.ridge import RidgeSettings, fit_ridge


def made(seed: int, n: int = 24, width: int = 5, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, width))
    return X, np.eye(classes)[rng.integers(0, classes, n)]


def test_the_dual_solve_is_ridge_regression() -> None:
    X, Y = made(1)
    wide = np.hstack([X, np.ones((len(X), 1))])
    primal = np.linalg.solve(wide.T @ wide + np.eye(wide.shape[1]) / 2.0, wide.T @ Y)
    found = fit_ridge([X], [Y], RidgeSettings(2.0))([X[:4]])[0]
    assert found == pytest.approx(wide[:4] @ primal, abs=1e-8)


def test_sparse_and_dense_views_add_up_to_one_matrix() -> None:
    X, Y = made(2, width=6)
    both = fit_ridge([csr_matrix(X[:, :3]), X[:, 3:]], [Y], RidgeSettings())
    one = fit_ridge([X], [Y], RidgeSettings())
    assert both([csr_matrix(X[:5, :3]), X[:5, 3:]])[0] == pytest.approx(one([X[:5]])[0])


def test_balance_lifts_a_rare_class() -> None:
    rng = np.random.default_rng(3)
    X = np.vstack([rng.normal(0, 1, (60, 2)), rng.normal(1, 1, (6, 2))])
    Y = np.eye(2)[[0] * 60 + [1] * 6]
    plain, balanced = (fit_ridge([X], [Y], RidgeSettings(1.0, b))([X])[0] for b in (0.0, 1.0))
    assert (balanced[:, 1] > balanced[:, 0]).sum() > (plain[:, 1] > plain[:, 0]).sum()


def test_rows_that_do_not_fit_are_refused() -> None:
    X, Y = made(4)
    with pytest.raises(ValueError, match="expected as many"):
        fit_ridge([X], [Y[1:]], RidgeSettings())
