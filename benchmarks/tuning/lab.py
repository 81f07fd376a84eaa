"""Choose how direct models learn from laboratory values, on results up to 2018: ``python -m benchmarks.tuning.lab``.

Lead at 100 ppm and mercury with arsenic at 1 ppm, as in the tasks `lab_lead` and `lab_metals`; nothing after 2018 is
read. Writes ``benchmarks/results/tuning_lab.json``: average precision of every setting by kind of fold. The settings in
``lab_lead.yaml`` and ``lab_metals.yaml`` are the winners'.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.quality.baselines import logistic, tfidf
from benchmarks.quality.lab_rows import CUT, HERE
from benchmarks.results_file import RESULTS, code_commit, now
from benchmarks.tuning.folds import Fold, disjoint_folds, time_folds
from features.encoders import load_encoder
from features.taxonomy import Taxonomy, load_taxonomy
from features.text import NgramVocabulary
from training.config import Config, load_config
from training.dataset import load_dataset
from training.fitting import rungs
from training.labels import Item
from training.metrics import average_precision
from training.model import design_matrix, fit_binary_heads
from training.prepare import Prepared, prepare
from training.reading import Reader

TASKS = {"lab_lead": "lead", "lab_metals": "chemical_other"}
YEARS = ((2013, 2015), (2014, 2016), (2015, 2017), (2016, 2018))
# One change at a time from what was in force before; then those that helped together.
CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {"strength": 0.3},
    {"strength": 3.0},
    {"min_documents": 1},
    {"ladder": [3.0]},
    {"ladder": [0.3]},
    {"ladder": [0.3, 3.0]},
    {"ladder": [0.1, 0.3, 3.0, 10.0]},
    {"ladder": [0.3, 3.0], "strength": 2.0},
    {"ladder": [3.0], "strength": 2.0},
    {"ladder": [0.3], "strength": 3.0},
    {"ladder": [0.3, 3.0], "strength": 3.0},
    {"strength": 6.0},
)
START: Mapping[str, Any] = {"strength": 1.0, "min_documents": 2, "ladder": []}
TFIDF = "tfidf_lr"


def bench(data: Path, task: str, taxonomy: Taxonomy) -> tuple[Prepared, Config]:
    """Read the training part of a task: results for its hazard up to the cut."""
    config = load_config(HERE / f"{task}.yaml").model_copy(update={"as_of": CUT})
    labels = load_dataset(config, data, taxonomy).lab
    rows = np.flatnonzero(labels.known[:, taxonomy.index(TASKS[task])])
    if any(labels.items[i].time is None or labels.items[i].time > CUT for i in rows):  # type: ignore[operator]
        raise ValueError(f"Got results later than {CUT}; expected none.")
    return prepare(labels.take(rows), Reader(taxonomy), load_encoder(config.encoder)), config


def _facts(item: Item) -> str:
    """Return what the baseline of the tasks reads: words of the name, one token a fact."""
    facts = {"type": item.category, "country": item.country, "maker": item.maker}
    tokens = (f"{kind}_{'_'.join(text.lower().split())}" for kind, text in facts.items())
    return " ".join([item.name.lower(), *tokens])


def scores_of(
    lab: Prepared, config: Config, taxonomy: Taxonomy, hazard: int, fold: Fold, change: Mapping[str, Any]
) -> np.ndarray:
    """Return log-odds of the rows that are judged."""
    lab_config = config.lab.model_copy(update={**START, **change})
    config = config.model_copy(update={"lab": lab_config})
    texts = [reading.lab_text for reading in lab.readings]
    left, right = ([texts[i] for i in rows] for rows in (fold.train, fold.valid))
    vocabulary = NgramVocabulary.fit(left, min_documents=lab_config.min_documents)
    X = design_matrix(vocabulary, left, lab.embeddings[fold.train])
    V = design_matrix(vocabulary, right, lab.embeddings[fold.valid])
    weight = np.ones(len(left))
    found = []
    for Y, known in rungs(lab.labels.take(fold.train), np.array([hazard]), taxonomy, config):
        weights, intercept = fit_binary_heads(X, Y, known, weight, lab_config.strength)
        found.append((V @ weights + intercept)[:, 0])
    return np.mean(found, axis=0)


def judge(data: Path, task: str, taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    """Yield, for each setting and for the baseline, its average precision by kind of fold."""
    lab, config = bench(data, task, taxonomy)
    hazard = taxonomy.index(TASKS[task])
    y = lab.labels.value[:, hazard]
    folds = [*time_folds(lab.labels.dates, lab.groups, YEARS), *disjoint_folds(lab.groups, 4, 0)]
    facts = [_facts(item) for item in lab.labels.items]
    for setting in (TFIDF, *CHANGES):
        kinds: dict[str, list[float]] = defaultdict(list)
        for fold in folds:
            if not y[fold.valid].any():
                continue
            if isinstance(setting, str):
                left, right = tfidf([facts[i] for i in fold.train], [facts[i] for i in fold.valid])
                scores = logistic(left, y[fold.train][:, None], right, 10.0)[:, 0]
            else:
                scores = scores_of(lab, config, taxonomy, hazard, fold, setting)
            kinds[fold.kind].append(average_precision(y[fold.valid], scores))
        means = {kind: round(float(np.mean(values)), 4) for kind, values in kinds.items()}
        yield {"task": task, "setting": setting, **means, "mean": round(float(np.mean([*means.values()])), 4)}


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
def main(data: Path) -> None:
    """Judge every setting and write what came out."""
    taxonomy = load_taxonomy()
    rows = []
    for task in TASKS:
        for row in judge(data, task, taxonomy):
            rows.append(row)
            click.echo(json.dumps(row), err=True)
    report = {
        "command": "python -m benchmarks.tuning.lab",
        "commit": code_commit(),
        "date": now().isoformat(),
        "learned_from": "New York results up to 2018; time folds "
        + ", ".join(map(str, YEARS))
        + ", 4 folds of groups",
        "rows": rows,
    }
    (RESULTS / "tuning_lab.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
