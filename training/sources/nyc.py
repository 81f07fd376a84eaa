"""New York City health department: metal measured in consumer products (Socrata ``da9u-wz3r``).

Real passes and fails in one style, chosen because somebody was poisoned or a store was surveyed: the
prevalence is not the market's. NYC Open Data; no explicit licence text was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.records import LabResult, Record, Reject
from training.sources.base import need_fields, parse_json, raw_text, read_table
from training.sources.parsing import (
    US_DATES,
    canonical_unit,
    clean,
    open_bytes,
    parse_date,
    parse_measurement,
)
from training.sources.web import MEBIBYTE, Page, SourceChangedError, Web

_FIELDS = ("row_id", "product_name", "metal", "concentration", "units")

METAL_HAZARDS = {
    "lead": "lead",
    "cadmium": "cadmium",
    "nickel": "nickel",
    "mercury": "chemical_other",
    "arsenic": "chemical_other",
    "chromium": "chemical_other",
    "antimony": "chemical_other",
}


@dataclass(frozen=True, slots=True)
class NycMetals:
    """The New York table, as CSV of any vintage or as Socrata's JSON rows.

    ``-1`` is "not detected", a result; a blank is a missing one and is rejected. Rows the city marked
    deleted and its own quality-control samples are rejected with that reason.
    """

    name: str = "nyc"
    base: str = "https://data.cityofnewyork.us/resource/da9u-wz3r.json"
    page_rows: int = 1_000

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield laboratory results; see `training.sources.base.Source`."""
        if ".json" in path.suffixes:
            yield from self._objects(open_bytes(path), path.name)
            return
        yield from read_table(self.name, path, _FIELDS, self._result)

    def fetch_iter(self, web: Web, state: Mapping[str, str]) -> Iterator[Page]:
        """Page through the table in order of row id; a last page that is not full is asked for again next time."""
        offset = int(state.get("offset", 0))
        while True:
            params = {"$limit": str(self.page_rows), "$offset": str(offset), "$order": "row_id"}
            body = web.get(self.base, "json", params=params, max_bytes=16 * MEBIBYTE)
            if body is None:
                return
            rows = parse_json(body, self.base)
            if not isinstance(rows, list) or len(rows) > self.page_rows:
                raise SourceChangedError(
                    f"{self.base}: expected a list of at most {self.page_rows} rows; got {type(rows).__name__}"
                    f" of {len(rows)}. Nothing was kept"
                )
            need_fields(
                (row for row in rows if isinstance(row, dict)), ("row_id", "metal", "units"), self.base
            )
            full = len(rows) == self.page_rows
            following = str(offset + self.page_rows if full else offset)
            if rows:
                yield Page(self.name, str(offset), self.base, body, datetime.now(UTC), {"offset": following})
            if not full:
                return
            offset += self.page_rows

    def parse(self, page: Page) -> Iterator[Record | Reject]:
        """Read one page."""
        yield from self._objects(page.body, page.url)

    def _objects(self, body: bytes, what: str) -> Iterator[Record | Reject]:
        for place, row in enumerate(parse_json(body, what), start=1):
            try:
                if not isinstance(row, dict):
                    raise ValueError(f"got a JSON {type(row).__name__}, expected an object")
                yield self._result({str(k).lower().replace(" ", "_"): v for k, v in row.items()})
            except ValueError as error:
                yield Reject(self.name, place, str(error), raw_text(row))

    def _result(self, row: Mapping[str, Any]) -> LabResult:
        number, product = clean(row.get("row_id")), clean(row.get("product_name"))
        analyte, product_type = clean(row.get("metal")), clean(row.get("product_type"))
        if not number or not product:
            raise ValueError("no row id" if not number else "no product name")
        if clean(row.get("deleted")).lower() == "yes":
            raise ValueError("marked deleted by the publisher")
        if product_type.lower().startswith("qa/qc"):
            raise ValueError("a quality-control sample, not a product")
        hazard = METAL_HAZARDS.get(analyte.lower())
        if hazard is None:
            raise ValueError(f"got metal {analyte[:40]!r}, expected one of {', '.join(METAL_HAZARDS)}")
        measured = parse_measurement(row.get("concentration"))
        if measured is None:
            raise ValueError("no concentration: missing, which is not the same as not detected")
        unit = canonical_unit(row.get("units"))
        if unit is None:
            raise ValueError(
                f"got unit {clean(row.get('units'))[:20]!r}, expected ppm, mg/kg, mg/cm2 or mg/L"
            )
        value = None if measured.value is None else measured.value * unit[1]
        program = clean(row.get("investigation_type"))
        return LabResult(
            source=self.name,
            native_id=number,
            date=parse_date(row.get("collection_date"), US_DATES),
            product_name=product,
            analyte=analyte.lower(),
            hazard=hazard,
            value=value,
            unit=unit[0],
            comparator=measured.comparator,  # type: ignore[arg-type]
            product_type=product_type,
            maker=clean(row.get("manufacturer")),
            country=clean(row.get("made_in_country")),
            laboratory="NYC DOHMH",
            program=program,
        )
