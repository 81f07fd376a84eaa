"""Choose the settings of the hazard-type model on US recalls up to 2009: ``python -m benchmarks.tuning.hazard_type``.

Nothing after 2009 is read. Writes ``benchmarks/results/tuning_hazard_type.json``: macro AP of every setting by kind of
fold. The settings of `training.config.Heads` and ``hazard_type.yaml`` are the winner's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.quality.baselines import logistic, tfidf
from benchmarks.quality.hazard_type import CLASSES, CUT, HERE, OURS_OF, outcomes, read_recalls
from benchmarks.results_file import RESULTS, code_commit, now
from benchmarks.tuning.folds import Fold, disjoint_folds, time_folds
from features.encoders import load_encoder
from features.expectations import Expectations, expected_words
from features.taxonomy import Taxonomy, load_taxonomy
from training.config import load_config
from training.dataset import decimal_years, load_dataset
from training.heads import sigmoid
from training.metrics import average_precision
from training.model import HeadSettings, TypeData, fit_hazard_type
from training.prepare import Prepared, kinds_of, prepare
from training.reading import Reader

YEARS = ((2004, 2006), (2006, 2008), (2007, 2009))
FEWEST = 3
# One change at a time from the settings in force.
CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {"strength": 0.5},
    {"strength": 2.0},
    {"kind_strength": 100.0},
    {"min_documents": 3},
    {"half_life_years": 16.0},
    {"kind_smoothing": 3.0},
    {"expected_weight": 0.0},
    {"expected_weight": 0.3},
    {"expected_weight": 0.5},
    {"expected_weight": 1.0},
    {"expected_weight": 1.3},
)
TEXTS = ("view", "view_and_group", "raw")


@dataclass(frozen=True)
class Bench:
    """The training part, read once.

    Attributes
    ----------
    recalls
        n labelled recalls up to the cut.
    classes
        ndarray of shape (n, 15): the published classes.
    """

    recalls: Prepared
    classes: np.ndarray
    taxonomy: Taxonomy

    @cached_property
    def names(self) -> list[str]:
        """Names in lower case, nothing else done to them."""
        return [" ".join(item.name.lower().split()) for item in self.recalls.labels.items]

    @cached_property
    def expectations(self) -> Expectations:
        """What a person expects of words."""
        return Expectations(expected_words(), tuple(self.taxonomy.codes))

    @cached_property
    def folds(self) -> list[Fold]:
        """Time folds, their unseen parts, and folds of whole groups."""
        groups = self.recalls.groups
        return [*time_folds(self.recalls.labels.dates, groups, YEARS), *disjoint_folds(groups, 3, 0)]

    def data(self, text: str) -> tuple[TypeData, int]:
        """Return what the model learns from, and how many kinds of product there are."""
        kinds, names = kinds_of(self.recalls.labels)
        readings = self.recalls.readings
        texts = {
            "view": [reading.view.text for reading in readings],
            "view_and_group": [reading.type_text for reading in readings],
            "raw": self.names,
        }[text]
        labels = self.recalls.labels
        embeddings = self.recalls.embeddings
        years = decimal_years(labels)
        return TypeData(texts, embeddings, labels.value, labels.known, kinds, years), len(names)


def read_bench(data: Path) -> Bench:
    """Read the recalls up to the cut; later ones are dropped by the reader of the training configuration."""
    taxonomy = load_taxonomy()
    config = load_config(HERE / "hazard_type.yaml").model_copy(update={"as_of": CUT})
    labels = load_dataset(config, data, taxonomy).recalls
    if any(day is None or day > CUT for day in labels.dates):
        raise ValueError(f"Got recalls later than {CUT}; expected none.")
    train, _ = read_recalls(data)
    rows = {recall.number: row for recall, row in zip(train, outcomes(train), strict=True)}
    keys = [item.id.partition(":")[2] for item in labels.items]
    kept = [i for i, key in enumerate(keys) if key in rows]
    recalls = prepare(labels.take(kept), Reader(taxonomy), load_encoder(config.encoder))
    return Bench(recalls, np.array([rows[keys[i]] for i in kept]), taxonomy)


def classes_of(scores: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """Return probabilities of the published classes from log-odds of our hazards."""
    p = sigmoid(scores)
    parts = [[taxonomy.index(code) for code in codes] for codes in OURS_OF.values()]
    return np.stack([1 - np.prod(1 - p[:, columns], axis=1) for columns in parts], axis=1)


def macro_ap(Y: np.ndarray, S: np.ndarray) -> float:
    """Return the mean AP over classes with at least `FEWEST` positives."""
    return float(
        np.mean([average_precision(y, s) for y, s in zip(Y.T, S.T, strict=True) if y.sum() >= FEWEST])
    )


def by_kind(figures: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return the mean of each kind of fold, and the mean of those means."""
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    for (kind, _), value in figures.items():
        kinds[kind].append(value)
    means = {kind: float(np.mean(values)) for kind, values in kinds.items()}
    return {
        name: round(value, 4) for name, value in (means | {"mean": float(np.mean([*means.values()]))}).items()
    }


