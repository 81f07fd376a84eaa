"""What photos add to the words, in plain numpy: what serving runs of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Joining:
    """How the log-odds of words and of photos become one, for m heads.

    Three cases have numbers of their own, since a view that is missing says nothing, not "no": both are at hand, only
    photos are, only words are (which are calibrated by themselves and stay as they are).

    Attributes
    ----------
    words, photos, offset
        ndarrays of shape (m,): both are at hand. No slope is negative.
    alone, alone_offset
        ndarrays of shape (m,): only photos are at hand.
    """

    words: np.ndarray
    photos: np.ndarray
    offset: np.ndarray
    alone: np.ndarray
    alone_offset: np.ndarray

    def of(self, words: np.ndarray | None, photos: np.ndarray | None) -> np.ndarray:
        """Give calibrated log-odds.

        Parameters
        ----------
        words
            ndarray of shape (..., m): calibrated log-odds by the words; None where there are none to read.
        photos
            ndarray of shape (..., m): log-odds as `ImageHeads.logits` gives them; None without a usable photo.

        Raises
        ------
        ValueError
            When neither is given.
        """
        if photos is None:
            if words is None:
                raise ValueError("got neither words nor photos; expected at least one of them")
            return words
        if words is None:
            return self.alone * photos + self.alone_offset
        return self.words * words + self.photos * photos + self.offset


@dataclass(frozen=True, slots=True)
class ImageHeads:
    """Linear heads on a photo's vector, for hazards where photos were seen to help.

    Attributes
    ----------
    hazards
        ndarray of shape (m,), int64: positions in the taxonomy.
    weights, intercept
        ndarrays of shape (dim, m) and (m,), float32.
    joining
        With the words.
    """

    hazards: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    joining: Joining

    def logits(self, vector: np.ndarray) -> np.ndarray:
        """Give log-odds by photos, shape (m,), of one vector of shape (dim,)."""
        return self.intercept + vector @ self.weights

    def joined(self, words: np.ndarray, vectors: np.ndarray | None, *, readable: bool = True) -> np.ndarray:
        """Join what words say of all hazards with what photos say of some.

        Parameters
        ----------
        words
            ndarray of shape (n_hazards,): calibrated log-odds by the words.
        vectors
            ndarray of shape (n_photos, dim), of one listing's usable photos; None or no rows without one.
        readable
            Whether there were words to read.

        Returns
        -------
        ndarray of shape (n_hazards,)
            ``words`` itself where photos say nothing.
        """
        if vectors is None or not len(vectors):
            return words
        said = self.logits(listing_vector(vectors))
        found = words.copy()
        found[self.hazards] = self.joining.of(words[self.hazards] if readable else None, said)
        return found


def listing_vector(vectors: np.ndarray) -> np.ndarray:
    """Give one vector of length 1 for all photos of a listing, shape (dim,), of vectors of shape (n, dim)."""
    mean = np.asarray(vectors, np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)
