"""Fitting: which hazard a non-compliant product has, and whether a product fails for one hazard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from features.expectations import Expectations
from features.text import NgramVocabulary
from training.calibration import fit_platt
from training.heads import HazardTypeHeads, TextHeads, sigmoid


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How the linear heads are fitted.

    Attributes
    ----------
    strength
        Inverse regularisation of the hazard heads.
    kind_strength
        Inverse regularisation of the kind-of-product heads.
    min_documents
        An n-gram must stand in at least this many texts.
    half_life_years
        A past recall counts half as much when it is this much older than the newest; hazards go in and out of fashion.
    kind_smoothing
        Weight, in recalls, of the overall hazard mix in each kind's own mix.
    expected_weight
        Log-odds that each word adds by which a person would expect the hazard; 0 leaves such prior knowledge out.
    """

    strength: float = 1.0
    kind_strength: float = 30.0
    min_documents: int = 2
    half_life_years: float = 6.0
    kind_smoothing: float = 0.5
    expected_weight: float = 0.8


def design_matrix(vocabulary: NgramVocabulary, texts: Sequence[str], embeddings: np.ndarray) -> csr_matrix:
    """Stack n-grams and embeddings, shape (n_texts, n_terms + n_dimensions)."""
    rows = [vocabulary.row(text) for text in texts]
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
    indices = np.concatenate([columns for columns, _ in rows]) if rows else np.zeros(0, dtype=np.int32)
    values = np.concatenate([value for _, value in rows]) if rows else np.zeros(0, dtype=np.float32)
    ngrams = csr_matrix((values, indices, indptr), shape=(len(texts), len(vocabulary)))
    return csr_matrix(hstack([ngrams, csr_matrix(embeddings)]))


def _width(X: csr_matrix) -> int:
    _, columns = cast("tuple[int, int]", X.shape)
    return columns


