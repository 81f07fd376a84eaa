"""Rows of a laboratory's results file, checked one by one: what was measured of which sample, with censored values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

from serving.labs.columns import ColumnMaps, Layout, fold
from serving.labs.files import FileError, Table, read_table
from serving.labs.units import Unit, UnitError, unit_of

Comparator = Literal["=", "<", ">", "nd", ""]
Kind = Literal["original", "retest", "correction"]
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("", "original", "first", "본시험", "최초", "신규", "初检"), "original"),
    **dict.fromkeys(("retest", "repeat", "재시험", "재검", "复检", "复测"), "retest"),
    **dict.fromkeys(("correction", "corrected", "amended", "정정", "수정", "更正"), "correction"),
}  # type: ignore[dict-item]
_VERDICTS = {
    **dict.fromkeys(("pass", "passed", "p", "적합", "합격", "合格", "符合"), "pass"),
    **dict.fromkeys(("fail", "failed", "f", "부적합", "불합격", "不合格", "不符合"), "fail"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file: on which line, which kind, in words."""

    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    """One measured property of one sample.

    Attributes
    ----------
    line
        In the file.
    value, comparator
        A number with ``=``, ``<`` (censored: below ``value``) or ``>``; None with ``nd`` (not detected) or "" (only
        judged).
    unit
        As written; "" where nothing was measured.
    lod
        Detection or quantification limit in ``unit``, None where not stated.
    judged
        The laboratory's own verdict, "" where it gave none.
    kind
        ``correction`` and ``retest`` take the place of what was reported before.
    """

    line: int
    sample_id: str
    analyte: str
    hazard: str
    value: float | None
    comparator: Comparator
    unit: str
    lod: float | None = None
    judged: Literal["pass", "fail", ""] = ""
    tested_on: str = ""
    kind: Kind = "original"
    replaces: str = ""
    result_id: str = ""
    part: str = ""
    method: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What is measured: sample, property and part; one result of it counts."""
        return self.sample_id, fold(self.analyte), fold(self.part)

    @property
    def measured(self) -> tuple[Any, ...]:
        """What was found, to tell whether two results are the same."""
        return self.value, self.comparator, fold(self.unit), self.lod, self.judged

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are not empty."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Result:
        """Read what `to_json` wrote."""
        return cls(**({"value": None, "comparator": "", "unit": "", "hazard": ""} | dict(raw)))


def read_results(
    name: str, content: bytes, laboratory: str, maps: ColumnMaps
) -> tuple[tuple[Result, ...], tuple[Problem, ...]]:
    """Read a results file; rows that cannot be read come back as problems.

    Raises
    ------
    FileError, ColumnsError
        When the file as a whole cannot be read.
    """
    layout = maps.layout(laboratory)
    known = frozenset(
        fold(header)
        for part in (maps.standard, layout.columns)
        for names in part.values()
        for header in names
    )
    return read_rows(read_table(name, content, known, layout.sheet), laboratory, maps)


def read_rows(
    table: Table, laboratory: str, maps: ColumnMaps
) -> tuple[tuple[Result, ...], tuple[Problem, ...]]:
    """Read the rows of a table, see `read_results`."""
    layout = maps.layout(laboratory)
    places = maps.places(table.headers, laboratory)
    results: list[Result] = []
    problems: list[Problem] = []
    for line, cells in table.rows:
        values = {field: cells[at] if at < len(cells) else None for field, at in places.items()}
        try:
            results.append(_result(line, values, layout))
        except _RowError as error:
            problems.append(Problem(line, error.code, str(error)))
        except ValueError as error:
            problems.append(Problem(line, "value", str(error)))
    if not table.rows:
        raise FileError("got a header but no results below it")
    return tuple(results), tuple(problems)


class _RowError(ValueError):
    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def clean(cell: Any) -> str:
    """Return a cell as one line of text, "" where nothing was said."""
    # The readers of training come with the extra `laboratory`; pages that only show results do without.
    from training.sources.parsing import clean as cleaned

    return cleaned(cell)


def _result(line: int, row: Mapping[str, Any], layout: Layout) -> Result:
    from training.sources.lab_generic import hazard_of

    sample, analyte = clean(row.get("sample_id")), clean(row.get("analyte"))
    if not sample or not analyte:
        raise _RowError("missing", "no sample number" if not sample else f"sample {sample}: no test item")
    hazard = hazard_of(analyte) or _hazard_named(analyte)
    if not hazard:
        raise _RowError(
            "analyte", f"sample {sample}: test item {analyte[:60]!r} is not known; add it to analytes.yaml"
        )
    value, comparator = _measured(sample, row.get("value"))
    judged = _word(
        _VERDICTS, "verdict", f"sample {sample}: verdict", row.get("verdict"), "pass or fail (적합, 부적합)"
    )
    if value is None and not comparator and not judged:
        raise _RowError(
            "missing", f"sample {sample}: {analyte}: neither value nor verdict; a missing result is no pass"
        )
    unit = clean(row.get("unit")) or (layout.default_unit if comparator else "")
    if value is not None and not unit:
        raise _RowError("unit", f"sample {sample}: {analyte}: {row.get('value')} without a unit")
    if unit and comparator:
        _known(sample, unit)
    lod = _lod(sample, row.get("lod"))
    return Result(
        line=line,
        sample_id=sample,
        analyte=analyte,
        hazard=hazard,
        value=value,
        comparator=comparator,
        unit=unit if comparator else "",
        lod=lod,
        judged=judged,  # type: ignore[arg-type]
        tested_on=_date(sample, row.get("date"), layout),
        kind=_word(
            _KINDS, "kind", f"sample {sample}: result type", row.get("kind"), "original, retest or correction"
        ),  # type: ignore[arg-type]
        replaces=clean(row.get("replaces")),
        result_id=clean(row.get("result_id")),
        part=clean(row.get("part")),
        method=clean(row.get("method"))[:200],
        note=clean(row.get("note"))[:500],
    )


def _hazard_named(analyte: str) -> str:
    """Return the hazard whose name in any language stands there, as on the form that goes out with an order."""
    from features.taxonomy import load_taxonomy

    wanted = fold(analyte)
    return next((h.code for h in load_taxonomy().hazards if wanted in map(fold, h.names.values())), "")


def _known(sample: str, unit: str) -> Unit:
    try:
        return unit_of(unit)
    except UnitError as error:
        raise _RowError("unit", f"sample {sample}: {error}") from None


def _measured(sample: str, cell: Any) -> tuple[float | None, Comparator]:
    if isinstance(cell, bool):
        raise _RowError("value", f"sample {sample}: got {cell}, expected a number, '<0.5' or ND")
    from training.sources.parsing import parse_measurement

    try:
        found = parse_measurement(cell)
    except ValueError as error:
        raise _RowError("value", f"sample {sample}: {error}") from None
    if found is None:
        return None, ""
    if found.value is not None and not abs(found.value) < 1e15:
        raise _RowError("value", f"sample {sample}: got {str(cell)[:40]}, which is no measured value")
    return found.value, found.comparator  # type: ignore[return-value]


def _lod(sample: str, cell: Any) -> float | None:
    text = clean(cell)
    if not text:
        return None
    try:
        value = float(text.lstrip("<≤ "))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e15:
        raise _RowError("value", f"sample {sample}: got detection limit {text[:40]!r}, expected a number")
    return value


def _word(words: Mapping[str, str], code: str, what: str, cell: Any, expected: str) -> str:
    text = clean(cell).casefold()
    if text == "" and "" not in words:
        return ""
    if text not in words:
        raise _RowError(code, f"{what} {text[:30]!r}; expected {expected}")
    return words[text]


def _date(sample: str, cell: Any, layout: Layout) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    from training.sources.parsing import KOREAN_DATES, parse_date

    try:
        found = parse_date(cell, (*layout.dates, *KOREAN_DATES))
    except ValueError as error:
        raise _RowError("date", f"sample {sample}: {error}") from None
    return found.isoformat() if found else ""
