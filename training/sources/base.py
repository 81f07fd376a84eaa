"""What a source is: an iterator of facts over a file, and, where published, over the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from features.rows import Form
from training.records import Record, Reject
from training.sources.own import own_rows
from training.sources.parsing import SourceError
from training.sources.web import Page, SourceChangedError, Web


@runtime_checkable
class Source(Protocol):
    """Reads one publisher's file into records and rejects; together they account for every row."""

    @property
    def name(self) -> str:
        """Short name, also the ``source`` of each record."""
        ...

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield each row as a record, or as a reject with its reason.

        Parameters
        ----------
        path
            The publisher's file; gzip is recognised.

        Raises
        ------
        SourceError
            When the file as a whole is not what the source publishes.
        """
        ...


@runtime_checkable
class NetworkSource(Source, Protocol):
    """A source that can be fetched, piece by piece, from where it was left."""

    def fetch_iter(self, web: Web, state: Mapping[str, str]) -> Iterator[Page]:
        """Yield the pages that the checkpoint's state does not cover yet, oldest first.

        Parameters
        ----------
        web
            The client; asks, retries and caps.
        state
            ``Page.state`` of the last page stored; empty at first.
        """
        ...

    def parse(self, page: Page) -> Iterator[Record | Reject]:
        """Read a page as `Source.read` reads a file."""
        ...


def read_table(
    name: str,
    path: Path,
    required: Sequence[str],
    build: Callable[[Mapping[str, str]], Record],
    form: Form | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Record | Reject]:
    """Read a delimited file row by row; each is a record or a reject.

    Parameters
    ----------
    name
        Of the source, for its rejects.
    required
        Columns that must exist. Names are compared in lower case with underscores for blanks, since
        publishers change those (``PURCHASE COUNTRY``, ``purchase_country``).
    build
        Makes the record; its ValueError or KeyError is the reason of the reject.

    Raises
    ------
    SourceError
        When a required column is missing; `features.rows.ReadError` when the file cannot be read.
    """
    checked = False
    for row in own_rows(path, form, columns):
        values = {
            column.lower().replace(" ", "_"): "" if cell is None else str(cell)
            for column, cell in row.values.items()
        }
        if values and not checked:
            _check_columns(path.name, required, list(values))
            checked = True
        try:
            if row.problem:
                raise ValueError(row.problem)
            yield build(values)
        except (KeyError, ValueError) as error:
            raw = row.raw or "|".join(f"{column}={cell}" for column, cell in values.items() if cell)
            yield Reject(name, row.line, str(error).strip("'\""), raw)


def _check_columns(file: str, required: Sequence[str], there: Sequence[str]) -> None:
    missing = [column for column in required if column not in there]
    if missing:
        raise SourceError(
            f"{file}: missing column {', '.join(missing)}; the file has {', '.join(there)}. "
            "The source may have changed its form: compare it with the adapter's documentation"
        )


def parse_json(body: bytes, what: str) -> Any:
    """Parse a JSON body, or say that it is damaged."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceChangedError(
            f"{what}: not JSON ({error}); an answer that was cut short looks like this"
        ) from None


def need_fields(rows: Iterable[Mapping[str, Any]], fields: Iterable[str], what: str) -> None:
    """Say clearly when no row of an answer has a field that the adapter reads.

    Raises
    ------
    SourceChangedError
        Naming the missing fields and the ones that exist.
    """
    there: set[str] = set()
    for row in rows:
        there |= row.keys()
    missing = [name for name in fields if name not in there]
    if there and missing:
        raise SourceChangedError(
            f"{what}: the source has changed: no field {', '.join(missing)}; it has {', '.join(sorted(there))}. "
            "Nothing was read; compare the adapter with the publisher's documentation"
        )


def raw_text(row: Any) -> str:
    """A row as one line of text for a reject."""
    return row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
