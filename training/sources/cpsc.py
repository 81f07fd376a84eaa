"""US Consumer Product Safety Commission: files of past recalls.

Three published tables: the structured one with CPSC's own hazard category, and the toy and sports tables,
where the hazard is written in prose. Positives only: none says anything of goods that were not recalled.
US government work, public domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.records import Recall, Record, Reject
from training.sources.base import read_table
from training.sources.hazards import crosswalk, hazards_in
from training.sources.parsing import US_DATES, clean, parse_date, split

REGULATOR = "US CPSC"

# How a title ends once the product has been named: why, where it was sold, what else is said.
_TAIL = re.compile(
    r"\s*(?:[;:]|--).*$|,? (?:(?:due|owing) to|because(?: of)?|after|following|prompts?|for (?:possible |potential )?"
    r"(?:choking|fire|burn|fall|lead|laceration|strangulation|risk|violat|repair)|posing|poses?|sold (?:\w+ )?"
    r"(?:at|by|on|in|through)|with (?:possible |potential )?(?:choking|fire|lead) |in cooperation)\b.*$",
    re.IGNORECASE,
)
_BY = re.compile(
    r"^(?P<product>.+?),? (?:(?:is|are|to be) )?(?:voluntarily )?"
    r"(?:(?:recalled|replaced)\b.*|recall (?:by .*|to (?:repair|replace)))$",
    re.IGNORECASE,
)
_HAZARD_FIRST = re.compile(
    r"^.*\bprompts? (?:the )?(?:re)?call (?:of|to replace) (?P<product>.+?)(?: (?:by|from|at) .*)?$",
    re.IGNORECASE,
)
_WHO_FIRST = re.compile(
    r"^.*?\b(?:announces?|issues?|conducts?|expands?|to)? ?(?:a |the |an )?(?:voluntary |nationwide |safety )*"
    r"recalls?(?: (?:of|to (?:repair|replace|inspect)|to|additional|more))* (?P<product>.+)$",
    re.IGNORECASE,
)
_RECALL_LAST = re.compile(
    r"^(?:cpsc, ?)?(?:.+? announces? )?(?P<product>.+?) recall(?: program| alert)?$", re.IGNORECASE
)


def product_of_title(title: str) -> str:
    """Return the product that the title of a recall names; the whole title where no product can be told apart.

    >>> product_of_title("CPSC, Acorn Works Announce Recall of Wooden Rattles")
    'Wooden Rattles'
    >>> product_of_title("Pull Toys Recalled by Acorn Works Due to Choking Hazard")
    'Pull Toys'
    """
    plain = " ".join(title[:500].split())
    for form in (_HAZARD_FIRST, _BY, _WHO_FIRST, _RECALL_LAST):
        if found := form.match(plain):
            product = _TAIL.sub("", found["product"]).strip(" ,.;")
            if len(product) >= 3:
                return product
    return _TAIL.sub("", plain).strip(" ,.;") or plain


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

    ``product_names`` is the product that the title names, without who recalls it and why; names may still hold hazard
    words, which the name-only view masks.
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
            product_names=(product_of_title(title),),
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
        if "recall" in product.lower():
            product = product_of_title(product)
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
