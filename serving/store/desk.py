"""Rows of the review desk: claims, skips, notes, proposals, bulk actions. What they mean is in `serving.review.desk`.

Times are microseconds since 1970 (UTC), given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from serving.store.desk_tables import bulk_items, bulks, claims, item_notes, proposals, skips

Key = tuple[str, str]
"""Marketplace and listing id."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on a listing, until when; ``golden_id`` where it is a golden item."""

    marketplace: str
    listing_id: str
    decision_id: str
    actor: str
    golden_id: str | None
    until: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person wants done and a second one has to agree to; ``state`` is open, agreed, declined or outdated."""

    id: str
    marketplace: str
    listing_id: str
    decision_id: str
    choice: str
    hazard: str
    note: str
    proposed_by: str
    proposed_at: int
    state: str
    closed_by: str | None = None
    closed_at: int | None = None


@dataclass(frozen=True, slots=True)
class ItemNote:
    """What somebody noted about a listing."""

    id: str
    marketplace: str
    listing_id: str
    actor: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """Many items decided at once; ``filter`` is how they were found, JSON."""

    id: str
    actor: str
    choice: str
    filter: str
    note: str
    at: int
    undone_by: str | None = None
    undone_at: int | None = None
    items: int = 0


def _insert(connection: Connection) -> Any:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert


def _of(table: sa.Table, key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.marketplace == key[0], table.c.listing_id == key[1])


def put_claim(connection: Connection, claim: Claim, now: int) -> bool:
    """Claim a listing; False where somebody else holds it. One's own lease is made longer."""
    free = sa.or_(claims.c.until <= now, claims.c.actor == claim.actor)
    row = {name: getattr(claim, name) for name in Claim.__dataclass_fields__}
    statement = _insert(connection)(claims).values(row)
    changed = {name: statement.excluded[name] for name in ("decision_id", "actor", "golden_id", "until")}
    found = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[claims.c.marketplace, claims.c.listing_id], set_=changed, where=free
        ).returning(claims.c.actor)
    )
    return found.first() is not None  # a count of rows is not given for an upsert on PostgreSQL


def read_claim(connection: Connection, key: Key, now: int) -> Claim | None:
    """Read who works on a listing now."""
    row = (
        connection.execute(sa.select(claims).where(_of(claims, key), claims.c.until > now))
        .mappings()
        .one_or_none()
    )
    return None if row is None else Claim(**row)


def claims_among(connection: Connection, keys: Sequence[Key], now: int) -> dict[Key, Claim]:
    """Read who works on some listings now."""
    if not keys:
        return {}
    rows = connection.execute(
        sa.select(claims).where(
            claims.c.listing_id.in_(sorted({key[1] for key in keys})), claims.c.until > now
        )
    ).mappings()
    found = {(row["marketplace"], row["listing_id"]): Claim(**row) for row in rows}
    return {key: found[key] for key in keys if key in found}


def claims_of(connection: Connection, actor: str, now: int) -> tuple[Claim, ...]:
    """Read what somebody works on now, the lease that ends first before the others."""
    rows = connection.execute(
        sa.select(claims).where(claims.c.actor == actor, claims.c.until > now).order_by(claims.c.until)
    ).mappings()
    return tuple(Claim(**row) for row in rows)


def drop_claim(connection: Connection, key: Key, actor: str) -> None:
    """Give a claimed listing back."""
    connection.execute(claims.delete().where(_of(claims, key), claims.c.actor == actor))


def put_skip(connection: Connection, actor: str, key: Key, until: int) -> None:
    """Keep a listing away from somebody for a while."""
    row = {"actor": actor, "marketplace": key[0], "listing_id": key[1], "until": until}
    statement = _insert(connection)(skips).values(row)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[skips.c.actor, skips.c.marketplace, skips.c.listing_id], set_={"until": until}
        )
    )


def read_skips(connection: Connection, actor: str, now: int) -> frozenset[Key]:
    """Read what somebody skipped and is not to get yet; sweeps what is over."""
    rows = connection.execute(
        sa.select(skips.c.marketplace, skips.c.listing_id).where(skips.c.actor == actor, skips.c.until > now)
    )
    return frozenset((row[0], row[1]) for row in rows)


def put_item_note(connection: Connection, note: ItemNote) -> None:
    """Add a note."""
    connection.execute(
        item_notes.insert(), {name: getattr(note, name) for name in ItemNote.__dataclass_fields__}
    )


