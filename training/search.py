"""Searching settings with Optuna, judged on later results of products that were not seen: nested in time and by group.

Trials are compared on the inner folds only: each trains on what was known by a day and is measured on the unseen
products of the stretch after it. The last stretch of all is the outer test; the chosen settings are measured on it
once, beside the settings that were there before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.encoders import load_encoder
from features.encoding import Encoder
from features.errors import UserError
from features.taxonomy import Taxonomy, load_taxonomy
from training.config import Config
from training.dataset import load_dataset
from training.fitting import fit_lab_model, fit_type_model
from training.prepare import Prepared, prepare
from training.quick_figures import quick_average_precision
from training.reading import Reader
from training.splits import Split, time_split, unseen

if TYPE_CHECKING:
    import optuna

FEWEST = 5
Say = Callable[[str], None]


class SearchError(UserError):
    """Too few dated results to search on."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search chose.

    Attributes
    ----------
    config
        The configuration with the chosen settings.
    inner
        Mean average precision of the chosen settings on the inner folds.
    inner_before
        The same of the settings that were there before.
    outer, outer_before
        Both on the last stretch, looked at once; NaN where it has too few fails.
    trials
        How many were finished.
    """

    config: Config
    inner: float
    inner_before: float
    outer: float
    outer_before: float
    trials: int


def forward_folds(
    dates: Sequence[date | None], groups: np.ndarray, n_folds: int, gap: timedelta = timedelta(days=1)
) -> list[Split]:
    """Part dated rows into ``n_folds`` + 1 stretches; each but the first is the test of everything before it.

    Products with a row in the training part are taken out of the test part. The last fold is the outer one.
    """
    days = sorted(day for day in dates if day is not None)
    if len(days) < 4 * (n_folds + 1):
        raise SearchError(f"Got {len(days)} dated results; a search over {n_folds} stretches needs more.")
    cuts = [days[round(len(days) * k / (n_folds + 1)) - 1] for k in range(1, n_folds + 1)] + [days[-1]]
    folds = []
    for cut, end in pairwise(cuts):
        split = time_split(dates, cut, gap=gap - timedelta(days=1), end=end)
        folds.append(Split(split.train, unseen(split, groups)))
    return folds


def search(
    config: Config,
    data: Path,
    *,
    trials: int = 30,
    folds: int = 4,
    storage: Path | None = None,
    taxonomy: Taxonomy | None = None,
    encoder: Encoder | None = None,
    say: Say = lambda _: None,
) -> Found:
    """Search the settings of the heads and of the laboratory models.

    Parameters
    ----------
    trials
        In all; a search that was ended goes on where it stopped when ``storage`` is given.
    folds
        Stretches, the last of them the outer test.
    storage
        SQLite file of the study.

    Raises
    ------
    SearchError
        When there are too few dated results.
    """
    import optuna

    taxonomy, encoder = taxonomy or load_taxonomy(), encoder or load_encoder(config.encoder)
    say("reading and encoding")
    dataset, reader = load_dataset(config, data, taxonomy), Reader(taxonomy)
    parts = {
        "recalls": prepare(dataset.recalls, reader, encoder),
        "lab": prepare(dataset.lab, reader, encoder),
    }
    splits = {
        name: forward_folds(part.labels.dates, part.groups, folds)
        for name, part in parts.items()
        if len(part.labels) >= 8 * (folds + 1)
    }
    if not splits:
        raise SearchError("Got too few laboratory results and too few recalls to search on.")

    def measured(chosen: Config, which: slice) -> float:
        scores = [
            score
            for name, cut in splits.items()
            for split in cut[which]
            if not np.isnan(score := _score(name, parts[name], split, taxonomy, chosen))
        ]
        return float(np.mean(scores)) if scores else float("nan")

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = None if storage is None else f"sqlite:///{storage.absolute()}"
    study = optuna.create_study(
        direction="maximize",
        study_name=config.name,
        storage=place,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=config.seed),
    )
    before = measured(config, slice(None, -1))

    def objective(trial: optuna.Trial) -> float:
        value = measured(_suggested(trial, config, splits.keys()), slice(None, -1))
        say(f"trial {trial.number + 1}: {value:.4f}")
        return value if not np.isnan(value) else 0.0

    finished = len([t for t in study.trials if t.state.is_finished()])
    study.optimize(objective, n_trials=max(trials - finished, 0))
    best = _with(config, study.best_params) if study.best_value > before else config
    say("measuring once on the last stretch")
    outer = slice(-1, None)
    return Found(
        best,
        max(study.best_value, before),
        before,
        measured(best, outer),
        measured(config, outer),
        len(study.trials),
    )


def _suggested(trial: optuna.Trial, config: Config, parts: Any) -> Config:
    chosen: dict[str, float] = {}
    if "recalls" in parts:
        chosen |= {
            "heads.strength": trial.suggest_float("heads.strength", 0.05, 20, log=True),
            "heads.kind_strength": trial.suggest_float("heads.kind_strength", 1, 300, log=True),
            "heads.min_documents": trial.suggest_int("heads.min_documents", 1, 5),
            "heads.half_life_years": trial.suggest_float("heads.half_life_years", 1, 30, log=True),
        }
    if "lab" in parts:
        chosen |= {
            "lab.strength": trial.suggest_float("lab.strength", 0.05, 20, log=True),
            "lab.min_documents": trial.suggest_int("lab.min_documents", 1, 5),
        }
    return _with(config, chosen)


def _with(config: Config, chosen: dict[str, Any]) -> Config:
    """Return a configuration with settings named ``part.name`` replaced."""
    values = config.model_dump()
    for name, value in chosen.items():
        part, _, key = name.partition(".")
        values[part][key] = value
    return Config.model_validate(values)


def _score(name: str, part: Prepared, split: Split, taxonomy: Taxonomy, config: Config) -> float:
    """Return macro average precision of one fold; NaN where it cannot be had."""
    if not len(split.test) or len(split.train) < 4 * config.folds:
        return float("nan")
    rows = split.train
    train = Prepared(
        part.labels.take(rows), [part.readings[i] for i in rows], part.embeddings[rows], part.groups[rows]
    )
    if name == "recalls":
        heads, _, _ = fit_type_model(train, taxonomy, config)
        columns = np.arange(len(taxonomy.codes))
        scores = np.array(
            [heads.probabilities(part.readings[i].type_text, part.embeddings[i]) for i in split.test]
        )
    else:
        model, _ = fit_lab_model(train, taxonomy, config)
        if model is None:
            return float("nan")
        columns = model.hazards
        scores = np.array(
            [model.heads.logits(part.readings[i].lab_text, part.embeddings[i]) for i in split.test]
        )
    value, known = part.labels.value[split.test], part.labels.known[split.test]
    found = []
    for j, k in enumerate(columns):
        seen = known[:, k]
        if value[seen, k].sum() >= FEWEST:
            found.append(quick_average_precision(value[seen, k], scores[seen, j]))
    return float(np.mean(found)) if found else float("nan")
