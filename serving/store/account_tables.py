"""Tables of who may come in: accounts, keys, sessions, one-time links, failed attempts.

Passwords, keys and tokens are never stored, only digests of them. What is decided about accounts is audited as notes;
these rows are what is true now.
"""

from __future__ import annotations

import sqlalchemy as sa

from serving.store.schema import metadata

_Text, _Int = sa.Text, sa.BigInteger

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("role", _Text, nullable=False),
    sa.Column("password", _Text, nullable=True),
    sa.Column("created_at", _Int, nullable=False),
    sa.Column("disabled_at", _Int, nullable=True),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("name", _Text, nullable=False),
    sa.Column("role", _Text, nullable=False),
    sa.Column("scopes", _Text, nullable=False),
    sa.Column("created_by", _Text, nullable=False),
    sa.Column("created_at", _Int, nullable=False),
    sa.Column("expires_at", _Int, nullable=False),
    sa.Column("revoked_at", _Int, nullable=True),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("name", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("created_at", _Int, nullable=False),
    sa.Column("seen_at", _Int, nullable=False),
    sa.Column("expires_at", _Int, nullable=False),
    sa.Index("ix_sessions_expires_at", "expires_at"),
)

login_links = sa.Table(
    "login_links",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("name", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("expires_at", _Int, nullable=False),
    sa.Column("used_at", _Int, nullable=True),
)

login_attempts = sa.Table(
    "login_attempts",
    metadata,
    sa.Column("subject", _Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", _Int, nullable=False),
)
