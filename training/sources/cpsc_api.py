"""US CPSC Recall Retrieval web service (JSON). No key, no paging: a question returns all its rows at once.

Traps: a parameter the service does not know returns the whole database; ``Hazards[].HazardType`` is always
empty, so hazards are read from the sentence; dates come with or without a time; old rows reappear with a new
``LastPublishDate``. US government work, public domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from training.records import Recall, Record, Reject
from training.sources.base import need_fields, parse_json, raw_text
from training.sources.hazards import hazards_in
from training.sources.parsing import clean, listed, open_bytes, parse_date
from training.sources.web import MEBIBYTE, Page, SourceChangedError, Web

_FIELDS = ("RecallNumber", "RecallDate", "Title", "Products", "Hazards")
_FIRST_YEAR = 1973
_MOST_ROWS = 5_000
_OVERLAP = timedelta(days=3)
_FROM_TITLE = re.compile(
    r"\brecalls?\b\s+(.{3,120}?)(?:\s+(?:due to|because of|for|over)\b|;|\(|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class CpscApi:
    """CPSC recalls as the service gives them.

    Parameters
    ----------
    base
        Address of the service.
    today
        Last day asked for; the day of the run by default.
    """

    name: str = "cpsc_api"
    base: str = "https://www.saferproducts.gov/RestWebServices/Recall"
    first_year: int = _FIRST_YEAR
    today: date | None = None

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls of a saved answer; see `training.sources.base.Source`."""
        yield from self._rows(open_bytes(path), path.name)

    def fetch_iter(self, web: Web, state: Mapping[str, str]) -> Iterator[Page]:
        """Ask year by year at first, then only for what was published since.

        The cursor is not shown to move on silent edits: fetch from the start now and then.
        """
        today = self.today or datetime.now(UTC).date()
        through = int(state.get("through_year", self.first_year - 1))
        # The day the first load began: what is published while it runs or rests is asked for afterwards.
        began = state.get("published_to", today.isoformat())
        for year in range(through + 1, today.year + 1):
            window = {"RecallDateStart": f"{year}-01-01", "RecallDateEnd": f"{year}-12-31"}
            body = self._ask(web, window)
            next_state = {"through_year": str(year), "published_to": began}
            if body is not None:
                yield self._page(str(year), body, next_state)
        if through >= today.year and (since := state.get("published_to")):
            start = date.fromisoformat(since) - _OVERLAP
            body = self._ask(web, {"LastPublishDateStart": start.isoformat()})
            if body is not None:
                next_state = {"through_year": str(through), "published_to": today.isoformat()}
                yield self._page(f"since {start}", body, next_state)

    def parse(self, page: Page) -> Iterator[Record | Reject]:
        """Read one answer."""
        yield from self._rows(page.body, page.url)

    def _ask(self, web: Web, window: Mapping[str, str]) -> bytes | None:
        return web.get(self.base, "json", params={"format": "json", **window}, max_bytes=48 * MEBIBYTE)

    def _page(self, key: str, body: bytes, state: Mapping[str, str]) -> Page:
        rows = parse_json(body, f"{self.base} ({key})")
        if not isinstance(rows, list):
            raise SourceChangedError(f"{self.base}: got {type(rows).__name__}, expected a list of recalls")
        if len(rows) > _MOST_ROWS:
            raise SourceChangedError(
                f"{self.base} ({key}): {len(rows):,} rows, expected at most {_MOST_ROWS:,}; the service ignores "
                "a parameter it does not know and returns everything. Nothing was kept"
            )
        need_fields((row for row in rows if isinstance(row, dict)), _FIELDS, self.base)
        return Page(self.name, key, self.base, body, datetime.now(UTC), state)

    def _rows(self, body: bytes, what: str) -> Iterator[Record | Reject]:
        rows = listed(parse_json(body, what))
        need_fields((row for row in rows if isinstance(row, dict)), _FIELDS, what)
        for place, row in enumerate(rows, start=1):
            try:
                if not isinstance(row, dict):
                    raise ValueError(f"got a JSON {type(row).__name__}, expected an object")
                yield self._recall(row)
            except ValueError as error:
                yield Reject(self.name, place, str(error), raw_text(row))

    def _recall(self, row: Mapping[str, Any]) -> Recall:
        number, title = clean(row.get("RecallNumber")).replace("-", ""), clean(row.get("Title"))
        if not number:
            raise ValueError("no RecallNumber")
        names = _each(row, "Products", "Name") or tuple(_FROM_TITLE.findall(title)[:1])
        if not names:
            raise ValueError("no product name in Products or Title")
        sentences = _each(row, "Hazards", "Name")
        hazards, words = hazards_in(" . ".join((*sentences, title)))
        # The service knows UPCs only at recall level and leaves Model empty: neither is read.
        return Recall(
            source=self.name,
            native_id=number,
            date=parse_date(row.get("RecallDate")),
            product_names=names,
            hazards=hazards,
            hazard_terms=words,
            description=clean(row.get("Description")),
            product_types=_each(row, "Products", "Type"),
            manufacturers=tuple(
                dict.fromkeys(_each(row, "Manufacturers", "Name") + _each(row, "Importers", "Name"))
            ),
            countries=_each(row, "ManufacturerCountries", "Country"),
            regulator="US CPSC",
            url=clean(row.get("URL")),
            images=_each(row, "Images", "URL"),
        )


def _each(row: Mapping[str, Any], collection: str, key: str) -> tuple[str, ...]:
    items = (item for item in listed(row.get(collection)) if isinstance(item, dict))
    return tuple(dict.fromkeys(text for item in items if (text := clean(item.get(key)))))
