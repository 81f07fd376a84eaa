"""EU Safety Gate weekly reports (XML): the list of reports, then each report at the address the list gives.

Quirks: addresses in the list end in stray characters; ``danger`` may open with a literal "null"; brands hold
mark-up cut in the middle; notifications carry no date of their own, only their report does. An alert without a
recall from end users is a warning. Distribution is CC0; pictures and trade marks are not included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError

from training.records import Recall, Record, Reject
from training.sources.hazards import crosswalk, hazards_in, possible
from training.sources.parsing import EU_DATES, clean, open_bytes, parse_date, split
from training.sources.web import MEBIBYTE, Page, SourceChangedError, Web

_NEEDED = ("caseNumber", "product", "riskType")
_END_USER_RECALL = re.compile(r"recall\w*\b.{0,40}\bend.?users?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SafetyGate:
    """EU alerts on dangerous non-food products."""

    name: str = "safety_gate"
    listing: str = "https://ec.europa.eu/safety-gate-alerts/api/download/weeklyReport/list/xml/en"
    since: date | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield the alerts of a saved weekly report; see `training.sources.base.Source`."""
        yield from self._alerts(open_bytes(path), path.name, None)

    def fetch_iter(self, web: Web, state: Mapping[str, str]) -> Iterator[Page]:
        """Follow the list; reports that the state names are not asked for again."""
        body = web.get(self.listing, "xml", headers=self.headers, max_bytes=8 * MEBIBYTE)
        if body is None:
            return
        done = [name for name in state.get("done", "").split(",") if name]
        for reference, published, address in self._reports(body):
            if reference in done or (self.since and published and published < self.since):
                continue
            report = web.get(address, "xml", headers=self.headers, max_bytes=32 * MEBIBYTE)
            done.append(reference)
            if report is not None:
                facts = {"published": published.isoformat()} if published else {}
                yield Page(
                    self.name, reference, address, report, datetime.now(UTC), {"done": ",".join(done)}, facts
                )

    def parse(self, page: Page) -> Iterator[Record | Reject]:
        """Read one weekly report."""
        yield from self._alerts(page.body, page.url, parse_date(page.facts.get("published")))

    def _reports(self, body: bytes) -> list[tuple[str, date | None, str]]:
        root = _parse(body, self.listing)
        reports = []
        for item in _named(root, "weeklyReport"):
            text = {_tag(child): clean(child.text) for child in item}
            address = urljoin(self.listing, text.get("URL", "").rstrip(", \n"))
            if text.get("reference") and text.get("URL"):
                self._same_host(address)
                reports.append(
                    (text["reference"], parse_date(text.get("publicationDate"), EU_DATES), address)
                )
        if not reports:
            raise SourceChangedError(
                f"{self.listing}: no weeklyReport with reference and URL; it has {_tags(root)}. The source has changed"
            )
        return sorted(reports, key=lambda report: (report[1] or date.max, report[0]))

    def _same_host(self, address: str) -> None:
        if urlsplit(address).netloc != urlsplit(self.listing).netloc:
            raise SourceChangedError(f"the list points to another host: {address[:120]}; not followed")

    def _alerts(self, body: bytes, what: str, published: date | None) -> Iterator[Record | Reject]:
        root = _parse(body, what)
        alerts = _named(root, "notifications") or _named(root, "notification")
        there = {_tag(child) for alert in alerts for child in alert}
        missing = [name for name in _NEEDED if name not in there]
        if missing:
            raise SourceChangedError(
                f"{what}: the source has changed: no {', '.join(missing)}; it has "
                f"{', '.join(sorted(there)) or _tags(root)}. Nothing was read"
            )
        day = published or self._report_date(root)
        for place, alert in enumerate(alerts, start=1):
            try:
                yield self._recall(alert, day)
            except (KeyError, ValueError) as error:
                content = "|".join(f"{_tag(child)}={clean(child.text)}" for child in alert)
                yield Reject(self.name, place, str(error).strip("'\""), content)

    @staticmethod
    def _report_date(root: Element) -> date | None:
        for name in ("report_date", "reportDate", "publicationDate"):
            for item in _named(root, name):
                return parse_date(item.text, EU_DATES)
        return None

    def _recall(self, alert: Element, day: date | None) -> Recall:
        fields: dict[str, str] = {}
        for child in alert:
            if len(child) == 0:
                fields.setdefault(_tag(child), clean(child.text))
        number = fields.get("caseNumber", "").upper()
        names = tuple(n for n in dict.fromkeys((fields.get("product", ""), fields.get("name", ""))) if n)
        if not number or not names:
            raise ValueError("no caseNumber" if not number else "no product or name")
        terms = split(fields.get("riskType"), ",")
        hazards, words = self._hazards(terms, fields.get("danger", ""))
        measures = fields.get("measures", "")
        return Recall(
            source=self.name,
            native_id=number,
            date=day,
            product_names=names,
            hazards=hazards,
            hazard_terms=(*terms, *words),
            description=fields.get("description", ""),
            product_types=split(fields.get("category")),
            manufacturers=split(fields.get("brand")),
            countries=split(fields.get("countryOfOrigin")),
            regulator=f"EU Safety Gate ({fields.get('notifyingCountry') or 'country not stated'})",
            url=fields.get("reference", ""),
            images=tuple(clean(p.text) for p in _named(alert, "picture") if clean(p.text)),
            kind="recall" if _END_USER_RECALL.search(measures) else "warning",
        )

    @staticmethod
    def _hazards(terms: tuple[str, ...], danger: str) -> tuple[frozenset[str], tuple[str, ...]]:
        """What the risk types assert, and what the danger text adds among the things they may mean."""
        asserted = frozenset().union(*(crosswalk("safety_gate", term) for term in terms))
        may_be = frozenset().union(*(possible("safety_gate", term) for term in terms))
        named, words = hazards_in(danger.removeprefix("null").strip())
        added = named & may_be
        return asserted | added, words if added else ()


def _parse(body: bytes, what: str) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(body)
    except (ParseError, DefusedXmlException) as error:
        raise SourceChangedError(
            f"{what}: not whole XML ({type(error).__name__}: {error}); an answer that was cut short looks like this"
        ) from None


def _tag(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _named(root: Element, name: str) -> list[Element]:
    return [item for item in root.iter() if _tag(item) == name]


def _tags(root: Element) -> str:
    return ", ".join(sorted({_tag(item) for item in root.iter()}))[:300]
