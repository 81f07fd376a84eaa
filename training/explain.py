"""Which of the seller's words moved a score: exact for the n-gram part of the linear heads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from features.schema import Listing
from features.text import NgramVocabulary
from training.heads import HazardTypeHeads, TextHeads, softmax
from training.reading import Reading
from training.scores import Phrase

if TYPE_CHECKING:
    from training.bundle import LabHeads

_WORD = re.compile(r"\S+")
_LEAST = 0.05


class Explainer:
    """Attributes the log-odds of a hazard to words of the title."""

    def __init__(self, hazard_type: HazardTypeHeads, lab: LabHeads | None, hazards: tuple[str, ...]) -> None:
        self._type = hazard_type
        self._lab = lab
        self._hazards = hazards

    def phrases(
        self, listing: Listing, reading: Reading, embedding: np.ndarray, code: str
    ) -> Iterator[Phrase]:
        """Yield words of the title that raise ``code``, with the log-odds they add."""
        text = reading.view.text
        columns, values = self._type.heads.vocabulary.row(text)
        gains = values * self._direction(text, embedding, code, columns)
        weights = word_weights(
            text, self._type.heads.vocabulary, dict(zip(columns.tolist(), gains.tolist(), strict=True))
        )
        for (start, end), weight in weights.items():
            span = reading.view.span_in_title(start, end)
            if weight >= _LEAST and span is not None:
                yield Phrase("title", *span, listing.title[slice(*span)], round(float(weight), 3), code)

    def _direction(self, text: str, embedding: np.ndarray, code: str, columns: np.ndarray) -> np.ndarray:
        """Gradient of the hazard's scaled log-odds by the values of ``columns``, shape of ``columns``."""
        k, n = self._hazards.index(code), len(self._hazards)
        heads: TextHeads = self._type.heads
        if not len(self._type.kind_table):
            return self._type.slope[k] * heads.ngram_weights[columns, k]
        shares = softmax(heads.logits(text, embedding)[n:])
        column = self._type.kind_table[:, k]
        mix = float(shares @ column)
        by_kind = shares * (column - mix) / max(mix * (1 - mix), 1e-9)
        rows = heads.ngram_weights[columns]
        return 0.5 * self._type.slope[k] * (rows[:, k] + rows[:, n:] @ by_kind)


def word_weights(
    text: str, vocabulary: NgramVocabulary, gain: Mapping[int, float]
) -> dict[tuple[int, int], float]:
    """Share each n-gram's contribution among the words that it stands in.

    Parameters
    ----------
    text, vocabulary
        The view and the n-grams known of it.
    gain
        Column of the vocabulary to what it adds to the log-odds.

    Returns
    -------
    dict
        (start, end) of each word in ``text`` to its part of the log-odds.
    """
    places = [match.span() for match in _WORD.finditer(text)]
    words = [text[start:end] for start, end in places]
    weights = dict.fromkeys(places, 0.0)
    holders: dict[int, list[tuple[int, int]]] = {}
    for i, (word, place) in enumerate(zip(words, places, strict=True)):
        for column in vocabulary.columns_of(word):
            holders.setdefault(column, []).append(place)
        if i + 1 < len(words):
            pair = vocabulary.word_column(f"{word} {words[i + 1]}")
            if pair is not None:
                holders.setdefault(pair, []).extend([place, places[i + 1]])
    for column, where in holders.items():
        for place in where:
            weights[place] += gain.get(column, 0.0) / len(where)
    return weights
