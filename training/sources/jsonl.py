"""Records as JSON lines: the form in which fetched records are kept and the sample's past results are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, get_args

from features.rows import read_rows
from training.records import Comparator, InspectionRound, LabResult, Recall, Record, Reject

_KINDS: dict[str, type[Recall] | type[LabResult] | type[InspectionRound]] = {
    "recall": Recall,
    "lab_result": LabResult,
    "inspection_round": InspectionRound,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_LISTS = frozenset(
    {
        "product_names",
        "hazards",
        "hazard_terms",
        "product_types",
        "manufacturers",
        "countries",
        "images",
        "certificates",
    }
)
_COUNTS = frozenset({"n_tested", "n_failed"})
_TRUTHS = frozenset({"leaf", "failed"})


def to_line(record: Record) -> str:
    """One record as one line of JSON; ``record`` names its kind."""
    values = asdict(record)
    if isinstance(record, Recall):
        values["hazards"] = sorted(record.hazards)
    values["date"] = record.date.isoformat() if record.date else None
    return json.dumps({"record": _NAMES[type(record)], **values}, ensure_ascii=False)


def from_values(values: dict[str, Any]) -> Record:
    """Build a record from the parsed line.

    Raises
    ------
    ValueError
        Naming the wrong field.
    """
    kind = _KINDS.get(str(values.get("record")))
    if kind is None:
        raise ValueError(f"got record {values.get('record')!r}, expected one of {', '.join(_KINDS)}")
    known = {field.name for field in fields(kind)}
    unknown = sorted(values.keys() - known - {"record", "made_up"})
    if unknown:
        raise ValueError(
            f"got unknown field {', '.join(unknown)}; a {values['record']} has {', '.join(sorted(known))}"
        )
    read = {name: _field(name, value) for name, value in values.items() if name in known}
    try:
        return kind(**read)
    except TypeError as error:
        raise ValueError(str(error).replace("__init__()", str(values["record"]))) from None


def _field(name: str, value: Any) -> Any:
    if name == "date":
        return None if value is None else date.fromisoformat(_text(name, value))
    if name in _LISTS:
        if not isinstance(value, list):
            raise ValueError(f"got {name} of type {type(value).__name__}, expected a list of texts")
        texts = tuple(_text(name, item) for item in value)
        return frozenset(texts) if name == "hazards" else texts
    if name in _COUNTS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"got {name} {value!r}, expected a count")
        return value
    if name in _TRUTHS:
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"got {name} {value!r}, expected true or false")
        return value
    if name == "value":
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"got value {value!r}, expected a number or null")
        return None if value is None else float(value)
    if name == "weight":
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise ValueError(f"got weight {value!r}, expected a number above 0")
        return float(value)
    if name == "comparator" and value not in get_args(Comparator):
        raise ValueError(f"got comparator {value!r}, expected one of {', '.join(get_args(Comparator))}")
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"got {name} of type {type(value).__name__}, expected text")
    return value


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A JSONL file of records: what `listing-risk fetch` kept, or the sample's made-up past results.

    A record that stands twice under one source and native id (fetched again after an edit) counts once, as it
    was last.
    """

    name: str

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield records; see `training.sources.base.Source`."""
        last: dict[tuple[str, str, str], Record] = {}
        for row in read_rows(path):
            try:
                if row.problem:
                    raise ValueError(row.problem)
                record = from_values(row.values)
            except ValueError as error:
                raw = row.raw or json.dumps(row.values, ensure_ascii=False)
                yield Reject(self.name, row.line, str(error), raw)
                continue
            key = (type(record).__name__, record.source, record.native_id)
            last.pop(key, None)
            last[key] = record
        yield from last.values()
