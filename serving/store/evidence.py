"""Reading everything that is known of a decision, for its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.records import microseconds, moment


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo as it was judged; ``content`` is None once erased."""

    position: int
    media_type: str
    digest: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """Where a row stands in the audit chain; digests in hex."""

    seq: int
    row_digest: str
    link: int
    link_first: int
    link_last: int
    link_root: str
    link_digest: str


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A decision as one line of a period's export."""

    seq: int
    id: str
    marketplace: str
    listing_id: str
    revision: int
    actor: str
    action: str
    state: str
    risk_level: str
    top_hazard: str
    expected_harm: float
    p_noncompliant: float
    rules: str
    model_version: str
    policy_version: str
    decided_at: datetime
    title: str | None
    seller_id: str | None


_EXPORTED = (
    "seq", "id", "marketplace", "listing_id", "revision", "actor", "action", "state", "risk_level", "top_hazard",
    "expected_harm", "p_noncompliant", "rules", "model_version", "policy_version",
)  # fmt: skip


def read_photos(connection: Connection, seq: int) -> tuple[StoredPhoto, ...]:
    """Photos of a decision, in order."""
    t = schema.images
    rows = connection.execute(sa.select(t).where(t.c.seq == seq).order_by(t.c.position)).mappings()
    return tuple(
        StoredPhoto(
            row["position"],
            row["media_type"],
            bytes(row["digest"]).hex(),
            None if row["content"] is None else bytes(row["content"]),
        )
        for row in rows
    )


def read_chain_place(connection: Connection, seq: int) -> ChainPlace | None:
    """Where a row stands in the chain, None for a row that is in none."""
    a, k = schema.audit_rows, schema.audit_links
    row = connection.execute(
        sa.select(
            a.c.seq, a.c.digest, k.c.number, k.c.first, k.c.last, k.c.root, k.c.digest.label("link_digest")
        )
        .join(k, sa.and_(k.c.first <= a.c.seq, k.c.last >= a.c.seq))
        .where(a.c.seq == seq)
    ).first()
    if row is None:
        return None
    return ChainPlace(
        row[0], bytes(row[1]).hex(), row[2], row[3], row[4], bytes(row[5]).hex(), bytes(row[6]).hex()
    )


def read_photo_source(
    connection: Connection, marketplace: str, listing_id: str, until: int | None = None
) -> int | None:
    """Sequence number of the newest decision on a listing whose photos are stored, None where there is none.

    ``until`` leaves later decisions out.
    """
    d, i = schema.decisions, schema.images
    statement = (
        sa.select(sa.func.max(d.c.seq))
        .join(i, i.c.seq == d.c.seq)
        .where(d.c.marketplace == marketplace, d.c.listing_id == listing_id, i.c.content.is_not(None))
    )
    if until is not None:
        statement = statement.where(d.c.seq <= until)
    return connection.execute(statement).scalar()


def read_period(
    connection: Connection, since: datetime, until: datetime, size: int = 2_000
) -> Iterator[ExportRow]:
    """Decisions made in a period, oldest first, read block by block."""
    d, i = schema.decisions, schema.inputs
    columns = [d.c[name] for name in (*_EXPORTED, "decided_at")]
    statement = (
        sa.select(*columns, i.c.payload)
        .join(i, i.c.seq == d.c.seq)
        .where(d.c.decided_at >= microseconds(since), d.c.decided_at < microseconds(until))
        .order_by(d.c.decided_at, d.c.seq)
    )
    rows = connection.execution_options(yield_per=size).execute(statement)
    for found in rows:
        row: tuple[Any, ...] = tuple(found)
        listing = None if row[-1] is None else orjson.loads(row[-1])
        seller = (listing or {}).get("seller") or {}
        values = dict(zip(_EXPORTED, row[:-2], strict=True))
        yield ExportRow(
            **values,
            decided_at=moment(row[-2]),
            title=None if listing is None else listing.get("title"),
            seller_id=seller.get("id") if listing is not None else None,
        )
