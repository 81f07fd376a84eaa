"""What is written when a person's choice comes into force, or is taken back: decision, events, labels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serving.decisions import new_decision_id
from serving.events.kinds import change_of, event
from serving.review.rules import (
    LABEL_SOURCE,
    NOTE_MAX,
    DeskRules,
    Outcome,
    Person,
    Said,
    choice_named,
    outcome,
)
from serving.store.decisions import StoredDecision
from serving.store.prepare import OPEN_ACTIONS
from serving.store.records import DecisionRecord, LabelRecord, OutboxEvent


def records_of(
    said: Said, stored: StoredDecision, person: Person, now: datetime, rules: DeskRules
) -> list[DecisionRecord | LabelRecord]:
    """Return what is written when a person's choice comes into force: the decision, its events and its labels.

    Parameters
    ----------
    stored
        The decision in force that the person saw.
    now
        With a zone.

    Returns
    -------
    list
        The decision first.
    """
    found = outcome(said, stored, now, rules)
    decision_id = new_decision_id(now)
    more: dict[str, Any] = {
        "choice": said.choice,
        "decided_by": person.name,
        "hazard": found.hazard,
        "dismissed": list(found.dismissed),
        "second": person.second or None,
        "bulk": said.bulk or None,
    }
    record = follow_up(stored, decision_id, found, person.name, now, more, said.note)
    return [
        record,
        *(_label(stored, decision_id, hazard, value, person.name) for hazard, value in found.labels),
    ]


def undo_records(
    before: StoredDecision, made: StoredDecision, actor: str, now: datetime, bulk: str
) -> list[DecisionRecord | LabelRecord]:
    """Return what is written to take a person's decision back: what was in force before, again, and labels withdrawn.

    Parameters
    ----------
    before
        The decision that was in force when the person decided.
    made
        The person's decision, which must be in force still.
    """
    by_person = before.actor != "system" and before.body.get("choice") not in ("not_hazard", "undo")
    waited = before.action in OPEN_ACTIONS and not by_person
    back = Outcome(before.action, before.state, waited, before.held_until, before.top_hazard, ())
    decision_id = new_decision_id(now)
    more: dict[str, Any] = {
        "choice": "undo",
        "decided_by": actor,
        "undoes": made.id,
        "bulk": bulk,
        "dismissed": list(before.body.get("dismissed", ())),
    }
    record = follow_up(before, decision_id, back, actor, now, more, "", seen=made)
    said = Said(choice_named(made.body["choice"]), str(made.body.get("hazard") or ""))
    taught = outcome(said, before, now, DeskRules()).labels
    return [record, *(_label(before, decision_id, hazard, None, actor) for hazard, _ in taught)]


def follow_up(
    stored: StoredDecision,
    decision_id: str,
    found: Outcome,
    actor: str,
    now: datetime,
    more: Mapping[str, Any],
    note: str,
    seen: StoredDecision | None = None,
) -> DecisionRecord:
    """Return a person's decision about a stored one: scores and reasons as they were, ``found`` and ``more`` new.

    ``seen`` is the decision in force, where ``stored`` is an earlier one whose outcome comes back.
    """
    seen = seen or stored
    listing = stored.listing or {
        "id": stored.listing_id,
        "marketplace": stored.marketplace,
        "revision": stored.revision,
        "title": "",
    }
    body = {
        **stored.body,
        **more,
        "decision_id": decision_id,
        "action": found.action,
        "state": found.state,
        "held_until": found.held_until.isoformat(timespec="milliseconds") if found.held_until else None,
        "on_expiry": "review" if found.held_until else None,
        "decided_at": now.isoformat(timespec="milliseconds"),
        "previous": {
            "decision_id": seen.id,
            "revision": seen.revision,
            "action": seen.action,
            "changed": [],
        },
    }
    reasons = dict(stored.reasons or {})
    reasons.pop("note", None)
    return DecisionRecord(
        id=decision_id,
        listing=listing,
        action=found.action,
        state=found.state,
        model_version=stored.model_version,
        policy_version=stored.policy_version,
        decided_at=now,
        received_at=stored.received_at,  # the listing's text is no younger for having been read again
        held_until=found.held_until,
        risk_level=stored.risk_level,
        top_hazard=found.hazard or stored.top_hazard,
        expected_harm=stored.expected_harm,
        p_noncompliant=stored.p_noncompliant,
        product_group=str(stored.body.get("group") or ""),
        language=str(stored.body.get("language") or ""),
        rules=stored.rules,
        reasons=reasons | ({"note": note[:NOTE_MAX]} if note else {}),
        body=body,
        scores=stored.scores,
        actor=actor,
        needs_work=found.needs_work,
        events=_events(decision_id, stored, seen, found, actor, now),
    )


def _events(
    decision_id: str, stored: StoredDecision, seen: StoredDecision, found: Outcome, actor: str, now: datetime
) -> tuple[OutboxEvent, ...]:
    short = {
        "decision_id": decision_id,
        "marketplace": stored.marketplace,
        "listing_id": stored.listing_id,
        "action": found.action,
        "actor": actor,
    }
    facts = short | {
        "revision": stored.revision,
        "state": found.state,
        "risk_level": stored.risk_level,
        "expected_harm": stored.expected_harm,
        "p_noncompliant": stored.p_noncompliant,
        "rules": list(stored.rules),
        "model_version": stored.model_version,
        "policy_version": stored.policy_version,
    }
    made = [event("decision.made", stored.listing_id, facts, now)]
    unchanged = found.needs_work and found.state == seen.state
    kind = None if unchanged else change_of(found.action, found.state, seen.state)
    return (*made, event(kind, stored.listing_id, short, now)) if kind else tuple(made)


def _label(
    stored: StoredDecision, decision_id: str, hazard: str, value: bool | None, actor: str
) -> LabelRecord:
    return LabelRecord(
        stored.marketplace,
        stored.listing_id,
        hazard,
        value,
        LABEL_SOURCE,
        actor,
        revision=stored.revision,
        decision_id=decision_id,
    )
