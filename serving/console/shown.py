"""How values are written on a page: times, shares, durations, ids. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

KOREA = timezone(timedelta(hours=9), "KST")
"""Times are shown where the work is done; the clock of the browser has no say in a record."""


def day_time(value: datetime | str | None) -> str:
    """Write a time to the minute, in Korean time."""
    found = _time(value)
    return "" if found is None else found.astimezone(KOREA).strftime("%Y-%m-%d %H:%M")


def exact(value: datetime | str | None) -> str:
    """Write a time for machines, in UTC."""
    found = _time(value)
    return "" if found is None else found.astimezone(UTC).isoformat(timespec="seconds")


def _time(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if value is None:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def percent(value: float | None) -> str:
    """Write a share: two figures where it is small."""
    if value is None:
        return ""
    if value >= 0.1 or value == 0:
        return f"{value:.0%}"
    return f"{value:.1%}" if value >= 0.001 else "<0.1%"


def short(value: float | None) -> str:
    """Write a number with three significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def count(value: int | None) -> str:
    """Write a count."""
    return "" if value is None else f"{value:,}"


def length_of(value: timedelta | float | None, language: str = "en") -> str:
    """Write a duration in its largest fitting unit."""
    if value is None:
        return ""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    units = {"en": (" d", " h", " min"), "ko": ("일", "시간", "분")}[language if language == "ko" else "en"]
    for size, unit in zip((86_400, 3_600, 60), units, strict=True):
        if seconds >= size or size == 60:
            return f"{sign}{int(seconds // size)}{unit}"
    return ""


def brief(value: str, size: int = 8) -> str:
    """Shorten an identifier to its end, which is the part that differs."""
    return value if len(value) <= size + 1 else f"…{value[-size:]}"


def cut(value: str | None, size: int = 120) -> str:
    """Shorten a text."""
    text = value or ""
    return text if len(text) <= size else text[: size - 1] + "…"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "day_time": day_time,
    "exact": exact,
    "percent": percent,
    "short": short,
    "count": count,
    "length_of": length_of,
    "brief": brief,
    "cut": cut,
}
