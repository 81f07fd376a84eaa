"""US Consumer Product Safety Commission: files of past recalls.

Three published tables: the structured one with CPSC's own hazard category, and the toy and sports tables,
where the hazard is written in prose. Positives only: none says anything of goods that were not recalled.
US government work, public domain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.records import Recall, Record, Reject
from training.sources.base import read_table
from training.sources.hazards import crosswalk, hazards_in
from training.sources.parsing import US_DATES, clean, parse_date, split

REGULATOR = "US CPSC"


@dataclass(frozen=True, slots=True)
class CpscRecalls:
    """The structured recall table, with CPSC's hazard categories parted by ``|``.

    A row without a date is kept with ``date`` None; a row without a hazard keeps an empty set; a category
    that the taxonomy does not know rejects the row.
    """

    name: str = "cpsc"

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls; see `training.sources.base.Source`."""
        required = ("recall_number", "recall_date", "descriptions", "hazards")
        yield from read_table(self.name, path, required, self._recall)

    def _recall(self, row: Mapping[str, str]) -> Recall:
        number, names = clean(row["recall_number"]), split(row["descriptions"])
        if not number:
            raise ValueError("no recall number")
        if not names:
            raise ValueError("no product name")
        terms = split(row["hazards"])
        return Recall(
            source=self.name,
            native_id=number,
            date=parse_date(row["recall_date"], US_DATES),
            product_names=names,
            hazards=frozenset().union(*(crosswalk("cpsc", term) for term in terms)),
            hazard_terms=terms,
            product_types=split(row.get("product_types")),
            manufacturers=split(row.get("manufacturers")),
            countries=split(row.get("countries")),
            regulator=REGULATOR,
            url=clean(row.get("recall_url")),
        )


@dataclass(frozen=True, slots=True)
class CpscToys:
    """Toy recalls 1974-2016: the hazard is written in the title, seldom in the summary.

    ``product_names`` is the title as published: mask hazard words before a model reads it.
    """

    name: str = "cpsc_toys"

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls; see `training.sources.base.Source`."""
        required = ("title", "date", "summary", "recall_number")
        yield from read_table(self.name, path, required, self._recall)

    def _recall(self, row: Mapping[str, str]) -> Recall:
        number, title = clean(row["recall_number"]), clean(row["title"])
        if not number or not title:
            raise ValueError("no recall number" if not number else "no title")
        hazards, terms = hazards_in(title)
        if not hazards:
            hazards, terms = hazards_in(clean(row["summary"]))
        return Recall(
            source=self.name,
            native_id=number.zfill(5) if number.isdigit() else number,
            date=parse_date(row["date"], US_DATES),
            product_names=(title,),
            hazards=hazards,
            hazard_terms=terms,
            description=clean(row["summary"]),
            product_types=split(row.get("category_file", "").replace("_", " ")),
            regulator=REGULATOR,
            url=clean(row.get("recall_url")),
        )


@dataclass(frozen=True, slots=True)
class CpscSports:
    """Sports recalls 1975-2023: a product name, and the hazard as a sentence or a word."""

    name: str = "cpsc_sports"

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield recalls; see `training.sources.base.Source`."""
        yield from read_table(self.name, path, ("number", "date", "name", "hazard"), self._recall)

    def _recall(self, row: Mapping[str, str]) -> Recall:
        number = clean(row["number"])
        product = clean(row["name"]) or clean(row.get("title"))
        if not number or not product:
            raise ValueError("no recall number" if not number else "no product name")
        hazards, terms = hazards_in(f"{clean(row['hazard'])} . {clean(row.get('title'))}")
        return Recall(
            source=self.name,
            native_id=number,
            date=parse_date(row["date"], US_DATES),
            product_names=(product,),
            hazards=hazards,
            hazard_terms=terms,
            description=clean(row.get("description")),
            regulator=REGULATOR,
            url=clean(row.get("url")),
            images=split(row.get("image")),
        )
