"""Does a product hold 100 ppm of lead or more: New York's laboratory results, learned to 2018, tested on 2019-2020."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.baselines import base_rate, embed, logistic, tfidf
from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.resample import (
    average_precision_draws,
    brier_skill_draws,
    draw_counts,
    interval,
    roc_auc_draws,
    written_out_draws,
)
from benchmarks.quality.task import Labels, Task, existing, figure, squeezed
from benchmarks.results_file import LABELS, OURS, Row
from training.heads import sigmoid
from training.metrics import average_precision, brier_skill, calibration_error, roc_auc

FILE = "nyc-metals/lab_results.csv"
RECALLS = "cpsc-1973-2013/recalls.csv"
CUT, END = date(2018, 12, 31), date(2020, 12, 31)
PPM = 100.0
HERE = Path(__file__).parent
# Systems whose score is a probability: only of these can one say how well it is calibrated.
PROBABILITIES = frozenset({"base_rate", "product_type_rate", "tfidf_lr", "tfidf_name_only", "use_lr", OURS})


@dataclass(frozen=True, slots=True)
class Sample:
    """One lead result in ppm, with a value or not detected; ``failed`` at 100 ppm and above."""

    id: str
    name: str
    type: str
    country: str
    maker: str
    day: date
    failed: bool


@cache
def read_samples(data: Path) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Read the training and the test rows of the task."""
    with (data / FILE).open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if _counts(row)]
    samples = [
        Sample(
            row["ROW_ID"],
            row["PRODUCT_NAME"],
            row["PRODUCT_TYPE"],
            row["MADE_IN_COUNTRY"],
            row["MANUFACTURER"],
            _day(row["COLLECTION_DATE"]),
            float(row["CONCENTRATION"]) >= PPM,  # -1 stands for "not detected": a pass
        )
        for row in rows
    ]
    train = tuple(sample for sample in samples if sample.day <= CUT)
    return train, tuple(sample for sample in samples if CUT < sample.day <= END)


def _counts(row: Mapping[str, str]) -> bool:
    in_ppm = row["METAL"] == "Lead" and row["UNITS"].lower() == "ppm"
    return in_ppm and bool(row["CONCENTRATION"]) and bool(row["COLLECTION_DATE"])


def _day(text: str) -> date:
    """Read month, day and year; the hour comes in two forms and is not needed."""
    return datetime.strptime(text.split(" ", 1)[0], "%m/%d/%Y").date()


def outcomes(samples: Sequence[Sample]) -> np.ndarray:
    """Return 1 where a sample failed, shape (n, 1)."""
    return np.array([[float(sample.failed)] for sample in samples])


