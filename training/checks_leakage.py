"""Leakage: the same goods before and after a split, and words in a text that only exist because of the result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml
from scipy.stats import fisher_exact

from features.taxonomy import Taxonomy
from training.findings import CheckData, Finding
from training.labels import LabelMatrix
from training.reading import Reading
from training.splits import near_duplicates

_SHARE_BOTH_SIDES = 0.10
_ALIKE = 0.9
_SURE = 1e-4
_FEWEST = 10
_TOKEN = re.compile(r"\w+")


@cache
def _outcome_words() -> tuple[str, ...]:
    text = (resources.files("training") / "outcome_words.yaml").read_text(encoding="utf-8")
    return tuple(word.casefold() for words in yaml.safe_load(text).values() for word in words)


def split_day(labels: LabelMatrix, as_of: date | None) -> date | None:
    """Return the day that parts earlier from later: ``as_of``, else the day by which four fifths were known."""
    days = sorted(day for day in labels.dates if day is not None)
    if as_of is not None or not days:
        return as_of
    return days[min(int(0.8 * len(days)), len(days) - 1)]


def same_product(data: CheckData) -> list[Finding]:
    """Find later results whose product, sample or listing is among the earlier ones."""
    findings: list[Finding] = []
    for name, labels, readings in (
        ("laboratory results", data.lab, data.lab_readings),
        ("recalls", data.recalls, data.recall_readings),
    ):
        cut = split_day(labels, data.as_of)
        if cut is None:
            continue
        side = np.array([0 if day is None else (1 if day <= cut else 2) for day in labels.dates])
        shared = _shared(labels, readings, side)
        later = int((side == 2).sum())
        if later >= 10 and len(shared) > _SHARE_BOTH_SIDES * later:
            findings.append(
                Finding(
                    "leakage.same_product",
                    "look",
                    f"{len(shared)} of {later} {name} after {cut} are of a product that was already there before. "
                    "Figures on them say how well the model remembers, not how well it foresees.",
                    "Look at the report's slice of unseen names, and give sample_id so that results of one sample "
                    "stay together.",
                    len(shared),
                    later,
                    tuple(labels.items[i].id for i in shared[:5]),
                )
            )
    return findings


def _shared(labels: LabelMatrix, readings: Sequence[Reading], side: np.ndarray) -> list[int]:
    """Return rows of the later side that have a twin on the earlier one: same sample, or nearly the same name."""
    names = [reading.view.text for reading in readings]
    found: set[int] = set()
    earlier = {names[i] for i in np.flatnonzero(side == 1)}
    keys = {
        key
        for i in np.flatnonzero(side == 1)
        for key in labels.items[i].keys
        if key.startswith(("sample:", "recall:"))
    }
    for i in np.flatnonzero(side == 2):
        if names[i] in earlier or keys & set(labels.items[i].keys):
            found.add(int(i))
    for a, b in near_duplicates(names, threshold=_ALIKE):
        if {side[a], side[b]} == {1, 2}:
            found.add(a if side[a] == 2 else b)
    return sorted(found)


def giveaway_words(data: CheckData, taxonomy: Taxonomy) -> list[Finding]:
    """Find words that stand in the text of failed goods only: hazard words, outcome words, and marks of any other kind.

    Only laboratory results can be judged, since recalls have no passed goods beside them.
    """
    labels = data.lab
    if not len(labels):
        return []
    failed = (labels.value * labels.known).sum(axis=1) > 0
    texts = [item.name for item in labels.items]
    findings: list[Finding] = []
    telling = np.array([_tells(text, taxonomy) for text in texts])
    p = _more_often(telling, failed)
    if p < _SURE:
        hits = np.flatnonzero(telling & failed)
        hidden = sum(not _tells(data.lab_readings[int(i)].view.text, taxonomy) for i in hits)
        rest = (
            "The name-only view hides all of them from the model."
            if hidden == len(hits)
            else f"The name-only view hides them in {hidden}; in the others a model would read them."
        )
        findings.append(
            Finding(
                "leakage.hazard_words",
                "look",
                f"{len(hits)} of {int(failed.sum())} failed goods name a hazard or an outcome in their text, of the "
                f"passed ones {int((telling & ~failed).sum())} of {int((~failed).sum())}: the text was written after "
                f"the result. {rest}",
                "Use the title as the seller wrote it before the test.",
                len(hits),
                int(failed.sum()),
                tuple(labels.items[i].id for i in hits[:5]),
            )
        )
    return findings + _separators(texts, failed, labels)


def _tells(text: str, taxonomy: Taxonomy) -> bool:
    folded = text.casefold()
    return any(word in folded for word in _outcome_words()) or bool(taxonomy.named_in(text).hazards)


def _more_often(has: np.ndarray, failed: np.ndarray) -> float:
    table = [
        [int((has & failed).sum()), int((~has & failed).sum())],
        [int((has & ~failed).sum()), int((~has & ~failed).sum())],
    ]
    found: Any = fisher_exact(table, alternative="greater")
    return float(found.pvalue)


def _separators(texts: Sequence[str], failed: np.ndarray, labels: LabelMatrix) -> list[Finding]:
    """Find single words that stand in half of all failed goods and in no passed one."""
    if failed.sum() < _FEWEST or (~failed).sum() < 3 * _FEWEST:
        return []
    tokens = [set(_TOKEN.findall(text.casefold())) for text in texts]
    inside = Counter(word for i in np.flatnonzero(failed) for word in tokens[i])
    outside = {word for i in np.flatnonzero(~failed) for word in tokens[i]}
    alone = [word for word, n in inside.items() if n >= 0.5 * failed.sum() and word not in outside]
    return [
        Finding(
            "leakage.mark",
            "look",
            f"One word stands in {inside[word]} of {int(failed.sum())} failed goods and in no passed one: it looks "
            "like a mark that was set after the result.",
            f"Look at the word at {_where(word, tokens, labels)} and take it out if it is not the seller's.",
            inside[word],
            int(failed.sum()),
        )
        for word in sorted(alone)[:3]
    ]


def _where(word: str, tokens: Sequence[set[str]], labels: LabelMatrix) -> str:
    return next(labels.items[i].id for i, words in enumerate(tokens) if word in words)
