"""Invented results of five laboratories for a plan of the sample, each in its own file form. Nothing is real."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from features.taxonomy import Taxonomy
from serving.labs.book import Sample
from serving.labs.units import UnitError, unit_of

# P(fails) where the sample's author wrote the hazard down for this kind of goods, and elsewhere; both invented.
LIKELY, ELSEWHERE = 0.55, 0.02
STRICTNESS: Mapping[str, float] = {"KTR": 0.4, "KCL": -0.4, "KOTITI": 0.0, "FITI": 0.3, "KATRI": -0.3}
"""Log-odds by which each invented laboratory fails more than the mean one."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a hazard is reported: analyte, unit, a value that fails, what a pass looks like."""

    analyte: str
    unit: str = ""
    failing: str = ""
    passing: str = ""


MEASURES: Mapping[str, Measure] = {
    "lead": Measure("납", "mg/kg", "412", "<5"),
    "cadmium": Measure("카드뮴", "mg/kg", "310", "ND"),
    "phthalates": Measure("프탈레이트 총합", "%", "3.2", "<0.005"),
    "formaldehyde": Measure("폼알데하이드", "mg/kg", "640", "ND"),
    "nickel": Measure("니켈 용출", "ug/cm2/week", "2.4", "<0.05"),
    "azo_dyes": Measure("아릴아민", "mg/kg", "95", "<5"),
    "choking": Measure("작은 부품"),
    "magnet_ingestion": Measure("자속지수", "kG2mm2", "310", "12"),
    "battery_ingestion": Measure("전지함"),
    "strangulation": Measure("조임끈"),
    "suffocation": Measure("필름 두께"),
    "entrapment": Measure("틈새"),
    "drowning": Measure("부력"),
    "fall": Measure("안정성"),
    "laceration": Measure("날카로운 끝"),
    "impact_protection": Measure("충격흡수성"),
    "projectile": Measure("운동에너지"),
    "crash": Measure("제동 성능"),
    "hearing": Measure("소음"),
    "fire": Measure("방염성"),
    "burn": Measure("표면온도"),
    "electric_shock": Measure("절연저항"),
    "explosion": Measure("과충전"),
    "optical_radiation": Measure("레이저 출력"),
    "microbiological": Measure("세균"),
    "biocides": Measure("CMIT/MIT"),
    "chemical_other": Measure("수은", "mg/kg", "", ""),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One invented result, before it is written in a laboratory's form."""

    sample: Sample
    hazard: str
    failed: bool
    measure: Measure

    @property
    def value(self) -> str:
        """What stands in the value column."""
        return self.measure.failing if self.failed else self.measure.passing

    @property
    def unit(self) -> str:
        """What stands in the unit column."""
        return self.measure.unit if self.value else ""


def invent(
    samples: Sequence[Sample], truth: Mapping[str, frozenset[str]], random: np.random.Generator
) -> list[Found]:
    """Invent a result for every ordered hazard that has a known test; goods tested twice are the same goods.

    Parameters
    ----------
    samples
        Of a plan.
    truth
        Listing -> hazards for which its author thinks it likely to fail.
    """
    luck: dict[tuple[str, str], float] = {}
    found = []
    for sample in samples:
        for hazard in sample.hazards:
            if hazard not in MEASURES:
                continue
            p = LIKELY if hazard in truth.get(sample.listing_id, frozenset()) else ELSEWHERE
            odds = p / (1 - p) * np.exp(STRICTNESS.get(sample.laboratory, 0.0))
            draw = luck.setdefault((sample.cluster, hazard), float(random.random()))
            found.append(Found(sample, hazard, bool(draw < odds / (1 + odds)), MEASURES[hazard]))
    return found


def has_mass_limit(found: Found, taxonomy: Taxonomy, on: date) -> bool:
    """Whether a limit by mass applies to the goods, so that a result by volume is surely wrong."""
    sample = found.sample
    if not found.unit or unit_of(found.unit).quantity != "mass share":
        return False
    limits = taxonomy.limits(found.hazard, sample.group, sample.market, on, sample.audience)
    return any(
        limit.value is not None and _by_mass(limit.unit) and "migration" not in limit.substance
        for limit in limits
    )


def _by_mass(unit: str) -> bool:
    try:
        return unit_of(unit).quantity == "mass share"
    except UnitError:
        return False


def file_of(
    laboratory: str,
    results: Sequence[Found],
    tested_on: date,
    *,
    kind: str = "",
    units: Mapping[tuple[str, str], str] | None = None,
    values: Mapping[tuple[str, str], tuple[str, bool]] | None = None,
) -> tuple[str, bytes]:
    """Write results as the laboratory would; returns the file's name and content.

    Parameters
    ----------
    kind
        ``정정`` or ``재시험`` for rows that take the place of earlier ones.
    units, values
        By (sample, hazard): what to write instead.
    """
    rows = []
    for one in results:
        key = (one.sample.sample_id, one.hazard)
        value, failed = (values or {}).get(key, (one.value, one.failed))
        unit = (units or {}).get(key, one.unit)
        rows.append(
            (one.sample.sample_id, one.measure.analyte, value, unit, "부적합" if failed else "적합", kind)
        )
    stem = f"{laboratory.lower()}-{tested_on:%Y-%m}{'-' + kind if kind else ''}"
    return _FORMS[laboratory](stem, rows, tested_on)


Rows = Sequence[tuple[str, str, str, str, str, str]]


def _ktr(stem: str, rows: Rows, day: date) -> tuple[str, bytes]:
    """Workbook with a letterhead above its table."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["지어낸 시험 결과 (견본)"])
    sheet.append([])
    sheet.append(["의뢰시료번호", "시험항목", "측정치", "단위", "적합여부", "시험일", "구분"])
    for sample, analyte, value, unit, verdict, kind in rows:
        sheet.append([sample, analyte, _number(value), unit, verdict, day.isoformat(), kind])
    sink = io.BytesIO()
    book.save(sink)
    return f"{stem}.xlsx", sink.getvalue()


def _kcl(stem: str, rows: Rows, day: date) -> tuple[str, bytes]:
    head = ["Sample Code", "Test Parameter", "Test Result", "Unit", "Conformity", "Date", "Result type"]
    return f"{stem}.csv", _csv(head, [(*row[:5], f"{day:%d.%m.%Y}", row[5]) for row in rows], "utf-8")


def _kotiti(stem: str, rows: Rows, day: date) -> tuple[str, bytes]:
    head = ["접수번호", "항목명", "결과치", "단위", "판정", "완료일", "구분"]
    return f"{stem}.csv", _csv(head, [(*row[:5], f"{day:%Y.%m.%d}", row[5]) for row in rows], "cp949")


def _fiti(stem: str, rows: Rows, day: date) -> tuple[str, bytes]:
    import openpyxl

    book = openpyxl.Workbook()
    book.worksheets[0].append(["FITI", "지어낸 결과"])
    sheet = book.create_sheet("results")
    sheet.append(["시료코드", "시험 항목", "시험 결과", "단위", "판정", "시험일자", "구분"])
    for sample, analyte, value, unit, verdict, kind in rows:
        sheet.append([sample, analyte, _number(value), unit, verdict, day, kind])
    sink = io.BytesIO()
    book.save(sink)
    return f"{stem}.xlsx", sink.getvalue()


def _katri(stem: str, rows: Rows, day: date) -> tuple[str, bytes]:
    names = ("샘플번호", "시험항목", "분석결과", "단위", "판정", "구분")
    objects: list[dict[str, Any]] = [
        {name: cell for name, cell in zip(names, row, strict=True) if cell} | {"시험일": day.isoformat()}
        for row in rows
    ]
    return f"{stem}.json", json.dumps({"results": objects}, ensure_ascii=False, indent=1).encode()


_FORMS = {"KTR": _ktr, "KCL": _kcl, "KOTITI": _kotiti, "FITI": _fiti, "KATRI": _katri}


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]], encoding: str) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(head)
    writer.writerows(rows)
    return sink.getvalue().encode(encoding)


def _number(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None


def orders_file(listings: Sequence[tuple[str, str]], random: np.random.Generator, refunded: float) -> bytes:
    """Invent orders of some listings, with made-up buyers; a share of them is refunded."""
    rows = []
    for marketplace, listing_id in listings:
        for number in range(int(random.integers(2, 9))):
            state = "환불완료" if random.random() < refunded else "환불대기"
            amount = int(random.integers(30, 400)) * 100
            rows.append(
                (
                    f"{listing_id}-{number:03d}",
                    marketplace,
                    listing_id,
                    f"buyer-{random.integers(1_000_000)}",
                    str(amount),
                    "KRW",
                    state,
                )
            )
    return _csv(
        ("order_id", "marketplace", "listing_id", "buyer", "amount", "currency", "state"), rows, "utf-8"
    )
