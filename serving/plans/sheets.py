"""Order sheets: one a laboratory, as XLSX and CSV, in Korean and English, with the results form it can fill in.

Every text that a seller wrote is made harmless for spreadsheets: a cell that could be read as a formula gets an
apostrophe before it (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from features.schema import Listing
from features.taxonomy import Taxonomy
from serving.plans.types import Plan, PlannedItem
from serving.plans.words import LANGUAGES, SHEET, Language

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
# What XML of a workbook cannot hold.
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TITLE_MAX = 300
COLUMNS = ("sample_id", "product", "tests", "hazards", "marketplace", "listing_id", "url")
RESULT_COLUMNS = {
    "ko": (
        "시료번호",
        "시험항목",
        "시험결과",
        "단위",
        "검출한계",
        "판정",
        "시험일",
        "구분",
        "시험부위",
        "비고",
    ),
    "en": ("sample_id", "analyte", "value", "unit", "lod", "verdict", "date", "kind", "part", "note"),
}


def harmless(text: object) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if text is None or isinstance(text, bool | int | float):
        return text
    plain = _ILLEGAL.sub(" ", str(text))
    return f"'{plain}" if plain.lstrip(" \u00a0\u200b\ufeff").startswith(_FORMULA) else plain


def order_rows(
    plan: Plan, laboratory: str, listings: Mapping[str, Listing], taxonomy: Taxonomy, language: Language
) -> list[list[Any]]:
    """Return the order of one laboratory, one row a sample, in the order of `COLUMNS`; cells are harmless.

    Neither score nor reason is in it: a laboratory must not know what is expected of a sample.
    """
    rows = []
    for item in items_of(plan, laboratory):
        listing = listings[item.listing_id]
        rows.append(
            [
                harmless(cell)
                for cell in (
                    item.sample_id,
                    listing.title[:_TITLE_MAX],
                    ", ".join(_test_name(plan, test, language) for test in item.tests),
                    ", ".join(taxonomy.hazard(code).names[language] for code in item.hazards),
                    listing.marketplace or "",
                    item.listing_id,
                    listing.images[0][:500] if listing.images else "",
                )
            ]
        )
    return rows


def items_of(plan: Plan, laboratory: str) -> list[PlannedItem]:
    """Items of one laboratory in the order of their sample numbers."""
    return [item for item in plan.items if item.laboratory == laboratory]


def _test_name(plan: Plan, test: str, language: Language) -> str:
    return plan.config.tests[test].names.get(language) or test


def head_rows(plan: Plan, laboratory: str, language: Language) -> list[tuple[str, Any]]:
    """Return what stands above an order: labels and values."""
    terms = plan.config.laboratories[laboratory]
    items = items_of(plan, laboratory)
    due = plan.made + timedelta(days=terms.turnaround_days)
    rows: list[tuple[str, Any]] = [
        (SHEET["laboratory"][language], laboratory),
        (SHEET["period"][language], harmless(plan.period)),
        (SHEET["made"][language], plan.made.isoformat()),
        (SHEET["due"][language], due.isoformat()),
        (SHEET["items"][language], len(items)),
        (SHEET["cost"][language], f"{plan.spent(laboratory):,} {plan.config.currency}"),
    ]
    return rows


def order_csv(
    plan: Plan, laboratory: str, listings: Mapping[str, Listing], taxonomy: Taxonomy, language: Language
) -> bytes:
    """Write an order as CSV in UTF-8 with a byte-order mark, which Korean Excel needs to show Hangul."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([SHEET[name][language] for name in COLUMNS])
    writer.writerows(order_rows(plan, laboratory, listings, taxonomy, language))
    return sink.getvalue().encode("utf-8-sig")


def order_workbook(plan: Plan, laboratory: str, listings: Mapping[str, Listing], taxonomy: Taxonomy) -> bytes:
    """Write an order as a workbook: Korean sheet, English sheet, and a form for the results."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for language in LANGUAGES:
        sheet = book.create_sheet(f"{SHEET['sheet_orders'][language]} {language}")
        _order_sheet(
            sheet, plan, laboratory, order_rows(plan, laboratory, listings, taxonomy, language), language
        )
    _results_sheet(book.create_sheet("results"), plan, laboratory, taxonomy)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _order_sheet(
    sheet: Any, plan: Plan, laboratory: str, rows: Sequence[Sequence[Any]], language: Language
) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet.append([SHEET["title"][language]])
    sheet["A1"].font = Font(bold=True, size=14)
    for label, value in head_rows(plan, laboratory, language):
        sheet.append([label, value])
    if plan.config.made_up:
        sheet.append([SHEET["made_up"][language]])
        sheet.cell(sheet.max_row, 1).font = Font(italic=True, color="B3402A")
    sheet.append([SHEET["how"][language]])
    sheet.append([])
    sheet.append([SHEET[name][language] for name in COLUMNS])
    head = sheet.max_row
    for cell in sheet[head]:
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E4E9EE")
    for row in rows:
        sheet.append(list(row))
    for line in sheet.iter_rows(min_row=head, max_row=sheet.max_row):
        for cell in line:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            # Text whatever it looks like: never a formula, a date or a link.
            cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type
    for letter, width in zip("ABCDEFG", (22, 48, 34, 34, 14, 20, 24), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = sheet.cell(head + 1, 2)
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = f"{head}:{head}"


def _results_sheet(sheet: Any, plan: Plan, laboratory: str, taxonomy: Taxonomy) -> None:
    """Fill in what is known of the results: a row for each hazard of each sample, to be completed."""
    from openpyxl.styles import Font

    sheet.append(list(RESULT_COLUMNS["en"]))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for item in items_of(plan, laboratory):
        for code in item.hazards:
            sheet.append([harmless(item.sample_id), taxonomy.hazard(code).names["en"]])
    for letter, width in zip("ABCDEFGHIJ", (22, 26, 12, 12, 10, 12, 12, 12, 18, 24), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "C2"


def sheet_files(plan: Plan, listings: Mapping[str, Listing], taxonomy: Taxonomy) -> dict[str, bytes]:
    """Return every order sheet of a plan by file name; a laboratory without samples gets none."""
    files: dict[str, bytes] = {}
    for laboratory in plan.config.laboratories:
        if not items_of(plan, laboratory):
            continue
        stem = f"order-{_file_name(plan.period)}-{_file_name(laboratory)}"
        files[f"{stem}.xlsx"] = order_workbook(plan, laboratory, listings, taxonomy)
        for language in LANGUAGES:
            files[f"{stem}-{language}.csv"] = order_csv(plan, laboratory, listings, taxonomy, language)
    return files


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)[:60] or "x"


def due_date(plan: Plan, laboratory: str) -> date:
    """Day by which results of a laboratory are due."""
    return plan.made + timedelta(days=plan.config.laboratories[laboratory].turnaround_days)
