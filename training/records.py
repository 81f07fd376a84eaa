"""What sources yield: plain facts, each with where it came from.

Three kinds are never mixed: a laboratory result says pass or fail, a recall says which hazard,
an inspection round says how often a product group fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Comparator = Literal["=", "<", ">", "nd"]


@dataclass(frozen=True, slots=True)
class Recall:
    """An authority's recall or notice about one product: positives only.

    ``hazards`` are taxonomy codes read off the regulator's own words (``hazard_terms``); an empty set means
    that none was named. ``kind`` keeps recalls, warnings and notices apart.
    """

    source: str
    native_id: str
    date: date | None
    product_names: tuple[str, ...]
    hazards: frozenset[str]
    hazard_terms: tuple[str, ...] = ()
    description: str = ""
    product_types: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    regulator: str = ""
    url: str = ""
    images: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    kind: Literal["recall", "warning"] = "recall"


@dataclass(frozen=True, slots=True)
class LabResult:
    """One measured property of one sample.

    ``value`` is None where nothing was measured (``comparator`` "nd": below an unstated detection limit).
    ``failed`` is set only where the source itself judged; otherwise it is derived later from the limit in force.
    ``laboratory`` is who tested, ``program`` why the sample was taken: both are nuisance effects, never inputs.
    ``weight`` is how much it counts in training: for how it was chosen and for who tested, 1 where nothing is known.
    """

    source: str
    native_id: str
    date: date | None
    product_name: str
    analyte: str
    hazard: str
    value: float | None
    unit: str
    comparator: Comparator = "="
    product_type: str = ""
    sample_id: str = ""
    listing_id: str = ""
    maker: str = ""
    country: str = ""
    laboratory: str = ""
    program: str = ""
    failed: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class InspectionRound:
    """Of ``n_tested`` goods of a group, ``n_failed`` failed. Group level only.

    ``leaf`` is False where the row repeats the sum of other rows of its batch: those are never added up.
    """

    source: str
    native_id: str
    agency: str
    date: date | None
    platforms: str
    group_name: str
    group_name_ko: str
    n_tested: int
    n_failed: int
    leaf: bool
    hazard_text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read, kept with its reason so that nothing vanishes."""

    source: str
    line: int
    reason: str
    raw: str


Record = Recall | LabResult | InspectionRound
