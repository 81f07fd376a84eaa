"""Rows of a file, one at a time: CSV, TSV, JSONL (each also gzipped) and Parquet, in constant memory.

What is wrong with a whole file raises `ReadError`; what is wrong with one row comes back as a row with its
problem, so that the caller can keep count of everything.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from features.errors import UserError
from features.parquet_size import UnpackedError, doubtful_columns, unpacked

if TYPE_CHECKING:
    import pyarrow as pa

FIELD_MAX = 1_000_000
LINE_MAX = 10_000_000
FORMATS = ".csv, .tsv, .jsonl, .ndjson (each may end in .gz) or .parquet"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_GUESSES = ("cp949", "gb18030", "shift_jis", "cp1252")


class ReadError(UserError):
    """A file that cannot be read: what was got, what was expected, what to do."""


class Row(NamedTuple):
    """One row.

    ``line`` is the number of its last line in the file, from 1 (for Parquet: the row's number).
    ``problem`` is empty, or says why ``values`` could not be read; ``raw`` is then what stood there.
    """

    line: int
    values: dict[str, Any]
    problem: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """How a delimited or text file is written.

    ``delimiter`` empty means by suffix. ``quoted`` False takes quote marks as plain characters.
    """

    encoding: str = "utf-8"
    delimiter: str = ""
    quoted: bool = True


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, with a trailing ``.gz`` left out."""
    suffixes = [part.lower() for part in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_rows(path: Path | str, form: Form | None = None) -> Iterator[Row]:
    """Stream the rows of a file.

    Parameters
    ----------
    path
        CSV and TSV have a header; JSONL has one object a line.
    form
        Encoding and delimiter, where they differ from UTF-8 and the suffix.

    Yields
    ------
    Row

    Raises
    ------
    ReadError
        File missing, empty, of an unknown kind, truncated, wrongly encoded, with a NUL, a duplicate
        header or an endless field.
    """
    path, form = Path(path), form or Form()
    kind = suffix_of(path)
    if not path.is_file():
        raise ReadError(f"{path}: no such file")
    if kind == ".parquet":
        yield from _parquet(path)
    elif kind in (".csv", ".tsv", ".jsonl", ".ndjson"):
        yield from _text_rows(path, kind, form)
    else:
        hint = "; a JSON array must become one object a line" if kind == ".json" else ""
        raise ReadError(f"{path.name}: got suffix {path.suffix or 'none'!r}, expected {FORMATS}{hint}")


def _text_rows(path: Path, kind: str, form: Form) -> Iterator[Row]:
    with open_lines(path, form) as lines:
        yield from _jsonl(lines) if "j" in kind else delimited(lines, form, kind)


@contextmanager
def open_lines(path: Path, form: Form) -> Iterator[Lines]:
    """Open the lines of a text file.

    Raises
    ------
    ReadError
        Also while they are read: wrongly encoded or damaged data.
    """
    encoding = "utf-8-sig" if form.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else form.encoding
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ReadError(
            f"got encoding {form.encoding!r}, expected a name such as utf-8, cp949 or gb18030"
        ) from None
    try:
        try:
            with open_binary(path) as binary, io.TextIOWrapper(binary, encoding, newline="") as text:
                yield Lines(text, path)
        except UnicodeDecodeError:
            # Reads the file once more, and finds out whatever else is wrong with it.
            raise ReadError(_wrong_encoding(path, encoding)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReadError(
            f"{path.name}: the gzip data is damaged or cut short ({error}); fetch or copy the file again"
        ) from None


def open_binary(path: Path) -> BinaryIO:
    """Open for reading bytes; gzip is told by its first two bytes, and must be there for ``.gz``."""
    raw = path.open("rb")
    head = raw.read(2)
    raw.seek(0)
    if head == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if path.suffix.lower() == ".gz" and head:
        raw.close()
        raise ReadError(
            f"{path.name}: got bytes {head.hex()}, expected gzip (1f8b); rename it if it is not zipped"
        )
    return raw


class Lines:
    """Lines with a limit and without NUL; counts them."""

    def __init__(self, text: TextIO, path: Path) -> None:
        self.text, self.path, self.number = text, path, 0

    def __iter__(self) -> Iterator[str]:
        read = self.text.readline
        while line := read(LINE_MAX):
            self.number += 1
            if "\0" in line:
                raise ReadError(
                    f"{self.path.name}: NUL byte in line {self.number}, column {line.index(chr(0)) + 1}; expected "
                    "text. UTF-16 or a damaged file looks like this: save it as UTF-8, or name its encoding"
                )
            if len(line) == LINE_MAX:
                raise ReadError(f"{self.path.name}: line {self.number} is over {LINE_MAX:,} characters")
            yield line


def delimited(lines: Lines, form: Form, kind: str) -> Iterator[Row]:
    """Read a header and its rows; ``kind`` is the suffix, ``.csv`` or ``.tsv``."""
    delimiter = form.delimiter or _DELIMITERS[kind]
    csv.field_size_limit(FIELD_MAX)
    quoting = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
    reader = csv.reader(iter(lines), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        first_line = _next(reader, lines)
    except csv.Error as error:
        raise ReadError(
            f"{lines.path.name}: the header cannot be read: {error}; check its quote marks"
        ) from None
    header = _header(first_line, delimiter, lines.path)
    width = len(header)
    while True:
        first = lines.number + 1
        try:
            cells = _next(reader, lines)
        except csv.Error as error:
            yield Row(lines.number, {}, f"line {first} to {lines.number}: {error}; check the quote marks")
            continue
        if cells is None:
            return
        if len(cells) == width:
            yield Row(lines.number, dict(zip(header, cells, strict=True)))
        elif cells:
            problem = f"got {len(cells)} cells, expected {width} as in the header"
            yield Row(lines.number, {}, problem, delimiter.join(cells))


def _next(reader: Any, lines: Lines) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        if "field larger" in str(error):
            raise ReadError(
                f"{lines.path.name}: a field before line {lines.number} is over {FIELD_MAX:,} characters; "
                "a quote mark that is never closed does this"
            ) from None
        raise


def _header(cells: list[str] | None, delimiter: str, path: Path) -> list[str]:
    if not cells:
        raise ReadError(f"{path.name}: the file is empty, expected a header line and rows")
    header = [cell.strip() for cell in cells]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ReadError(
            f"{path.name}: column {', '.join(map(repr, twice))} stands twice in the header; rename one"
        )
    if len(header) == 1:
        for other in (";", "\t", ",", "|"):
            if other != delimiter and header[0].count(other) >= 2:
                raise ReadError(f"{path.name}: got one column parted by {other!r}; give delimiter={other!r}")
    return header


def _jsonl(lines: Lines) -> Iterator[Row]:
    return (json_row(number, text) for number, text in json_lines(lines))


def json_lines(lines: Lines) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank with their numbers; ReadError when there is none."""
    seen = False
    for line in lines:
        if text := line.strip():
            seen = True
            yield lines.number, text
    if not seen:
        raise ReadError(f"{lines.path.name}: the file is empty, expected one JSON object a line")


def json_row(number: int, text: str) -> Row:
    """Read one line of JSONL."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"not JSON: {error}"[:300], text)
    if isinstance(values, dict):
        return Row(number, values)
    return Row(number, {}, f"got a JSON {type(values).__name__}, expected an object", text)


def _parquet(path: Path) -> Iterator[Row]:
    number = 0
    for batch in parquet_batches(path, 1_000):
        for values in batch.to_pylist():
            number += 1
            yield Row(number, values)


def parquet_batches(path: Path, rows: int, first: int = 0) -> Iterator[pa.RecordBatch]:
    """Give the rows of a Parquet file as they stand in it, from the row ``first`` on, at most ``rows`` at once.

    Raises
    ------
    ReadError
        Also while they are read: a damaged file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        raise ReadError(f"{path.name}: the file is empty, expected Parquet")
    number = first
    try:
        with pq.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
        _header(schema.names or None, "", path)
        with pq.ParquetFile(path, read_dictionary=doubtful_columns(metadata, rows)) as file:
            groups, skip = _groups_from(metadata, first)
            for batch in file.iter_batches(batch_size=rows, row_groups=groups):
                if left := unpacked(batch.slice(skip), schema):
                    left.validate(full=True)  # what is text is UTF-8, or nobody could read it
                    number += left.num_rows
                    yield left
                skip = max(skip - batch.num_rows, 0)
    except UnpackedError as error:
        raise ReadError(f"{path.name}, after row {number:,}: {error}") from None
    except ReadError:
        raise
    # Columns that disagree with the header are a plain ValueError, as is text that is not UTF-8.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadError(
            f"{path.name}: not a whole Parquet file (after row {number}: {str(error).splitlines()[0][:160]}); "
            "a copy that was cut short looks like this: fetch or write it again"
        ) from None


def _groups_from(metadata: Any, first: int) -> tuple[list[int], int]:
    """Return the row groups that a row and all after it are in, and how many rows of the first stand before it."""
    groups = list(range(metadata.num_row_groups))
    while groups and first >= metadata.row_group(groups[0]).num_rows:
        first -= metadata.row_group(groups.pop(0)).num_rows
    return groups, first


def _wrong_encoding(path: Path, encoding: str) -> str:
    """Find the byte and line where decoding stops, and which encodings would read the line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = line = 0
    with open_binary(path) as binary:
        for raw in binary:
            line += 1
            try:
                decoder.decode(raw)
            except UnicodeDecodeError as error:
                # A byte-order mark says it outright; single-byte encodings would read anything.
                marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                fits = ["utf-16"] if marked else [name for name in _GUESSES if _decodes(raw, name)]
                hint = (
                    f"the line reads as {' or '.join(fits)}: give encoding='{fits[0]}'"
                    if fits
                    else "save it as UTF-8"
                )
                bad = raw[max(error.start - (len(error.object) - len(raw)), 0)]
                return (
                    f"{path.name}: byte 0x{bad:02x} at offset {offset + error.start} (line {line}) is not "
                    f"{encoding.removesuffix('-sig')}; {hint}"
                )
            offset += len(raw)
    return f"{path.name}: the last character is cut short for {encoding.removesuffix('-sig')}; the file is truncated"


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def closest(name: str, columns: Sequence[str]) -> str:
    """A half-sentence naming the nearest existing column, or nothing."""
    lowered = {column.lower(): column for column in columns}
    match = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.5)
    return f" (did you mean {lowered[match[0]]!r}?)" if match else ""
