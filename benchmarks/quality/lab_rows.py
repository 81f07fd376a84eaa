"""New York's laboratory results as a task: one row a measurement in ppm, learned to 2018, tested on 2019-2020."""

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
import pandas as pd
import yaml

from benchmarks.quality.baselines import (
    base_rate,
    boosted,
    embed,
    keyword_counts,
    lexicon,
    logistic,
    nearest,
    tfidf,
)
from benchmarks.quality.task import Labels, squeezed
from training.heads import sigmoid

FILE = "nyc-metals/lab_results.csv"
RECALLS = "cpsc-1973-2013/recalls.csv"
CUT, END = date(2018, 12, 31), date(2020, 12, 31)
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One result in ppm, with a value or not detected.

    Attributes
    ----------
    failed
        The measured value reaches the task's cut; "not detected" is a pass.
    ppm
        The measured value; 0 where not detected.
    """

    id: str
    metal: str
    name: str
    type: str
    country: str
    maker: str
    day: date
    failed: bool
    ppm: float = 0.0


@cache
def read_results(
    data: Path, metals: frozenset[str], cut: float
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Read the training and the test rows of some metals."""
    with (data / FILE).open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["METAL"] in metals and _counts(row)]
    samples = [
        Sample(
            row["ROW_ID"],
            row["METAL"].lower(),
            row["PRODUCT_NAME"],
            row["PRODUCT_TYPE"],
            row["MADE_IN_COUNTRY"],
            row["MANUFACTURER"],
            _day(row["COLLECTION_DATE"]),
            float(row["CONCENTRATION"]) >= cut,  # -1 stands for "not detected": a pass
            max(0.0, float(row["CONCENTRATION"])),
        )
        for row in rows
    ]
    train = tuple(sample for sample in samples if sample.day <= CUT)
    return train, tuple(sample for sample in samples if CUT < sample.day <= END)


def _counts(row: Mapping[str, str]) -> bool:
    return row["UNITS"].lower() == "ppm" and bool(row["CONCENTRATION"]) and bool(row["COLLECTION_DATE"])


def _day(text: str) -> date:
    """Read month, day and year; the hour comes in two forms and is not needed."""
    return datetime.strptime(text.split(" ", 1)[0], "%m/%d/%Y").date()


def outcomes(samples: Sequence[Sample]) -> np.ndarray:
    """Return 1 where a sample failed, shape (n, 1)."""
    return np.array([[float(sample.failed)] for sample in samples])


def type_code(name: str) -> str:
    """Return a product type as a part of a metric's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def labels_of(train: Sequence[Sample], test: Sequence[Sample]) -> Labels:
    """Return the labels of the test part: all rows, names unseen in training, each metal and product type."""
    seen = set(squeezed([sample.name for sample in train]))
    names = squeezed([sample.name for sample in test])
    parts = {"unseen_names": np.array([name not in seen for name in names], dtype=bool)}
    metals = np.array([sample.metal for sample in test])
    if len(set(metals.tolist())) > 1:
        parts |= {f"metal_{name}": metals == name for name in sorted(set(metals.tolist()))}
    types = np.array([type_code(sample.type) for sample in test])
    parts |= {f"type_{name}": types == name for name in sorted(set(types.tolist()))}
    return Labels(tuple(sample.id for sample in test), ("",), outcomes(test), parts)


def limits(test: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Return, for each limit of ``lab_limits.yaml``, the rows that it is for and those of them that are over it.

    Returns
    -------
    dict
        ``limit_<code>`` and ``over_<code>`` -> ndarray of shape (n,), bool.
    """
    found: dict[str, np.ndarray] = {}
    for limit in yaml.safe_load((HERE / "lab_limits.yaml").read_text(encoding="utf-8")):
        meant = np.array([sample.type == limit["type"] for sample in test], dtype=bool)
        found[f"limit_{limit['code']}"] = meant
        found[f"over_{limit['code']}"] = meant & (np.array([sample.ppm for sample in test]) > limit["over"])
    return found


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def _name(sample: Sample) -> str:
    return _words(sample.name)


def tokens(sample: Sample) -> str:
    """Return the name with one token for type, country and maker, as the published bar has them."""
    facts = {"type": sample.type, "country": sample.country, "maker": sample.maker}
    return " ".join([_words(sample.name), *(f"{kind}_{type_code(text)}" for kind, text in facts.items())])


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


def attributes(samples: Sequence[Sample]) -> pd.DataFrame:
    """Return the facts beside the name, each a column of text."""
    rows = [(type_code(s.type), s.country.lower(), type_code(s.maker)) for s in samples]
    return pd.DataFrame(rows, columns=["type", "country", "maker"])


Read = Callable[[Path], tuple[tuple[Sample, ...], tuple[Sample, ...]]]
System = Callable[[Path], np.ndarray]
# Systems whose score is a probability: only of these can one say how well it is calibrated.
PROBABILITIES = frozenset(
    {
        "base_rate", "product_type_rate", "tfidf_lr", "tfidf_name_only", "use_lr", "use_knn", "gradient_boosting",
        "ours",
    }
)  # fmt: skip


def lab_systems(read: Read) -> Mapping[str, System]:
    """Return the baselines of a task on laboratory results."""

    def text_lr(data: Path, text: Callable[[Sample], str]) -> np.ndarray:
        train, test = read(data)
        left, right = tfidf([text(sample) for sample in train], [text(sample) for sample in test])
        return sigmoid(logistic(left, outcomes(train), right, 10.0))

    @cache
    def vectors(data: Path) -> tuple[np.ndarray, np.ndarray]:
        train, test = read(data)
        return embed([sample.name for sample in train]), embed([sample.name for sample in test])

    def constant(data: Path) -> np.ndarray:
        train, test = read(data)
        return base_rate(outcomes(train), len(test))

    def keywords(data: Path) -> np.ndarray:
        names = [f"{sample.name} {sample.type}" for sample in read(data)[1]]
        return keyword_counts(names, ("metal",), lexicon(HERE / "lab_lexicon.yaml"))

    def by_type(data: Path, smoothing: float = 5.0) -> np.ndarray:
        """Failure rate of each product type, drawn toward the rate of all."""
        train, test = read(data)
        overall = float(outcomes(train).mean())
        tested = Counter(sample.type for sample in train)
        failed = Counter(sample.type for sample in train if sample.failed)
        rates = [(failed[s.type] + smoothing * overall) / (tested[s.type] + smoothing) for s in test]
        return np.array(rates)[:, None]

    def use_lr(data: Path) -> np.ndarray:
        left, right = vectors(data)
        return sigmoid(logistic(left, outcomes(read(data)[0]), right, 10.0))

    def use_knn(data: Path) -> np.ndarray:
        left, right = vectors(data)
        return nearest(left, outcomes(read(data)[0]), right)

    def boosting(data: Path) -> np.ndarray:
        train, test = read(data)
        return boosted(attributes(train), outcomes(train)[:, 0], attributes(test))[:, None]

    return {
        "base_rate": constant,
        "keyword_lexicon": keywords,
        "product_type_rate": by_type,
        "tfidf_lr": lambda data: text_lr(data, tokens),
        "tfidf_name_only": lambda data: text_lr(data, _name),
        "use_lr": use_lr,
        "use_knn": use_knn,
        "gradient_boosting": boosting,
    }
