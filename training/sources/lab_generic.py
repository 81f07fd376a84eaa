"""A user's own laboratory results, as CSV, TSV, JSONL or Parquet.

The columns are documented in docs/formats/lab_results.schema.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from features.rows import Form
from features.taxonomy import load_taxonomy
from training.records import Comparator, LabResult, Record, Reject
from training.sources.base import raw_text
from training.sources.own import own_rows
from training.sources.parsing import (
    KOREAN_DATES,
    SourceError,
    canonical_unit,
    clean,
    parse_date,
    parse_measurement,
)

REQUIRED = ("product_name", "analyte")
OPTIONAL = (
    "result_id", "sample_id", "listing_id", "product_type", "hazard", "value", "unit", "verdict", "date",
    "laboratory", "program", "maker", "country", "weight",
)  # fmt: skip
# Words for the laboratory's own judgement -> failed.
_VERDICTS = {
    **dict.fromkeys(("pass", "passed", "p", "적합", "합격", "合格", "符合"), False),
    **dict.fromkeys(("fail", "failed", "f", "부적합", "불합격", "不合格", "不符合"), True),
}


@cache
def _analytes() -> Mapping[str, str]:
    text = (resources.files("training.sources") / "analytes.yaml").read_text(encoding="utf-8")
    return {_fold(name): code for code, names in yaml.safe_load(text).items() for name in names}


def _fold(name: str) -> str:
    return "".join(name.casefold().replace("-", "").replace("_", "").split())


def hazard_of(analyte: str) -> str:
    """Taxonomy code of a measured property, in Korean, English or Chinese; "" where it is not known.

    Parameters
    ----------
    analyte
        Such as ``Lead (Pb)``, ``DEHP``, ``총 납``, ``자속지수``.
    """
    known = _analytes()
    plain = _fold(analyte.split("(")[0]) or _fold(analyte)
    if code := known.get(_fold(analyte)) or known.get(plain):
        return code
    named = load_taxonomy().named_in(analyte).hazards
    return next(iter(named)) if len(named) == 1 else ""


@dataclass(frozen=True, slots=True)
class LabResults:
    """One row a measured property of one sample.

    ``value`` is a number, ``<0.5`` (below that limit of quantification), ``>1000`` or ``ND``; ``verdict`` is the
    laboratory's own pass or fail and may stand alone (a small-parts test has no number). A row with neither is a
    missing result and is rejected: it is not a pass. ``columns`` maps our fields to other headers
    (`training.sources.own`); ``hazards`` are the codes that may be stated, by default those of the package.
    """

    name: str = "lab_results"
    form: Form = field(default_factory=Form)
    columns: Mapping[str, str] = field(default_factory=dict)
    hazards: tuple[str, ...] = ()

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield laboratory results; see `training.sources.base.Source`."""
        checked = False
        for row in own_rows(path, self.form, self.columns):
            values = {str(key).strip().lower().replace(" ", "_"): value for key, value in row.values.items()}
            if values and not checked:
                self._check(values, path)
                checked = True
            try:
                if row.problem:
                    raise ValueError(row.problem)
                yield self._result(values, row.line)
            except ValueError as error:
                yield Reject(self.name, row.line, str(error), row.raw or raw_text(row.values))

    @staticmethod
    def _check(values: Mapping[str, Any], path: Path) -> None:
        missing = [name for name in REQUIRED if name not in values]
        unknown = [name for name in values if name not in (*REQUIRED, *OPTIONAL)]
        if missing or unknown or not {"value", "verdict"} & values.keys():
            what = [f"missing {', '.join(missing)}"] if missing else []
            what += [f"unknown {', '.join(unknown)}"] if unknown else []
            what += [] if {"value", "verdict"} & values.keys() else ["neither value nor verdict"]
            raise SourceError(
                f"{path.name}: {'; '.join(what)}. Expected {', '.join(REQUIRED)}, value or verdict, and any of "
                f"{', '.join(OPTIONAL)}; see docs/formats/lab_results.schema.json"
            )

    def _result(self, row: Mapping[str, Any], line: int) -> LabResult:
        product, analyte = clean(row.get("product_name")), clean(row.get("analyte"))
        if not product or not analyte:
            raise ValueError("no product_name" if not product else "no analyte")
        value, comparator, unit = _measured(row)
        failed = _verdict(row.get("verdict"))
        if value is None and comparator != "nd" and failed is None:
            raise ValueError("neither value nor verdict: a missing result, which is not a pass")
        return LabResult(
            source=self.name,
            native_id=clean(row.get("result_id")) or _made_id(row, line),
            date=parse_date(row.get("date"), KOREAN_DATES),
            product_name=product,
            analyte=analyte,
            hazard=_hazard(clean(row.get("hazard")), analyte, self.hazards),
            value=value,
            unit=unit,
            comparator=comparator,
            product_type=clean(row.get("product_type")),
            sample_id=clean(row.get("sample_id")),
            listing_id=clean(row.get("listing_id")),
            maker=clean(row.get("maker")),
            country=clean(row.get("country")),
            laboratory=clean(row.get("laboratory")),
            program=clean(row.get("program")),
            failed=failed,
            weight=_weight(row.get("weight")),
        )


def _weight(value: Any) -> float:
    text = clean(value)
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1e6:
        raise ValueError(f"got weight {text[:20]!r}, expected a number above 0")
    return weight


def _made_id(row: Mapping[str, Any], line: int) -> str:
    sample = clean(row.get("sample_id"))
    return f"{sample or f'line-{line}'}/{_fold(clean(row.get('analyte')))}"


def _measured(row: Mapping[str, Any]) -> tuple[float | None, Comparator, str]:
    measured = parse_measurement(row.get("value"))
    written = clean(row.get("unit"))
    if measured is None:
        return None, "=", written
    if measured.value is None:
        known = canonical_unit(written)
        return None, "nd", known[0] if known else written
    if not written:
        raise ValueError("a value without a unit")
    unit, factor = canonical_unit(written) or (written, 1.0)
    return measured.value * factor, measured.comparator, unit  # type: ignore[return-value]


def _verdict(value: Any) -> bool | None:
    text = clean(value).lower()
    if not text:
        return None
    if text not in _VERDICTS:
        raise ValueError(f"got verdict {text[:20]!r}, expected pass or fail (적합, 부적합)")
    return _VERDICTS[text]


def _hazard(stated: str, analyte: str, hazards: tuple[str, ...] = ()) -> str:
    codes = hazards or load_taxonomy().codes
    if stated:
        if stated not in codes:
            raise ValueError(f"got hazard {stated[:40]!r}, expected one of {', '.join(codes)}")
        return stated
    if code := hazard_of(analyte):
        return code
    raise ValueError(f"analyte {analyte[:60]!r} is not known: fill the hazard column with a taxonomy code")
