"""Scores of a challenger beside the decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "shadow_scores",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("p_noncompliant", sa.Double(), nullable=False),
        sa.Column("expected_harm", sa.Double(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("scored_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", "seq", name=op.f("pk_shadow_scores")),
    )