def fit_binary_heads(
    X: csr_matrix, Y: np.ndarray, known: np.ndarray, weight: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one logistic regression a column on its known rows; a column of one value gives its smoothed log-odds."""
    weights = np.zeros((_width(X), Y.shape[1]), dtype=np.float32)
    intercept = np.zeros(Y.shape[1], dtype=np.float32)
    for k in range(Y.shape[1]):
        rows = np.flatnonzero(known[:, k])
        y = Y[rows, k]
        if 0 < y.sum() < len(y):
            fit = LogisticRegression(C=strength, max_iter=300, solver="liblinear", random_state=0)
            fit.fit(X[rows], y, sample_weight=weight[rows])
            weights[:, k], intercept[k] = fit.coef_[0], np.asarray(fit.intercept_)[0]
        else:
            intercept[k] = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
    return weights, intercept


def _kind_heads(
    X: csr_matrix, kinds: np.ndarray, n_kinds: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a multinomial regression of the kind of product; kinds without rows never win."""
    weights = np.zeros((_width(X), n_kinds), dtype=np.float32)
    intercept = np.full(n_kinds, -30.0, dtype=np.float32)
    rows = np.flatnonzero(kinds >= 0)
    present = np.unique(kinds[rows])
    if len(present) < 2:
        intercept[present] = 0.0
        return weights, intercept
    fit = LogisticRegression(C=strength, max_iter=200, random_state=0).fit(X[rows], kinds[rows])
    if len(present) == 2:
        weights[:, present[1]], intercept[present[1]] = fit.coef_[0], fit.intercept_[0]
        intercept[present[0]] = 0.0
    else:
        weights[:, present], intercept[present] = fit.coef_.T, fit.intercept_
    return weights, intercept


def _kind_table(
    Y: np.ndarray, known: np.ndarray, weight: np.ndarray, kinds: np.ndarray, n_kinds: int, smoothing: float
) -> np.ndarray:
    """Return the hazard mix of each kind, drawn toward the overall mix; shape (n_kinds, n_hazards)."""
    w = weight[:, None] * known
    base = (w * Y).sum(axis=0) / np.maximum(w.sum(axis=0), 1e-9)
    table = np.tile(base, (n_kinds, 1))
    for kind in np.unique(kinds[kinds >= 0]):
        rows = kinds == kind
        table[kind] = ((w * Y)[rows].sum(axis=0) + smoothing * base) / (w[rows].sum(axis=0) + smoothing)
    return table.astype(np.float32)


@dataclass(frozen=True, slots=True)
class TypeData:
    """Past non-compliant products with the hazards named.

    Attributes
    ----------
    texts
        Name-only views.
    embeddings
        ndarray of shape (n, n_dimensions).
    Y, known
        ndarrays of shape (n, n_hazards): value and known mark; unknown cells are never used.
    kinds
        ndarray of shape (n,), int: kind of product, -1 where unknown.
    years
        ndarray of shape (n,), float: time of the result, NaN where undated.
    """

    texts: list[str]
    embeddings: np.ndarray
    Y: np.ndarray
    known: np.ndarray
    kinds: np.ndarray
    years: np.ndarray

    def take(self, rows: np.ndarray) -> TypeData:
        """Return some of the rows."""
        return TypeData(
            [self.texts[i] for i in rows],
            self.embeddings[rows],
            self.Y[rows],
            self.known[rows],
            self.kinds[rows],
            self.years[rows],
        )


def recency_weight(years: np.ndarray, half_life: float) -> np.ndarray:
    """Halve a row's weight per ``half_life`` years before the newest; undated rows get the smallest weight."""
    newest = np.nanmax(years)
    age = np.where(np.isnan(years), newest - np.nanmin(years), newest - years)
    return np.exp2(-age / half_life)


def fit_hazard_type(
    data: TypeData, n_kinds: int, settings: HeadSettings, expectations: Expectations | None = None
) -> HazardTypeHeads:
    """Fit the uncalibrated hazard-type model: slope 1, offset 0."""
    vocabulary = NgramVocabulary.fit(data.texts, min_documents=settings.min_documents)
    X = design_matrix(vocabulary, data.texts, data.embeddings)
    weight = recency_weight(data.years, settings.half_life_years)
    hazard_w, hazard_b = fit_binary_heads(X, data.Y, data.known, np.ones(len(data.texts)), settings.strength)
    kind_w, kind_b = _kind_heads(X, data.kinds, n_kinds, settings.kind_strength)
    weights = np.hstack([hazard_w, kind_w])
    cut = len(vocabulary)
    n = data.Y.shape[1]
    return HazardTypeHeads(
        TextHeads(vocabulary, weights[:cut], weights[cut:], np.concatenate([hazard_b, kind_b])),
        _kind_table(data.Y, data.known, weight, data.kinds, n_kinds, settings.kind_smoothing),
        np.ones(n, dtype=np.float32),
        np.zeros(n, dtype=np.float32),
        (data.Y * data.known).sum(axis=0).astype(np.int64),
        expectations if settings.expected_weight else None,
        settings.expected_weight,
    )


def calibrate_hazard_type(
    heads: HazardTypeHeads, data: TypeData, folds: Sequence[np.ndarray], n_kinds: int, settings: HeadSettings
) -> tuple[HazardTypeHeads, np.ndarray]:
    """Scale a fitted model by what group-disjoint folds of its training part say.

    Returns
    -------
    heads : HazardTypeHeads
    held_out : ndarray of shape (n, n_hazards)
        Scaled probabilities of each row from a model that saw no row of its group.
    """
    scores = np.full(data.Y.shape, np.nan)
    everything = np.arange(len(data.texts))
    for fold in folds:
        part = fit_hazard_type(
            data.take(np.setdiff1d(everything, fold)), n_kinds, settings, heads.expectations
        )
        for i in fold:
            scores[i] = part.logits(data.texts[i], data.embeddings[i])
    slope, offset = heads.slope.copy(), heads.offset.copy()
    for k in range(data.Y.shape[1]):
        rows = (data.known[:, k] > 0) & ~np.isnan(scores[:, k])
        if data.Y[rows, k].sum() >= 1:
            slope[k], offset[k] = fit_platt(scores[rows, k], data.Y[rows, k])
    scaled = replace(heads, slope=slope, offset=offset)
    return scaled, sigmoid(slope * scores + offset)
