"""Sampling plans and laboratory results."""

import sqlalchemy as sa
from alembic import op

from serving.store.laboratory_tables import FROZEN
from serving.store.migrations.guards import freeze

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "laboratory",
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_laboratory")),
    )
    op.create_index("ix_laboratory_kind_subject_seq", "laboratory", ["kind", "subject", "seq"], unique=False)
    op.create_table(
        "laboratory_files",
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "name", name=op.f("pk_laboratory_files")),
    )
    freeze(op.get_bind(), FROZEN)
