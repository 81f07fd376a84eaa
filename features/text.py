"""Word and character n-grams of a text, the same code in training and in serving."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

WORD_LENGTHS = (1, 2)
CHAR_LENGTHS = (3, 4, 5)
MAX_WORDS = 200
# Words come again from listing to listing; what a vocabulary knows of so many is kept, long ones apart.
KEPT_WORDS = 20_000
KEPT_LENGTH = 64
KEPT_ROWS = 1_024


def word_ngrams(text: str) -> Iterator[str]:
    """Yield single words and pairs of neighbouring words."""
    words = text.split()[:MAX_WORDS]
    yield from words
    for left, right in itertools.pairwise(words):
        yield f"{left} {right}"


def char_ngrams(text: str) -> Iterator[str]:
    """Yield runs of 3 to 5 characters inside words, each word padded with a space on both sides."""
    for word in text.split()[:MAX_WORDS]:
        yield from _runs(word)


def _runs(word: str) -> list[str]:
    """Runs of characters of one padded word; one that is no longer than a run is given whole, once."""
    padded = f" {word} "
    size = len(padded)
    found: list[str] = []
    for length in CHAR_LENGTHS:
        if size <= length:
            found.append(padded)
            break
        found += [padded[start : start + length] for start in range(size - length + 1)]
    return found


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
    _kept: dict[str, tuple[int, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict[str, tuple[int, ...]]
    )
    _rows: dict[str, tuple[np.ndarray, np.ndarray]] = field(
        init=False, repr=False, compare=False, default_factory=dict[str, tuple[np.ndarray, np.ndarray]]
    )

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
        """Return the columns (int32) and the TF-IDF values (float32) of one text, sublinear in the count.

        Both are read-only. The reasons of a score ask for the same row again, so the latest are kept.
        """
        found = self._rows.get(text)
        if found is None:
            found = self._row(text)
            if len(self._rows) >= KEPT_ROWS:
                self._rows.clear()
            self._rows[text] = found
        return found

    def _row(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        words = text.split()[:MAX_WORDS]
        counts: dict[int, int] = {}
        index = self._word_index.get
        for term in itertools.chain(words, map(" ".join, itertools.pairwise(words))):
            column = index(term)
            if column is not None:
                counts[column] = counts.get(column, 0) + 1
        n_words = len(counts)
        for column in itertools.chain.from_iterable(map(self.columns_inside, words)):
            counts[column] = counts.get(column, 0) + 1
        columns = np.array(list(counts), dtype=np.int32)
        weights = self.idf[columns].astype(np.float64)
        tallies = list(counts.values())
        if max(tallies, default=1) > 1:  # the logarithm of one is nothing
            weights *= 1 + np.log(tallies)
        for part in (weights[:n_words], weights[n_words:]):
            if len(part):
                part /= np.sqrt(part @ part)
        values = weights.astype(np.float32)
        columns.flags.writeable = values.flags.writeable = False
        return columns, values

    def word_column(self, words: str) -> int | None:
        """Return the column of a word or a pair of words, None where unknown."""
        return self._word_index.get(words)

    def columns_inside(self, word: str) -> tuple[int, ...]:
        """Return the columns of the character n-grams of one word, in order, as often as they occur."""
        found = self._kept.get(word)
        if found is None:
            known = map(self._char_index.get, _runs(word))
            found = tuple([column for column in known if column is not None])
            if len(self._kept) >= KEPT_WORDS:
                self._kept.clear()
            if len(word) <= KEPT_LENGTH:
                self._kept[word] = found
        return found

    def columns_of(self, word: str) -> tuple[int, ...]:
        """Return the columns of a single word and of the character n-grams inside it, each once."""
        column = self._word_index.get(word)
        return tuple(dict.fromkeys((*(() if column is None else (column,)), *self.columns_inside(word))))
