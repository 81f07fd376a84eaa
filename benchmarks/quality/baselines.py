"""Plain systems that a model must beat, run in the same process as the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def base_rate(Y: np.ndarray, n: int) -> np.ndarray:
    """Return each class's share of the training part for all n items."""
    return np.tile(Y.mean(axis=0), (n, 1))


def tfidf(
    train: Sequence[str], test: Sequence[str], *, characters: bool = True
) -> tuple[csr_matrix, csr_matrix]:
    """Return word 1-2 and character 3-5 grams of both parts, learned on the first; or single words alone."""
    kinds = (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True),
    )
    if not characters:
        kinds = (TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True),)
    left = csr_matrix(hstack([kind.fit_transform(train) for kind in kinds]))
    return left, csr_matrix(hstack([kind.transform(test) for kind in kinds]))


def logistic(
    X: csr_matrix | np.ndarray, Y: np.ndarray, X_test: csr_matrix | np.ndarray, strength: float
) -> np.ndarray:
    """Return log-odds of one logistic regression a class, shape (n_test, n_classes)."""
    S = np.zeros((X_test.shape[0], Y.shape[1]))  # type: ignore[index]
    for k in range(Y.shape[1]):
        if 0 < Y[:, k].sum() < len(Y):
            model = LogisticRegression(C=strength, max_iter=500, solver="liblinear", random_state=0)
            S[:, k] = model.fit(X, Y[:, k]).decision_function(X_test)
    return S


def nearest(E: np.ndarray, Y: np.ndarray, E_test: np.ndarray, k: int = 20, width: float = 0.05) -> np.ndarray:
    """Return class shares among the k nearest training items, closer ones counting more, shape (n_test, n_classes)."""
    similarity = E_test @ E.T
    k = min(k, similarity.shape[1])
    found = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    weight = np.exp((np.take_along_axis(similarity, found, axis=1) - 1) / width)
    own = weight.mean(axis=1, keepdims=True)
    shares = np.einsum("ij,ijk->ik", weight, Y[found]) + own * Y.mean(axis=0)
    return shares / (weight.sum(axis=1, keepdims=True) + own)


def standardised(S: np.ndarray) -> np.ndarray:
    """Return scores with mean 0 and deviation 1 a class, so that an average is of equals."""
    deviation = S.std(axis=0)
    return (S - S.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def shared_categories(left: pd.DataFrame, right: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn text columns into categories of the first part; what only the second part has is missing there."""
    left, right = left.copy(), right.copy()
    for name in left.columns:
        if not pd.api.types.is_numeric_dtype(left[name]):
            values = pd.CategoricalDtype(sorted(left[name].dropna().astype(str).unique()))
            left[name] = left[name].astype("string").astype(values)
            right[name] = right[name].astype("string").astype(values)
    return left, right


def boosted(
    left: pd.DataFrame, y: np.ndarray, right: pd.DataFrame, *, trees: int = 200, leaves: int = 31
) -> np.ndarray:
    """Return probabilities of gradient-boosted trees that split on categories as they are, shape (n_test,)."""
    from lightgbm import LGBMClassifier

    train, test = shared_categories(left, right)
    model = LGBMClassifier(
        n_estimators=trees, learning_rate=0.05, num_leaves=leaves, random_state=0, n_jobs=1, verbose=-1
    )
    return np.asarray(model.fit(train, y).predict_proba(test))[:, 1]


@cache
def lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """Read words by class."""
    raw: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: tuple(words) for name, words in raw.items()}


def keyword_counts(
    names: Sequence[str], classes: Sequence[str], words: dict[str, tuple[str, ...]]
) -> np.ndarray:
    """Return how many of each class's words stand in a name, at the beginning of a word; shape (n, n_classes)."""
    padded = [f" {' '.join(name.lower().split())}" for name in names]
    return np.array(
        [[sum(f" {word}" in name for word in words.get(c, ())) for c in classes] for name in padded],
        dtype=float,
    )


@cache
def _encoder() -> object:
    from features.encoders import load_encoder

    return load_encoder("use")


def embed(names: Sequence[str]) -> np.ndarray:
    """Return embeddings of names as they stand, shape (n, n_dimensions)."""
    return _encoder().encode(list(names))  # type: ignore[attr-defined]
