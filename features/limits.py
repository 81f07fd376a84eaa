"""Legal limits as data: rows of ``limits.csv``, when they are in force, and what breaks them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.taxonomy_file import Audience, TaxonomyError

Comparator = Literal["<=", "<", ">=", ">", "range", "prohibited", "not_detected", "qualitative", "unknown"]
LimitMark = Literal["read", "read_secondary", "unverified"]
Dates = Literal[
    "stated",
    "month",
    "notice",
    "seen",
    "announced",
    "edition",
    "recalled",
    "inferred",
    "unknown",
    "historical",
]
_NUMERIC = frozenset({"<=", "<", ">=", ">", "range"})

ANY_GROUP = "all"


@dataclass(frozen=True, slots=True)
class Limit:
    """One requirement of the law. Comparators say what COMPLIANT goods satisfy.

    Attributes
    ----------
    ref
        Row of ``limits.csv``.
    jurisdiction
        ``KR``, ``EU``, ``US``, or a part of one such as ``US-NY``.
    groups
        Product group codes, or ``all``.
    audiences
        Audiences it is meant for; empty for every audience.
    scope
        Which material or part it covers where that is narrower than the group; "" for the whole.
    value, upper
        The bound, None where the rule is no number; ``upper`` only with comparator ``range``.
    valid_from, valid_to
        First and last day; None is unknown (or, for ``valid_to``, still running).
    dates
        How the days are known: ``stated`` in what was read; ``month``, ``notice``, ``seen`` (in use by then),
        ``announced``, ``edition``, ``recalled`` (from memory), ``inferred``, ``unknown``, or ``historical`` (an old
        rule that never counts as in force).
    mark
        ``read``, ``read_secondary`` or ``unverified``; what is unverified needs a person's check.
    """

    ref: str
    jurisdiction: str
    groups: tuple[str, ...]
    audiences: frozenset[str]
    hazard: str
    substance: str
    scope: str
    comparator: Comparator
    value: float | None
    upper: float | None
    unit: str
    regulation: str
    valid_from: date | None
    valid_to: date | None
    dates: Dates
    source: str
    mark: LimitMark
    note: str

    def in_force(self, on: date) -> bool:
        """Whether the limit applies on a day; an unknown first day counts as long past."""
        if self.dates == "historical":
            return False
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_to is None or on <= self.valid_to
        )

    def met_by(self, value: float) -> bool | None:
        """Whether a measured value, in the limit's own unit, complies; None where the rule is no number."""
        if self.comparator == "range" and self.value is not None and self.upper is not None:
            return self.value <= value <= self.upper
        if self.value is None:
            return None
        return {
            "<=": value <= self.value,
            "<": value < self.value,
            ">=": value >= self.value,
            ">": value > self.value,
        }.get(self.comparator)


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split("|") if part.strip()] if isinstance(value, str) else value


def _blank(value: Any) -> Any:
    return None if value == "" else value


Codes = Annotated[tuple[str, ...], BeforeValidator(_listed)]
OptionalDate = Annotated[date | None, BeforeValidator(_blank)]
OptionalNumber = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, BeforeValidator(_blank)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ref: str = Field(min_length=1)
    jurisdiction: str = Field(pattern=r"^[A-Z]{2}(-[A-Z]{2,3})?$")
    group: Annotated[Codes, Field(min_length=1)]
    audience: Annotated[frozenset[Audience], BeforeValidator(_listed)]
    hazard: str
    substance: str = Field(min_length=1)
    scope: str
    comparator: Comparator
    value: OptionalNumber
    upper: OptionalNumber
    unit: str
    regulation: str = Field(min_length=1)
    valid_from: OptionalDate
    valid_to: OptionalDate
    dates: Dates
    source: str
    mark: LimitMark
    note: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.value is not None) != (self.comparator in _NUMERIC):
            raise ValueError(
                f"got comparator {self.comparator!r} with value {self.value}, expected a number for it"
            )
        if (self.upper is not None) != (self.comparator == "range"):
            raise ValueError("expected `upper` with comparator `range` and only there")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError(f"got valid_from {self.valid_from} after valid_to {self.valid_to}")
        if not self.source and self.mark != "unverified":
            raise ValueError(f"got mark {self.mark!r} without a source, expected `unverified` or a source")
        return self


def read_limits(path: Path, hazards: Collection[str]) -> tuple[Limit, ...]:
    """Read ``limits.csv``.

    Parameters
    ----------
    path
        The file: comma-separated, UTF-8, one limit a row.
    hazards
        The codes a row may name.

    Returns
    -------
    tuple of Limit

    Raises
    ------
    TaxonomyError
        Naming the line and the column, when a row is wrong or its ``ref`` occurs twice.
    """
    limits: list[Limit] = []
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                limits.append(_limit(f"{path}: row {row.get('ref')!r}", row, hazards))
                if limits[-1].ref in seen:
                    raise TaxonomyError(f"{path}: got ref {limits[-1].ref!r} twice, expected it once")
                seen.add(limits[-1].ref)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaxonomyError(f"{path}: expected a CSV file in UTF-8, got: {error}") from None
    return tuple(limits)


def _limit(where: str, row: Mapping[str, str], hazards: Collection[str]) -> Limit:
    try:
        entry = _Row.model_validate(row)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(str(part) for part in item['loc']) or 'row'}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise TaxonomyError(f"{where}: " + "; ".join(wrong)) from None
    if entry.hazard not in hazards:
        raise TaxonomyError(f"{where}: hazard: got {entry.hazard!r}, expected one of {', '.join(hazards)}")
    fields = entry.model_dump()
    return Limit(groups=fields.pop("group"), audiences=fields.pop("audience"), **fields)


def applicable(
    limits: Iterable[Limit], groups: Collection[str], on: date, audience: str, scopes: Collection[str] = ()
) -> tuple[Limit, ...]:
    """Pick the limits in force for a product.

    Parameters
    ----------
    limits
        Candidates of one jurisdiction and hazard.
    groups
        The product's group and all groups above it.
    on
        The day.
    audience
        ``under_3``, ``under_14`` or ``general``.
    scopes
        Groups whose limits reach the product by its audience.

    Returns
    -------
    tuple of Limit
        In the order of the file.
    """
    reach = {*groups, *scopes, ANY_GROUP}
    return tuple(
        limit
        for limit in limits
        if limit.in_force(on)
        and (not limit.audiences or audience in limit.audiences)
        and not reach.isdisjoint(limit.groups)
    )