def read_item_notes(connection: Connection, key: Key) -> tuple[ItemNote, ...]:
    """Read the notes on a listing, the oldest first."""
    rows = connection.execute(
        sa.select(item_notes).where(_of(item_notes, key)).order_by(item_notes.c.at)
    ).mappings()
    return tuple(ItemNote(**row) for row in rows)


def put_proposal(connection: Connection, proposal: Proposal) -> None:
    """Add a proposal."""
    connection.execute(
        proposals.insert(), {name: getattr(proposal, name) for name in Proposal.__dataclass_fields__}
    )


def read_proposal(connection: Connection, proposal_id: str) -> Proposal | None:
    """Read one proposal."""
    row = (
        connection.execute(sa.select(proposals).where(proposals.c.id == proposal_id)).mappings().one_or_none()
    )
    return None if row is None else Proposal(**row)


def read_proposals(
    connection: Connection, state: str | None = "open", size: int = 200
) -> tuple[Proposal, ...]:
    """Read proposals, open ones oldest first, closed ones newest first."""
    statement = sa.select(proposals)
    if state is not None:
        statement = statement.where(proposals.c.state == state)
    order = proposals.c.proposed_at if state == "open" else proposals.c.proposed_at.desc()
    return tuple(
        Proposal(**row) for row in connection.execute(statement.order_by(order).limit(size)).mappings()
    )


def open_proposal_on(connection: Connection, key: Key) -> Proposal | None:
    """Read the open proposal on a listing."""
    row = (
        connection.execute(
            sa.select(proposals).where(_of(proposals, key), proposals.c.state == "open").limit(1)
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else Proposal(**row)


def proposed_among(connection: Connection, keys: Sequence[Key]) -> frozenset[Key]:
    """Which of some listings wait for a second person."""
    if not keys:
        return frozenset()
    rows = connection.execute(
        sa.select(proposals.c.marketplace, proposals.c.listing_id).where(
            proposals.c.listing_id.in_(sorted({key[1] for key in keys})), proposals.c.state == "open"
        )
    )
    return frozenset((row[0], row[1]) for row in rows) & frozenset(keys)


def close_proposal(connection: Connection, proposal_id: str, state: str, by: str, now: int) -> bool:
    """Close an open proposal; False where somebody did already."""
    found = connection.execute(
        proposals.update()
        .where(proposals.c.id == proposal_id, proposals.c.state == "open")
        .values(state=state, closed_by=by, closed_at=now)
    )
    return found.rowcount == 1


def put_bulk(connection: Connection, bulk: Bulk, made: Sequence[tuple[str, str]]) -> None:
    """Add a bulk action with, per item, the decision before and the decision made."""
    row = {name: getattr(bulk, name) for name in Bulk.__dataclass_fields__ if name != "items"}
    connection.execute(bulks.insert(), row)
    if made:
        connection.execute(
            bulk_items.insert(),
            [
                {"bulk_id": bulk.id, "position": position, "before_id": before, "made_id": after}
                for position, (before, after) in enumerate(made)
            ],
        )


def read_bulks(connection: Connection, size: int = 50) -> tuple[Bulk, ...]:
    """Read the bulk actions, the newest first."""
    number = (
        sa.select(sa.func.count())
        .select_from(bulk_items)
        .where(bulk_items.c.bulk_id == bulks.c.id)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(bulks, number.label("items")).order_by(bulks.c.at.desc()).limit(size)
    ).mappings()
    return tuple(Bulk(**row) for row in rows)


def read_bulk(connection: Connection, bulk_id: str) -> Bulk | None:
    """Read one bulk action."""
    row: Mapping[Any, Any] | None = (
        connection.execute(sa.select(bulks).where(bulks.c.id == bulk_id)).mappings().one_or_none()
    )
    return None if row is None else Bulk(**row)


def read_bulk_items(connection: Connection, bulk_id: str) -> tuple[tuple[str, str], ...]:
    """Read what a bulk action made: the decision before and the decision made, per item."""
    rows = connection.execute(
        sa.select(bulk_items.c.before_id, bulk_items.c.made_id)
        .where(bulk_items.c.bulk_id == bulk_id)
        .order_by(bulk_items.c.position)
    )
    return tuple((row[0], row[1]) for row in rows)


def mark_undone(connection: Connection, bulk_id: str, by: str, now: int) -> bool:
    """Mark a bulk action undone; False where it was already."""
    found = connection.execute(
        bulks.update()
        .where(bulks.c.id == bulk_id, bulks.c.undone_at.is_(None))
        .values(undone_by=by, undone_at=now)
    )
    return found.rowcount == 1
