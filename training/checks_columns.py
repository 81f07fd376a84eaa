"""Which kind of file a user has, and which of its columns is what: read off headers in three languages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from features.rows import Form, ReadError, read_rows
from training.sources.parsing import canonical_unit

KINDS = ("lab_results", "own_recalls", "inspections", "listings")
NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lab_results": (("product_name",), ("analyte", "hazard"), ("value", "verdict")),
    "own_recalls": (("product_name",), ("hazards",)),
    "inspections": (("batch_id",), ("agency",), ("product_group",), ("n_tested",), ("n_failed",)),
    "listings": (("title",),),
}
"""Per kind, groups of fields of which one must be there."""
ENCODINGS = ("utf-8", "cp949", "gb18030")
_UNIT = re.compile(r"[(\[（]([^)\]）]{1,12})[)\]）]\s*$")
_PEEK = 200


@dataclass(frozen=True, slots=True)
class FileGuess:
    """What a file seems to be.

    Attributes
    ----------
    kind
        One of `KINDS`, "" where it fits none.
    columns
        Our field -> their column, as the configuration takes it.
    unused
        Columns that feed nothing.
    missing
        What its likeliest kind needs and it lacks; empty where ``kind`` is not.
    problem
        Why it cannot be read at all.
    """

    path: Path
    kind: str
    columns: Mapping[str, str]
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    encoding: str = "utf-8"
    problem: str = ""


@cache
def _headers() -> Mapping[str, Mapping[str, str]]:
    text = (resources.files("training") / "own_columns.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    return {
        kind: {fold(name): field for field, names in fields.items() for name in (field, *names)}
        for kind, fields in raw.items()
    }


def fold(header: str) -> str:
    """Return a header without case, blanks, underscores and a unit in brackets."""
    return re.sub(r"[\s_\-./]+", "", _UNIT.sub("", str(header))).casefold()


def guess_file(path: Path) -> FileGuess:
    """Say what a file is and which of its columns is what.

    Parameters
    ----------
    path
        CSV, TSV, JSONL or Parquet; text in UTF-8, CP949 or GB18030.
    """
    problem = ""
    for encoding in ENCODINGS:
        try:
            head = list(itertools.islice(read_rows(path, Form(encoding=encoding)), _PEEK))
        except ReadError as error:
            problem = str(error)
            continue
        headers = list(dict.fromkeys(name for row in head for name in row.values))
        return guess_headers(path, headers, encoding)
    return FileGuess(path, "", {}, problem=problem)


def guess_headers(path: Path, headers: Sequence[str], encoding: str = "utf-8") -> FileGuess:
    """As `guess_file`, from the headers alone."""
    best = FileGuess(path, "", {}, tuple(headers), missing=("a title or a product name",), encoding=encoding)
    best_rank = (False, -1.0)
    for kind in KINDS:
        columns = _match(kind, headers)
        lacking = tuple(" or ".join(each) for each in NEEDED[kind] if not set(each) & columns.keys())
        used = {text.strip('"') for text in columns.values()}
        # A kind with more demands that are all met says more of a file than one that asks for a title only.
        rank = (not lacking, len(columns) + 2.0 * (len(NEEDED[kind]) - len(lacking)))
        if rank > best_rank and len(lacking) < len(NEEDED[kind]):
            unused = tuple(name for name in headers if name not in used)
            best, best_rank = (
                FileGuess(path, "" if lacking else kind, columns, unused, lacking, encoding),
                rank,
            )
    return best


def _match(kind: str, headers: Sequence[str]) -> dict[str, str]:
    known, columns = _headers()[kind], {}
    for header in headers:
        field = known.get(fold(header))
        if field is None or (field in columns and not columns[field].startswith("'")):
            continue
        columns[field] = f'"{header}"' if re.search(r"[|+~,\"'.=\s]", header) else header
        unit = _UNIT.search(header)
        if field == "value" and unit and canonical_unit(unit[1]):
            columns.setdefault("unit", f"'{unit[1]}'")
    if kind == "lab_results" and "analyte" not in columns and "hazard" in columns:
        columns["analyte"] = columns["hazard"]
    return columns
