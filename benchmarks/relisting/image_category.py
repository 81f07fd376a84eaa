"""What photos add to words, where a data set has both: ``python -m benchmarks.relisting.image_category --data DIR``.

A method check of `training.image_fusion`, on the category of listings with photos (`jsc-images`), since no set at hand
has photos beside hazards. Five outer folds that part no product and no photo; all that is fitted, strengths and joining
included, is fitted inside the other four.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from benchmarks.quality.resample import draw_counts, interval
from benchmarks.quality.task import existing, figure
from benchmarks.results_file import (
    OURS,
    RESULTS,
    SCORE_COLUMNS,
    Look,
    Results,
    Row,
    code_commit,
    data_sha256,
    log_look,
    machine,
    now,
    write_results,
    write_scores,
)
from features import image_intake
from features.encoders import load_encoder
from features.image_features import main_vectors
from features.image_intake import Unusable
from features.image_models import load_image_encoder
from features.schema import Listing
from features.taxonomy import load_taxonomy
from features.text import NgramVocabulary
from training.calibration import fit_platt
from training.heads import sigmoid
from training.image_fusion import Views, fit_joining, fit_photo_heads, held_out_photos, log_loss
from training.model import design_matrix, fit_binary_heads
from training.reading import Reader
from training.splits import clusters, group_folds

TASK = "image_category"
FOLDER = "jsc-images"
FOLDS = 5
STRENGTHS = (1.0, 10.0, 100.0)
CASES = ("", "_without_photo", "_without_words", "_one_missing")
SYSTEMS = ("majority", "text", "image", "concatenated", OURS)


@dataclass(frozen=True, slots=True)
class Goods:
    """Listings with a category, a title and a photo.

    Attributes
    ----------
    names
        File of the photo.
    categories
        In alphabetical order; ``label`` numbers them.
    label
        ndarray of shape (n,), int.
    views
        Name-only views of the titles.
    words
        ndarray of shape (n, n_dimensions): embeddings of the views.
    photos
        ndarray of shape (n, dim): vectors of the photos.
    groups
        ndarray of shape (n,), int: near-duplicate titles and equal photos.
    """

    names: list[str]
    categories: tuple[str, ...]
    label: np.ndarray
    views: list[str]
    words: np.ndarray
    photos: np.ndarray
    groups: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """One column a category, shape (n, n_categories)."""
        return np.eye(len(self.categories))[self.label]


def read(data: Path) -> Goods:
    """Read and encode all listings."""
    with (data / FOLDER / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    photos = [image_intake.from_file(data / FOLDER / "images" / row["image"]) for row in rows]
    broken = [photo.detail for photo in photos if isinstance(photo, Unusable)]
    if broken:
        raise ValueError(f"got {len(broken)} photos that cannot be read: {broken[0]}")
    reader = Reader(load_taxonomy())
    views = [reader.read(Listing(id=row["image"], title=row["listing_title"])).view.text for row in rows]
    categories = tuple(sorted({row["category"] for row in rows}))
    return Goods(
        [row["image"] for row in rows],
        categories,
        np.array([categories.index(row["category"]) for row in rows]),
        views,
        load_encoder("use").encode(views),
        main_vectors([p for p in photos if not isinstance(p, Unusable)], load_image_encoder("efficientnet")),
        clusters(views, [(row["git_blob"],) for row in rows]),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """Log-odds of each category, shape (n, n_categories), by one system for the three cases of a listing."""

    both: np.ndarray
    no_photo: np.ndarray
    no_words: np.ndarray

    def one_missing(self, rows: np.ndarray) -> np.ndarray:
        """A draw for each listing: whole, without its photo, or without its words."""
        case = np.random.default_rng(7).integers(3, size=1_000_000)[rows]
        choice = np.stack([self.both, self.no_photo, self.no_words])
        return choice[case, np.arange(len(rows))]


def _words(goods: Goods, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Log-odds by the words, as the hazard heads of `training.model` have them."""
    vocabulary = NgramVocabulary.fit([goods.views[i] for i in train], min_documents=2)

    def matrix(rows: np.ndarray) -> csr_matrix:
        return design_matrix(vocabulary, [goods.views[i] for i in rows], goods.words[rows])

    known = np.ones((len(train), len(goods.categories)))
    weights, intercept = fit_binary_heads(matrix(train), goods.truth[train], known, np.ones(len(train)), 1.0)
    return np.asarray(matrix(test) @ weights) + intercept


def _held_out(
    goods: Goods, train: np.ndarray, folds: Sequence[np.ndarray], fit: Callable[..., np.ndarray]
) -> np.ndarray:
    found = np.zeros((len(train), len(goods.categories)))
    for fold in folds:
        found[fold] = fit(goods, train[np.setdiff1d(np.arange(len(train)), fold)], train[fold])
    return found


