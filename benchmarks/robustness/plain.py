"""Plain systems beside ours: a keyword list and TF-IDF with logistic regression, neither with any normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.baselines import lexicon
from benchmarks.quality.hazard_type import HERE as QUALITY
from benchmarks.quality.hazard_type import read_recalls
from benchmarks.robustness.items import Row, covert_titles, real_listings, sample, truth

# Real listings that the plain systems learn from; the tasks test on the first of the same order.
LEARN_FROM, LEARN_COUNT = 8_000, 5_000
_BLOCK = 5_000
# Words a person would look for, in three languages; written before the covert titles.
_COVERT = (
    "hidden camera", "spy", "nanny cam", "covert", "pinhole", "secret camera", "몰래카메라", "몰카",
    "스파이", "히든", "위장", "핀홀", "偷拍", "针孔", "隐形", "隐藏", "伪装", "间谍",
)  # fmt: skip


def words_of(row: Row) -> str:
    """Return everything that a seller wrote, in lower case."""
    parts = [
        row["title"],
        *row.get("bullets", ()),
        *row.get("attributes", {}).values(),
        row.get("description", ""),
    ]
    return " ".join(str(part) for part in parts).lower()


def keyword_scores(rows: Sequence[Row], *, covert: bool = False) -> np.ndarray:
    """Return how many words of the list stand in what the seller wrote, shape (n,)."""
    words = set(_COVERT)
    if not covert:
        words |= {word for found in lexicon(QUALITY / "lexicon.yaml").values() for word in found}
    return np.array([sum(word in text for word in words) for text in map(words_of, rows)], dtype=float)


class Flagger:
    """TF-IDF of words and characters, one logistic regression: goods to look at against the rest."""

    def __init__(self, positive: Sequence[str], negative: Sequence[str]) -> None:
        self._kinds = (
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2),
        )
        X = hstack([kind.fit_transform([*positive, *negative]) for kind in self._kinds])
        y = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
        self._model = LogisticRegression(C=10.0, solver="liblinear", class_weight="balanced", random_state=0)
        self._model.fit(csr_matrix(X), y)

    def scores(self, rows: Sequence[Row]) -> np.ndarray:
        """Return log-odds, shape (n,)."""
        found = [np.zeros(0)]
        for first in range(0, len(rows), _BLOCK):
            texts = [words_of(row) for row in rows[first : first + _BLOCK]]
            X = csr_matrix(hstack([kind.transform(texts) for kind in self._kinds]))
            found.append(self._model.decision_function(X))
        return np.concatenate(found)


@cache
def goods_flagger(data: Path) -> Flagger:
    """Learn what was recalled up to 2009 and the tuning halves' hazardous goods against real listings."""
    facts, dev = truth(), sample("dev")
    covert = covert_titles("tuning")
    positive = [recall.name.lower() for recall in read_recalls(data)[0]]
    positive += [words_of(row) for row in dev if facts[row["id"]]["hazards"]]
    positive += [words_of(row) for row in covert if row["label"] == "covert"]
    negative = [words_of(row) for row in real_listings(data, LEARN_FROM, LEARN_COUNT)]
    negative += [words_of(row) for row in dev if not facts[row["id"]]["hazards"]]
    negative += [words_of(row) for row in covert if row["label"] != "covert"]
    return Flagger(positive, negative)


@cache
def covert_flagger(data: Path) -> Flagger:
    """Learn covert cameras of the tuning halves against the rest of them and real listings."""
    facts, dev = truth(), sample("dev")
    marked = [(words_of(row), "covert_camera" in facts[row["id"]]["hazards"]) for row in dev]
    marked += [(words_of(row), row["label"] == "covert") for row in covert_titles("tuning")]
    negative = [words_of(row) for row in real_listings(data, LEARN_FROM, LEARN_COUNT)]
    return Flagger(
        [text for text, covert in marked if covert],
        negative + [text for text, covert in marked if not covert],
    )
