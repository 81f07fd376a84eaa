"""What a challenger would have decided, beside what was decided. Not audited: it decides nothing."""

from __future__ import annotations

import sqlalchemy as sa

from serving.store.schema import metadata

_Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

shadow_scores = sa.Table(
    "shadow_scores",
    metadata,
    sa.Column("version", sa.Text, primary_key=True, nullable=False),
    # Of the decision that it stands beside.
    sa.Column("seq", _Seq, primary_key=True, autoincrement=False, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("p_noncompliant", sa.Double, nullable=False),
    sa.Column("expected_harm", sa.Double, nullable=False),
    sa.Column("scores", sa.LargeBinary, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("scored_at", sa.BigInteger, nullable=False),
)
