"""Tables of the review desk: who works on what, what waits for a second person, bulk actions, golden items, shadow.

None of them decides anything: decisions, labels and notes are audited rows, these only say how they came about.
"""

from __future__ import annotations

import sqlalchemy as sa

from serving.store import schema
from serving.store.schema import metadata

_Text, _Int = sa.Text, sa.BigInteger

# One person at a time works on a listing, until the lease ends.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("marketplace", _Text, primary_key=True),
    sa.Column("listing_id", _Text, primary_key=True),
    sa.Column("decision_id", _Text, nullable=False),
    sa.Column("actor", _Text, nullable=False),
    sa.Column("golden_id", _Text, nullable=True),
    sa.Column("until", _Int, nullable=False),
    sa.Index("ix_claims_actor", "actor"),
    sa.Index("ix_claims_decision_id", "decision_id"),
)

skips = sa.Table(
    "skips",
    metadata,
    sa.Column("actor", _Text, primary_key=True),
    sa.Column("marketplace", _Text, primary_key=True),
    sa.Column("listing_id", _Text, primary_key=True),
    sa.Column("until", _Int, nullable=False),
)

item_notes = sa.Table(
    "item_notes",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("marketplace", _Text, nullable=False),
    sa.Column("listing_id", _Text, nullable=False),
    sa.Column("actor", _Text, nullable=False),
    sa.Column("text", _Text, nullable=False),
    sa.Column("at", _Int, nullable=False),
    sa.Index("ix_item_notes_marketplace_listing_id", "marketplace", "listing_id"),
)

# What one person wants done and a second one has to agree to.
proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("marketplace", _Text, nullable=False),
    sa.Column("listing_id", _Text, nullable=False),
    sa.Column("decision_id", _Text, nullable=False),
    sa.Column("choice", _Text, nullable=False),
    sa.Column("hazard", _Text, nullable=False),
    sa.Column("note", _Text, nullable=False),
    sa.Column("proposed_by", _Text, nullable=False),
    sa.Column("proposed_at", _Int, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("closed_by", _Text, nullable=True),
    sa.Column("closed_at", _Int, nullable=True),
    sa.Index("ix_proposals_state", "state", "proposed_at"),
    sa.Index("ix_proposals_marketplace_listing_id", "marketplace", "listing_id"),
)

bulks = sa.Table(
    "bulks",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("actor", _Text, nullable=False),
    sa.Column("choice", _Text, nullable=False),
    sa.Column("filter", _Text, nullable=False),
    sa.Column("note", _Text, nullable=False),
    sa.Column("at", _Int, nullable=False),
    sa.Column("undone_by", _Text, nullable=True),
    sa.Column("undone_at", _Int, nullable=True),
    sa.Index("ix_bulks_at", "at"),
)

bulk_items = sa.Table(
    "bulk_items",
    metadata,
    sa.Column("bulk_id", _Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("before_id", _Text, nullable=False),
    sa.Column("made_id", _Text, nullable=False),
)

# Decided items whose right answer is known; shown among the others to see how reviewers do.
goldens = sa.Table(
    "goldens",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("decision_id", _Text, nullable=False),
    sa.Column("choice", _Text, nullable=False),
    sa.Column("why", _Text, nullable=False),
    sa.Column("added_by", _Text, nullable=False),
    sa.Column("added_at", _Int, nullable=False),
    sa.Column("retired_at", _Int, nullable=True),
    sa.Index("uq_goldens_decision_id", "decision_id", unique=True),
)

golden_answers = sa.Table(
    "golden_answers",
    metadata,
    sa.Column("golden_id", _Text, primary_key=True),
    sa.Column("actor", _Text, primary_key=True),
    sa.Column("choice", _Text, nullable=False),
    sa.Column("at", _Int, nullable=False),
)

# What a policy that is not in force would have said; one row per decision made while it ran beside.
shadow_results = sa.Table(
    "shadow_results",
    metadata,
    sa.Column("policy_version", _Text, primary_key=True),
    sa.Column("decision_id", _Text, primary_key=True),
    sa.Column("action", _Text, nullable=False),
    sa.Column("shadow_action", _Text, nullable=False),
    sa.Column("hazard", _Text, nullable=False),
    sa.Column("seller_id", _Text, nullable=False),
    sa.Column("at", _Int, nullable=False),
)

_OPEN = sa.text("open_action IS NOT NULL")


def _queue_index(name: str) -> sa.Index:
    """A rare hazard or seller must not make the database read the whole queue."""
    table = schema.listings
    return sa.Index(
        f"ix_listings_queue_{name}",
        table.c[name],
        table.c.place,
        table.c.decision_seq,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


queue_indices = tuple(_queue_index(name) for name in ("top_hazard", "product_group", "language", "seller_id"))
off_sale_index = sa.Index(
    "ix_listings_off_sale",
    schema.listings.c.decision_seq,
    sqlite_where=sa.text("state = 'off_sale'"),
    postgresql_where=sa.text("state = 'off_sale'"),
)
