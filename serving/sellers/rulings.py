"""Decisions by people and authorities outside the review queue: an order that names a listing, an appeal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from features.schema import Listing
from serving.decisions import new_decision_id
from serving.events.kinds import event
from serving.review.records import follow_up
from serving.review.rules import Outcome
from serving.store.decisions import StoredDecision
from serving.store.records import DecisionRecord


def ruling(
    stored: StoredDecision,
    action: str,
    state: str,
    actor: str,
    now: datetime,
    why: Mapping[str, Any],
    note: str = "",
) -> DecisionRecord:
    """Return a decision that follows from somebody's word on a stored one.

    Parameters
    ----------
    stored
        The decision in force.
    why
        What it follows from, such as ``{"notice_id": ...}``; kept in the body.
    note
        In people's words; erased with the listing's text.
    """
    now = max(now, stored.decided_at)  # it comes after what it is about, whichever clock said so
    found = Outcome(action, state, False, None, stored.top_hazard, ())
    more = {"choice": None, "decided_by": actor, **why}
    return follow_up(stored, new_decision_id(now), found, actor, now, more, note)


def order_on_unknown(
    listing: Listing,
    actor: str,
    now: datetime,
    versions: tuple[str, str],
    hazard: str,
    why: Mapping[str, Any],
) -> DecisionRecord:
    """Return the block of a listing that was never decided, on an authority's word alone.

    Parameters
    ----------
    versions
        Of model and policy in force; neither was asked.
    """
    decision_id = new_decision_id(now)
    facts = {
        "decision_id": decision_id,
        "marketplace": listing.marketplace or "",
        "listing_id": listing.id,
        "action": "block",
        "actor": actor,
    }
    body = {
        "decision_id": decision_id,
        "listing_id": listing.id,
        "revision": listing.revision,
        "action": "block",
        "state": "off_sale",
        "held_until": None,
        "on_expiry": None,
        "hazards": [],
        "rules": [],
        "past_results": [],
        "previous": None,
        "model_version": versions[0],
        "policy_version": versions[1],
        "decided_at": now.isoformat(timespec="milliseconds"),
        **why,
    }
    return DecisionRecord(
        id=decision_id,
        listing=listing.model_dump(mode="json", exclude_defaults=True),
        action="block",
        state="off_sale",
        model_version=versions[0],
        policy_version=versions[1],
        decided_at=now,
        risk_level="high",
        top_hazard=hazard,
        body=body,
        actor=actor,
        needs_work=False,
        events=(
            event("decision.made", listing.id, facts | {"state": "off_sale"}, now),
            event("item.blocked", listing.id, facts, now),
        ),
    )
