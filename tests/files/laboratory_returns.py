"""Plays a laboratory: reads an order sheet and writes a results file, every third sample over the limit for lead.

python laboratory_returns.py order.csv results.xlsx
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

import openpyxl


def main(order: Path, target: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    today = datetime.now(UTC).date().isoformat()
    sheet.append(["sample_id", "analyte", "value", "unit", "date"])
    with order.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream)):
            sheet.append([row["sample_id"], "lead", 450 if number % 3 == 0 else 12, "mg/kg", today])
    book.save(target)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
