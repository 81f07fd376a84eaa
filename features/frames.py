"""Listings from data frames of any kind, and columns back into a frame of the same kind.

Pandas, polars and pyarrow are told apart by narwhals, which imports none of them; a list of mappings works too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from features.columns import ColumnMap, convert, identity
from features.errors import UserError
from features.reader import row_id
from features.schema import Listing, ListingError, parse_listing


class FrameError(UserError):
    """A frame that holds no listings: which row, which field, what is wrong."""


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a frame as mappings; NaN and other missing values are left out.

    Parameters
    ----------
    frame
        pandas, polars or pyarrow table, or a sequence of mappings.

    Raises
    ------
    FrameError
        When it is none of them.
    """
    if isinstance(frame, Sequence) and not isinstance(frame, str | bytes):
        rows = [dict(row) for row in frame if isinstance(row, Mapping)]
        if len(rows) != len(frame):
            raise FrameError(
                "Got a sequence with something that is no mapping; expected one mapping a listing."
            )
    else:
        rows = [dict(row) for row in _narwhal(frame).iter_rows(named=True)]
    return [{name: value for name, value in row.items() if not _missing(value)} for row in rows]


def _narwhal(frame: Any) -> Any:
    import narwhals as nw

    try:
        return nw.from_native(frame, eager_only=True)
    except TypeError:
        raise FrameError(
            f"Got {type(frame).__name__}; expected a pandas, polars or pyarrow table, or a list of mappings."
        ) from None


def _missing(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")


_NO_TITLE = ". No column is named title; name yours: columns='title=NAME,price=NAME'"


def listings_of(frame: Any, columns: str | None = None) -> list[Listing]:
    """Read a frame's rows as listings.

    Parameters
    ----------
    frame
        See `rows_of`.
    columns
        Column map as the command line takes it (``title=name,price=min_price``); None where the frame uses our field
        names, or has columns that are none of ours and are then left alone.

    Raises
    ------
    FrameError
        Naming the first rows that are no listings, and why.
    """
    rows = rows_of(frame)
    chosen = None if columns is None else ColumnMap.parse(columns)
    if chosen is not None and rows:
        absent = chosen.missing(sorted({name for row in rows for name in row}))
        if absent:
            raise FrameError(f"The frame has no column {'; '.join(absent)}.")
    listings: list[Listing] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        try:
            listings.append(parse_listing(_values(row, chosen)))
        except ListingError as error:
            first = error.errors[0]
            problems.append(f"row {number}: {first.field}: {first.problem} (got {first.got})")
    if problems:
        shown = "; ".join(problems[:5])
        hint = "" if chosen or any("title" in row for row in rows) else _NO_TITLE
        raise FrameError(f"{len(problems)} of {len(rows)} rows are no listings. {shown}{hint}")
    return listings


def _values(row: Mapping[str, Any], columns: ColumnMap | None) -> dict[str, Any]:
    from features.columns import FIELDS

    if columns is None:
        ours = {name: row[name] for name in row if name in FIELDS or name.startswith("attributes.")}
        raw, _ = convert(identity(tuple(ours)), ours)
    else:
        raw, _ = convert(columns, row)
    if not raw.get("id"):
        raw["id"] = row_id(dict(row))
    raw["id"] = str(raw["id"])
    return raw


def frame_like(frame: Any, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return columns as a frame of the same kind; a list of mappings where a sequence was given.

    A pandas index is kept.
    """
    if isinstance(frame, Sequence):
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    import narwhals as nw

    made = nw.from_dict(dict(columns), backend=_narwhal(frame).implementation).to_native()
    if hasattr(frame, "index") and hasattr(made, "index"):
        made.index = frame.index
    return made
