"""Word and character n-grams of a text, the same code in training and in serving."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

WORD_LENGTHS = (1, 2)
CHAR_LENGTHS = (3, 4, 5)
MAX_WORDS = 200


def word_ngrams(text: str) -> Iterator[str]:
    """Yield single words and pairs of neighbouring words."""
    words = text.split()[:MAX_WORDS]
    yield from words
    for left, right in itertools.pairwise(words):
        yield f"{left} {right}"


def char_ngrams(text: str) -> Iterator[str]:
    """Yield runs of 3 to 5 characters inside words, each word padded with a space on both sides."""
    for word in text.split()[:MAX_WORDS]:
        padded = f" {word} "
        size = len(padded)
        for length in CHAR_LENGTHS:
            if size <= length:
                yield padded
                break
            for start in range(size - length + 1):
                yield padded[start : start + length]


@dataclass(frozen=True, slots=True)
class NgramVocabulary:
    """The n-grams that a model knows, with their inverse document frequencies.

    Words come first, characters after them; each part of a row is scaled to length one by itself.

    Attributes
    ----------
    words, chars
        The known n-grams in column order.
    idf
        ndarray of shape (n_terms,), float32.
    """

    words: tuple[str, ...]
    chars: tuple[str, ...]
    idf: np.ndarray
    _word_index: dict[str, int] = field(init=False, repr=False, compare=False)
    _char_index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.idf) != len(self.words) + len(self.chars):
            raise ValueError(
                f"Got {len(self.idf)} idf values for {len(self.words)} words and {len(self.chars)} character "
                "n-grams; expected one for each. The vocabulary file is damaged: train the bundle again."
            )
        first = len(self.words)
        object.__setattr__(self, "_word_index", {term: i for i, term in enumerate(self.words)})
        object.__setattr__(self, "_char_index", {term: first + i for i, term in enumerate(self.chars)})

    def __len__(self) -> int:
        return len(self.idf)

    @classmethod
    def fit(cls, texts: Sequence[str], *, min_documents: int = 2) -> NgramVocabulary:
        """Learn the n-grams that at least ``min_documents`` of ``texts`` hold."""
        n = len(texts)
        parts: list[tuple[tuple[str, ...], np.ndarray]] = []
        for ngrams in (word_ngrams, char_ngrams):
            seen: Counter[str] = Counter()
            for text in texts:
                seen.update(set(ngrams(text)))
            terms = tuple(sorted(term for term, count in seen.items() if count >= min_documents))
            documents = np.array([seen[term] for term in terms], dtype=np.float64)
            parts.append((terms, (np.log((1 + n) / (1 + documents)) + 1).astype(np.float32)))
        (words, word_idf), (chars, char_idf) = parts
        return cls(words, chars, np.concatenate([word_idf, char_idf]))

    def row(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns (int32) and the TF-IDF values (float32) of one text, sublinear in the count."""
        columns: list[int] = []
        values: list[float] = []
        for ngrams, index in ((word_ngrams(text), self._word_index), (char_ngrams(text), self._char_index)):
            self._part(ngrams, index, columns, values)
        return np.array(columns, dtype=np.int32), np.array(values, dtype=np.float32)

    def word_column(self, words: str) -> int | None:
        """Return the column of a word or a pair of words, None where unknown."""
        return self._word_index.get(words)

    def columns_of(self, word: str) -> set[int]:
        """Return the columns of a single word and of the character n-grams inside it."""
        found = {self._char_index[ngram] for ngram in char_ngrams(word) if ngram in self._char_index}
        if word in self._word_index:
            found.add(self._word_index[word])
        return found

    def _part(
        self, ngrams: Iterable[str], index: dict[str, int], columns: list[int], values: list[float]
    ) -> None:
        counts: dict[int, int] = {}
        for ngram in ngrams:
            column = index.get(ngram)
            if column is not None:
                counts[column] = counts.get(column, 0) + 1
        if not counts:
            return
        found = list(counts)
        weights = self.idf[found].astype(np.float64)
        tallies = np.fromiter(counts.values(), dtype=np.float64, count=len(found))
        weights *= 1 + np.log(tallies)
        weights /= np.sqrt(weights @ weights)
        columns += found
        values += weights.tolist()
