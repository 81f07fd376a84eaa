"""Scores of a challenger beside the decisions: what is still to be scored, what came out, how the two compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.engine import reading, writing
from serving.store.shadow_tables import shadow_scores
from serving.store.store import Store


@dataclass(frozen=True, slots=True)
class ToScore:
    """A decision of the service whose listing is still there."""

    seq: int
    action: str
    listing: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """What the challenger says of one listing; ``problem`` where it failed on it."""

    seq: int
    action: str
    p_noncompliant: float
    expected_harm: float
    scores: bytes
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShadowPair:
    """One decision and its shadow."""

    seq: int
    action: str
    shadow_action: str
    p_noncompliant: float
    shadow_p: float
    expected_harm: float
    shadow_harm: float
    problem: str


def to_score(store: Store, version: str, after: int, most: int) -> tuple[ToScore, ...]:
    """Read decisions of the service later than ``after`` that the challenger has not scored, oldest first."""
    d, i, s = schema.decisions, schema.inputs, shadow_scores
    beside = sa.and_(s.c.seq == d.c.seq, s.c.version == version)
    found = (
        sa.select(d.c.seq, d.c.action, i.c.payload)
        .join(i, i.c.seq == d.c.seq)
        .outerjoin(s, beside)
        .where(d.c.seq > after, d.c.actor == "system", i.c.payload.is_not(None), s.c.seq.is_(None))
        .order_by(d.c.seq)
        .limit(most)
    )
    with reading(store.engine) as connection:
        return tuple(
            ToScore(seq, action, orjson.loads(payload)) for seq, action, payload in connection.execute(found)
        )


def write_shadow(store: Store, version: str, scores: Sequence[ShadowScore], at: int) -> None:
    """Keep what a challenger said; what another process has written meanwhile stays.

    Parameters
    ----------
    at
        Microseconds since 1970 (UTC).
    """
    if not scores:
        return
    rows = [
        {
            "version": version,
            "seq": one.seq,
            "action": one.action,
            "p_noncompliant": one.p_noncompliant,
            "expected_harm": one.expected_harm,
            "scores": one.scores,
            "problem": one.problem,
            "scored_at": at,
        }
        for one in scores
    ]
    kind = sqlite if store.engine.dialect.name == "sqlite" else postgresql
    with writing(store.engine) as connection:
        connection.execute(kind.insert(shadow_scores).on_conflict_do_nothing(), rows)


def read_pairs(connection: Connection, version: str, size: int = 5_000) -> Iterator[ShadowPair]:
    """Read every decision with its shadow, oldest first, in constant memory."""
    d, s = schema.decisions, shadow_scores
    found = (
        sa.select(
            d.c.seq,
            d.c.action,
            s.c.action,
            d.c.p_noncompliant,
            s.c.p_noncompliant,
            d.c.expected_harm,
            s.c.expected_harm,
            s.c.problem,
        )
        .join(s, s.c.seq == d.c.seq)
        .where(s.c.version == version)
        .order_by(d.c.seq)
    )
    for row in connection.execute(found, execution_options={"yield_per": size}):
        yield ShadowPair(*row)


def head_seq(store: Store) -> int:
    """Return the number of the last decision, 0 before the first."""
    with reading(store.engine) as connection:
        return connection.execute(sa.select(sa.func.max(schema.decisions.c.seq))).scalar() or 0
