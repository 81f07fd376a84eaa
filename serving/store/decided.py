"""From a decision as the predictor makes it to a record, and back to the answer that was given."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from serving.store.decisions import StoredDecision
from serving.store.records import DecisionRecord, OutboxEvent, Picture
from training.scores import BASES

if TYPE_CHECKING:  # the audit reads stored decisions without loading what makes them
    from features.schema import Listing
    from serving.decisions import Decision

# What quotes the seller or lets a guess about the text be tested is erased with the text.
_ERASED = ("reasons", "fields")
_CELL = struct.Struct("<dddb")
_NONE = float("nan")


def pack_scores(decision: Decision) -> bytes:
    """Pack every hazard in taxonomy order: p, q, p_injury as float64 (q NaN for none), basis as int8."""
    return b"".join(
        _CELL.pack(cell.p, _NONE if cell.q is None else cell.q, cell.p_injury, BASES.index(cell.basis))
        for cell in decision.hazards
    )


def unpack_scores(scores: bytes) -> tuple[tuple[float, float | None, float, str], ...]:
    """Undo `pack_scores`: p, q, p_injury and basis per hazard.

    Raises
    ------
    ValueError
        When the length fits no whole number of hazards.
    """
    if len(scores) % _CELL.size:
        raise ValueError(f"got {len(scores)} bytes of scores, expected a multiple of {_CELL.size}")
    return tuple(
        (p, None if q != q else q, injury, BASES[basis]) for p, q, injury, basis in _CELL.iter_unpack(scores)
    )


def decision_record(
    listing: Listing,
    decision: Decision,
    *,
    caller: str = "",
    idempotency_key: str | None = None,
    answer: Mapping[str, Any] | None = None,
    received_at: datetime | None = None,
    images: tuple[Picture, ...] = (),
    events: tuple[OutboxEvent, ...] = (),
) -> DecisionRecord:
    """Make the record of a decision.

    Parameters
    ----------
    listing
        As it was scored.
    decision
        As the predictor made it.
    caller
        Who asked; idempotency keys are unique per caller. With several decisions in one request, give each a key
        of its own, such as the request's key and the position.
    answer
        ``decision.to_json()`` where the caller has it already.
    """
    said = dict(answer) if answer is not None else decision.to_json()
    erasable = {name: said.pop(name, None) for name in _ERASED}
    top = max(decision.hazards, key=lambda cell: cell.p_injury, default=None)
    return DecisionRecord(
        id=decision.decision_id,
        listing=listing.model_dump(mode="json", exclude_defaults=True),
        action=decision.action,
        state=decision.state,
        model_version=decision.model_version,
        policy_version=decision.policy_version,
        decided_at=decision.decided_at,
        received_at=received_at,
        held_until=decision.held_until,
        risk_level=decision.risk_level,
        top_hazard=top.hazard if top else "",
        expected_harm=decision.expected_harm,
        p_noncompliant=decision.p_noncompliant,
        product_group=decision.group,
        language=decision.language,
        rules=tuple(rule.id for rule in decision.rules),
        reasons=erasable,
        body=said,
        scores=pack_scores(decision),
        caller=caller,
        idempotency_key=idempotency_key,
        images=images,
        events=events,
    )


def full_json(stored: StoredDecision) -> dict[str, Any]:
    """Give the answer that was sent, for a repeated request; erased parts are None."""
    erasable = stored.reasons or dict.fromkeys(_ERASED)
    return {**stored.body, **erasable}
