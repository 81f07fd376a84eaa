"""A table of past results as a stream for the replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.errors import UserError
from training.replay import Goods, Stream

# A numeric column with more kinds than this is an amount, not a category.
_KINDS = 50


class HistoryError(UserError):
    """A table of past results that cannot be replayed; says which column is missing or wrong."""


def read_history(
    path: Path, outcome: str, critical: str | None, day: str, amount: str, history: tuple[str, ...]
) -> tuple[Stream, int, tuple[int, ...]]:
    """Read a CSV or Parquet file, one row a tested item.

    Parameters
    ----------
    outcome, critical
        Columns of 0 and 1; without ``critical`` nothing is critical.
    day
        Column of dates; the replay goes by weeks from the first.
    amount, history
        Columns that the best-seller and the history rule go by.

    Returns
    -------
    stream : Stream
        Every other column is something known before the test.
    amount_at, history_at
        Positions of those columns, as `training.strategies.named` takes them.

    Raises
    ------
    HistoryError
        When a column is missing or does not hold what it should.
    """
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    wanted = [outcome, day, amount, *history, *([critical] if critical else [])]
    if missing := [name for name in wanted if name not in table.columns]:
        raise HistoryError(
            f"{path.name}: got no column {', '.join(missing)}; it has {', '.join(table.columns)}"
        )
    days: Any = pd.to_datetime(table[day], errors="coerce")
    undated = int(np.isnat(days.to_numpy()).sum())
    if undated:
        raise HistoryError(f"{path.name}: column {day}: got {undated} rows without a date")
    table = table.assign(**{day: days}).sort_values(day, kind="stable").reset_index(drop=True)
    failed = _truth(table, outcome, path)
    fatal = _truth(table, critical, path) if critical else np.zeros(len(table), dtype=bool)
    rest: Any = table.drop(columns=[outcome, day, *([critical] if critical else [])])
    amounts = [
        name
        for name in rest.columns
        if name not in history
        and pd.api.types.is_numeric_dtype(rest[name])
        and (name == amount or rest[name].nunique() > _KINDS)
    ]
    if amount not in amounts:
        raise HistoryError(f"{path.name}: column {amount}: expected numbers for --amount")
    kinds = [name for name in rest.columns if name not in amounts]
    codes = np.column_stack([pd.factorize(rest[name].to_numpy(), use_na_sentinel=False)[0] for name in kinds])
    goods = Goods(
        codes.astype(np.int64),
        rest[amounts].to_numpy(float),
        (*kinds, *amounts),
        ((table[day] - table[day].iloc[0]).dt.days // 7).to_numpy(),
    )
    return Stream(goods, failed, fatal), amounts.index(amount), tuple(kinds.index(name) for name in history)


def _truth(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    values = table[name].to_numpy()
    if not bool(np.isin(values, (0, 1)).all()):
        raise HistoryError(
            f"{path.name}: column {name}: expected 0 and 1 in every row; untested rows are left out"
        )
    return values.astype(bool)
