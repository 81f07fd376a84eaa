"""Late fusion: what photos add to what the words say of a hazard, learnt only where it is seen to help.

Words and photos are each modelled alone, and what they say of items they have not seen is joined. Every item is shown
three times (modality dropout): whole, without its photos, without its words; each case has numbers of its own, so that
a missing photo or an unreadable title costs what it knew and no more. A hazard gets photos only when, on items held
out of everything, they lower the loss by more than chance would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.heads import logit
from training.image_heads import ImageHeads, Joining

FEW = 15
"""A hazard needs so many items with photos of either kind."""

_SURE = 2.5
"""Standard errors by which photos must help: with two dozen hazards tried, chance passes about once in seven."""


@dataclass(frozen=True, slots=True)
class Views:
    """What words and photos of the same n items say, on items their models have not seen.

    Attributes
    ----------
    words
        ndarray of shape (n, m): calibrated log-odds by the words.
    photos
        ndarray of shape (n, m): log-odds by the photos.
    value, known
        ndarrays of shape (n, m): label and whether it is known.
    """

    words: np.ndarray
    photos: np.ndarray
    value: np.ndarray
    known: np.ndarray

    def take(self, rows: np.ndarray) -> Views:
        """Give some of the items."""
        return Views(self.words[rows], self.photos[rows], self.value[rows], self.known[rows])


def fit_photo_heads(
    vectors: np.ndarray, value: np.ndarray, known: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one logistic regression a column; weights of shape (dim, m) and intercepts."""
    from scipy.sparse import csr_matrix

    from training.model import fit_binary_heads

    return fit_binary_heads(csr_matrix(vectors), value, known, np.ones(len(vectors)), strength)


def held_out_photos(
    vectors: np.ndarray, value: np.ndarray, known: np.ndarray, folds: Sequence[np.ndarray], strength: float
) -> np.ndarray:
    """Give each item's log-odds by photos from a model that saw none of its fold; shape (n, m)."""
    found = np.full(value.shape, np.nan)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(vectors)), fold)
        weights, intercept = fit_photo_heads(vectors[rest], value[rest], known[rest], strength)
        found[fold] = vectors[fold] @ weights + intercept
    return found


def fit_joining(views: Views) -> Joining:
    """Fit how words and photos are joined: both at hand, and photos alone.

    Slopes are never negative: a view may be worth nothing, never less. A weak prior holds them near "words as they
    are, photos not at all", so that few items change little.
    """
    columns = []
    for k in range(views.value.shape[1]):
        rows = views.known[:, k].astype(bool)
        y, words, photos = views.value[rows, k], views.words[rows, k], views.photos[rows, k]
        both = _curve(np.stack([words, photos], axis=1), y, np.array([1.0, 0.0]))
        alone = _curve(photos[:, None], y, np.array([0.5]))
        columns.append((*both, *alone))
    return Joining(*np.array(columns, np.float32).reshape(-1, 5).T)


def _curve(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Slopes and offset of a logistic curve, slopes not negative and held near ``start``."""
    from scipy.optimize import minimize

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ theta[:-1] + theta[-1]
        error = 0.5 * (1 + np.tanh(0.5 * z)) - y
        away, level = (theta[:-1] - start) / 0.5, theta[-1] / 5.0
        value = np.sum(np.logaddexp(0, z) - y * z) + 0.5 * np.sum(away**2) + 0.5 * level**2
        slope = np.append(x.T @ error + away / 0.5, error.sum() + level / 5.0)
        return float(value), slope

    bounds = [(0.0, None)] * len(start) + [(None, None)]
    return minimize(loss, np.append(start, 0.0), jac=True, method="L-BFGS-B", bounds=bounds).x


def log_loss(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give the loss of each item's log-odds."""
    return np.logaddexp(0, z) - y * z


def gains(views: Views, folds: Sequence[np.ndarray]) -> np.ndarray:
    """Give what photos take off each item's loss, with the joining learnt on other folds; shape (n, m).

    The words are scaled anew on the same items, so that photos get no credit for another base rate.
    """
    found = np.full(views.value.shape, np.nan)
    blind = Views(views.words, np.zeros_like(views.photos), views.value, views.known)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(views.value)), fold)
        seen, unseen = fit_joining(views.take(rest)), fit_joining(blind.take(rest))
        both, words = views.take(fold), blind.take(fold)
        found[fold] = log_loss(unseen.of(words.words, words.photos), words.value) - log_loss(
            seen.of(both.words, both.photos), both.value
        )
    return np.where(views.known.astype(bool), found, np.nan)


def fit_image_heads(
    vectors: np.ndarray,
    words: np.ndarray,
    value: np.ndarray,
    known: np.ndarray,
    folds: Sequence[np.ndarray],
    strength: float,
) -> tuple[ImageHeads | None, dict[int, dict[str, float]]]:
    """Fit heads and joining for the hazards that photos help.

    Parameters
    ----------
    vectors
        ndarray of shape (n, dim): of the items' photos.
    words, value, known
        ndarrays of shape (n, n_hazards): held-out calibrated probabilities by the words, labels, and whether known.
    folds
        Over the n items; items that share a product or a photo lie in one fold.
    strength
        Inverse regularisation.

    Returns
    -------
    heads : ImageHeads or None
        None where photos help no hazard.
    figures : dict
        Position of each hazard that was tried -> positives, n, gain (mean fall of the loss), its standard error, kept.
    """
    usable = known.astype(bool) & ~np.isnan(words)
    positives = (value * usable).sum(axis=0)
    tried = np.flatnonzero((positives >= FEW) & (usable.sum(axis=0) - positives >= FEW))
    if not len(tried):
        return None, {}
    views = Views(
        np.where(usable, logit(np.nan_to_num(words, nan=0.5)), 0.0)[:, tried],
        held_out_photos(vectors, value[:, tried], usable[:, tried], folds, strength),
        value[:, tried],
        usable[:, tried],
    )
    figures: dict[int, dict[str, float]] = {}
    kept: list[int] = []
    for j, gain in enumerate(gains(views, folds).T):
        told = gain[~np.isnan(gain)]
        error = float(told.std(ddof=1) / np.sqrt(len(told)))
        helps = bool(told.mean() > _SURE * error)
        figures[int(tried[j])] = {
            "positives": float(positives[tried[j]]),
            "n": float(len(told)),
            "gain": float(told.mean()),
            "standard_error": error,
            "kept": float(helps),
        }
        if helps:
            kept.append(j)
    if not kept:
        return None, figures
    at = tried[kept]
    weights, intercept = fit_photo_heads(vectors, value[:, at], usable[:, at], strength)
    chosen = Views(views.words[:, kept], views.photos[:, kept], views.value[:, kept], views.known[:, kept])
    return ImageHeads(at.astype(np.int64), weights, intercept, fit_joining(chosen)), figures
