"""Choose the ridge settings of the food check on its training titles: ``python -m benchmarks.tuning.food_hazard``.

Folds hold whole groups of near-duplicate titles; the valid file gives nothing but the numbers of its classes. Writes
``benchmarks/results/tuning_food_hazard.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from benchmarks.quality.baselines import embed
from benchmarks.quality.food_hazard import (
    FoodSettings,
    Part,
    our_predictions,
    read_parts,
    task_score_draws,
)
from benchmarks.results_file import RESULTS, code_commit, now
from training.ridge import RidgeSettings
from training.splits import clusters, group_folds

GRID = [
    FoodSettings(RidgeSettings(s, b), view)
    for view, s, b in (
        ("ngrams", 5.0, 0.0),
        ("ngrams", 5.0, 0.3),
        ("tfidf", 2.0, 0.0),
        ("tfidf", 5.0, 0.0),
        ("tfidf", 5.0, 0.5),
        ("tfidf", 15.0, 0.0),
    )
]
FOLDS = 3


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
def main(data: Path) -> None:
    """Judge every setting and write what came out."""
    train, _ = read_parts(data)
    vectors = embed(train.titles)
    groups = clusters(train.titles, [()] * len(train.titles))
    folds = group_folds(groups, FOLDS, np.random.default_rng(0))
    rows = []
    for settings in GRID:
        scores = []
        for valid in folds:
            kept = np.setdiff1d(np.arange(len(train.titles)), valid)
            part = Part([train.titles[i] for i in kept], train.classes[kept])
            titles = [train.titles[i] for i in valid]
            found = our_predictions(part, vectors[kept], titles, vectors[valid], settings)
            once = np.ones((1, len(valid)))
            truth = train.classes[valid].astype(float)
            scores.append([task_score_draws(truth, found, once, *pair)[0] for pair in ((0, 1), (2, 3))])
        st1, st2 = np.mean(scores, axis=0)
        ridge = {"strength": settings.ridge.strength, "balance": settings.ridge.balance}
        rows.append(
            {"view": settings.view, **ridge, "st1": round(float(st1), 4), "st2": round(float(st2), 4)}
        )
        click.echo(json.dumps(rows[-1]), err=True)
    report = {
        "command": "python -m benchmarks.tuning.food_hazard",
        "commit": code_commit(),
        "date": now().isoformat(),
        "learned_from": f"{len(train.titles):,} titles in {FOLDS} folds of near-duplicate groups",
        "rows": rows,
    }
    path = RESULTS / "tuning_food_hazard.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
