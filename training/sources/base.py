"""What a source is: an iterator of facts over a file, and, where published, over the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from training.records import Record, Reject
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
