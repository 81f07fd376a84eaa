"""A method check on food: hazard and product of a recall from its title alone, SemEval-2025 task 9, train to valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from benchmarks.quality.baselines import embed, keyword_counts, lexicon, nearest, tfidf
from benchmarks.quality.resample import draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure, squeezed
from benchmarks.results_file import OURS, Row
from features.normalize import normalize
from features.text import NgramVocabulary
from training.model import design_matrix
from training.ridge import RidgeSettings, fit_ridge

TRAIN, TEST = "semeval2025-task9/train_titles.csv.gz", "semeval2025-task9/valid.csv.gz"
FIELDS = ("hazard-category", "product-category", "hazard", "product")
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Titles with the number of each field's class, shape (n, 4); classes are numbered over both parts."""

    titles: list[str]
    classes: np.ndarray


@cache
def read_parts(data: Path) -> tuple[Part, Part]:
    """Read both published files; the long texts of the second are not read."""
    columns = ["title", *FIELDS]
    tables = [pd.read_csv(data / name, usecols=columns, dtype=str).fillna("") for name in (TRAIN, TEST)]
    numbers = [{v: i for i, v in enumerate(sorted(set(tables[0][f]) | set(tables[1][f])))} for f in FIELDS]
    parts = []
    for table in tables:
        classes = np.column_stack([table[f].map(number) for f, number in zip(FIELDS, numbers, strict=True)])
        parts.append(Part(table["title"].tolist(), classes.astype(np.int64)))
    return parts[0], parts[1]


def labels(data: Path) -> Labels:
    """Read the labels: for each field the NUMBER of the class, where other tasks have 0 or 1."""
    _, test = read_parts(data)
    return Labels(
        tuple(str(i) for i in range(len(test.titles))),
        tuple(field.replace("-", "_") for field in FIELDS),
        test.classes.astype(np.float64),
        {},
    )


def _by_field(predict: Callable[[np.ndarray], np.ndarray], train: Part) -> np.ndarray:
    """Return the predicted class of each field, shape (n_test, 4), from a function of one field's training classes."""
    return np.column_stack([predict(train.classes[:, k]) for k in range(len(FIELDS))]).astype(np.float64)


def _most_frequent(data: Path) -> np.ndarray:
    train, test = read_parts(data)
    return _by_field(lambda y: np.full(len(test.titles), np.bincount(y).argmax()), train)


def _keywords(data: Path) -> np.ndarray:
    """Hazard category by words, the other fields by frequency: nobody has words for a thousand products at hand."""
    _, test = read_parts(data)
    scores = _most_frequent(data)
    words = lexicon(HERE / "food_lexicon.yaml")
    names = sorted(set(pd.read_csv(data / TRAIN, usecols=["hazard-category"], dtype=str)["hazard-category"]))
    known = sorted(set(names) | set(pd.read_csv(data / TEST, usecols=["hazard-category"])["hazard-category"]))
    counts = keyword_counts(test.titles, known, words)
    scores[:, 0] = np.where(counts.any(axis=1), counts.argmax(axis=1), scores[:, 0])
    return scores


def _linear_svc(data: Path) -> np.ndarray:
    train, test = read_parts(data)
    left, right = tfidf(train.titles, test.titles)
    return _by_field(lambda y: LinearSVC(random_state=0).fit(left, y).predict(right), train)


@cache
def _vectors(data: Path) -> tuple[np.ndarray, np.ndarray]:
    train, test = read_parts(data)
    return embed(train.titles), embed(test.titles)


def _use_knn(data: Path) -> np.ndarray:
    left, right = _vectors(data)

    def predict(y: np.ndarray) -> np.ndarray:
        return nearest(left, np.eye(y.max() + 1)[y], right).argmax(axis=1)

    return _by_field(predict, read_parts(data)[0])


def _lr(
    left: object, right: object, train: Part, strength: float, fields: Sequence[int] = (0, 1)
) -> np.ndarray:
    """Multinomial regressions of the categories; fine labels are left to the class most frequent in the category."""
    found = np.zeros((right.shape[0], len(FIELDS)))  # type: ignore[attr-defined]
    for k in fields:
        model = LogisticRegression(C=strength, max_iter=200)
        found[:, k] = model.fit(left, train.classes[:, k]).predict(right)
        fine = k + 2
        usual = {
            c: np.bincount(train.classes[train.classes[:, k] == c, fine]).argmax() for c in set(found[:, k])
        }
        found[:, fine] = [usual[c] for c in found[:, k]]
    return found


def _tfidf_lr(data: Path) -> np.ndarray:
    train, test = read_parts(data)
    left, right = tfidf(train.titles, test.titles)
    return _lr(left, right, train, 10.0)


def _use_lr(data: Path) -> np.ndarray:
    left, right = _vectors(data)
    return _lr(left, right, read_parts(data)[0], 10.0)


