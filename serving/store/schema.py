"""Tables of the store. The migrations make them; a test holds the two equal.

Times are microseconds since 1970 in UTC, the same integer in both databases. ``seq`` is ONE numbering over
everything that is audited, given out inside the transaction that writes: order never depends on a clock.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # INTEGER PRIMARY KEY is SQLite's own row number
_Text = sa.Text


def _seq(name: str = "seq", *, primary_key: bool = True) -> sa.Column[int]:
    return sa.Column(name, _Seq, primary_key=primary_key, autoincrement=False, nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _Text, nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _bytes(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def _float(name: str, *, null: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null)


# The only part of a decision that retention erases: what the seller wrote, and the words quoted from it.
inputs = sa.Table(
    "inputs",
    metadata,
    _seq(),
    _int("received_at"),
    _text("payload", null=True),
    _text("reasons", null=True),
    _bytes("salt", null=True),
    _int("erased_by", null=True),
    sa.Index(
        "ix_inputs_received_at",
        "received_at",
        sqlite_where=sa.text("erased_by IS NULL"),
        postgresql_where=sa.text("erased_by IS NULL"),
    ),
)

images = sa.Table(
    "images",
    metadata,
    _seq(),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    _text("media_type"),
    _bytes("digest"),
    _bytes("content", null=True),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _seq(),
    _text("id"),
    _text("marketplace"),
    _text("listing_id"),
    _int("revision"),
    _text("caller"),
    _text("idempotency_key", null=True),
    _text("actor"),
    _text("action"),
    _text("state"),
    _int("held_until", null=True),
    _text("risk_level"),
    _text("top_hazard"),
    _float("expected_harm"),
    _float("p_noncompliant"),
    _bytes("scores"),
    _text("rules"),
    _text("body"),
    _int("received_at"),
    _bytes("payload_digest"),
    _bytes("reasons_digest"),
    _text("image_digests"),
    _text("model_version"),
    _text("policy_version"),
    _int("decided_at"),
    _bytes("salt"),
    sa.Index("uq_decisions_id", "id", unique=True),
    sa.Index(
        "uq_decisions_caller_idempotency_key",
        "caller",
        "idempotency_key",
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    ),
    sa.Index("ix_decisions_marketplace_listing_id_seq", "marketplace", "listing_id", "seq"),
    sa.Index("ix_decisions_decided_at", "decided_at"),
)

# What is true of a listing now; every change of it is a decision.
listings = sa.Table(
    "listings",
    metadata,
    sa.Column("marketplace", _Text, primary_key=True),
    sa.Column("listing_id", _Text, primary_key=True),
    _int("revision"),
    _int("decision_seq"),
    _text("seller_id"),
    _text("state"),
    _int("held_until", null=True),
    _text("open_action", null=True),
    _text("top_hazard"),
    _text("product_group"),
    _text("language"),
    _float("expected_harm"),
    _float("place"),
    _int("opened_at", null=True),
    # Log2 of what complaints multiply the expected harm by; a new decision keeps it.
    sa.Column("boost", sa.Double, nullable=False, server_default=sa.text("0")),
    sa.Index(
        "ix_listings_queue",
        "place",
        "decision_seq",
        sqlite_where=sa.text("open_action IS NOT NULL"),
        postgresql_where=sa.text("open_action IS NOT NULL"),
    ),
    sa.Index(
        "ix_listings_queue_action",
        "open_action",
        "place",
        "decision_seq",
        sqlite_where=sa.text("open_action IS NOT NULL"),
        postgresql_where=sa.text("open_action IS NOT NULL"),
    ),
    sa.Index(
        "ix_listings_held_until",
        "held_until",
        sqlite_where=sa.text("held_until IS NOT NULL"),
        postgresql_where=sa.text("held_until IS NOT NULL"),
    ),
    sa.Index("ix_listings_seller_id", "seller_id"),
)

labels = sa.Table(
    "labels",
    metadata,
    _seq(),
    _text("marketplace"),
    _text("listing_id"),
    _int("revision"),
    _text("hazard"),
    sa.Column("value", sa.Boolean, nullable=True),
    _text("source"),
    _text("decision_id"),
    _text("body"),
    _bytes("salt"),
    sa.Index("ix_labels_marketplace_listing_id", "marketplace", "listing_id"),
)

# Append-only like all of these: lifting a ban is a further row of the same ban.
bans = sa.Table(
    "bans",
    metadata,
    _seq(),
    _text("ban_id"),
    _text("status"),
    _text("bank"),
    _text("reason"),
    _text("body"),
    _bytes("salt"),
    sa.Index("ix_bans_ban_id_seq", "ban_id", "seq"),
)

# What is on sale now, to be searched when a ban arrives. Not audited: it mirrors the marketplace and changes with it.
catalogue = sa.Table(
    "catalogue",
    metadata,
    sa.Column("marketplace", _Text, primary_key=True),
    sa.Column("listing_id", _Text, primary_key=True),
    _text("payload"),
    _bytes("mark"),
    _text("made_by"),
    _int("updated_at"),
    sa.Index("ix_catalogue_updated_at", "updated_at"),
)

policies = sa.Table(
    "policies",
    metadata,
    _seq(),
    _text("version"),
    _text("status"),
    _text("body"),
    _bytes("salt"),
    sa.Index("ix_policies_version_seq", "version", "seq"),
)

models = sa.Table(
    "models",
    metadata,
    _seq(),
    _text("version"),
    _text("status"),
    _text("body"),
    _bytes("salt"),
    sa.Index("ix_models_version_seq", "version", "seq"),
)

# Audited happenings without a table of their own, such as an erasure.
notes = sa.Table("notes", metadata, _seq(), _text("body"), _bytes("salt"))

events = sa.Table(
    "events",
    metadata,
    sa.Column("position", _Seq, primary_key=True, autoincrement=True),
    _int("seq"),
    _text("id"),
    _text("type"),
    _text("subject"),
    _text("body"),
    _int("created_at"),
    _int("delivered_at", null=True),
    _int("next_attempt_at"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Index("uq_events_id", "id", unique=True),
    sa.Index(
        "ix_events_next_attempt_at",
        "next_attempt_at",
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    ),
)

audit_rows = sa.Table(
    "audit_rows",
    metadata,
    _seq(),
    _int("at"),
    _text("kind"),
    _text("actor"),
    _text("subject"),
    _bytes("digest"),
)

audit_links = sa.Table(
    "audit_links",
    metadata,
    _seq("number"),
    _int("first"),
    _int("last"),
    _int("at"),
    _bytes("root"),
    _bytes("previous"),
    _bytes("digest"),
)

# One row: who this store is, and where the writer tries whether the disk takes anything.
identity = sa.Table(
    "identity",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _text("store_id"),
    _int("created_at"),
    _int("probed_at"),
)
