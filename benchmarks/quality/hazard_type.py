"""Which hazard a recalled product has, from its name alone: US recalls, learned up to 2009, tested on 2010 to 2013."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.recall_systems import name_systems
from benchmarks.quality.resample import (
    average_precision_draws,
    draw_counts,
    interval,
    roc_auc_draws,
)
from benchmarks.quality.task import Labels, Task, existing, figure, squeezed
from benchmarks.results_file import LABELS, OURS, Row
from training.metrics import average_precision, roc_auc
from training.splits import near_duplicates

FILE = "cpsc-1973-2013/recalls.csv"
CUT = date(2009, 12, 31)
HERE = Path(__file__).parent

# The published classes, by CPSC's own words. "Ingestion" includes "Magnet Ingestion": only so do 3,043 rows remain,
# 2,087 of them up to 2009. Without it 10 training rows fewer remain; the 956 test rows and their labels are the same.
CLASSES: Mapping[str, tuple[str, ...]] = {
    "fire": ("fire & fire-related burn", "fire"),
    "burn": ("burn - not fire-related", "burn"),
    "choking": ("choking", "aspiration"),
    "fall": ("fall", "collapse"),
    "laceration": ("laceration", "amputation"),
    "electric_shock": ("electrocution/electric shock", "electric shock"),
    "crash": ("vehicle accident", "crash"),
    "lead": ("lead", "cadmium"),
    "strangulation": ("strangulation", "entanglement"),
    "entrapment": ("entrapment",),
    "explosion": ("explosion/projectiles", "explosion"),
    "poisoning": ("poisoning", "phthalates", "ingestion", "magnet ingestion"),
    "drowning": ("drowning",),
    "suffocation": ("suffocation",),
    "carbon_monoxide": ("carbon monoxide (co)", "carbon monoxide"),
}
# Which of our hazards make up a class: at least one of them, taken as independent given non-compliance.
OURS_OF: Mapping[str, tuple[str, ...]] = {name: (name,) for name in CLASSES} | {
    "lead": ("lead", "cadmium"),
    "poisoning": ("chemical_other", "phthalates"),
}


@dataclass(frozen=True, slots=True)
class Recall:
    """One recall with a name, a date and at least one of the classes.

    Attributes
    ----------
    name
        Several names of one recall are joined by " ; ".
    makers
        Lower case.
    kind
        CPSC's first product type: no input of any system here but of what they learn to recognise.
    classes
        Positions in `CLASSES`.
    """

    number: str
    name: str
    makers: frozenset[str]
    kind: str
    day: date
    classes: tuple[int, ...]


@cache
def read_recalls(data: Path) -> tuple[tuple[Recall, ...], tuple[Recall, ...]]:
    """Read the training and the test rows of the task."""
    class_of = {term: k for k, terms in enumerate(CLASSES.values()) for term in terms}
    recalls: list[Recall] = []
    with (data / FILE).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            terms = row["hazards"].lower().split("|")
            classes = tuple(sorted({class_of[term] for term in terms if term in class_of}))
            names = [name.strip() for name in row["descriptions"].split("|") if name.strip()]
            if classes and names and row["recall_date"]:
                recalls.append(
                    Recall(
                        row["recall_number"].strip(),
                        " ; ".join(names),
                        frozenset(squeezed([m for m in row["manufacturers"].split("|") if m.strip()])),
                        row["product_types"].split("|")[0],
                        date.fromisoformat(row["recall_date"]),
                        classes,
                    )
                )
    train = tuple(recall for recall in recalls if recall.day <= CUT)
    return train, tuple(recall for recall in recalls if recall.day > CUT)


def outcomes(recalls: Sequence[Recall]) -> np.ndarray:
    """Return 1 where a recall has a class, shape (n, 15)."""
    Y = np.zeros((len(recalls), len(CLASSES)))
    for i, recall in enumerate(recalls):
        Y[i, list(recall.classes)] = 1
    return Y


def unseen_rows(train: Sequence[Recall], test: Sequence[Recall]) -> np.ndarray:
    """Return, for each test row, whether its number, its makers and every near-duplicate of its name are new.

    Near-duplicate: 4-character shingles that overlap by 0.8 or more, as in the splits of training.
    """
    n = len(train)
    makers = frozenset(maker for recall in train for maker in recall.makers)
    numbers = {recall.number for recall in train}
    names = squeezed([recall.name for recall in (*train, *test)])
    twins = {max(pair) - n for pair in near_duplicates(names) if min(pair) < n <= max(pair)}
    return np.array(
        [
            i not in twins and not recall.makers & makers and recall.number not in numbers
            for i, recall in enumerate(test)
        ],
        dtype=bool,
    )


def labels(data: Path) -> Labels:
    """Read the labels of the test part."""
    train, test = read_recalls(data)
    numbers = tuple(recall.number for recall in test)
    return Labels(numbers, tuple(CLASSES), outcomes(test), {"unseen": unseen_rows(train, test)})


def _parts(data: Path) -> tuple[list[str], np.ndarray, list[str]]:
    train, test = read_recalls(data)
    return [recall.name for recall in train], outcomes(train), [recall.name for recall in test]


def _ours(data: Path) -> np.ndarray:
    return our_classes(HERE / "hazard_type.yaml", data, CUT, read_recalls(data)[1])


def our_classes(config: Path, data: Path, as_of: date, recalls: Sequence[Recall]) -> np.ndarray:
    """Train and score as a user does; return the chance of each class, shape (n, 15)."""
    listings = [{"id": recall.number, "title": recall.name[:1000]} for recall in recalls]
    scores = train_and_batch(config, data, as_of, listings)
    none = [
        np.prod([1 - np.asarray(scores[f"q_{code}"]) for code in codes], axis=0) for codes in OURS_OF.values()
    ]
    return 1 - np.stack(none, axis=1)


def macro(values: np.ndarray) -> np.ndarray:
    """Return the mean over classes (the first axis), leaving out classes without a positive."""
    return np.nanmean(values, axis=0)


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return macro AP and AUC over all rows and over unseen ones, AP a class, and our gain over each baseline."""
    n = len(truth.items)
    unseen = truth.parts["unseen"]
    counts, few = draw_counts(n), draw_counts(int(unseen.sum()))
    rows: list[Row | None] = []
    draws: dict[str, np.ndarray] = {}
    for system, S in scores.items():
        ap = np.array([average_precision(y, s) for y, s in zip(truth.Y.T, S.T, strict=True)])
        ap_draws = np.array(
            [average_precision_draws(y, s, counts) for y, s in zip(truth.Y.T, S.T, strict=True)]
        )
        draws[system] = macro(ap_draws)
        rows.append(figure(system, "macro_ap", float(macro(ap)), interval(draws[system]), n))
        rows.append(_auc(truth, system, S, counts))
        rows.append(_unseen(truth, system, S, few))
        for name, value, spread in zip(truth.classes, ap, ap_draws, strict=True):
            rows.append(figure(system, f"ap_{name}", value, interval(spread), n))
    rows += _gains(rows, draws, n)
    for name, y in zip(truth.classes, truth.Y.T, strict=True):
        rows.append(figure(LABELS, f"positives_{name}", float(y.sum()), None, n, "rows"))
        rows.append(
            figure(
                LABELS, f"positives_unseen_{name}", float(y[unseen].sum()), None, int(unseen.sum()), "rows"
            )
        )
    return existing(rows)


