"""Read a source's file into the common record form: records, rejects with their reasons, and a tally."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from training.records import LabResult, Recall, Record, Reject
from training.sources.base import Source
from training.sources.jsonl import to_line


@dataclass(slots=True)
class Tally:
    """What a source gave.

    Attributes
    ----------
    records, rejects
        Together every row of the file, but for derived rows of inspection rounds.
    reasons
        Reject reason -> count.
    hazards
        Taxonomy code -> recalls that name it, or laboratory results that measure it.
    undated, unnamed
        Records without a date; recalls that name no hazard.
    first, last
        Span of the dates.
    """

    source: str
    records: int = 0
    rejects: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    hazards: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    unnamed: int = 0
    first: date | None = None
    last: date | None = None

    def add(self, item: Record | Reject) -> None:
        """Count one item."""
        if isinstance(item, Reject):
            self.rejects += 1
            self.reasons[item.reason] += 1
            return
        self.records += 1
        if item.date is None:
            self.undated += 1
        else:
            self.first = min(self.first or item.date, item.date)
            self.last = max(self.last or item.date, item.date)
        if isinstance(item, Recall):
            self.hazards.update(item.hazards)
            self.unnamed += not item.hazards
        elif isinstance(item, LabResult):
            self.hazards[item.hazard] += 1


def tally(source: Source, path: Path) -> Tally:
    """Count a file's records and rejects without keeping them."""
    counts = Tally(source.name)
    for item in source.read(path):
        counts.add(item)
    return counts


def ingest(
    source: Source, path: Path, folder: Path, *, advance: Callable[[int], None] = lambda _: None
) -> Tally:
    """Write ``NAME.records.jsonl`` and ``NAME.rejects.jsonl``.

    Parameters
    ----------
    source
        From `training.sources.SOURCES`.
    path
        The publisher's file.
    folder
        Made if absent. Files of an earlier run are replaced in one step when this one is complete.
    advance
        Called with the number of items after each, for a progress bar.

    Returns
    -------
    Tally

    Raises
    ------
    features.rows.ReadError
        When the file cannot be read; earlier output stays as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = Tally(source.name)
    kept, refused = (folder / f"{source.name}.{kind}.jsonl" for kind in ("records", "rejects"))
    parts = [target.with_suffix(".part") for target in (kept, refused)]
    try:
        with parts[0].open("w", encoding="utf-8") as records, parts[1].open("w", encoding="utf-8") as rejects:
            for number, item in enumerate(_counted(source.read(path), counts), start=1):
                if isinstance(item, Reject):
                    values = {
                        "source": item.source,
                        "line": item.line,
                        "reason": item.reason,
                        "raw": item.raw,
                    }
                    rejects.write(json.dumps(values) + "\n")
                else:
                    records.write(to_line(item) + "\n")
                advance(number)
        for part, target in zip(parts, (kept, refused), strict=True):
            part.replace(target)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return counts


def _counted(items: Iterable[Record | Reject], counts: Tally) -> Iterator[Record | Reject]:
    for item in items:
        counts.add(item)
        yield item
