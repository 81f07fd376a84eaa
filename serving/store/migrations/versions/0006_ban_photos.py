"""Photos of banned items."""

import sqlalchemy as sa
from alembic import op

from serving.store.migrations.guards import freeze
from serving.store.photo_tables import FROZEN

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ban_photos",
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ban_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "position", name=op.f("pk_ban_photos")),
    )
    op.create_index("ix_ban_photos_ban_id", "ban_photos", ["ban_id"], unique=False)
    freeze(op.get_bind(), FROZEN)
