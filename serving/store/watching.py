"""What monitoring reads: decisions of a stretch of time, block by block, and the labels that came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.records import microseconds, moment

BLOCK = 4_000
# The start of a decision's body holds its product group and audience; the rest of it is long.
_PREFIX = 600


@dataclass(frozen=True, slots=True)
class WatchedBlock:
    """Decisions as columns; ``listings`` are None once erased."""

    actions: Sequence[str]
    states: Sequence[str]
    risk_levels: Sequence[str]
    marketplaces: Sequence[str]
    versions: Sequence[str]
    groups: Sequence[str]
    audiences: Sequence[str]
    p_noncompliant: Sequence[float]
    scores: Sequence[bytes]
    listings: Sequence[Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class WatchedLabel:
    """A label and the decision of the system that it is about."""

    hazard: str
    failed: bool
    source: str
    labelled_at: datetime
    decided_at: datetime
    action: str
    group: str
    scores: bytes
    listing: Mapping[str, Any] | None


def read_watched(connection: Connection, since: datetime, until: datetime) -> Iterator[WatchedBlock]:
    """Read the system's decisions from ``since`` up to ``until`` (not included), in constant memory."""
    d, i = schema.decisions, schema.inputs
    within = (d.c.decided_at >= microseconds(since), d.c.decided_at < microseconds(until))
    first, last = connection.execute(
        sa.select(sa.func.min(d.c.seq), sa.func.max(d.c.seq)).where(*within)
    ).one()
    found = (
        sa.select(
            d.c.action,
            d.c.state,
            d.c.risk_level,
            d.c.marketplace,
            d.c.model_version,
            sa.func.substr(d.c.body, 1, _PREFIX),
            d.c.p_noncompliant,
            d.c.scores,
            i.c.payload,
        )
        .join(i, i.c.seq == d.c.seq)
        .where(
            d.c.seq.between(first or 0, last or 0),
            # Added to 0 so that rows are read in the order they lie in, and not one by one through the index on time.
            (d.c.decided_at + 0) >= microseconds(since),
            (d.c.decided_at + 0) < microseconds(until),
            d.c.actor == "system",
        )
    )
    result = connection.execute(found, execution_options={"yield_per": BLOCK, "stream_results": True})
    for rows in result.partitions():
        actions, states, levels, markets, versions, bodies, p, scores, payloads = zip(*rows, strict=True)
        yield WatchedBlock(
            actions,
            states,
            levels,
            markets,
            versions,
            [_text_at(body, '"group":"') for body in bodies],
            [_text_at(body, '"audience":"') for body in bodies],
            p,
            [bytes(one) for one in scores],
            [None if payload is None else orjson.loads(payload) for payload in payloads],
        )


def _text_at(body: str, mark: str) -> str:
    """Read a short text of a canonical JSON object without parsing the rest of it."""
    _, found, rest = body.partition(mark)
    return rest.partition('"')[0] if found else ""


def read_labels(connection: Connection, since: datetime, most: int = 200_000) -> Iterator[WatchedLabel]:
    """Read labels of decisions from ``since`` on, newest first, each with the system's decision before it."""
    t, d, i, a = schema.labels, schema.decisions, schema.inputs, schema.audit_rows
    e = d.alias()
    last = (
        sa.select(sa.func.max(e.c.seq))
        .where(
            e.c.marketplace == t.c.marketplace,
            e.c.listing_id == t.c.listing_id,
            e.c.seq < t.c.seq,
            e.c.actor == "system",
        )
        .correlate(t)
        .scalar_subquery()
    )
    found = (
        sa.select(
            t.c.hazard,
            t.c.value,
            t.c.source,
            a.c.at,
            d.c.decided_at,
            d.c.action,
            sa.func.substr(d.c.body, 1, _PREFIX),
            d.c.scores,
            i.c.payload,
        )
        .join(a, a.c.seq == t.c.seq)
        .join(d, d.c.seq == last)
        .join(i, i.c.seq == d.c.seq)
        .where(t.c.value.is_not(None), d.c.decided_at >= microseconds(since))
        .order_by(t.c.seq.desc())
        .limit(most)
    )
    for hazard, value, source, at, decided, action, body, scores, payload in connection.execute(
        found, execution_options={"yield_per": BLOCK}
    ):
        yield WatchedLabel(
            hazard,
            bool(value),
            source,
            moment(at),
            moment(decided),
            action,
            _text_at(body, '"group":"'),
            bytes(scores),
            None if payload is None else orjson.loads(payload),
        )


def last_report(connection: Connection, subject: str) -> tuple[datetime, Mapping[str, Any]] | None:
    """Read the newest note of a subject: when it was written, and what it says."""
    n, a = schema.notes, schema.audit_rows
    row = connection.execute(
        sa.select(a.c.at, n.c.body)
        .join(a, a.c.seq == n.c.seq)
        .where(a.c.kind == "note", a.c.subject == subject)
        .order_by(n.c.seq.desc())
        .limit(1)
    ).first()
    return None if row is None else (moment(row[0]), orjson.loads(row[1]))
