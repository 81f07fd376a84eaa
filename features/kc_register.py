"""The register of KC certificates as imported: states by number, from CSV or JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from features.errors import UserError

_NUMBER_COLUMNS = ("number", "certNum", "cert_num", "인증번호")
_STATE_COLUMNS = ("state", "certState", "cert_state", "인증상태")
# Same length on both sides, so that positions stay those of the original text.
PLAIN = str.maketrans(
    {**{0xFF01 + i: 0x21 + i for i in range(94)}, 0x3000: " ", 0x00A0: " "}
    | dict.fromkeys("‐‑‒–—―−ー﹣", "-")
)


class RegisterError(UserError):
    """A register file cannot be read."""


def plain_number(number: str) -> str:
    """Plain form of a number: upper case, plain hyphen, no blanks."""
    return "".join(number.translate(PLAIN).upper().split())


@dataclass(frozen=True, slots=True)
class Register:
    """Certificate states by plain number.

    ``rejected`` holds line and reason of every row that could not be used.
    """

    states: Mapping[str, str]
    rejected: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> Register:
        """Make a register of (number, state) pairs; a later pair for a number wins."""
        return cls(MappingProxyType({plain_number(number): state.strip() for number, state in rows}))

    @classmethod
    def read(cls, path: Path, encoding: str = "utf-8-sig") -> Register:
        """Read a register from CSV or JSON lines, plain or gzip.

        Parameters
        ----------
        path
            ``.csv`` or ``.jsonl``, with or without ``.gz``; columns ``number`` and ``state`` (``certNum`` and
            ``certState`` of the SafetyKorea interface are taken too). A later row for a number wins.
        encoding
            Of the text; Korean spreadsheets are often ``cp949``.

        Returns
        -------
        Register

        Raises
        ------
        RegisterError
            When the file is missing, is of another kind, lacks a column or is in another encoding.
        """
        path = Path(path)
        suffixes = [suffix.lower() for suffix in path.suffixes]
        kind = next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")
        readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
        if kind not in readers:
            raise RegisterError(f"got {path.name}, expected .csv or .jsonl, with or without .gz")
        states: dict[str, str] = {}
        rejected: list[tuple[int, str]] = []
        try:
            with _open(path, suffixes, encoding) as file:
                for line, row in readers[kind](file):
                    number, state = _pick(row, _NUMBER_COLUMNS), _pick(row, _STATE_COLUMNS)
                    if number and state:
                        states[plain_number(number)] = state
                    else:
                        rejected.append((line, f"got no {'state' if number else 'number'}, expected both"))
        except UnicodeDecodeError:
            raise RegisterError(
                f"{path.name}: got another encoding than {encoding}; try encoding='cp949'"
            ) from None
        except (OSError, EOFError, csv.Error) as error:
            raise RegisterError(f"{path.name}: cannot be read ({error})") from None
        return cls(MappingProxyType(states), tuple(rejected))

    def state(self, number: str) -> str | None:
        """The register's word for a number; None when it is not in it."""
        return self.states.get(plain_number(number))


def _open(path: Path, suffixes: Sequence[str], encoding: str) -> TextIO:
    if suffixes and suffixes[-1] == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _pick(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return next((str(row[name]).strip() for name in columns if row.get(name) not in (None, "")), "")


def _csv_rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(file)
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    for wanted in (_NUMBER_COLUMNS, _STATE_COLUMNS):
        if not set(wanted) & set(header):
            raise RegisterError(
                f"got columns {', '.join(header[:20]) or 'none'}, expected one of {', '.join(wanted)}"
            )
    for row in reader:
        yield reader.line_num, row


def _json_rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(file, 1):
        try:
            row = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            row = {}
        if row is not None:
            yield line, row if isinstance(row, dict) else {}
