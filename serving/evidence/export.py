"""Decisions of a period as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from serving.store.evidence import ExportRow

COLUMNS = (
    "decided_at", "decision_id", "marketplace", "listing_id", "revision", "title", "seller_id", "action", "state",
    "risk_level", "top_hazard", "p_noncompliant", "expected_harm", "rules", "decided_by", "model_version",
    "policy_version", "audit_seq",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BOM = "\ufeff"
"""Without it spreadsheets on Windows take UTF-8 for something else."""


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that could be is put behind an apostrophe.

    Examples
    --------
    >>> harmless("=1+1"), harmless(" @SUM(A1)"), harmless("toy")
    ("'=1+1", "' @SUM(A1)", 'toy')
    """
    return (
        f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(_FORMULA) or text.startswith(_FORMULA) else text
    )


def csv_lines(rows: Iterable[ExportRow]) -> Iterator[str]:
    """Write rows as CSV text, one piece a row; the first carries the byte-order mark and the names."""
    yield BOM + _line(COLUMNS)
    for row in rows:
        yield _line(
            (
                row.decided_at.isoformat(timespec="seconds"),
                row.id,
                row.marketplace,
                row.listing_id,
                str(row.revision),
                row.title if row.title is not None else "",
                row.seller_id or "",
                row.action,
                row.state,
                row.risk_level,
                row.top_hazard,
                f"{row.p_noncompliant:.6g}",
                f"{row.expected_harm:.6g}",
                row.rules,
                row.actor,
                row.model_version,
                row.policy_version,
                str(row.seq),
            )
        )


def _line(cells: Iterable[str]) -> str:
    stream = io.StringIO()
    # Control signs other than tab and line break confuse spreadsheets and terminals alike.
    clean = ("".join(c for c in cell if c >= " " or c in "\t\n") for cell in cells)
    csv.writer(stream, lineterminator="\r\n").writerow([harmless(cell) for cell in clean])
    return stream.getvalue()
