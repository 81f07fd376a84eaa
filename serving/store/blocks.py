"""Blocks in force, and the marketplace's word on each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import notice_tables as tables
from serving.store import schema
from serving.store.records import moment


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A listing that must not be on sale.

    Attributes
    ----------
    blocked_at
        When it was first blocked and not released since, UTC.
    acknowledged_at
        When the marketplace last said, after that, that it is gone; None where it did not, or said otherwise since.
    """

    marketplace: str
    listing_id: str
    seller_id: str
    decision_id: str
    blocked_at: datetime
    acknowledged_at: datetime | None


def read_blocks(connection: Connection, *, unacknowledged: bool = False) -> tuple[BlockRow, ...]:
    """Read listings whose decision in force is a block, the longest blocked first.

    Parameters
    ----------
    unacknowledged
        Only those without the marketplace's word.
    """
    q, d = schema.listings, schema.decisions
    # Two ways into indexed parts of the table; an OR would read it whole.
    keys = sa.union(
        sa.select(q.c.marketplace, q.c.listing_id).where(q.c.state == "off_sale"),
        sa.select(q.c.marketplace, q.c.listing_id).where(q.c.open_action == "block"),
    ).subquery()
    other, first = d.alias("other"), d.alias("first")
    ours = sa.and_(other.c.marketplace == q.c.marketplace, other.c.listing_id == q.c.listing_id)
    released = (
        sa.select(sa.func.coalesce(sa.func.max(other.c.seq), 0))
        .where(ours, other.c.action != "block")
        .correlate(q)
        .scalar_subquery()
    )
    began = (
        sa.select(sa.func.min(first.c.seq))
        .where(
            first.c.marketplace == q.c.marketplace,
            first.c.listing_id == q.c.listing_id,
            first.c.action == "block",
            first.c.seq > released,
        )
        .correlate(q)
        .scalar_subquery()
    )
    blocked = (
        sa.select(
            q.c.marketplace, q.c.listing_id, q.c.seller_id, d.c.id.label("decision_id"), began.label("began")
        )
        .join(keys, sa.and_(keys.c.marketplace == q.c.marketplace, keys.c.listing_id == q.c.listing_id))
        .join(d, d.c.seq == q.c.decision_seq)
        .where(d.c.action == "block")
        .subquery()
    )
    k = tables.acknowledgements
    last = (
        sa.select(sa.func.max(k.c.seq))
        .where(
            k.c.marketplace == blocked.c.marketplace,
            k.c.listing_id == blocked.c.listing_id,
            k.c.seq > blocked.c.began,
        )
        .correlate(blocked)
        .scalar_subquery()
    )
    start, said, when = schema.decisions.alias("start"), k.alias("said"), schema.audit_rows.alias("when_said")
    statement = (
        sa.select(blocked, start.c.decided_at, said.c.status, when.c.at)
        .join(start, start.c.seq == blocked.c.began)
        .outerjoin(said, said.c.seq == last)
        .outerjoin(when, when.c.seq == said.c.seq)
        .order_by(start.c.decided_at, blocked.c.listing_id)
    )
    found = tuple(
        BlockRow(
            row["marketplace"],
            row["listing_id"],
            row["seller_id"],
            row["decision_id"],
            moment(row["decided_at"]),
            moment(row["at"]) if row["status"] == "removed" else None,
        )
        for row in connection.execute(statement).mappings()
    )
    return tuple(row for row in found if row.acknowledged_at is None) if unacknowledged else found


def read_last_words(connection: Connection) -> dict[tuple[str, str], tuple[str, datetime]]:
    """The marketplace's last word on every listing that it said something about: status and when."""
    k, a = tables.acknowledgements, schema.audit_rows
    last = sa.select(sa.func.max(k.c.seq)).group_by(k.c.marketplace, k.c.listing_id)
    rows = connection.execute(
        sa.select(k.c.marketplace, k.c.listing_id, k.c.status, a.c.at)
        .join(a, a.c.seq == k.c.seq)
        .where(k.c.seq.in_(last))
    )
    return {(marketplace, listing): (status, moment(at)) for marketplace, listing, status, at in rows}
