"""Which of the seller's words moved a score: exact for the n-gram part of the linear heads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.schema import Listing
from features.text import NgramVocabulary
from training.heads import HazardTypeHeads, TextHeads, softmax
from training.reading import Reading
from training.scores import Phrase
from training.weights import LabHeads

_WORD = re.compile(r"\S+")
_LEAST = 0.05


class Explainer:
    """Attributes the log-odds of a hazard to words of the title."""

    def __init__(self, hazard_type: HazardTypeHeads, lab: LabHeads | None, hazards: tuple[str, ...]) -> None:
        self._type = hazard_type
        self._lab = lab
        self._hazards = hazards

    def of(self, listing: Listing, reading: Reading, embedding: np.ndarray) -> Attribution:
        """Return what the words of one listing's title say, ready to be asked hazard by hazard."""
        text = reading.type_text
        heads: TextHeads = self._type.heads
        columns, values = heads.vocabulary.row(text)
        kinds = heads.logits(text, embedding)[len(self._hazards) :]
        return Attribution(
            listing,
            reading,
            word_shares(reading.view.text, heads.vocabulary, columns),
            values,
            heads.ngram_weights[columns],
            softmax(kinds) if len(self._type.kind_table) else kinds,
            self._type,
            self._hazards,
        )


@dataclass(frozen=True, slots=True)
class WordShares:
    """Which words of a text each n-gram stands in.

    Attributes
    ----------
    places
        (start, end) of each word in the text.
    word, ngram
        ndarrays of shape (n_pairs,): an n-gram and a word that it stands in, by their positions.
    holders
        ndarray of shape (n_pairs,): how many words share that n-gram.
    """

    places: tuple[tuple[int, int], ...]
    word: np.ndarray
    ngram: np.ndarray
    holders: np.ndarray

    def of_words(self, gains: np.ndarray) -> np.ndarray:
        """Share what each n-gram adds among its words.

        Parameters
        ----------
        gains
            ndarray of shape (n_ngrams,).

        Returns
        -------
        ndarray of shape (n_words,), float64
        """
        return np.bincount(self.word, gains[self.ngram] / self.holders, minlength=len(self.places))


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each word of one title adds to each hazard.

    Attributes
    ----------
    shares, values, rows
        The n-grams of the title: their words, their TF-IDF values of shape (n_ngrams,), and their weights of shape
        (n_ngrams, n_heads).
    kinds
        ndarray of shape (n_kinds,): probabilities of the kinds of product.
    """

    listing: Listing
    reading: Reading
    shares: WordShares
    values: np.ndarray
    rows: np.ndarray
    kinds: np.ndarray
    heads: HazardTypeHeads
    hazards: tuple[str, ...]

    def phrases(self, code: str) -> Iterator[Phrase]:
        """Yield words of the title that raise a hazard, with the log-odds they add."""
        k = self.hazards.index(code)
        weights = self.shares.of_words(self.values * self._direction(k)) + self._expected(k)
        for at in np.flatnonzero(weights >= _LEAST):
            span = self.reading.view.span_in_title(*self.shares.places[at])
            if span is not None:
                text = self.listing.title[slice(*span)]
                yield Phrase("title", *span, text, round(float(weights[at]), 3), code)

    def _expected(self, k: int) -> np.ndarray:
        """Return what each word adds because a person would expect the hazard of it, shape (n_words,)."""
        weights = np.zeros(len(self.shares.places))
        if self.heads.expectations is None:
            return weights
        gain = float(self.heads.slope[k]) * self.heads.expected_weight
        for found in self.heads.expectations.find(self.reading.type_text):
            if found.hazard == k:
                held = [
                    i
                    for i, (start, end) in enumerate(self.shares.places)
                    if start < found.end and found.start < end
                ]
                weights[held] += gain / max(len(held), 1)
        return weights

    def _direction(self, k: int) -> np.ndarray:
        """Gradient of the hazard's scaled log-odds by the values of the n-grams, shape (n_ngrams,)."""
        if not len(self.heads.kind_table):
            return self.heads.slope[k] * self.rows[:, k]
        column = self.heads.kind_table[:, k]
        mix = float(self.kinds @ column)
        by_kind = self.kinds * (column - mix) / max(mix * (1 - mix), 1e-9)
        return 0.5 * self.heads.slope[k] * (self.rows[:, k] + self.rows[:, len(self.hazards) :] @ by_kind)


def word_shares(text: str, vocabulary: NgramVocabulary, columns: np.ndarray) -> WordShares:
    """Find the words of each n-gram.

    Parameters
    ----------
    text, vocabulary, columns
        The view, the n-grams known, and those found (`NgramVocabulary.row`); what is in none of the view's words, such
        as the token of the product group, belongs to no word.
    """
    places = tuple(match.span() for match in _WORD.finditer(text))
    words = [text[start:end] for start, end in places]
    at = {column: i for i, column in enumerate(columns.tolist())}
    pairs: list[tuple[int, int]] = []
    for i, word in enumerate(words):
        pairs += [(i, at[column]) for column in vocabulary.columns_of(word) if column in at]
        both = vocabulary.word_column(f"{word} {words[i + 1]}") if i + 1 < len(words) else None
        if both in at:
            pairs += [(i, at[both]), (i + 1, at[both])]
    word, ngram = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return WordShares(places, word, ngram, np.bincount(ngram, minlength=len(columns))[ngram])