def judge(bench: Bench, text: str, settings: HeadSettings) -> dict[str, float]:
    """Return macro AP of one setting by kind of fold. Folds that learn from the same rows share one model."""
    data, n_kinds = bench.data(text)
    figures: dict[tuple[str, str], float] = {}
    learned: dict[bytes, np.ndarray] = {}
    for fold in bench.folds:
        key = fold.train.tobytes()
        if key not in learned:
            heads = fit_hazard_type(data.take(fold.train), n_kinds, settings, bench.expectations)
            rest = np.setdiff1d(np.arange(len(data.texts)), fold.train)
            learned[key] = np.full(data.Y.shape, np.nan)
            learned[key][rest] = [heads.logits(data.texts[i], data.embeddings[i]) for i in rest]
        S = classes_of(learned[key][fold.valid], bench.taxonomy)
        figures[fold.kind, fold.name] = macro_ap(bench.classes[fold.valid], S)
    return by_kind(figures)


def judge_tfidf(bench: Bench, strength: float) -> dict[str, float]:
    """Return macro AP of the TF-IDF baseline by kind of fold."""
    figures: dict[tuple[str, str], float] = {}
    for fold in bench.folds:
        left, right = tfidf([bench.names[i] for i in fold.train], [bench.names[i] for i in fold.valid])
        S = logistic(left, bench.classes[fold.train], right, strength)
        figures[fold.kind, fold.name] = macro_ap(bench.classes[fold.valid], S)
    return by_kind(figures)


def rows_before(path: Path) -> list[dict[str, object]]:
    """Return what earlier runs wrote; a setting that is judged again takes the place of its old row."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
@click.option("--only", default="", help="Judge the settings in force and changes of this one alone.")
def main(data: Path, only: str) -> None:
    """Try every setting and write what came out."""
    bench = read_bench(data)
    start = load_config(HERE / "hazard_type.yaml").heads.model_dump()
    path = RESULTS / "tuning_hazard_type.json"
    rows = rows_before(path)
    commit = code_commit()
    report = {
        "task": "hazard_type",
        "command": "python -m benchmarks.tuning.hazard_type",
        "commit": commit,
        "date": now().isoformat(),
        "learned_from": f"{len(bench.names):,} recalls up to {CUT}",
        "folds": sorted({f"{fold.kind}: {fold.name}" for fold in bench.folds}),
        "classes": list(CLASSES),
        "settings_in_force": start,
        "rows": rows,
    }

    def note(system: str, settings: Mapping[str, object], figures: Mapping[str, float]) -> None:
        row = {"system": system, "settings": dict(settings), "macro_ap": dict(figures), "commit": commit}
        rows[:] = [old for old in rows if (old["system"], old["settings"]) != (system, row["settings"])] + [
            row
        ]
        # Written as it grows: the whole takes a quarter of an hour on one core.
        path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        click.echo(f"{system:22} {json.dumps(dict(settings)):34} {json.dumps(dict(figures))}", err=True)

    if not only:
        for strength in (1.0, 10.0):
            note("tfidf_lr", {"strength": strength}, judge_tfidf(bench, strength))
    for text in TEXTS if not only else ("view_and_group",):
        note("ours", {"text": text}, judge(bench, text, HeadSettings(**start)))
    for change in CHANGES[1:]:
        settings = start | dict(change)
        if settings != start and (not only or only in change):
            note("ours", change, judge(bench, "view_and_group", HeadSettings(**settings)))


if __name__ == "__main__":
    main()
