"""What the console shows of decisions: counts, a listing's history, a seller's listings, photos, pages of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.desk_counts import distinct
from serving.store.records import moment


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision in a list; ``title`` None once erased."""

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
    decided_at: datetime
    title: str | None
    choice: str


@dataclass(frozen=True, slots=True)
class ListingLine:
    """A listing as it stands now, in a list of a seller's."""

    marketplace: str
    listing_id: str
    decision_id: str
    action: str
    state: str
    waits: bool
    top_hazard: str
    expected_harm: float
    decided_at: datetime
    title: str | None


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One label of a listing; ``value`` None took an earlier one back."""

    hazard: str
    value: bool | None
    source: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One entry of a policy's history."""

    seq: int
    version: str
    status: str
    actor: str
    at: datetime
    body: Mapping[str, Any]


def _lines() -> Any:
    d, i = schema.decisions, schema.inputs
    return sa.select(
        d.c.seq,
        d.c.id,
        d.c.marketplace,
        d.c.listing_id,
        d.c.revision,
        d.c.actor,
        d.c.action,
        d.c.state,
        d.c.risk_level,
        d.c.top_hazard,
        d.c.expected_harm,
        d.c.decided_at,
        d.c.body,
        i.c.payload,
    ).join(i, i.c.seq == d.c.seq)


def _line(row: Mapping[Any, Any]) -> DecisionLine:
    payload = row["payload"]
    return DecisionLine(
        **{
            name: row[name]
            for name in DecisionLine.__dataclass_fields__
            if name in row and name != "decided_at"
        },
        decided_at=moment(row["decided_at"]),
        title=None if payload is None else orjson.loads(payload).get("title"),
        choice=str(orjson.loads(row["body"]).get("choice") or ""),
    )


def history_of(
    connection: Connection, marketplace: str, listing_id: str, size: int = 50
) -> tuple[DecisionLine, ...]:
    """Read the decisions about a listing, the newest first."""
    d = schema.decisions
    rows = connection.execute(
        _lines()
        .where(d.c.marketplace == marketplace, d.c.listing_id == listing_id)
        .order_by(d.c.seq.desc())
        .limit(size)
    ).mappings()
    return tuple(_line(row) for row in rows)


def decisions_page(
    connection: Connection,
    *,
    before: int | None = None,
    actor: str = "",
    size: int = 50,
    within: int = 200_000,
) -> tuple[DecisionLine, ...]:
    """Read decisions, the newest first.

    Parameters
    ----------
    before
        Only those with a number below this.
    actor
        Only this person's, or of all ``people``; looked for among the last ``within`` records.
    """
    d = schema.decisions
    statement = _lines()
    if actor:
        newest = before or connection.execute(sa.select(sa.func.max(d.c.seq))).scalar() or 0
        statement = statement.where(d.c.seq > newest - within)
    if before is not None:
        statement = statement.where(d.c.seq < before)
    if actor == "people":
        statement = statement.where(d.c.actor != "system")
    elif actor:
        statement = statement.where(d.c.actor == actor)
    rows = connection.execute(statement.order_by(d.c.seq.desc()).limit(size)).mappings()
    return tuple(_line(row) for row in rows)


def find_decision(connection: Connection, text: str) -> str | None:
    """Find a decision by its id, or the newest about a listing of that id."""
    d = schema.decisions
    found = connection.execute(sa.select(d.c.id).where(d.c.id == text)).scalar()
    if found is not None:
        return found
    q = schema.listings
    # The primary key begins with the marketplace, so the few marketplaces are looked up one by one.
    shops = distinct(connection, q.c.marketplace, sa.true())
    row = connection.execute(
        sa.select(d.c.id)
        .join(q, q.c.decision_seq == d.c.seq)
        .where(q.c.marketplace.in_(shops), q.c.listing_id == text)
        .limit(1)
    ).scalar()
    return row


