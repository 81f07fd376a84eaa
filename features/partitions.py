"""A file's rows in tables of bounded size, unread: whoever scores them reads them, in another process or machine.

`read_partitions` does what only the one pass over the file can do (decoding, finding where rows end), `rows_of` does
the rest. Together they give the rows that `features.rows.read_rows` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from features.rows import (
    Form,
    Row,
    delimited,
    json_lines,
    json_row,
    open_lines,
    parquet_batches,
    read_rows,
    suffix_of,
)

_LINE, _JSON, _PROBLEM, _RAW = "_line", "_json", "_problem", "_raw"
_OWN = "="
"""Stands before the names of the file's own columns, so that none can be taken for one of ours."""

_Item = TypeVar("_Item")


def read_partitions(
    path: Path, form: Form | None = None, rows: int = 512, first: int = 0
) -> Iterator[pa.Table]:
    """Stream a file as tables of rows.

    Parameters
    ----------
    path, form
        See `features.rows.read_rows`.
    rows
        In a table, at most.
    first
        Rows to leave out at the start, such as those that an earlier run has done.

    Yields
    ------
    pyarrow.Table
        For `rows_of`; its columns are nobody else's business.

    Raises
    ------
    ReadError
        As `features.rows.read_rows`.
    """
    form, kind = form or Form(), suffix_of(path)
    if not path.is_file() or kind not in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"):
        next(read_rows(path, form), None)  # says what is wrong
    if kind == ".parquet":
        number = first
        for batch in parquet_batches(path, rows, first):
            yield _own(batch, number)
            number += batch.num_rows
        return
    with open_lines(path, form) as lines:
        if "j" in kind:
            for some in _by(islice(json_lines(lines), first, None), rows):
                numbers, texts = zip(*some, strict=True)
                yield pa.table(
                    {_LINE: pa.array(numbers, pa.int64()), _JSON: pa.array(texts, pa.large_string())}
                )
        else:
            for some in _by(islice(delimited(lines, form, kind), first, None), rows):
                yield _cells(some)


def _by(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _own(batch: pa.RecordBatch, before: int) -> pa.Table:
    numbers = pa.array(range(before + 1, before + 1 + batch.num_rows), pa.int64())
    names = [_OWN + name for name in batch.schema.names]
    return pa.table([numbers, *batch.columns], names=[_LINE, *names])


def _cells(rows: Sequence[Row]) -> pa.Table:
    names = next((list(row.values) for row in rows if row.values), [])
    text = pa.large_string()
    columns = [pa.array([row.values.get(name) for row in rows], text) for name in names]
    return pa.table(
        [
            pa.array([row.line for row in rows], pa.int64()),
            pa.array([row.problem for row in rows], text),
            pa.array([row.raw for row in rows], text),
            *columns,
        ],
        names=[_LINE, _PROBLEM, _RAW, *(_OWN + name for name in names)],
    )


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Give the rows of a table of `read_partitions`."""
    numbers = table[_LINE].to_pylist()
    if _JSON in table.column_names:
        yield from map(json_row, numbers, table[_JSON].to_pylist())
        return
    names = [name for name in table.column_names if name.startswith(_OWN)]
    own = table.select(names).rename_columns([name.removeprefix(_OWN) for name in names])
    values = own.to_pylist() if names else [{}] * table.num_rows
    if _PROBLEM not in table.column_names:
        yield from map(Row, numbers, values)
        return
    problems, raws = table[_PROBLEM].to_pylist(), table[_RAW].to_pylist()
    for number, cells, problem, raw in zip(numbers, values, problems, raws, strict=True):
        yield Row(number, {} if problem else cells, problem, raw)
