"""A user's own files in the user's own columns: which of their columns feeds which of our fields, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from features.columns import Rule
from features.rows import Form, Row, closest, read_rows
from training.sources.parsing import SourceError


def own_rows(path: Path, form: Form | None, columns: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Stream a file's rows under our names.

    Parameters
    ----------
    path
        A file that `features.rows.read_rows` knows.
    columns
        Our field -> their column, as in `features.columns.Rule`: ``상품명``, ``a|b`` (first filled), ``'KTR'`` (the
        same for every row). Empty where the file uses our names.

    Yields
    ------
    Row

    Raises
    ------
    SourceError
        When the file lacks a column that the map names.
    """
    rows = read_rows(path, form)
    if not columns:
        yield from rows
        return
    rules = {field: Rule.parse(text, field) for field, text in columns.items()}
    checked = False
    for row in rows:
        if not checked and row.values:
            _check(path.name, rules, row.values)
            checked = True
        values = {field: rule.value(row.values) for field, rule in rules.items()}
        yield row if row.problem else Row(row.line, values, "", row.raw)


def _check(file: str, rules: Mapping[str, Rule], there: Mapping[str, Any]) -> None:
    absent = [
        f"{column.path!r} for {field}{closest(column.path, list(there))}"
        for field, rule in rules.items()
        for column in rule.columns[:1]
        if not any(each.path in there or each.path.split(".")[0] in there for each in rule.columns)
    ]
    if absent:
        raise SourceError(f"{file}: no column {'; '.join(absent)}. It has: {', '.join(there)}")
