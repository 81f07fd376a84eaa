"""What happened to models: promoted, rolled back, proposed, loaded, refused, in shadow; by whom and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.records import moment


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One audited row about a model."""

    seq: int
    at: datetime
    actor: str
    version: str
    status: str
    body: Mapping[str, Any]


def read_model_events(
    connection: Connection, statuses: Sequence[str] = (), most: int = 200
) -> tuple[ModelEvent, ...]:
    """Read the newest rows about models, newest first.

    Parameters
    ----------
    statuses
        Only these; empty for all.
    """
    m, a = schema.models, schema.audit_rows
    found = (
        sa.select(m.c.seq, a.c.at, a.c.actor, m.c.version, m.c.status, m.c.body)
        .join(a, a.c.seq == m.c.seq)
        .order_by(m.c.seq.desc())
        .limit(most)
    )
    if statuses:
        found = found.where(m.c.status.in_(statuses))
    return tuple(
        ModelEvent(seq, moment(at), actor, version, status, orjson.loads(body))
        for seq, at, actor, version, status, body in connection.execute(found)
    )
