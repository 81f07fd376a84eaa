"""Systems that tell hazards from a product name: the same baselines for every task on recalls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.baselines import (
    base_rate,
    embed,
    keyword_counts,
    lexicon,
    logistic,
    nearest,
    standardised,
    tfidf,
)

HERE = Path(__file__).parent
System = Callable[[Path], np.ndarray]
# Names and classes to learn from, names to score.
Parts = tuple[list[str], np.ndarray, list[str]]


def name_systems(
    parts: Callable[[Path], Parts], classes: Callable[[Path], Sequence[str]]
) -> Mapping[str, System]:
    """Return the baselines of a task whose only input is a name.

    Parameters
    ----------
    parts
        Names of the training part, their classes of shape (n, n_classes), names of the test part.
    classes
        Names of the classes, in the order of columns, for the keyword lexicon.
    """

    @cache
    def tfidf_lr(data: Path) -> np.ndarray:
        names, Y, test = parts(data)
        left, right = tfidf(names, test)
        return logistic(left, Y, right, 10.0)

    @cache
    def vectors(data: Path) -> tuple[np.ndarray, np.ndarray]:
        names, _, test = parts(data)
        return embed(names), embed(test)

    @cache
    def use_lr(data: Path) -> np.ndarray:
        left, right = vectors(data)
        return logistic(left, parts(data)[1], right, 10.0)

    def use_knn(data: Path) -> np.ndarray:
        left, right = vectors(data)
        return nearest(left, parts(data)[1], right)

    def constant(data: Path) -> np.ndarray:
        _, Y, test = parts(data)
        return base_rate(Y, len(test))

    def keywords(data: Path) -> np.ndarray:
        _, Y, test = parts(data)
        counts = keyword_counts(test, tuple(classes(data)), lexicon(HERE / "lexicon.yaml"))
        return counts + base_rate(Y, len(test))

    def average(data: Path) -> np.ndarray:
        return (standardised(tfidf_lr(data)) + standardised(use_lr(data))) / 2

    return {
        "base_rate": constant,
        "keyword_lexicon": keywords,
        "tfidf_lr": tfidf_lr,
        "use_lr": use_lr,
        "use_knn": use_knn,
        "tfidf_use_average": average,
    }
