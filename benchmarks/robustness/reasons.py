"""Are the quoted words the ones that count? Take them out of the title and see how far the score falls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.quality.resample import draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from benchmarks.robustness.items import (
    FILES,
    as_listing,
    covert_titles,
    real_listings,
    recall_names,
    sample,
    thinned,
)
from benchmarks.robustness.items import Row as Item
from benchmarks.robustness.ours import FLAGGED_FROM, actions, batch
from features.scripts import language

RANDOM = "random"
DRAWS = 3
REAL_COUNT, RECALL_COUNT = 2_000, 400
LANGUAGES = ("en", "ko", "zh")
# Where a word may begin: at a run of letters, or every two characters of Chinese.
_WORD = re.compile(r"[^\W\d_\u4e00-\u9fff]+|[\u4e00-\u9fff]{1,2}|\d+")

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A flagged listing, the hazard of its heaviest reason, and where the quoted words stand in its title."""

    item: str
    row: Item
    hazard: str
    spans: Spans
    p: float


def merged(spans: Sequence[tuple[int, int]]) -> Spans:
    """Return spans without overlaps, in order."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def without(title: str, spans: Spans) -> str:
    """Return the title without the spans."""
    for start, end in reversed(spans):
        title = f"{title[:start]} {title[end:]}"
    return " ".join(title.split())


def elsewhere(title: str, spans: Spans, starts: Sequence[int]) -> Spans:
    """Return spans of the same lengths from other starts, to the end of the word that they end in."""
    ends = [match.end() for match in _WORD.finditer(title)]
    found = []
    for (start, end), first in zip(spans, starts, strict=False):
        last = next((stop for stop in ends if stop >= first + end - start), len(title))
        found.append((first, last))
    return merged(found)


def _candidates(data: Path, half: str) -> list[Item]:
    if half != "test":
        covert = [as_listing(row) for row in covert_titles("tuning") if row["label"] == "covert"]
        return [*sample("dev"), *covert, *real_listings(data, 10_000, 600)]
    covert = [as_listing(row) for row in covert_titles("test") if row["label"] == "covert"]
    return [*sample("test"), *covert, *recall_names(data)[:RECALL_COUNT], *real_listings(data, 0, REAL_COUNT)]


@cache
def explained(data: Path, half: str = "test") -> tuple[Explained, ...]:
    """Return flagged listings with a quoted word in the title and a title that holds more than what is quoted."""
    rows = thinned(_candidates(data, half), data)
    scores = batch(rows)
    found: list[Explained] = []
    for at in np.flatnonzero(actions(scores) >= FLAGGED_FROM):
        row, said = rows[at], json.loads(scores["reasons"].iloc[at])["reasons"]
        quoted = [one for one in said if one["field"] == "title"]
        if not quoted:
            continue
        hazard = max(quoted, key=lambda one: one["weight"])["hazard"]
        spans = merged([(one["start"], one["end"]) for one in quoted if one["hazard"] == hazard])
        if len(without(row["title"], spans)) >= 2:
            p = float(scores[f"p_{hazard}"].iloc[at])
            source = str(row["id"]).split("/")[0].split("-")[0]
            item = f"{language(row['title'])}/{source}/{hazard}/{row['id']}"
            found.append(Explained(item, row, hazard, spans, p))
    return tuple(found)


def _starts(one: Explained, manner: str, draw: int = 0) -> list[int]:
    words = [(match.start(), match.end() - match.start()) for match in _WORD.finditer(one.row["title"])]
    if manner == "longest_words":
        words.sort(key=lambda word: -word[1])
    elif manner == RANDOM:
        Random(f"{one.item}/{draw}").shuffle(words)
    return [start for start, _ in words[: len(one.spans)]]


def _drops(data: Path, spans_of: Sequence[Spans], half: str) -> np.ndarray:
    """Return by how much the log-odds of the hazard fall without the spans, shape (n,)."""
    found = explained(data, half)
    rows = [
        {**one.row, "title": without(one.row["title"], spans) or "?"}
        for one, spans in zip(found, spans_of, strict=True)
    ]
    scores = batch([{**row, "id": str(at)} for at, row in enumerate(rows)])
    after = np.array([scores[f"p_{one.hazard}"].iloc[at] for at, one in enumerate(found)])
    before = np.array([one.p for one in found])
    return _log_odds(before) - _log_odds(after)


def _log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def quoted(data: Path, half: str = "test") -> np.ndarray:
    """Return the drops without the quoted words."""
    return _drops(data, [one.spans for one in explained(data, half)], half)[:, None]


def drawn(data: Path, half: str = "test") -> np.ndarray:
    """Return the mean drops without random words of the same lengths."""
    draws = []
    for draw in range(DRAWS):
        spans = [
            elsewhere(one.row["title"], one.spans, _starts(one, RANDOM, draw))
            for one in explained(data, half)
        ]
        draws.append(_drops(data, spans, half))
    return np.mean(draws, axis=0)[:, None]


def _first(data: Path) -> np.ndarray:
    spans = [elsewhere(one.row["title"], one.spans, _starts(one, "first_words")) for one in explained(data)]
    return _drops(data, spans, "test")[:, None]


def _longest(data: Path) -> np.ndarray:
    spans = [elsewhere(one.row["title"], one.spans, _starts(one, "longest_words")) for one in explained(data)]
    return _drops(data, spans, "test")[:, None]


def labels(data: Path) -> Labels:
    """Return the explained listings; their labels are of no use here and all 1."""
    return labels_of(tuple(one.item for one in explained(data)))


def labels_of(ids: tuple[str, ...]) -> Labels:
    """Return parts by language, and covert cameras apart, from ids alone."""
    fields = [one.split("/") for one in ids]
    parts = {code: np.array([field[0] == code for field in fields]) for code in LANGUAGES}
    parts["covert_camera"] = np.array([field[2] == "covert_camera" for field in fields])
    parts["laboratory"] = ~parts["covert_camera"]
    return Labels(ids, ("",), np.ones((len(ids), 1)), parts)


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return by how much more the log-odds fall than without random words, on average and how often."""
    rows: list[Row | None] = []
    parts = {
        "": np.ones(len(truth.items), dtype=bool),
        **{f"_{name}": part for name, part in truth.parts.items()},
    }
    for system, S in scores.items():
        rows += _of_system(system, S[:, 0], scores[RANDOM][:, 0], parts)
    sizes = {name: int(part.sum()) for name, part in truth.parts.items()}
    rows += [figure(LABELS, f"explained_{name}", float(n), None, n, "rows") for name, n in sizes.items()]
    return existing(rows)


def _of_system(
    system: str, drop: np.ndarray, by_chance: np.ndarray, parts: Mapping[str, np.ndarray]
) -> list[Row | None]:
    rows: list[Row | None] = []
    for suffix, part in parts.items():
        n = int(part.sum())
        if not n:
            continue
        counts = draw_counts(n)
        named = {"drop": drop[part]}
        if system != RANDOM:
            gain = drop[part] - by_chance[part]
            named |= {"deletion_gain": gain, "deletion_wins": (gain > 0).astype(float)}
        for metric, values in named.items():
            unit = "share" if metric == "deletion_wins" else "log-odds"
            rows.append(
                figure(system, metric + suffix, values.mean(), interval(counts @ values / n), n, unit)
            )
    return rows


TASK = Task(
    name="reasons",
    files=FILES,
    labels=labels,
    systems={RANDOM: drawn, "first_words": _first, "longest_words": _longest, OURS: quoted},
    measure=measure,
    note="flagged listings of the locked halves, recall names and real listings",
)
