"""From a publisher's file to records as JSON lines, with every row accounted for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.dataset import DataError
from training.records import Reject
from training.sources import SOURCES


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Rows read and rejected; ``reasons`` counts the rejections, the most frequent first."""

    records: int
    rejects: int
    reasons: Mapping[str, int]


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def ingest_file(reader: str, source: Path, output: Path) -> IngestReport:
    """Read one file with the named source's reader.

    Parameters
    ----------
    output
        Records, one JSON object a line with its ``record`` kind; rejects go to ``<output>.rejects.jsonl``.

    Raises
    ------
    DataError
        When there is no such reader.
    """
    if reader not in SOURCES:
        raise DataError(f"Got reader {reader!r}; expected one of {', '.join(sorted(SOURCES))}.")
    reasons: Counter[str] = Counter()
    records = 0
    partial = output.with_name(f".{output.name}.part")
    rejects = Path(f"{output}.rejects.jsonl")
    with partial.open("w", encoding="utf-8") as good, rejects.open("w", encoding="utf-8") as bad:
        for record in SOURCES[reader].read(source):
            line = {"record": type(record).__name__} | asdict(record)
            stream = bad if isinstance(record, Reject) else good
            stream.write(json.dumps(line, ensure_ascii=False, default=_plain) + "\n")
            if isinstance(record, Reject):
                reasons[record.reason] += 1
            else:
                records += 1
    partial.replace(output)
    if not reasons:
        rejects.unlink()
    return IngestReport(records, sum(reasons.values()), dict(reasons.most_common()))
