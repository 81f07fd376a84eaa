"""Three tables of one regulator as one: recalls of 1973-2023 with the fifteen classes, each recall once."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import yaml

from benchmarks.quality.hazard_type import CLASSES, FILE, HERE
from benchmarks.quality.task import squeezed
from training.sources.cpsc import product_of_title
from training.sources.parsing import US_DATES, parse_date

TOYS = "cpsc-toys/recalls.csv.gz"
SPORTS = "cpsc-sports/recalls.csv.gz"
RULE = HERE / "hazard_words_15.yaml"


@dataclass(frozen=True, slots=True)
class Row:
    """One recall of any of the tables.

    Attributes
    ----------
    table
        ``recalls`` (CPSC's own category), ``toys`` or ``sports`` (hazard in words).
    number
        Without filling zeros; the same recall has the same number in every table.
    name
        The product alone; no word of the hazard sentence.
    makers
        Lower case; empty in the toy and sports tables, which do not name them apart.
    words
        What the rule reads; empty where the category is CPSC's own.
    classes
        Positions in `CLASSES`; empty where no class can be told.
    """

    table: str
    number: str
    name: str
    makers: frozenset[str]
    day: date
    words: str
    classes: tuple[int, ...]


@cache
def _rule() -> tuple[
    tuple[re.Pattern[str], ...], Mapping[str, re.Pattern[str]], Mapping[str, tuple[str, ...]]
]:
    raw = yaml.safe_load(RULE.read_text(encoding="utf-8"))
    taken_out = tuple(re.compile(pattern, re.IGNORECASE) for pattern in raw["not_hazards"])
    found = {name: re.compile("|".join(parts), re.IGNORECASE) for name, parts in raw["classes"].items()}
    if tuple(found) != tuple(CLASSES):
        raise ValueError(f"{RULE.name}: got classes {list(found)}; expected {list(CLASSES)}.")
    return taken_out, found, {name: tuple(over) for name, over in raw["unless"].items()}


def classes_in(words: str) -> tuple[int, ...]:
    """Return the positions of the classes that a hazard sentence names."""
    taken_out, patterns, unless = _rule()
    for pattern in taken_out:
        words = pattern.sub(" ", words)
    found = {name for name, pattern in patterns.items() if pattern.search(words)}
    found -= {name for name, over in unless.items() if found & set(over)}
    return tuple(k for k, name in enumerate(CLASSES) if name in found)


def _of_category(terms: str) -> tuple[int, ...]:
    class_of = {term: k for k, names in enumerate(CLASSES.values()) for term in names}
    return tuple(sorted({class_of[term] for term in terms.lower().split("|") if term in class_of}))


def _table(path: Path) -> Iterator[dict[str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _number(text: str) -> str:
    return text.strip().lower().lstrip("0")


def _recalls(data: Path) -> Iterator[Row]:
    for row in _table(data / FILE):
        names = [name.strip() for name in row["descriptions"].split("|") if name.strip()]
        day = parse_date(row["recall_date"], US_DATES)
        if names and day:
            makers = frozenset(squeezed([m for m in row["manufacturers"].split("|") if m.strip()]))
            yield Row(
                "recalls",
                _number(row["recall_number"]),
                " ; ".join(names),
                makers,
                day,
                "",
                _of_category(row["hazards"]),
            )


def _toys(data: Path) -> Iterator[Row]:
    for row in _table(data / TOYS):
        day = parse_date(row["Date"], US_DATES)
        title = " ".join(row["Title"].split())
        if day and title:
            # The title names the hazard in most rows; where it does not, the summary may.
            classes = classes_in(title)
            words = title if classes else row["Summary"]
            yield Row(
                "toys", _number(row["Recall Number"]), product_of_title(title), frozenset(), day, words,
                classes or classes_in(words),
            )  # fmt: skip


def _sports(data: Path) -> Iterator[Row]:
    for row in _table(data / SPORTS):
        day = parse_date(row["date"], US_DATES)
        name = " ".join((row["name"] or row["title"]).split())
        if day and name:
            words = f"{row['hazard']} . {row['title']}"
            name = product_of_title(name) if "recall" in name.lower() else name
            yield Row("sports", _number(row["number"]), name, frozenset(), day, words, classes_in(words))


@cache
def read_rows(data: Path) -> tuple[Row, ...]:
    """Read the three tables; a recall that stands in several counts once, with CPSC's own category first."""
    rows: dict[str, Row] = {}
    for table in (_recalls, _toys, _sports):
        held = set(rows)
        for row in table(data):
            if row.number and row.number not in held:
                rows.setdefault(row.number, row)
    return tuple(rows.values())
