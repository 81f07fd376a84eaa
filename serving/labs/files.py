"""Results files as they come: XLSX, CSV or JSON bytes to rows of cells. Every byte is hostile."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.errors import UserError

SIZE_MAX = 20_000_000
UNPACKED_MAX = 40_000_000
"""Of a workbook; its reader takes a second of processor time for some three megabytes."""
STRINGS_MAX = 10_000_000
"""Of a workbook's table of strings, which is held in memory whole."""
ROWS_MAX = 100_000
COLUMNS_MAX = 200
CELL_MAX = 2_000
# A sheet may carry a letterhead; its table starts at the first row with so many headers, looked for in so many rows.
_HEADER_WITHIN = 30
SUFFIXES = (".xlsx", ".csv", ".tsv", ".json")


class FileError(UserError):
    """A results file that cannot be read at all; says what was got and what is expected."""


@dataclass(frozen=True, slots=True)
class Table:
    """Headers, and rows of cells with the line they stand on."""

    headers: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Any, ...]], ...]


def read_table(name: str, content: bytes, known: frozenset[str], sheet: str | None = None) -> Table:
    """Read a results file.

    Parameters
    ----------
    name
        Its name; the suffix tells the format.
    content
        The file.
    known
        Folded headers that may occur; the header row is the first that has two of them.
    sheet
        Of a workbook; None for the first.

    Raises
    ------
    FileError
        When it is too large, damaged, of another format, or has no header row.
    """
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix not in SUFFIXES:
        raise FileError(f"got a file named {name[:80]!r}; expected one that ends in {', '.join(SUFFIXES)}")
    if not content:
        raise FileError("got an empty file; expected results")
    if len(content) > SIZE_MAX:
        raise FileError(f"got {len(content):,} bytes; expected at most {SIZE_MAX:,}: send it in parts")
    if suffix == ".xlsx":
        cells = _workbook(content, sheet)
    elif suffix == ".json":
        cells = _json(content)
    else:
        cells = _delimited(content, "\t" if suffix == ".tsv" else ",")
    if len(cells) > ROWS_MAX:
        raise FileError(f"got {len(cells):,} rows; expected at most {ROWS_MAX:,}: send it in parts")
    return _with_header(cells, known)


def _with_header(cells: Sequence[tuple[int, Sequence[Any]]], known: frozenset[str]) -> Table:
    from serving.labs.columns import fold

    for place, (_, row) in enumerate(cells[:_HEADER_WITHIN]):
        if len({fold(cell) for cell in row if cell is not None} & known) >= 2:
            headers = tuple("" if cell is None else str(cell).strip() for cell in row)
            rows = tuple(
                (line, tuple(cut)) for line, cut in cells[place + 1 :] if any(_there(c) for c in cut)
            )
            return Table(headers, rows)
    raise FileError(
        f"found no header row in the first {_HEADER_WITHIN} rows: expected columns such as sample_id, analyte, "
        "value, unit (시료번호, 시험항목, 시험결과, 단위)"
    )


def _there(cell: Any) -> bool:
    return cell is not None and str(cell).strip() != ""


def _workbook(content: bytes, sheet: str | None) -> list[tuple[int, Sequence[Any]]]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {entry.filename.lower(): entry.file_size for entry in archive.infolist()}
        unpacked = sum(sizes.values())
        strings = sum(size for name, size in sizes.items() if "sharedstrings" in name)
        if unpacked > UNPACKED_MAX or strings > STRINGS_MAX:
            raise FileError(
                f"got a workbook that unpacks to {unpacked:,} bytes, {strings:,} of them text; expected at most "
                f"{UNPACKED_MAX:,} and {STRINGS_MAX:,}: send it in parts, or as CSV"
            )
        # Values as last calculated: a formula is never evaluated here.
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except FileError:
        raise
    except Exception as error:  # the reader raises many kinds for damaged or hostile workbooks
        raise FileError(
            f"got a workbook that cannot be opened ({type(error).__name__}); save it as XLSX again"
        ) from None
    try:
        names = {name.casefold(): name for name in book.sheetnames}
        # An order sheet that came back filled in has its results on a sheet of that name.
        wanted = names.get(sheet.casefold()) if sheet else names.get("results")
        found = book[wanted] if wanted else book.worksheets[0]
        cells: list[tuple[int, Sequence[Any]]] = []
        for line, row in enumerate(found.iter_rows(values_only=True, max_col=COLUMNS_MAX), 1):
            cells.append((line, tuple(_cut(cell) for cell in row)))
            if len(cells) > ROWS_MAX:
                break
        return cells
    except Exception as error:
        raise FileError(
            f"got a workbook that cannot be read ({type(error).__name__}); save it as XLSX again"
        ) from None
    finally:
        book.close()


def _delimited(content: bytes, delimiter: str) -> list[tuple[int, Sequence[Any]]]:
    text = _decoded(content)
    first = text.partition("\n")[0]
    if delimiter == "," and first.count(";") > first.count(","):
        delimiter = ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    cells: list[tuple[int, Sequence[Any]]] = []
    try:
        for row in reader:
            cells.append((reader.line_num, tuple(_cut(cell) for cell in row[:COLUMNS_MAX])))
            if len(cells) > ROWS_MAX:
                break
    except csv.Error as error:
        raise FileError(f"line {reader.line_num}: got something that is no CSV: {error}") from None
    return cells


def _decoded(content: bytes) -> str:
    """Read text as UTF-8, or as the code page of Korean Windows, in which laboratories save CSV."""
    if b"\x00" in content:
        raise FileError("got NUL bytes in a text file; expected CSV in UTF-8 or CP949")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileError("got text that is neither UTF-8 nor CP949; save the file as UTF-8")


def _json(content: bytes) -> list[tuple[int, Sequence[Any]]]:
    try:
        raw = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FileError(f"got something that is not JSON: {str(error)[:120]}") from None
    rows = raw.get("results") if isinstance(raw, dict) else raw
    return rows_of_objects(rows)


def rows_of_objects(rows: Any) -> list[tuple[int, Sequence[Any]]]:
    """Turn a list of JSON objects into a header row and rows.

    Raises
    ------
    FileError
        When it is something else.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise FileError(
            'expected a JSON list of objects, or an object {"results": [...]}, one object a result'
        )
    if len(rows) > ROWS_MAX:
        raise FileError(f"got {len(rows):,} results; expected at most {ROWS_MAX:,}: send them in parts")
    headers = list(dict.fromkeys(str(key)[:CELL_MAX] for row in rows for key in row))[:COLUMNS_MAX]
    cells: list[tuple[int, Sequence[Any]]] = [(0, headers)]
    cells += [(place, tuple(_cut(row.get(name)) for name in headers)) for place, row in enumerate(rows, 1)]
    return cells


def _cut(cell: Any) -> Any:
    """Keep plain cells; nested JSON becomes text that no field accepts, long text is cut."""
    if cell is None or isinstance(cell, bool | int | float):
        return cell
    if hasattr(cell, "isoformat"):
        return cell
    return str(cell)[:CELL_MAX]
