"""Listings from foreign files: every row becomes a listing or a reject with its reasons."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from features.columns import FIELDS, ColumnMap, convert, identity
from features.rows import Form, ReadError, Row, closest, read_rows, suffix_of
from features.schema import FieldError, Listing, ListingError, parse_listing

__all__ = [
    "ColumnMap",
    "Form",
    "ListingReader",
    "ReadError",
    "RejectedRow",
    "read_listings",
    "read_rows",
]
_PEEK = 200


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is no listing: its line, every reason at once, and what stood there."""

    line: int
    reasons: tuple[FieldError, ...]
    raw: Any

    def as_dict(self) -> dict[str, Any]:
        """A line for a rejects file; holds the row's own text, so it belongs beside the input, not in logs."""
        reasons = [{"field": r.field, "problem": r.problem, "got": r.got} for r in self.reasons]
        return {"line": self.line, "reasons": reasons, "raw": self.raw}


@dataclass(slots=True)
class ReadCounts:
    """What has passed so far. ``accepted + rejected`` is every row of the file."""

    accepted: int = 0
    rejected: int = 0
    hashed_ids: int = 0
    kept_as_text: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """One line for people, silent about what did not occur."""
        parts = [f"{self.accepted:,} of {self.accepted + self.rejected:,} rows read as listings"]
        if self.hashed_ids:
            parts.append(f"{self.hashed_ids:,} without an id: a hash of the row's content stands in")
        parts += [
            f"{n:,} x {name} not readable, kept as text" for name, n in sorted(self.kept_as_text.items())
        ]
        return "; ".join(parts)


class ListingReader(Iterator[Listing | RejectedRow]):
    """Iterates a file's listings; ``counts`` says at any time what has passed.

    Parameters
    ----------
    path
        File of one of the kinds `features.rows.read_rows` knows.
    columns
        Which column feeds which field; None where the file uses our field names.
    defaults
        Field values for rows that give none, such as ``{"market": "KR"}``.
    form
        Encoding and delimiter of a text file.
    """

    def __init__(
        self,
        path: Path | str,
        columns: ColumnMap | None = None,
        defaults: Mapping[str, Any] | None = None,
        form: Form | None = None,
    ) -> None:
        self.path = Path(path)
        self.columns = columns
        self.defaults = dict(defaults or {})
        self.counts = ReadCounts()
        self._rows = self._checked(read_rows(self.path, form))

    def __next__(self) -> Listing | RejectedRow:
        """The next row; raises ReadError where the file itself cannot be read on."""
        result = self._listing(next(self._rows))
        if isinstance(result, RejectedRow):
            self.counts.rejected += 1
        else:
            self.counts.accepted += 1
        return result

    def _checked(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Check the columns on the first rows, so that a wrong map fails before any work is done."""
        head = list(itertools.islice(rows, _PEEK))
        there = list(dict.fromkeys(name for row in head for name in row.values))
        if there:
            self._check(there)
        if self.columns is None and suffix_of(self.path) in (".csv", ".tsv"):
            self.columns = identity(tuple(there))
        return itertools.chain(head, rows)

    def _check(self, there: list[str]) -> None:
        if self.columns is not None:
            absent = self.columns.missing(there)
            if absent:
                raise ReadError(
                    f"{self.path.name}: no column {'; '.join(absent)}. It has: {', '.join(there)}"
                )
            return
        foreign = [n for n in there if n not in FIELDS and n != "seller" and not n.startswith("attributes.")]
        if "title" not in there or (foreign and suffix_of(self.path) in (".csv", ".tsv")):
            first = foreign[0] if foreign else "title"
            raise ReadError(
                f"{self.path.name}: columns are not listing fields: {', '.join(foreign) or 'title is missing'}"
                f"{closest(first, FIELDS)}. It has: {', '.join(there)}. "
                "Say which is which: --columns title=...,price=..."
            )

    def _listing(self, row: Row) -> Listing | RejectedRow:
        read = read_row(row, self.columns, self.defaults)
        self.counts.hashed_ids += read.hashed
        self.counts.kept_as_text.update(read.kept)
        return read.result


class ReadRow(NamedTuple):
    """What came of a row; ``hashed`` says that it had no id, ``kept`` which fields could only be kept as text."""

    result: Listing | RejectedRow
    hashed: bool = False
    kept: tuple[str, ...] = ()


def read_row(row: Row, columns: ColumnMap | None, defaults: Mapping[str, Any]) -> ReadRow:
    """Turn one row into a listing or a reject with every reason; a pure function of the row."""
    if row.problem:
        return ReadRow(RejectedRow(row.line, (FieldError("(row)", row.problem, "a row"),), row.raw))
    try:
        raw, kept = (dict(row.values), ()) if columns is None else convert(columns, row.values)
        for name, value in defaults.items():
            raw.setdefault(name, value)
        hashed = not raw.get("id")
        if hashed:
            raw["id"] = row_id(row.values)
        return ReadRow(parse_listing(raw), hashed, kept)
    except ListingError as error:
        return ReadRow(RejectedRow(row.line, error.errors, row.values))
    except RecursionError:
        return ReadRow(RejectedRow(row.line, (FieldError("(row)", "nested too deeply", "an object"),), None))


def row_id(values: Mapping[str, Any]) -> str:
    """An id from a row's content: the same row has the same id in every run; equal rows share it."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return "row-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def read_listings(
    path: Path | str,
    columns: ColumnMap | None = None,
    defaults: Mapping[str, Any] | None = None,
    form: Form | None = None,
) -> ListingReader:
    """Stream a file's listings.

    Parameters
    ----------
    path, columns, defaults, form
        See `ListingReader`.

    Returns
    -------
    ListingReader
        Yields a `Listing` or a `RejectedRow` for each row.

    Raises
    ------
    ReadError
        At once when the file cannot be opened or lacks a mapped column; while reading when it turns out
        to be damaged further on.
    """
    return ListingReader(path, columns, defaults, form)
