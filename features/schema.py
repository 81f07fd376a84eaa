"""The listing: what a marketplace tells us about an offer, and the check that it is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from features.errors import UserError

TITLE_MAX = 1_000
TEXT_MAX = 100_000
LIST_MAX = 500

# No control characters: identifiers end up in file names, logs and databases.
Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
Short = Annotated[str, StringConstraints(max_length=TITLE_MAX)]
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX)]
# Far above any market, far below what a database holds.
Count = Annotated[int, Field(ge=0, le=10**15)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


def _moment(value: Any) -> Any:
    """Take a day written ``20261122`` as that day; a bare number is no time, though a library reads 1970 out of it."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit()):
        text = value.strip() if isinstance(value, str) else ""
        if len(text) == 8 and text.isascii() and text.isdigit():
            return f"{text[:4]}-{text[4:6]}-{text[6:]}"
        raise ValueError("expected a time such as 2026-11-22T09:00:00Z or a day, not a bare number")
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]


def _path(value: Any) -> Any:
    """Take a category as a list or as ``A > B > C``."""
    if isinstance(value, str):
        return [part.strip() for part in value.replace("|", ">").split(">") if part.strip()]
    return value


class _Record(BaseModel):
    """Unknown fields are errors: a misspelt name must not vanish in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SellerHistory(_Record):
    """What the marketplace knew of the seller when the listing is scored.

    Counts are as of ``as_of``; a history taken later than the listing leaks the answer.
    """

    as_of: Moment | None = None
    first_seen: Moment | None = None
    listings: Count | None = None
    removed: Count | None = None
    tested: Count | None = None
    failed: Count | None = None
    strikes: Count | None = None


class Seller(_Record):
    """Who offers the goods."""

    id: Identifier | None = None
    name: Short | None = None
    country: Short | None = None
    history: SellerHistory | None = None


class Certificate(_Record):
    """A certificate that the seller claims, not one that was checked."""

    kind: Short
    number: Short | None = None


class Variant(_Record):
    """One choice within a listing, such as a colour or a size."""

    id: Identifier | None = None
    name: Short = ""
    price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    image: Text | None = None


class Listing(_Record):
    """An offer of goods on a marketplace.

    Attributes
    ----------
    id
        The marketplace's own identifier.
    title
        As the seller wrote it; nothing is cleaned before it is stored.
    category
        Path from the root to the leaf; also accepted as ``"Toys > Dolls"``.
    market
        ISO 3166 code of the country of sale, which decides the law that applies.
    revision
        Counts the edits; an edited listing is scored again.
    created_at, updated_at, scored_at
        Times with a zone; a time without one is taken as UTC.
    """

    id: Identifier
    title: Annotated[str, StringConstraints(min_length=1, max_length=TITLE_MAX)]
    description: Text = ""
    bullets: list[Text] = Field(default_factory=list, max_length=LIST_MAX)
    attributes: dict[Short, Text] = Field(default_factory=dict, max_length=LIST_MAX)
    category: Annotated[list[Short], BeforeValidator(_path)] = Field(default_factory=list, max_length=20)
    brand: Short | None = None
    price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: Currency | None = None
    seller: Seller | None = None
    origin: Short | None = None
    ship_from: Short | None = None
    certificates: list[Certificate] = Field(default_factory=list, max_length=50)
    target_age: Short | None = None
    units_sold: Count | None = None
    rating: float | None = Field(default=None, ge=0, le=5, allow_inf_nan=False)
    images: list[Text] = Field(default_factory=list, max_length=LIST_MAX)
    variants: list[Variant] = Field(default_factory=list, max_length=LIST_MAX)
    revision: int = Field(default=1, ge=1, le=10**9)
    marketplace: Short | None = None
    market: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "KR"
    created_at: Moment | None = None
    updated_at: Moment | None = None
    scored_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: where, what is wrong, and a short form of what was got.

    ``got`` names the type and size of the value, never its text: errors go to logs.
    """

    field: str
    problem: str
    got: str


class ListingError(UserError):
    """A listing that cannot be read; ``errors`` holds every wrong field at once."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{e.field}: {e.problem} (got {e.got})" for e in errors))


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return f"{type(value).__name__} {value}"
    size = f" of length {len(value)}" if hasattr(value, "__len__") else ""
    return f"{type(value).__name__}{size}"


def parse_listing(raw: Mapping[str, Any]) -> Listing:
    """Read one listing.

    Parameters
    ----------
    raw
        Field names and values, such as one JSON object.

    Returns
    -------
    Listing

    Raises
    ------
    ListingError
        With every wrong field, when the mapping is not a listing.
    """
    try:
        return Listing.model_validate(raw)
    except ValidationError as error:
        raise ListingError(
            tuple(
                FieldError(
                    field=".".join(str(part) for part in item["loc"]) or "(listing)",
                    problem=item["msg"],
                    got="nothing" if item["type"] == "missing" else _describe(item["input"]),
                )
                for item in error.errors(include_url=False)
            )
        ) from None