def listings_of_seller(connection: Connection, seller_id: str, size: int = 200) -> tuple[ListingLine, ...]:
    """Read a seller's listings, those that wait first, then the most harmful."""
    q, d, i = schema.listings, schema.decisions, schema.inputs
    top = (
        sa.select(q)
        .where(q.c.seller_id == seller_id)
        .order_by(q.c.open_action.is_(None), q.c.expected_harm.desc())
        .limit(size)
        .subquery()
    )
    rows = connection.execute(
        sa.select(top, d.c.id, d.c.action, d.c.decided_at, i.c.payload)
        .join(d, d.c.seq == top.c.decision_seq)
        .join(i, i.c.seq == top.c.decision_seq)
        .order_by(top.c.open_action.is_(None), top.c.expected_harm.desc())
    ).mappings()
    return tuple(
        ListingLine(
            row["marketplace"],
            row["listing_id"],
            row["id"],
            row["action"],
            row["state"],
            row["open_action"] is not None,
            row["top_hazard"],
            row["expected_harm"],
            moment(row["decided_at"]),
            None if row["payload"] is None else orjson.loads(row["payload"]).get("title"),
        )
        for row in rows
    )


def matched(
    connection: Connection, size: int = 100, within: int = 20_000
) -> tuple[tuple[DecisionLine, Mapping[str, Any]], ...]:
    """Read the system's decisions that rest on a ban, with the likeliest match; among the last ``within`` records."""
    d = schema.decisions
    newest = connection.execute(sa.select(sa.func.max(d.c.seq))).scalar() or 0
    rows = connection.execute(
        _lines()
        .where(d.c.seq > newest - within, d.c.actor == "system", d.c.rules.like("%banned-item%"))
        .order_by(d.c.seq.desc())
        .limit(size)
    ).mappings()
    found = ((_line(row), orjson.loads(row["body"]).get("matches") or ()) for row in rows)
    return tuple((line, max(matches, key=lambda m: m["p"])) for line, matches in found if matches)


def labels_of(connection: Connection, marketplace: str, listing_id: str) -> tuple[LabelLine, ...]:
    """Read a listing's labels, the newest first."""
    table, a = schema.labels, schema.audit_rows
    rows = connection.execute(
        sa.select(table.c.hazard, table.c.value, table.c.source, a.c.actor, a.c.at)
        .join(a, a.c.seq == table.c.seq)
        .where(table.c.marketplace == marketplace, table.c.listing_id == listing_id)
        .order_by(table.c.seq.desc())
    )
    return tuple(LabelLine(h, v, source, actor, moment(at)) for h, v, source, actor, at in rows)


def title_of(connection: Connection, decision_id: str) -> str | None:
    """Read the title of a decision's listing, None where it was erased."""
    d, i = schema.decisions, schema.inputs
    payload = connection.execute(
        sa.select(i.c.payload).join(d, d.c.seq == i.c.seq).where(d.c.id == decision_id)
    ).scalar()
    return None if payload is None else orjson.loads(payload).get("title")


def waits(connection: Connection, marketplace: str, listing_id: str) -> bool:
    """Whether a listing waits for somebody."""
    q = schema.listings
    found = connection.execute(
        sa.select(q.c.open_action).where(q.c.marketplace == marketplace, q.c.listing_id == listing_id)
    ).scalar()
    return found is not None


def photo_of(connection: Connection, seq: int, position: int) -> tuple[str, bytes] | None:
    """Read one photo of a decision: media type and content, None where there is none or it was erased."""
    table = schema.images
    row = connection.execute(
        sa.select(table.c.media_type, table.c.content).where(table.c.seq == seq, table.c.position == position)
    ).one_or_none()
    return None if row is None or row[1] is None else (row[0], bytes(row[1]))


def photo_positions(connection: Connection, seq: int) -> tuple[int, ...]:
    """Which photos of a decision are there."""
    table = schema.images
    rows = connection.execute(
        sa.select(table.c.position)
        .where(table.c.seq == seq, table.c.content.is_not(None))
        .order_by(table.c.position)
    )
    return tuple(rows.scalars())


def policy_history(connection: Connection, size: int = 200) -> tuple[PolicyLine, ...]:
    """Read what was decided about policies, the newest first."""
    p, a = schema.policies, schema.audit_rows
    rows = connection.execute(
        sa.select(p.c.seq, p.c.version, p.c.status, a.c.actor, a.c.at, p.c.body)
        .join(a, a.c.seq == p.c.seq)
        .order_by(p.c.seq.desc())
        .limit(size)
    )
    return tuple(
        PolicyLine(seq, version, status, actor, moment(at), orjson.loads(body))
        for seq, version, status, actor, at, body in rows
    )


def last_policy_seq(connection: Connection) -> int:
    """Return the number of the newest row about policies, 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(schema.policies.c.seq))).scalar() or 0