def _auc(truth: Labels, system: str, S: np.ndarray, counts: np.ndarray) -> Row | None:
    pairs = list(zip(truth.Y.T, S.T, strict=True))
    value = float(macro(np.array([roc_auc(y, s) for y, s in pairs])))
    spread = interval(macro(np.array([roc_auc_draws(y, s, counts) for y, s in pairs])))
    return figure(system, "macro_auc", value, spread, len(truth.items))


def _unseen(truth: Labels, system: str, S: np.ndarray, counts: np.ndarray) -> Row | None:
    rows = truth.parts["unseen"]
    pairs = [(y, s) for y, s in zip(truth.Y[rows].T, S[rows].T, strict=True) if y.sum()]
    if not pairs:
        return None
    value = float(macro(np.array([average_precision(y, s) for y, s in pairs])))
    spread = interval(macro(np.array([average_precision_draws(y, s, counts) for y, s in pairs])))
    return figure(system, "macro_ap_unseen", value, spread, int(rows.sum()))


def _gains(rows: list[Row | None], draws: Mapping[str, np.ndarray], n: int) -> list[Row | None]:
    """Return our macro AP less each baseline's; paired, since both are drawn together."""
    if OURS not in draws:
        return []
    value = {row.system: row.value for row in existing(rows) if row.metric == "macro_ap"}
    return [
        figure(
            OURS,
            f"macro_ap_over_{system}",
            value[OURS] - value[system],
            interval(draws[OURS] - draws[system]),
            n,
            "difference",
        )
        for system in draws
        if system != OURS
    ]


TASK = Task(
    name="hazard_type",
    files=(FILE,),
    labels=labels,
    systems=name_systems(_parts, lambda _: tuple(CLASSES)) | {OURS: _ours},
    measure=measure,
    note="US recalls 2010-2013",
)
