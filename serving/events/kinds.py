"""Events that others are told about, and the CloudEvents 1.0 envelope they travel in.

An event is written in the transaction of its cause and delivered later (`serving.events.outbox`). It names things by id
and says what was decided, never what a seller or a consumer wrote. Who wants the words asks for the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from serving.decisions import new_decision_id
from serving.store.records import OutboxEvent

if TYPE_CHECKING:
    from serving.decisions import Decision

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/cloudevents+json"

EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "decision.made": "A listing was decided, by the system or by a person.",
        "item.blocked": "A listing must go off sale; the marketplace acknowledges when it has.",
        "item.released": "What held or blocked a listing was taken back; it may be on sale again.",
        "item.sent_to_laboratory": "A listing was chosen for a laboratory test.",
        "refund.due": "Buyers of a listing are to be refunded.",
        "notice.overdue": "A task of an authority's notice passed its deadline.",
        "match.found": "A listing is taken for a banned item that came back.",
        "model.changed": "Another bundle decides from now on: promoted or rolled back.",
        "monitor.alarm": "What is watched crossed a rule: drift, scores, actions, calibration or finds.",
    }
)
"""Every kind of event and what it says."""


def event(kind: str, subject: str, body: Mapping[str, Any], at: datetime) -> OutboxEvent:
    """Make an event, to be written with what caused it.

    Parameters
    ----------
    kind
        One of `EVENT_TYPES`.
    subject
        What it is about: a listing id, for notices the notice's id.
    body
        JSON values that say what happened; no text of sellers or consumers.
    at
        When it happened; UTC without a zone.

    Returns
    -------
    OutboxEvent

    Raises
    ------
    ValueError
        When the kind is unknown.

    Examples
    --------
    >>> made = event("item.blocked", "a-1", {"decision_id": "d-1"}, datetime(2026, 11, 22, tzinfo=UTC))
    >>> made.type, made.body["time"]
    ('item.blocked', '2026-11-22T00:00:00.000+00:00')
    """
    if kind not in EVENT_TYPES:
        raise ValueError(f"got event {kind!r}, expected one of {', '.join(EVENT_TYPES)}")
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    time = aware.astimezone(UTC).isoformat(timespec="milliseconds")
    return OutboxEvent(new_decision_id(aware), kind, subject, {"time": time, "data": dict(body)})


def envelope(made: OutboxEvent, source: str) -> dict[str, Any]:
    """Return the CloudEvent in its structured JSON form (CloudEvents 1.0, section 3.1 of the JSON format).

    Parameters
    ----------
    made
        From `event`, or as read back from the store.
    source
        Who says it, a URI reference such as ``urn:listing-risk:STORE_ID``; unique together with the id.
    """
    return {
        "specversion": SPEC_VERSION,
        "id": made.id,
        "source": source,
        "type": made.type,
        "subject": made.subject,
        "time": made.body["time"],
        "datacontenttype": "application/json",
        "data": made.body["data"],
    }


def decision_events(
    decision: Decision, *, marketplace: str = "", earlier_state: str | None = None, actor: str = "system"
) -> tuple[OutboxEvent, ...]:
    """Return what a fresh decision gives rise to, to be recorded with it.

    Parameters
    ----------
    decision
        As the predictor made it.
    marketplace
        Where the listing is offered.
    earlier_state
        State of the listing before (``live``, ``held``, ``off_sale``), None where it was not known.
    actor
        Who decided.
    """
    facts = {
        "decision_id": decision.decision_id,
        "marketplace": marketplace,
        "listing_id": decision.listing_id,
        "revision": decision.revision,
        "action": decision.action,
        "state": decision.state,
        "risk_level": decision.risk_level,
        "expected_harm": decision.expected_harm,
        "p_noncompliant": decision.p_noncompliant,
        "rules": [rule.id for rule in decision.rules],
        "model_version": decision.model_version,
        "policy_version": decision.policy_version,
        "actor": actor,
    }
    made = [event("decision.made", decision.listing_id, facts, decision.decided_at)]
    short = {name: facts[name] for name in ("decision_id", "marketplace", "listing_id", "action", "actor")}
    kind = change_of(decision.action, decision.state, earlier_state)
    if kind is not None:
        made.append(event(kind, decision.listing_id, short, decision.decided_at))
    if decision.matches:
        found = [{"ban_id": m.ban_id, "tier": m.kind, "p": m.similarity} for m in decision.matches]
        made.append(
            event("match.found", decision.listing_id, short | {"matches": found}, decision.decided_at)
        )
    return tuple(made)


def change_of(action: str, state: str, earlier_state: str | None) -> str | None:
    """Return the event that a change of a listing's standing deserves, None where nobody has to act on it."""
    if action == "block":
        return "item.blocked"
    if action == "lab_test":
        return "item.sent_to_laboratory"
    if state == "live" and earlier_state in ("held", "off_sale"):
        return "item.released"
    return None