@dataclass(frozen=True, slots=True)
class FoodSettings:
    """What our system of this task reads and how it is fitted.

    Attributes
    ----------
    ridge
        Of the heads.
    view
        ``ngrams``: those of `features.text` on normalised titles. ``tfidf``: words 1-2 and characters 2-5 of titles as
        they stand, every word kept.
    """

    ridge: RidgeSettings
    view: str


# Chosen by folds of near-duplicate titles inside the training part: benchmarks/results/tuning_food_hazard.json.
SETTINGS = FoodSettings(RidgeSettings(strength=5.0, balance=0.0), "tfidf")


def _texts(train: list[str], test: list[str], view: str) -> tuple[csr_matrix, csr_matrix]:
    if view == "tfidf":
        kinds = (
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
        )
        left, right = squeezed(train), squeezed(test)
        found = csr_matrix(hstack([kind.fit_transform(left) for kind in kinds]))
        return found, csr_matrix(hstack([kind.transform(right) for kind in kinds]))
    left = [normalize(title).text for title in train]
    right = [normalize(title).text for title in test]
    vocabulary = NgramVocabulary.fit(left, min_documents=2)
    nothing = np.zeros((len(left), 0)), np.zeros((len(right), 0))
    return design_matrix(vocabulary, left, nothing[0]), design_matrix(vocabulary, right, nothing[1])


def our_predictions(
    train: Part, vectors: np.ndarray, titles: list[str], test_vectors: np.ndarray, settings: FoodSettings
) -> np.ndarray:
    """Fit the training package's ridge heads on words and embedding of titles; return classes, shape (n_test, 4)."""
    words, others = _texts(train.titles, titles, settings.view)
    sizes = train.classes.max(axis=0) + 1
    targets = [np.eye(size)[train.classes[:, k]] for k, size in enumerate(sizes)]
    scores = fit_ridge([words, vectors], targets, settings.ridge)([others, test_vectors])
    return np.column_stack([S.argmax(axis=1) for S in scores]).astype(np.float64)


def _ours(data: Path) -> np.ndarray:
    train, test = read_parts(data)
    left, right = _vectors(data)
    return our_predictions(train, left, test.titles, right, SETTINGS)


def macro_f1_draws(truth: np.ndarray, found: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the macro F1 of each draw over the classes that occur in truth or prediction; shape (draws,)."""
    classes = np.union1d(truth, found)
    true, guess = (np.equal.outer(part, classes).astype(np.float64) for part in (truth, found))
    hit, n_true, n_found = counts @ (true * guess), counts @ true, counts @ guess
    occurs = (n_true + n_found) > 0
    f1 = np.divide(2 * hit, n_true + n_found, out=np.zeros_like(hit), where=occurs)
    with np.errstate(invalid="ignore"):
        return f1.sum(axis=1) / occurs.sum(axis=1)


def task_score_draws(
    truth: np.ndarray, found: np.ndarray, counts: np.ndarray, hazard: int, product: int
) -> np.ndarray:
    """Return the task's own score: macro F1 of hazards, averaged with that of products where the hazard is right."""
    right = truth[:, hazard] == found[:, hazard]
    of_hazards = macro_f1_draws(truth[:, hazard], found[:, hazard], counts)
    if not right.any():
        return of_hazards / 2
    of_products = macro_f1_draws(truth[right, product], found[right, product], counts[:, right])
    return (of_hazards + np.nan_to_num(of_products)) / 2


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return both scores of the task and our paired gains."""
    n = len(truth.items)
    counts, once = draw_counts(n), np.ones((1, n))
    rows: list[Row | None] = []
    draws: dict[tuple[str, str], np.ndarray] = {}
    values: dict[tuple[str, str], float] = {}
    for system, S in scores.items():
        for metric, hazard, product in (("st1", 0, 1), ("st2", 2, 3)):
            draws[system, metric] = task_score_draws(truth.Y, S, counts, hazard, product)
            values[system, metric] = float(task_score_draws(truth.Y, S, once, hazard, product)[0])
            rows.append(figure(system, metric, values[system, metric], interval(draws[system, metric]), n))
    for system, metric in draws:
        if system != OURS and (OURS, metric) in draws:
            gain = values[OURS, metric] - values[system, metric]
            spread = interval(draws[OURS, metric] - draws[system, metric])
            rows.append(figure(OURS, f"{metric}_over_{system}", gain, spread, n, "difference"))
    return existing(rows)


TASK = Task(
    name="food_hazard",
    files=(TRAIN, TEST),
    labels=labels,
    systems={
        "most_frequent": _most_frequent,
        "keyword_lexicon": _keywords,
        "tfidf_svc": _linear_svc,
        "tfidf_lr": _tfidf_lr,
        "use_lr": _use_lr,
        "use_knn": _use_knn,
        OURS: _ours,
    },
    measure=measure,
    note="food recall titles, the published valid part",
)
