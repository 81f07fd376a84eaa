"""Tables of the laboratory loop: what happened in it, and the files that belong to that."""

from __future__ import annotations

import sqlalchemy as sa

from serving.store.schema import metadata

KINDS = {"laboratory": "laboratory"}
"""Audited tables and what their rows are called in the audit."""
FROZEN = ("laboratory",)

_Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Plans, results, orders, confirmed steps: what each row says is in its body (`serving.labs.book`).
laboratory = sa.Table(
    "laboratory",
    metadata,
    sa.Column("seq", _Seq, primary_key=True, autoincrement=False, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Index("ix_laboratory_kind_subject_seq", "kind", "subject", "seq"),
)

# Too large for a body: the frame of a plan, the listings it names, a results file as it came. Digests are in the body.
laboratory_files = sa.Table(
    "laboratory_files",
    metadata,
    sa.Column("seq", _Seq, primary_key=True, autoincrement=False, nullable=False),
    sa.Column("name", sa.Text, primary_key=True, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
