"""What a source is: an iterator of facts over a file, and, where published, over the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from training.records import Record, Reject


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
