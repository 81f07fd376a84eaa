"""Small readers that every source shares: empty words, dates, text, units.

Each takes what a publisher wrote and either understands it or says so; none guesses. The formats are
explicit because a date guesser reads ``03/04/2011`` either way.
"""

from __future__ import annotations

import calendar
import gzip
import html
import re
import zlib
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dateutil import parser as dateutil_parser

from features.rows import ReadError

# What publishers write for "nothing" (compared without case).
EMPTY_WORDS = frozenset(
    {
        "",
        "-",
        "--",
        "n/a",
        "null",
        "none",
        "unknown",
        "unknown or not stated",
        "not stated",
        "해당없음",
        "해당 없음",
        "없음",
    }
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>?")
_SPACE = re.compile(r"\s+")

US_DATES = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y %b %d %I:%M:%S %p", "%B %d, %Y")
EU_DATES = ("%d/%m/%Y",)
KOREAN_DATES = ("%Y%m%d", "%Y.%m.%d", "%Y. %m. %d.", "%Y년 %m월 %d일")
# A detection word is a result ("we looked and found nothing"), never a missing value.
_NOT_DETECTED = frozenset({"nd", "n.d.", "not detected", "불검출", "未检出", "bdl", "<lod", "<lloq"})
_AMOUNT = re.compile(r"^([<>≤≥]=?)?\s*([-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?)$")
# Spellings of one unit. Mass per area and mass per volume are other quantities: never joined.
_UNITS = {
    "ppm": ("mg/kg", 1.0),
    "mg/kg": ("mg/kg", 1.0),
    "mg/kg-dry": ("mg/kg-dry", 1.0),
    "µg/g": ("mg/kg", 1.0),
    "ug/g": ("mg/kg", 1.0),
    "ppb": ("mg/kg", 0.001),
    "µg/kg": ("mg/kg", 0.001),
    "ug/kg": ("mg/kg", 0.001),
    "%": ("mg/kg", 10_000.0),
    "mg/cm^2": ("mg/cm2", 1.0),
    "mg/cm2": ("mg/cm2", 1.0),
    "µg/cm2": ("mg/cm2", 0.001),
    "ug/cm2": ("mg/cm2", 0.001),
    "µg/cm2/week": ("ug/cm2/week", 1.0),
    "ug/cm2/week": ("ug/cm2/week", 1.0),
    "mg/l": ("mg/L", 1.0),
    "µg/l": ("mg/L", 0.001),
    "ug/l": ("mg/L", 0.001),
}


class SourceError(ReadError):
    """A whole file or answer that is not what its source promises: got, expected, what to do."""


class Measurement(NamedTuple):
    """A concentration as a laboratory wrote it: ``comparator`` is ``=``, ``<``, ``>`` or ``nd``."""

    value: float | None
    comparator: str


def clean(value: Any) -> str:
    """Text without mark-up, invisible characters or an empty word; ``""`` where nothing was said.

    Parameters
    ----------
    value
        What the publisher wrote; ``None`` and numbers are allowed.

    Returns
    -------
    str
        One line, entities decoded, spaces joined.

    """
    if value is None:
        return ""
    text = html.unescape(str(value)).translate(_INVISIBLE)
    text = _SPACE.sub(" ", _TAG.sub(" ", text)).strip()
    return "" if text.lower() in EMPTY_WORDS else text


def split(value: Any, separator: str = "|") -> tuple[str, ...]:
    """Clean parts of a joined field, in order, each once."""
    parts = (clean(part) for part in str(value or "").split(separator))
    return tuple(dict.fromkeys(part for part in parts if part))


def listed(value: Any) -> list[Any]:
    """One or many as a list: publishers write one child as an object and two as a list."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def parse_date(value: Any, formats: Sequence[str] = ()) -> date | None:
    """Read a calendar date.

    Parameters
    ----------
    value
        Text; an empty word gives None.
    formats
        ``strptime`` formats tried in order, after ISO 8601 (with or without a time).

    Returns
    -------
    date or None
        None only where the publisher wrote nothing.

    Raises
    ------
    ValueError
        When something is written that is no date in any of the formats.

    """
    text = clean(value)
    if not text:
        return None
    if re.match(r"^\d{4}-\d{2}-\d{2}", text):
        try:
            return dateutil_parser.isoparse(text.replace(" ", "T", 1)).date()
        except ValueError as error:
            raise ValueError(f"got date {text[:40]!r}: {error}") from None
    for form in formats:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise ValueError(f"got date {text[:40]!r}, expected YYYY-MM-DD{''.join(f' or {f}' for f in formats)}")


def known_by(value: Any) -> date | None:
    """The last day a loosely written date can mean, so that nothing is known too early.

    ``2024-08`` is 2024-08-31 and ``2024 full year`` is 2024-12-31; words without a year give None.
    """
    text = clean(value)
    if match := re.match(r"^(\d{4})-(\d{2})-(\d{2})$", text):
        return parse_date(text)
    if match := re.match(r"^(\d{4})-(\d{2})$", text):
        year, month = int(match[1]), int(match[2])
        if not 1 <= month <= 12:
            raise ValueError(f"got date {text!r}, expected a month from 01 to 12")
        return date(year, month, calendar.monthrange(year, month)[1])
    if match := re.match(r"^(\d{4})\b", text):
        return date(int(match[1]), 12, 31)
    return None


def parse_measurement(value: Any) -> Measurement | None:
    """Read a concentration: ``2.5``, ``<0.5``, ``ND``, ``-1``. None where nothing was written.

    A negative number is a publisher's code for "not detected"; a blank is a missing result. The two are
    kept apart: the first is a result, the second is none.

    Raises
    ------
    ValueError
        When something else is written.

    """
    raw = str(value if value is not None else "").strip()
    if raw.lower().replace(" ", "") in {word.replace(" ", "") for word in _NOT_DETECTED}:
        return Measurement(None, "nd")
    text = clean(raw)
    if not text:
        return None
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError(f"got concentration {text[:40]!r}, expected a number, '<0.5', 'ND' or -1")
    amount = float(match[2].replace(",", ""))
    if amount < 0:
        return Measurement(None, "nd")
    sign = (match[1] or "=")[0].replace("≤", "<").replace("≥", ">")
    return Measurement(amount, sign)


def canonical_unit(unit: Any) -> tuple[str, float] | None:
    """The unit's one spelling and the factor to it; None where the unit is not known.

    ``ppm`` and ``mg/kg`` are one; ``mg/cm2`` (surface) and ``mg/L`` (extract) stay apart.
    """
    key = clean(unit).lower().replace(" ", "").replace("μ", "µ").replace("㎎", "mg").replace("²", "2")
    return _UNITS.get(key)


def open_bytes(path: Path) -> bytes:
    """A whole small file, gzip told by its first bytes.

    Raises
    ------
    SourceError
        When it is missing, empty or damaged.
    """
    try:
        raw = path.read_bytes()
        body = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    if not body.strip():
        raise SourceError(f"{path.name}: the file is empty")
    return body
