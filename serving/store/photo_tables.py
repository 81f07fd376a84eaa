"""Photos of banned items, as they are shown and as they are searched; each belongs to the row that banned the item."""

from __future__ import annotations

import sqlalchemy as sa

from serving.store.schema import metadata

_Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

ban_photos = sa.Table(
    "ban_photos",
    metadata,
    sa.Column("seq", _Seq, primary_key=True, autoincrement=False, nullable=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ban_id", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("picture", sa.LargeBinary, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Index("ix_ban_photos_ban_id", "ban_id"),
)
FROZEN = ("ban_photos",)
