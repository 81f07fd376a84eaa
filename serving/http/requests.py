"""What clients send: a listing, or several, each perhaps with the decision on its earlier revision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from features.schema import FieldError, Listing, ListingError, parse_listing
from serving.decisions import Earlier
from serving.http.problems import WRONG_FIELDS, ProblemError
from serving.http.reading import RepeatedKeys
from serving.judging import Explain
from serving.policy.evaluation import Action

PREVIOUS = "previous"
_ONCE = ", each key once"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class PreviousPart(BaseModel):
    """The parts of an earlier decision that a comparison needs; its other parts may be left in."""

    model_config = ConfigDict(extra="ignore")

    decision_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    revision: Annotated[int, Field(ge=1)]
    action: Action
    fields: dict[Annotated[str, StringConstraints(max_length=64)], _Digest] = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class Item:
    """A listing that was read."""

    listing: Listing
    earlier: Earlier | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A listing that was not, with its id where one could be made out."""

    listing_id: str | None
    problem: ProblemError


def read_item(raw: Any) -> Item:
    """Read a listing, with the earlier decision in its ``previous`` when there is one.

    Raises
    ------
    ProblemError
        422 with every wrong field.
    """
    if not isinstance(raw, dict):
        raise _wrong((FieldError("(listing)", f"expected an object of listing fields{_ONCE}", _got(raw)),))
    fields = dict(raw)
    previous = fields.pop(PREVIOUS, None)
    errors: tuple[FieldError, ...] = ()
    earlier: Earlier | None = None
    if previous is not None:
        try:
            earlier = _earlier(previous)
        except ListingError as error:
            errors = error.errors
    try:
        listing = parse_listing(fields)
    except ListingError as error:
        raise _wrong(error.errors + errors) from None
    errors += _control_characters(listing)
    if errors:
        raise _wrong(errors)
    return Item(listing, earlier)


def _control_characters(listing: Listing) -> tuple[FieldError, ...]:
    """Refuse control characters in what names things: no store and no log line should meet them."""
    named = {
        "id": listing.id,
        "marketplace": listing.marketplace or "",
        "seller.id": (listing.seller and listing.seller.id) or "",
    }
    return tuple(
        FieldError(field, "expected no control characters", f"str of length {len(text)}")
        for field, text in named.items()
        if _CONTROL.search(text)
    )


def _got(raw: Any) -> str:
    return "a repeated key" if isinstance(raw, RepeatedKeys) else type(raw).__name__


def _earlier(raw: Any) -> Earlier:
    try:
        part = PreviousPart.model_validate(raw)
    except ValidationError as error:
        raise ListingError(
            tuple(
                FieldError(
                    ".".join(str(step) for step in (PREVIOUS, *item["loc"])),
                    item["msg"],
                    type(item["input"]).__name__,
                )
                for item in error.errors(include_url=False)
            )
        ) from None
    return Earlier(part.decision_id, part.revision, part.action, part.fields)


def _wrong(errors: tuple[FieldError, ...]) -> ProblemError:
    count = f"{len(errors)} fields are" if len(errors) != 1 else "1 field is"
    return ProblemError(WRONG_FIELDS, f"{count} wrong.", errors)


def items_of(raw: Any, limit: int) -> list[Item | Refused]:
    """Read the body of ``/v1/score-many``; a wrong listing is refused by itself.

    Raises
    ------
    ProblemError
        422 when the envelope itself is wrong.
    """
    if not isinstance(raw, dict):
        raise _wrong((FieldError("(body)", f"expected an object with listings{_ONCE}", _got(raw)),))
    errors = [FieldError(str(name), "unknown field", "a value") for name in raw if name != "listings"]
    listings = raw.get("listings")
    if not isinstance(listings, list):
        got = type(listings).__name__ if "listings" in raw else "nothing"
        errors.append(FieldError("listings", "expected a list of listings", got))
    elif not 1 <= len(listings) <= limit:
        errors.append(FieldError("listings", f"expected 1 to {limit} listings", f"{len(listings)}"))
    if errors or not isinstance(listings, list):
        raise _wrong(tuple(errors))
    return [_item_or_refused(entry) for entry in listings]


def _item_or_refused(raw: Any) -> Item | Refused:
    try:
        return read_item(raw)
    except ProblemError as problem:
        found = raw.get("id") if isinstance(raw, dict) else None
        usable = isinstance(found, str) and len(found) <= 256 and _encodable(found)
        return Refused(found if usable else None, problem)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def explain_of(query: Mapping[str, str]) -> Explain:
    """Read ``?explain=``.

    Raises
    ------
    ProblemError
        422 for an unknown value.
    """
    wanted = query.get("explain", "acted")
    for known in get_args(Explain):
        if wanted == known:
            return known
    expected = f"expected one of {', '.join(get_args(Explain))}"
    raise _wrong((FieldError("explain", expected, f"text of length {len(wanted)}"),))
