"""Tables of notices, complaints, sellers, appeals and deliveries.

Rows of the first six are audited and append-only: what is true of a notice, an appeal or a strike is a fold over its
rows. ``step`` counts them; the unique index on it refuses the second of two people who act on the same state at once.
"""

from __future__ import annotations

import sqlalchemy as sa

from serving.store.schema import metadata

_Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _seq() -> sa.Column[int]:
    return sa.Column("seq", _Seq, primary_key=True, autoincrement=False, nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _content() -> tuple[sa.Column[str], sa.Column[bytes]]:
    return _text("body"), sa.Column("salt", sa.LargeBinary, nullable=False)


notices = sa.Table(
    "notices",
    metadata,
    _seq(),
    _text("notice_id"),
    _int("step"),
    _text("status"),
    *_content(),
    sa.Index("uq_notices_notice_id_step", "notice_id", "step", unique=True),
)

complaints = sa.Table(
    "complaints",
    metadata,
    _seq(),
    _text("complaint_id"),
    _text("marketplace"),
    _text("listing_id"),
    *_content(),
    sa.Index("uq_complaints_complaint_id", "complaint_id", unique=True),
    sa.Index("ix_complaints_marketplace_listing_id", "marketplace", "listing_id"),
)

strikes = sa.Table(
    "strikes",
    metadata,
    _seq(),
    _text("strike_id"),
    _int("step"),
    _text("status"),
    _text("marketplace"),
    _text("seller_id"),
    _text("listing_id"),
    _text("decision_id"),
    *_content(),
    sa.Index("uq_strikes_strike_id_step", "strike_id", "step", unique=True),
    sa.Index("ix_strikes_marketplace_seller_id", "marketplace", "seller_id"),
    sa.Index("ix_strikes_marketplace_listing_id", "marketplace", "listing_id"),
)

appeals = sa.Table(
    "appeals",
    metadata,
    _seq(),
    _text("appeal_id"),
    _int("step"),
    _text("status"),
    _text("decision_id"),
    _text("marketplace"),
    _text("seller_id"),
    _text("listing_id"),
    *_content(),
    sa.Index("uq_appeals_appeal_id_step", "appeal_id", "step", unique=True),
    sa.Index("ix_appeals_decision_id", "decision_id"),
    sa.Index("ix_appeals_marketplace_seller_id", "marketplace", "seller_id"),
)

# The marketplace's word that a listing is off sale.
acknowledgements = sa.Table(
    "acknowledgements",
    metadata,
    _seq(),
    _text("marketplace"),
    _text("listing_id"),
    _text("decision_id"),
    _text("status"),
    *_content(),
    sa.Index("ix_acknowledgements_marketplace_listing_id", "marketplace", "listing_id"),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    _seq(),
    _text("endpoint_id"),
    _int("step"),
    _text("status"),
    *_content(),
    sa.Index("uq_endpoints_endpoint_id_step", "endpoint_id", "step", unique=True),
)

# What consumers and sellers wrote, apart from the audited row that has its salted digest, so that it can be erased.
said = sa.Table(
    "said",
    metadata,
    _seq(),
    _int("received_at"),
    _text("payload", null=True),
    sa.Column("salt", sa.LargeBinary, nullable=True),
    sa.Index("ix_said_received_at", "received_at"),
)

# Signing needs the secret itself, not a hash of it.
webhook_secrets = sa.Table(
    "webhook_secrets",
    metadata,
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _text("secret"),
    _int("created_at"),
    _int("expires_at", null=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("position", _Seq, primary_key=True, autoincrement=True),
    _int("event_position"),
    _text("endpoint_id"),
    _text("status"),
    sa.Column("attempts", sa.Integer, nullable=False),
    _int("next_attempt_at"),
    _int("leased_until"),
    _int("created_at"),
    _int("ended_at", null=True),
    _text("last_answer"),
    sa.Index(
        "ix_deliveries_next_attempt_at",
        "next_attempt_at",
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    ),
    sa.Index("ix_deliveries_endpoint_id_status", "endpoint_id", "status"),
    sa.Index("ix_deliveries_event_position", "event_position"),
)

# How far a sweep over the decisions has come.
marks = sa.Table("marks", metadata, sa.Column("name", sa.Text, primary_key=True), _int("seq"))

FROZEN = ("notices", "complaints", "strikes", "appeals", "acknowledgements", "endpoints")
KINDS = {
    "notices": "notice",
    "complaints": "complaint",
    "strikes": "strike",
    "appeals": "appeal",
    "acknowledgements": "acknowledgement",
    "endpoints": "endpoint",
}
"""Audited tables and the kind of their rows in the chain."""
