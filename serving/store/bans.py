"""Reading bans: every row that was written about them, in order. Writing goes through `Store.change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.decisions import StoredDecision, read_decision
from serving.store.records import moment


@dataclass(frozen=True, slots=True)
class BanRow:
    """One row about a ban, a look-alike or a bank; the rows of one ban in order are its history."""

    seq: int
    ban_id: str
    status: str
    bank: str
    reason: str
    body: Mapping[str, Any]
    actor: str
    at: datetime


def last_ban_seq(connection: Connection) -> int:
    """Return the number of the newest row, 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(schema.bans.c.seq))).scalar_one() or 0


def read_ban_rows(connection: Connection, after: int = 0) -> tuple[BanRow, ...]:
    """Read the rows later than ``after``, the oldest first."""
    b, a = schema.bans, schema.audit_rows
    rows = connection.execute(
        sa.select(b.c.seq, b.c.ban_id, b.c.status, b.c.bank, b.c.reason, b.c.body, a.c.actor, a.c.at)
        .join(a, a.c.seq == b.c.seq)
        .where(b.c.seq > after)
        .order_by(b.c.seq)
    )
    return tuple(
        BanRow(seq, ban_id, status, bank, reason, orjson.loads(body), actor, moment(at))
        for seq, ban_id, status, bank, reason, body, actor, at in rows
    )


def read_decided_on(connection: Connection, ban_id: str) -> tuple[StoredDecision, ...]:
    """Read the decisions in force that cite a ban, of listings on which something is open or held.

    Only what is open is looked through, so this takes as long as the queue, not the history.
    """
    q, d = schema.listings, schema.decisions
    cited = f'%"{ban_id}"%'
    found = connection.execute(
        sa.select(d.c.id)
        .join(q, q.c.decision_seq == d.c.seq)
        .where(sa.or_(q.c.open_action.is_not(None), q.c.state != "live"))
        .where(d.c.body.like(cited, escape=None))
        .order_by(d.c.seq)
    ).scalars()
    decisions = (read_decision(connection, decision_id) for decision_id in list(found))
    return tuple(one for one in decisions if ban_id in cited_bans(one.body))


def cited_bans(body: Mapping[str, Any]) -> frozenset[str]:
    """Bans that the fired rules of a recorded decision name as their cause."""
    return frozenset(
        str(cause.get("got"))
        for rule in body.get("rules", ())
        for cause in rule.get("causes", ())
        if cause.get("what") == "match"
    )
