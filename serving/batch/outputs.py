"""What a batch writes: CSV, JSONL or Parquet, and the file that appears under its name only when it is whole."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import orjson
import pyarrow as pa
from pyarrow import compute, csv, parquet

from features.reader import ReadError
from features.rows import FORMATS, open_binary, suffix_of

SUFFIXES = (".csv", ".jsonl", ".parquet")
_FORMULA = r"^([ \x{a0}\x{3000}]*[=+\-@\t\r\n\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}])"
_ROW_GROUP = 16_384
_READ = 1 << 20


class Writer(Protocol):
    """Takes batches of the output's columns, one after the other."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class _JsonLines:
    """One JSON object a line; empty cells are null."""

    def __init__(self, path: Path) -> None:
        self._stream: IO[bytes] = path.open("wb")

    def write_batch(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._stream.write(orjson.dumps(row) + b"\n")

    def close(self) -> None:
        self._stream.close()


class _Csv:
    """Text that a spreadsheet would take for a formula stands behind an apostrophe: sellers choose ids and words."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = csv.CSVWriter(path, schema)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        columns = [
            compute.call_function(
                "replace_substring_regex", [column], compute.ReplaceSubstringOptions(_FORMULA, r"'\1")
            )
            if pa.types.is_string(column.type)
            else column
            for column in batch.columns
        ]
        self._file.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Row groups of a size that does not depend on how rows came."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = parquet.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write_batch(self, batch: pa.RecordBatch) -> None:
        while batch.num_rows:
            taken = batch.slice(0, _ROW_GROUP - self._rows)
            self._held.append(taken)
            self._rows += taken.num_rows
            batch = batch.slice(taken.num_rows)
            if self._rows == _ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        # In one piece: pages end where pieces do, and the file is not to tell how its rows came.
        whole = pa.Table.from_batches(self._held, self._schema).combine_chunks()
        self._file.write_table(whole, row_group_size=_ROW_GROUP)
        self._held, self._rows = [], 0

    def close(self) -> None:
        if self._held:
            self._flush()
        self._file.close()


def open_writer(path: Path, suffix: str, schema: pa.Schema) -> Writer:
    """Open a file for writing; ``suffix`` is one of `SUFFIXES`."""
    if suffix == ".csv":
        return _Csv(path, schema)
    if suffix == ".parquet":
        return _Parquet(path, schema)
    return _JsonLines(path)


def check_output(path: Path) -> None:
    """Refuse an output name before any work is done.

    Raises
    ------
    ReadError
        When the suffix is none of `SUFFIXES` or the folder does not exist.
    """
    if path.suffix not in SUFFIXES:
        raise ReadError(f"Got output {path.name!r}; expected a name that ends in {', '.join(SUFFIXES)}.")
    if not path.absolute().parent.is_dir():
        raise ReadError(f"Got output {str(path)!r}, whose folder does not exist; make it first.")


def sources_in(folder: Path) -> list[Path]:
    """Return the files of a folder and of those below it that can be read, by name; hidden ones are left out.

    Raises
    ------
    ReadError
        When there is none.
    """
    kinds = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
    kinds = (*kinds, *(f"{kind}.gz" for kind in kinds[:-1]))
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(kinds)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    if not found:
        raise ReadError(f"Got folder {str(folder)!r} without a file that ends in {FORMATS}.")
    return found


def outputs_for(sources: Sequence[Path], folder: Path, into: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Pair each source with its output: the same name in another folder, its own suffix kept before the new one."""
    return [
        (source, into / source.relative_to(folder).parent / f"{source.name}.scores{suffix}")
        for source in sources
    ]


def about_rows(path: Path) -> int:
    """Return how many rows a file has: exactly for Parquet, by the length of its first lines for text."""
    try:
        if suffix_of(path) == ".parquet":
            return parquet.read_metadata(path).num_rows
        with open_binary(path) as text:
            lines = text.read(_READ).count(b"\n")
            # How far the file had to be read for that: of a packed one not as far as its text goes.
            packed: Any = getattr(text, "fileobj", text)
            return max(1, round(lines * path.stat().st_size / max(packed.tell(), 1)))
    except (OSError, EOFError, ValueError, zlib.error, ReadError, pa.ArrowException):
        return 0


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_READ):
            digest.update(piece)
    return digest.hexdigest()


def publish(part: Path, target: Path) -> None:
    """Put a finished file under its name: first its bytes are on the disk, then its name, then we go on."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
