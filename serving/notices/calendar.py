"""Working days of authorities: when a deadline ends. Holidays come from the holidays library."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from features.errors import UserError

_LAST_MOMENT = time(23, 59, 59)


class CalendarError(UserError):
    """A jurisdiction whose calendar is not known."""


@lru_cache(maxsize=64)
def _holidays(jurisdiction: str) -> Mapping[date, str]:
    """Holidays of a country, grown year by year as days are asked for."""
    if jurisdiction == "EU":
        return holidays.financial_holidays("ECB")
    return holidays.country_holidays(jurisdiction)


class WorkingDays:
    """The calendar of one jurisdiction.

    Parameters
    ----------
    jurisdiction
        ``EU`` or an ISO 3166 country code.
    zone
        Name of its time zone, in which days begin and end.

    Raises
    ------
    CalendarError
        When the holidays of the country are not known.

    Examples
    --------
    >>> korea = WorkingDays("KR", "Asia/Seoul")
    >>> korea.after(datetime(2026, 9, 22, 3, tzinfo=UTC), working_days=2).isoformat()
    '2026-09-28T14:59:59+00:00'
    """

    def __init__(self, jurisdiction: str, zone: str) -> None:
        self.jurisdiction = jurisdiction
        self.zone = ZoneInfo(zone)
        try:
            self._holidays = _holidays(jurisdiction)
        except NotImplementedError:
            raise CalendarError(
                f"got jurisdiction {jurisdiction[:20]!r}, whose holidays are not known: expected EU or a country code"
            ) from None

    def is_working(self, day: date) -> bool:
        """Whether a day is neither Saturday, Sunday nor a public holiday."""
        return day.weekday() < 5 and day not in self._holidays

    def after(self, received: datetime, *, working_days: int = 0, days: int = 0) -> datetime:
        """Return the last moment of a period that begins with the day after receipt.

        Parameters
        ----------
        received
            When the notice came in; UTC without a zone.
        working_days
            Count only working days.
        days
            Or count all days; when the last is no working day, the next working day is taken.

        Returns
        -------
        datetime
            UTC; 23:59:59 of a working day in the jurisdiction's zone.
        """
        aware = received if received.tzinfo else received.replace(tzinfo=UTC)
        day = aware.astimezone(self.zone).date() + timedelta(days=days)
        left = max(working_days, 0)
        while left or not self.is_working(day):
            day += timedelta(days=1)
            left -= bool(left) and self.is_working(day)
        return datetime.combine(day, _LAST_MOMENT, self.zone).astimezone(UTC)
