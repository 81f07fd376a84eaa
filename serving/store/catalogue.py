"""Rows of the live catalogue: put, taken away, counted, and read through when a ban arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from serving.store import schema

Key = tuple[str, str]
"""Marketplace and listing id."""

_BLOCK = 10_000


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One live listing: its fields as JSON values, its print, and the SHA-256 of the encoder that made the print."""

    marketplace: str
    listing_id: str
    listing: dict[str, Any]
    mark: bytes
    made_by: str


def put_rows(connection: Connection, rows: Sequence[CatalogueRow], now: int) -> None:
    """Add listings, or put new versions in the place of old ones; durable when the transaction commits."""
    if not rows:
        return
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    table = schema.catalogue
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in ("payload", "mark", "made_by", "updated_at")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.marketplace, table.c.listing_id], set_=changed
        ),
        [
            {
                "marketplace": row.marketplace,
                "listing_id": row.listing_id,
                "payload": orjson.dumps(row.listing).decode(),
                "mark": row.mark,
                "made_by": row.made_by,
                "updated_at": now,
            }
            for row in rows
        ],
    )


def remove_rows(connection: Connection, keys: Sequence[Key]) -> int:
    """Take listings away; return how many were there."""
    table = schema.catalogue
    removed = 0
    for marketplace, listing_id in keys:
        found = connection.execute(
            table.delete().where(table.c.marketplace == marketplace, table.c.listing_id == listing_id)
        )
        removed += found.rowcount
    return removed


def count_rows(connection: Connection, made_by: str | None = None) -> int:
    """Count the listings, or those whose print a certain encoder made."""
    statement = sa.select(sa.func.count()).select_from(schema.catalogue)
    if made_by is not None:
        statement = statement.where(schema.catalogue.c.made_by == made_by)
    return connection.execute(statement).scalar_one()


def read_marks(connection: Connection, made_by: str) -> Iterator[list[tuple[str, str, bytes]]]:
    """Yield blocks of (marketplace, listing id, print) of all prints that a certain encoder made."""
    table = schema.catalogue
    statement = sa.select(table.c.marketplace, table.c.listing_id, table.c.mark).where(
        table.c.made_by == made_by
    )
    found = connection.execution_options(yield_per=_BLOCK).execute(statement)
    for block in found.partitions(_BLOCK):
        yield [(row[0], row[1], bytes(row[2])) for row in block]


def read_listings(connection: Connection, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """Read listings by key; keys that are gone are left out."""
    table = schema.catalogue
    found: dict[Key, dict[str, Any]] = {}
    for start in range(0, len(keys), 200):
        part = keys[start : start + 200]
        # Two lists instead of a list of pairs, for which SQLite reads the whole table.
        rows = connection.execute(
            sa.select(table.c.marketplace, table.c.listing_id, table.c.payload).where(
                table.c.marketplace.in_(sorted({key[0] for key in part})),
                table.c.listing_id.in_(sorted({key[1] for key in part})),
            )
        )
        found |= {(row[0], row[1]): orjson.loads(row[2]) for row in rows}
    return {key: found[key] for key in keys if key in found}


def read_all(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield every listing, ordered by marketplace and id."""
    table = schema.catalogue
    statement = sa.select(table.c.payload).order_by(table.c.marketplace, table.c.listing_id)
    for row in connection.execution_options(yield_per=_BLOCK).execute(statement):
        yield orjson.loads(row[0])