def _photo_strength(goods: Goods, train: np.ndarray, folds: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """Choose by the loss inside the training part; also the held-out log-odds at that strength."""
    truth = goods.truth[train]
    said = {c: held_out_photos(goods.photos[train], truth, np.ones_like(truth), folds, c) for c in STRENGTHS}
    best = min(said, key=lambda c: log_loss(said[c], truth).mean())
    return best, said[best]


def _concatenated(goods: Goods, train: np.ndarray, test: np.ndarray) -> Told:
    """One model on both vectors side by side; what is missing is put in as zeros."""
    both = np.hstack([goods.words, goods.photos]).astype(np.float32)
    weights, intercept = fit_photo_heads(
        both[train], goods.truth[train], np.ones((len(train), len(goods.categories))), 10.0
    )
    cut = goods.words.shape[1]
    words, photos = both[test, :cut] @ weights[:cut], both[test, cut:] @ weights[cut:]
    return Told(words + photos + intercept, words + intercept, photos + intercept)


def tell(goods: Goods, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Told]:
    """Fit every system on one part and let it tell the other."""
    folds = group_folds(goods.groups[train], FOLDS, np.random.default_rng(seed))
    truth = goods.truth[train]
    raw = _held_out(goods, train, folds, _words)
    scale = np.array([fit_platt(raw[:, k], truth[:, k]) for k in range(truth.shape[1])])
    strength, photos_held = _photo_strength(goods, train, folds)
    views = Views(raw * scale[:, 0] + scale[:, 1], photos_held, truth, np.ones_like(truth, bool))
    joining = fit_joining(views)
    words = _words(goods, train, test) * scale[:, 0] + scale[:, 1]
    weights, intercept = fit_photo_heads(goods.photos[train], truth, np.ones_like(truth), strength)
    photos = goods.photos[test] @ weights + intercept
    share = np.tile(np.log(truth.mean(0) / (1 - truth.mean(0))), (len(test), 1))
    alone = joining.of(None, photos)
    return {
        "majority": Told(share, share, share),
        "text": Told(words, words, share),
        "image": Told(alone, share, alone),
        "concatenated": _concatenated(goods, train, test),
        OURS: Told(joining.of(words, photos), joining.of(words, None), alone),
    }


def measure(goods: Goods, seed: int = 0) -> tuple[list[Row], pd.DataFrame]:
    """Tell every listing by models that saw nothing of its group; figures and the scores behind them."""
    n = len(goods.names)
    found = {(system, case): np.zeros((n, len(goods.categories))) for system in SYSTEMS for case in CASES}
    for fold in group_folds(goods.groups, FOLDS, np.random.default_rng(seed)):
        for system, told in tell(goods, np.setdiff1d(np.arange(n), fold), fold, seed + 1).items():
            parts = (told.both, told.no_photo, told.no_words, told.one_missing(fold))
            for case, scores in zip(CASES, parts, strict=True):
                found[system, case][fold] = sigmoid(scores)
    frame = pd.concat([_frame(goods, *key, scores) for key, scores in found.items()], ignore_index=True)
    return figures(frame, goods.names, goods.categories, goods.label), frame


def _frame(goods: Goods, system: str, case: str, scores: np.ndarray) -> pd.DataFrame:
    n, m = scores.shape
    columns = {
        "item": np.repeat(goods.names, m),
        "system": f"{system}{case}",
        "class": np.tile(goods.categories, n),
        "score": scores.astype(np.float32).ravel(),
    }
    return pd.DataFrame(columns).loc[:, list(SCORE_COLUMNS)]


def figures(frame: pd.DataFrame, names: list[str], categories: Sequence[str], label: np.ndarray) -> list[Row]:
    """Make all rows from the scores."""
    counts = draw_counts(len(names))
    hits: dict[str, np.ndarray] = {}
    for system, part in frame.groupby("system", sort=False):
        table = part.pivot_table(index="item", columns="class", values="score", observed=True)
        table = table.loc[names, list(categories)].to_numpy()
        hits[str(system)] = table.argmax(axis=1) == label
    rows = []
    for system in SYSTEMS:
        for case in CASES:
            right = hits[f"{system}{case}"]
            spread = interval(counts @ right / len(right))
            rows.append(figure(system, f"accuracy{case}", float(right.mean()), spread, len(right)))
    for other in SYSTEMS[:-1]:
        ahead = hits[OURS].astype(float) - hits[other]
        spread = interval(counts @ ahead / len(ahead))
        rows.append(
            figure(OURS, f"accuracy_over_{other}", float(ahead.mean()), spread, len(ahead), "difference")
        )
    return existing(rows)


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of real data. [env: LISTING_RISK_DATA]",
)
@click.option("--note", default="", help="Why it is measured, for results/looks.jsonl.")
def main(data: Path, note: str) -> None:
    """Measure and write ``results/image_category.json``."""
    goods = read(data)
    rows, frame = measure(goods)
    paths = [f"{FOLDER}/images.csv", *(f"{FOLDER}/images/{name}" for name in goods.names)]
    results = Results(
        task=TASK,
        command="python -m benchmarks.relisting.image_category",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, paths),
        rows=tuple(rows),
    )
    write_scores(TASK, frame)
    write_results(results)
    log_look(Look(TASK, results.date.isoformat(), results.commit, SYSTEMS, note), RESULTS)
    for row in rows:
        click.echo(
            f"{row.system:14} {row.metric:28} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] n={row.n}"
        )


if __name__ == "__main__":
    main()
