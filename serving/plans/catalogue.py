"""The catalogue that a plan is made from: a file, or what is live in the store; each listing once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.reader import ColumnMap, RejectedRow, read_listings
from features.schema import Listing, parse_listing
from serving.plans.types import PlanError

if TYPE_CHECKING:
    from serving.store import Store


@dataclass(frozen=True, slots=True)
class CatalogueRead:
    """Listings by their newest revision, and how many rows could not be read."""

    listings: list[Listing]
    rejected: int = 0


def columns_of(text: str | None) -> ColumnMap | None:
    """Return the column map that ``title=name,price=price`` or a name such as ``coupang_kr`` means."""
    if not text:
        return None
    return ColumnMap.parse(text) if "=" in text else ColumnMap.named(text.removeprefix("@"))


def read_catalogue(source: Path, columns: str | None = None, marketplace: str | None = None) -> CatalogueRead:
    """Read a catalogue file.

    Parameters
    ----------
    source
        File of a kind that `features.reader` knows.
    columns
        See `columns_of`.
    marketplace
        For rows that give none.

    Raises
    ------
    ReadError
        When the file cannot be read.
    """
    rows = list(read_listings(source, columns_of(columns)))
    given = {"marketplace": marketplace} if marketplace else {}
    listings = [
        row if row.marketplace else row.model_copy(update=given)
        for row in rows
        if not isinstance(row, RejectedRow)
    ]
    return CatalogueRead(newest(listings), len(rows) - len(listings))


def live_catalogue(store: Store, most: int) -> CatalogueRead:
    """Read the listings that the store holds as on sale.

    Raises
    ------
    PlanError
        When there are none, or more than ``most``.
    """
    from serving.store.catalogue import count_rows, read_all
    from serving.store.engine import reading

    with reading(store.engine) as connection:
        count = count_rows(connection)
        if not 0 < count <= most:
            raise PlanError(
                f"got {count:,} live listings in the store; expected 1 to {most:,}: "
                + ("use `listing-risk plan`" if count else "add some with `listing-risk catalogue add`")
            )
        return CatalogueRead(newest(parse_listing(raw) for raw in read_all(connection)))


def newest(listings: Iterable[Listing]) -> list[Listing]:
    """Keep the newest revision of every listing id, in the order of first sight."""
    found: dict[str, Listing] = {}
    for listing in listings:
        known = found.get(listing.id)
        if known is None or known.revision <= listing.revision:
            found[listing.id] = listing
    return list(found.values())
