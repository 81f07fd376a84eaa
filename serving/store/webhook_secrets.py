"""Secrets of webhooks as they are kept; what they look like there is for `serving.events.vault` to say."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from serving.store import notice_tables as tables
from serving.store.records import microseconds


def put_secret(
    connection: Connection, endpoint_id: str, secret: str, now: datetime, old_until: datetime
) -> None:
    """Add a secret; those before it end at ``old_until``."""
    s = tables.webhook_secrets
    connection.execute(
        s.update()
        .where(s.c.endpoint_id == endpoint_id, s.c.expires_at.is_(None))
        .values(expires_at=microseconds(old_until))
    )
    last = connection.execute(
        sa.select(sa.func.max(s.c.number)).where(s.c.endpoint_id == endpoint_id)
    ).scalar_one()
    connection.execute(
        s.insert(),
        {
            "endpoint_id": endpoint_id,
            "number": (last or 0) + 1,
            "secret": secret,
            "created_at": microseconds(now),
            "expires_at": None,
        },
    )


def all_secrets(connection: Connection) -> list[tuple[str, int, str]]:
    """Endpoint, number and secret of everything that is kept."""
    s = tables.webhook_secrets
    statement = sa.select(s.c.endpoint_id, s.c.number, s.c.secret).order_by(s.c.endpoint_id, s.c.number)
    return [(row.endpoint_id, row.number, row.secret) for row in connection.execute(statement)]


def replace_secret(connection: Connection, endpoint_id: str, number: int, secret: str) -> None:
    """Keep the same secret in another form."""
    s = tables.webhook_secrets
    connection.execute(
        s.update().where(s.c.endpoint_id == endpoint_id, s.c.number == number).values(secret=secret)
    )


def drop_secrets(connection: Connection, endpoint_id: str, ended: datetime | None = None) -> None:
    """Remove the secrets of an endpoint, or only those that ended before a time."""
    s = tables.webhook_secrets
    statement = s.delete().where(s.c.endpoint_id == endpoint_id)
    if ended is not None:
        statement = statement.where(s.c.expires_at <= microseconds(ended))
    connection.execute(statement)


def read_secrets(connection: Connection, endpoint_id: str, now: datetime) -> tuple[str, ...]:
    """Secrets in force, the newest first."""
    s = tables.webhook_secrets
    in_force = sa.or_(s.c.expires_at.is_(None), s.c.expires_at > microseconds(now))
    rows = connection.execute(
        sa.select(s.c.secret).where(s.c.endpoint_id == endpoint_id, in_force).order_by(s.c.number.desc())
    )
    return tuple(rows.scalars())
