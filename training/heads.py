"""Linear heads on n-grams and an embedding, in plain numpy: what serving runs of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.expectations import Expectations
from features.text import NgramVocabulary

EPSILON = 1e-6


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def logit(p: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities held away from 0 and 1."""
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    return np.log(clipped) - np.log1p(-clipped)


def softmax(x: np.ndarray) -> np.ndarray:
    """Return exp(x) scaled to sum to one."""
    e = np.exp(x - x.max())
    return e / e.sum()


@dataclass(frozen=True, slots=True)
class TextHeads:
    """Several linear models that share one text view.

    Attributes
    ----------
    vocabulary
        The n-grams, n_terms of them.
    ngram_weights
        ndarray of shape (n_terms, n_heads), float32.
    embedding_weights
        ndarray of shape (n_dimensions, n_heads), float32.
    intercept
        ndarray of shape (n_heads,), float32.
    """

    vocabulary: NgramVocabulary
    ngram_weights: np.ndarray
    embedding_weights: np.ndarray
    intercept: np.ndarray

    def logits(self, text: str, embedding: np.ndarray) -> np.ndarray:
        """Return the log-odds of one text, shape (n_heads,).

        One row at a time on purpose: a matrix product over many rows rounds differently, and a listing's score must
        not depend on its neighbours.
        """
        columns, values = self.vocabulary.row(text)
        out = self.intercept + embedding @ self.embedding_weights
        if len(columns):
            out = out + values @ self.ngram_weights[columns]
        return out


@dataclass(frozen=True, slots=True)
class HazardTypeHeads:
    """Log-odds of each hazard, given that a product is non-compliant.

    Two readings of the same text are averaged in log-odds: what the words say of the hazard directly, and what they
    say of the kind of product, whose past hazards are in ``kind_table``. What a person would expect of such a product
    is added to that.

    Attributes
    ----------
    heads
        The first n_hazards heads are hazards, the rest kinds of product.
    kind_table
        ndarray of shape (n_kinds, n_hazards): share of past non-compliant products of the kind with the hazard.
    slope, offset
        ndarrays of shape (n_hazards,): Platt scaling of the averaged log-odds.
    positives
        ndarray of shape (n_hazards,): past positives behind each hazard.
    expectations
        Finds words by which a person would expect a hazard; None where none count.
    expected_weight
        Log-odds that each such word adds.
    """

    heads: TextHeads
    kind_table: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    positives: np.ndarray
    expectations: Expectations | None = None
    expected_weight: float = 0.0

    def logits(self, text: str, embedding: np.ndarray) -> np.ndarray:
        """Return the averaged, not yet scaled log-odds of one text, shape (n_hazards,)."""
        raw = self.heads.logits(text, embedding)
        n = len(self.slope)
        said = raw[:n]
        if len(self.kind_table):  # past results may have no kinds of product
            said = 0.5 * (said + logit(softmax(raw[n:]) @ self.kind_table))
        if self.expectations is None:
            return said
        return said + self.expected_weight * self.expectations.counts(text)

    def probabilities(self, text: str, embedding: np.ndarray) -> np.ndarray:
        """Return calibrated P(h | non-compliant), shape (n_hazards,)."""
        return sigmoid(self.slope * self.logits(text, embedding) + self.offset)
