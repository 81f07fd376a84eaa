"""The same goods in three languages: does ranking by hazard hold up outside English?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.baselines import embed, keyword_counts, lexicon, logistic, tfidf
from benchmarks.quality.hazard_type import HERE as QUALITY
from benchmarks.quality.resample import average_precision_draws, draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from benchmarks.robustness.items import Row as Item
from benchmarks.robustness.items import sample, truth
from benchmarks.robustness.ours import batch
from features.taxonomy import load_taxonomy
from training.metrics import average_precision

LANGUAGES = ("en", "ko", "zh")
LEAST_POSITIVES = 2
# The plain list has fewer names for the hazards than the taxonomy.
_LEXICON_NAMES = {"chemical_other": "poisoning"}


@cache
def classes() -> tuple[str, ...]:
    """Return the hazards of which the locked half has at least two products."""
    facts = truth()
    owned: dict[str, set[str]] = {}
    for row in sample("test"):
        for hazard in facts[row["id"]]["hazards"]:
            owned.setdefault(hazard, set()).add(facts[row["id"]]["product"])
    return tuple(code for code in load_taxonomy().codes if len(owned.get(code, ())) >= LEAST_POSITIVES)


def _outcomes(rows: list[Item]) -> np.ndarray:
    facts = truth()
    return np.array([[float(code in facts[row["id"]]["hazards"]) for code in classes()] for row in rows])


def labels(data: Path) -> Labels:
    """Return what each listing's kind of goods is likely to fail for, parts by language."""
    rows, facts = sample("test"), truth()
    language = np.array([facts[row["id"]]["language"] for row in rows])
    items = tuple(f"{facts[row['id']]['product']}/{facts[row['id']]['language']}" for row in rows)
    return Labels(items, classes(), _outcomes(rows), {code: language == code for code in LANGUAGES})


def _ours(data: Path) -> np.ndarray:
    scores = batch(sample("test"))
    return scores[[f"p_{code}" for code in classes()]].to_numpy(np.float64)


def _titles(half: str) -> list[str]:
    return [row["title"] for row in sample(half)]


def _keywords(data: Path) -> np.ndarray:
    names = tuple(_LEXICON_NAMES.get(code, code) for code in classes())
    return keyword_counts(_titles("test"), names, lexicon(QUALITY / "lexicon.yaml"))


def _tfidf(data: Path) -> np.ndarray:
    left, right = tfidf(_titles("dev"), _titles("test"))
    return logistic(left, _outcomes(sample("dev")), right, 10.0)


def _use(data: Path) -> np.ndarray:
    return logistic(embed(_titles("dev")), _outcomes(sample("dev")), embed(_titles("test")), 10.0)


def measure(truth_: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return macro AP a language and its ratio to English; products are redrawn, in all their languages at once."""
    rows: list[Row | None] = []
    order = [np.flatnonzero(truth_.parts[code]) for code in LANGUAGES]
    products = [[truth_.items[at].rsplit("/", 1)[0] for at in part] for part in order]
    if any(names != products[0] for names in products):
        raise ValueError(
            "Got languages with different products; expected each product once in each language."
        )
    counts = draw_counts(len(order[0]))
    for system, S in scores.items():
        values: dict[str, float] = {}
        draws: dict[str, np.ndarray] = {}
        for code, part in zip(LANGUAGES, order, strict=True):
            ap = [average_precision(y, s) for y, s in zip(truth_.Y[part].T, S[part].T, strict=True)]
            values[code] = float(np.nanmean(ap))
            drawn = [
                average_precision_draws(y, s, counts)
                for y, s in zip(truth_.Y[part].T, S[part].T, strict=True)
            ]
            draws[code] = np.nanmean(drawn, axis=0)
            rows.append(figure(system, f"macro_ap_{code}", values[code], interval(draws[code]), len(part)))
        for code in LANGUAGES[1:]:
            ratio = interval(draws[code] / draws["en"])
            rows.append(
                figure(
                    system, f"ratio_{code}_to_en", values[code] / values["en"], ratio, len(order[0]), "ratio"
                )
            )
        mean = sum(values.values()) / len(values)
        spread = interval(np.mean(list(draws.values()), axis=0))
        rows.append(figure(system, "macro_ap_mean", mean, spread, len(order[0])))
    for name, y in zip(truth_.classes, truth_.Y[order[0]].T, strict=True):
        rows.append(figure(LABELS, f"positives_{name}", float(y.sum()), None, len(y), "rows"))
    return existing(rows)


TASK = Task(
    name="cross_language",
    files=(),
    labels=labels,
    systems={"keyword_lexicon": _keywords, "tfidf_lr": _tfidf, "use_lr": _use, OURS: _ours},
    measure=measure,
    note="locked half of the sample catalogue, plain listings",
)