def type_code(name: str) -> str:
    """Return a product type as a part of a metric's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def labels(data: Path) -> Labels:
    """Read the labels of the test part: all rows, names unseen in training, and each product type."""
    train, test = read_samples(data)
    seen = set(squeezed([sample.name for sample in train]))
    names = squeezed([sample.name for sample in test])
    parts = {"unseen_names": np.array([name not in seen for name in names], dtype=bool)}
    types = np.array([type_code(sample.type) for sample in test])
    for name in sorted(set(types.tolist())):
        parts[f"type_{name}"] = types == name
    return Labels(tuple(sample.id for sample in test), ("",), outcomes(test), parts)


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def _name(sample: Sample) -> str:
    return _words(sample.name)


def tokens(sample: Sample) -> str:
    """Return the name with one token for type, country and maker, as the published bar has them."""
    facts = {"type": sample.type, "country": sample.country, "maker": sample.maker}
    return " ".join([_words(sample.name), *(f"{kind}_{type_code(text)}" for kind, text in facts.items())])


def _base_rate(data: Path) -> np.ndarray:
    train, test = read_samples(data)
    return base_rate(outcomes(train), len(test))


def _type_rate(data: Path, smoothing: float = 5.0) -> np.ndarray:
    """Failure rate of each product type, drawn toward the rate of all."""
    train, test = read_samples(data)
    overall = float(outcomes(train).mean())
    tested = Counter(sample.type for sample in train)
    failed = Counter(sample.type for sample in train if sample.failed)
    rates = [(failed[s.type] + smoothing * overall) / (tested[s.type] + smoothing) for s in test]
    return np.array(rates)[:, None]


def _text_lr(data: Path, text: Callable[[Sample], str], strength: float = 10.0) -> np.ndarray:
    train, test = read_samples(data)
    left, right = tfidf([text(sample) for sample in train], [text(sample) for sample in test])
    return sigmoid(logistic(left, outcomes(train), right, strength))


def _tfidf_lr(data: Path) -> np.ndarray:
    return _text_lr(data, tokens)


def _tfidf_name_only(data: Path) -> np.ndarray:
    return _text_lr(data, _name)


def _use_lr(data: Path) -> np.ndarray:
    train, test = read_samples(data)
    left, right = embed([sample.name for sample in train]), embed([sample.name for sample in test])
    return sigmoid(logistic(left, outcomes(train), right, 10.0))


def listing_of(sample: Sample) -> dict[str, object]:
    """Return the listing that a sample would be; a fact that is not there is left out."""
    listing: dict[str, object] = {"id": sample.id, "title": sample.name}
    if sample.type:
        listing["category"] = [sample.type]
    if sample.country:
        listing["origin"] = sample.country
    if sample.maker:
        listing["brand"] = sample.maker
    return listing


def _ours(data: Path) -> np.ndarray:
    listings = [listing_of(sample) for sample in read_samples(data)[1]]
    scores = train_and_batch(HERE / "lab_lead.yaml", data, CUT, listings)
    return np.asarray(scores["p_lead"], dtype=np.float64)[:, None]


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return AP over all rows, over unseen names and by product type, with calibration and our paired gains."""
    y = truth.Y[:, 0]
    everything = np.ones(len(y), dtype=bool)
    parts = {"ap_all": everything, "ap_unseen_names": truth.parts["unseen_names"]}
    parts |= {f"ap_{name}": rows for name, rows in truth.parts.items() if name.startswith("type_")}
    counts = {metric: draw_counts(int(rows.sum())) for metric, rows in parts.items() if rows.any()}
    rows: list[Row | None] = []
    draws: dict[tuple[str, str], np.ndarray] = {}
    for system, S in scores.items():
        s = S[:, 0]
        for metric, drawn in counts.items():
            part = parts[metric]
            found = average_precision_draws(y[part], s[part], drawn)
            draws[system, metric] = found
            value = average_precision(y[part], s[part])
            rows.append(figure(system, metric, value, interval(found), int(part.sum())))
        spread = interval(roc_auc_draws(y, s, counts["ap_all"]))
        rows.append(figure(system, "auc_all", roc_auc(y, s), spread, len(y)))
        if system in PROBABILITIES:
            rows += _calibration(y, s, system, counts["ap_all"])
    rows += _gains(rows, draws)
    for metric in counts:
        part = parts[metric]
        name = metric.removeprefix("ap_")
        rows.append(figure(LABELS, f"positives_{name}", float(y[part].sum()), None, int(part.sum()), "rows"))
    return existing(rows)


def _calibration(y: np.ndarray, p: np.ndarray, system: str, counts: np.ndarray) -> list[Row | None]:
    """Return Brier skill against the test years' own failure rate, and the adaptive calibration error."""
    n = len(y)
    skill = interval(brier_skill_draws(y, p, counts))
    error = interval(written_out_draws(calibration_error, y, p, counts[:300]))
    top = np.argsort(-p, kind="stable")[: max(1, n // 10)]
    return [
        figure(system, "brier_skill", brier_skill(y, p), skill, n),
        figure(system, "ece", calibration_error(y, p), error, n),
        figure(system, "mean_probability", float(p.mean()), None, n),
        figure(system, "top_decile_probability", float(p[top].mean()), None, len(top)),
        figure(system, "top_decile_failed", float(y[top].mean()), None, len(top)),
    ]


def _gains(rows: list[Row | None], draws: Mapping[tuple[str, str], np.ndarray]) -> list[Row | None]:
    """Return our AP less each baseline's, over all rows and over unseen names; paired."""
    found = {(row.system, row.metric): row for row in existing(rows)}
    gains: list[Row | None] = []
    for system, metric in draws:
        if system == OURS or metric not in ("ap_all", "ap_unseen_names") or (OURS, metric) not in draws:
            continue
        if (system, metric) not in found or (OURS, metric) not in found:
            continue
        row = found[OURS, metric]
        gain = row.value - found[system, metric].value
        spread = interval(draws[OURS, metric] - draws[system, metric])
        gains.append(figure(OURS, f"{metric}_over_{system}", gain, spread, row.n or 0, "difference"))
    return gains


TASK = Task(
    name="lab_lead",
    files=(FILE, RECALLS),
    labels=labels,
    systems={
        "base_rate": _base_rate,
        "product_type_rate": _type_rate,
        "tfidf_lr": _tfidf_lr,
        "tfidf_name_only": _tfidf_name_only,
        "use_lr": _use_lr,
        OURS: _ours,
    },
    measure=measure,
    note="New York lead results 2019-2020",
)
