"""Reading sellers: their listings, blocks that deserve a strike, labels that a decision gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import notice_tables as tables
from serving.store import schema
from serving.store.records import moment


@dataclass(frozen=True, slots=True)
class SellerListing:
    """A listing of a seller with its decision in force."""

    marketplace: str
    listing_id: str
    decision_id: str
    action: str
    state: str
    risk_level: str
    top_hazard: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label as it was written; ``value`` None takes an earlier one back."""

    seq: int
    marketplace: str
    listing_id: str
    revision: int
    hazard: str
    value: bool | None
    source: str
    decision_id: str


def read_seller_listings(
    connection: Connection, marketplace: str, seller_id: str, size: int = 200
) -> tuple[SellerListing, ...]:
    """Listings of a seller, the last decided first."""
    q, d = schema.listings, schema.decisions
    rows = connection.execute(
        sa.select(
            q.c.marketplace,
            q.c.listing_id,
            d.c.id,
            d.c.action,
            d.c.state,
            d.c.risk_level,
            d.c.top_hazard,
            d.c.decided_at,
        )
        .join(d, d.c.seq == q.c.decision_seq)
        .where(q.c.seller_id == seller_id, q.c.marketplace == marketplace)
        .order_by(q.c.decision_seq.desc())
        .limit(size)
    )
    return tuple(SellerListing(*row[:-1], moment(row[-1])) for row in rows)


def count_seller_listings(connection: Connection, marketplace: str, seller_id: str) -> dict[str, int]:
    """How many listings of a seller are in each state."""
    q = schema.listings
    rows = connection.execute(
        sa.select(q.c.state, sa.func.count())
        .where(q.c.seller_id == seller_id, q.c.marketplace == marketplace)
        .group_by(q.c.state)
    )
    return {row[0]: row[1] for row in rows}


def read_fresh_blocks(connection: Connection, after: int, size: int = 500) -> Sequence[tuple[int, str]]:
    """Sequence number and id of blocks later than ``after``, the oldest first."""
    d = schema.decisions
    rows = connection.execute(
        sa.select(d.c.seq, d.c.id).where(d.c.seq > after, d.c.action == "block").order_by(d.c.seq).limit(size)
    )
    return [(seq, identifier) for seq, identifier in rows]


def last_decision(connection: Connection) -> int:
    """Sequence number of the newest decision, 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(schema.decisions.c.seq))).scalar_one() or 0


def read_struck_sellers(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Marketplace and id of every seller that ever got a strike."""
    t = tables.strikes
    rows = connection.execute(sa.select(t.c.marketplace, t.c.seller_id).distinct())
    return tuple((marketplace, seller) for marketplace, seller in rows)


def read_labels_on(connection: Connection, marketplace: str, listing_id: str) -> tuple[LabelRow, ...]:
    """Labels of a listing, the oldest first."""
    t = schema.labels
    rows = connection.execute(
        sa.select(
            t.c.seq,
            t.c.marketplace,
            t.c.listing_id,
            t.c.revision,
            t.c.hazard,
            t.c.value,
            t.c.source,
            t.c.decision_id,
        )
        .where(t.c.marketplace == marketplace, t.c.listing_id == listing_id)
        .order_by(t.c.seq)
    )
    return tuple(LabelRow(*row) for row in rows)


def read_listing_decisions(
    connection: Connection, marketplace: str, listing_id: str, after: int = 0, size: int = 500
) -> tuple[str, ...]:
    """Ids of a listing's decisions later than ``after``, the oldest first."""
    d = schema.decisions
    rows = connection.execute(
        sa.select(d.c.id)
        .where(d.c.marketplace == marketplace, d.c.listing_id == listing_id, d.c.seq > after)
        .order_by(d.c.seq)
        .limit(size)
    )
    return tuple(rows.scalars())


def read_block_run(connection: Connection, marketplace: str, listing_id: str, seq: int) -> frozenset[str]:
    """Ids of the unbroken run of blocks of a listing that the decision ``seq`` is in; empty where it is no block."""
    d = schema.decisions
    rows = connection.execute(
        sa.select(d.c.seq, d.c.id, d.c.action)
        .where(d.c.marketplace == marketplace, d.c.listing_id == listing_id)
        .order_by(d.c.seq)
    )
    run: list[str] = []
    inside = False
    for number, identifier, action in rows:
        if action != "block":
            if inside:
                break
            run.clear()
            continue
        run.append(identifier)
        inside = inside or number == seq
    return frozenset(run) if inside else frozenset()


def read_banned_item(connection: Connection, ban_id: str) -> tuple[str, str] | None:
    """Marketplace and listing id of a banned item, None where there is no such ban."""
    b = schema.bans
    body = connection.execute(
        sa.select(b.c.body).where(b.c.ban_id == ban_id, b.c.status == "banned").order_by(b.c.seq).limit(1)
    ).scalar()
    item = orjson.loads(body).get("item") if body is not None else None
    return (str(item.get("marketplace") or ""), str(item.get("id") or "")) if item else None


def read_titles(connection: Connection, decision_ids: Sequence[str]) -> dict[str, str]:
    """Titles of decisions' listings; those that retention erased are left out."""
    d, i = schema.decisions, schema.inputs
    rows = connection.execute(
        sa.select(d.c.id, i.c.payload)
        .join(i, i.c.seq == d.c.seq)
        .where(d.c.id.in_(list(decision_ids)), i.c.payload.is_not(None))
    )
    return {row[0]: str(orjson.loads(row[1]).get("title") or "") for row in rows}
