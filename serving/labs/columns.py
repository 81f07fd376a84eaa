"""Column maps of laboratories: which header of a results file holds what. Data in ``labs_columns.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import UserError
from features.own_files import data_file

FIELDS = (
    "sample_id", "analyte", "value", "unit", "lod", "verdict", "date", "kind", "replaces", "result_id", "part",
    "method", "note",
)  # fmt: skip
REQUIRED = ("sample_id", "analyte")
_BLANK = re.compile(r"[\s_]+")
Headers = dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]


class ColumnsError(UserError):
    """A column map that cannot be used, or a file that lacks what it names."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layout(_Part):
    """How one laboratory writes.

    Attributes
    ----------
    columns
        Headers it uses beside the standard ones; its own come first.
    sheet
        Sheet of a workbook that holds the results; None for the first.
    dates
        ``strptime`` formats beside ISO 8601 and the Korean ones.
    default_unit
        Unit of rows that name none.
    """

    columns: Headers = {}
    sheet: str | None = None
    dates: tuple[str, ...] = ()
    default_unit: str = ""


class ColumnMaps(_Part):
    """All layouts."""

    version: Annotated[int, Field(ge=1, le=1)]
    standard: Headers
    laboratories: dict[str, Layout] = {}
    made_up: bool = False

    def layout(self, laboratory: str) -> Layout:
        """Return a laboratory's layout; the standard one where it has none of its own."""
        return self.laboratories.get(laboratory, Layout())

    def places(self, headers: Sequence[str], laboratory: str) -> dict[str, int]:
        """Find the column of every field.

        Raises
        ------
        ColumnsError
            When a required column is missing, two columns claim one field, or nothing measures or judges.
        """
        known: dict[str, str] = {}
        layout = self.layout(laboratory)
        for maps in (self.standard, layout.columns):
            known |= {fold(name): field for field, names in maps.items() for name in names}
        found: dict[str, int] = {}
        for place, header in enumerate(headers):
            field = known.get(fold(header))
            if field is None:
                continue
            if field in found:
                raise ColumnsError(
                    f"got the columns {headers[found[field]]!r} and {header!r}, both for {field}; expected one"
                )
            found[field] = place
        missing = [field for field in REQUIRED if field not in found]
        if missing or not {"value", "verdict"} & found.keys():
            missing += [] if {"value", "verdict"} & found.keys() else ["value or verdict"]
            raise ColumnsError(
                f"got columns {', '.join(repr(h[:40]) for h in headers[:20]) or 'none'}; found none for "
                f"{', '.join(missing)}. Add the header to the laboratory's map in labs_columns.yaml"
            )
        return found


def fold(header: object) -> str:
    """Return a header without case, blanks and underscores."""
    return _BLANK.sub("", str(header)).casefold()


def _checked(raw: Any, where: str) -> ColumnMaps:
    try:
        maps = ColumnMaps.model_validate(raw)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
        raise ColumnsError(f"{where}: " + "; ".join(wrong)) from None
    named: list[Mapping[str, Any]] = [
        maps.standard,
        *(layout.columns for layout in maps.laboratories.values()),
    ]
    if unknown := sorted({field for columns in named for field in columns} - set(FIELDS)):
        raise ColumnsError(f"{where}: got fields {', '.join(unknown)}; expected {', '.join(FIELDS)}")
    return maps


def load_columns(path: Path | None = None) -> ColumnMaps:
    """Read the column maps; None for those of the taxonomy folder, else of the package.

    Raises
    ------
    ColumnsError
        With every wrong entry.
    """
    return _read(path or data_file("labs_columns.yaml"))


@lru_cache(maxsize=4)
def _read(path: Path) -> ColumnMaps:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ColumnsError(f"{path}: expected a YAML file in UTF-8, got: {error}") from None
    return _checked(raw, str(path))
