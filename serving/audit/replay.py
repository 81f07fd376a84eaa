"""Recompute a decision from its stored input, with the bundle and policy of that day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from serving.store.decided import full_json, pack_scores, unpack_scores
from serving.store.decisions import StoredDecision
from serving.store.errors import NotFoundError
from serving.store.store import Store

if TYPE_CHECKING:
    from serving.decisions import Earlier
    from serving.judging import Checks, Scorer
    from serving.policy.document import PolicyDocument

    LoadBundle = Callable[[str], Scorer]
    LoadPolicy = Callable[[str], PolicyDocument]


@dataclass(frozen=True, slots=True)
class FieldReplay:
    """One field of a decision, as it was stored and as it comes out now."""

    field: str
    stored: Any
    recomputed: Any
    equal: bool


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A decision, recomputed.

    Attributes
    ----------
    equal
        Whether every field came out the same; False when nothing could be recomputed.
    fields
        Field by field; empty when the input is gone.
    erased_at
        When retention erased the input, UTC; None where it is still there.
    problem
        Why nothing was recomputed, empty where it was.
    """

    decision_id: str
    model_version: str
    policy_version: str
    decided_at: datetime
    equal: bool
    fields: tuple[FieldReplay, ...]
    erased_at: datetime | None = None
    problem: str = ""


def replay(
    store: Store,
    decision_id: str,
    load_bundle: LoadBundle,
    load_policy: LoadPolicy,
    checks: Checks | None = None,
) -> ReplayReport:
    """Recompute a decision and compare it field by field.

    Parameters
    ----------
    store
        Where the decision is.
    decision_id
        Which one.
    load_bundle, load_policy
        Give the bundle and the policy of a version.
    checks
        Certificate and match look-ups as they were; what they found lies outside bundle and policy, so a
        decision that rested on them differs in the fields they touch when they are not given.

    Returns
    -------
    ReplayReport

    Raises
    ------
    NotFoundError
        When there is no such decision.
    """
    # Only a replay needs what decides; verifying must work without it.
    from features.schema import ListingError, parse_listing
    from serving.predictor import Predictor

    stored = store.decision(decision_id)
    if stored.body.get("hold_ended"):
        return _report(stored, (), f"its hold ended: it follows from decision {stored.body['hold_ended']}")
    if stored.actor != "system":
        return _report(stored, (), f"it was decided by {stored.actor}, not computed")
    if stored.listing is None:
        when = stored.erased_at.isoformat() if stored.erased_at else "an unknown time"
        return _report(stored, (), f"the listing's text was erased at {when} after its retention time")
    try:
        listing = parse_listing(stored.listing)
    except ListingError as error:
        return _report(stored, (), f"the stored input is no listing for this version: {error}")
    bundle, policy = load_bundle(stored.model_version), load_policy(stored.policy_version)
    predictor = Predictor(bundle, policy, clock=lambda: stored.decided_at, checks=checks)
    said = full_json(stored)
    explained = bool(said["reasons"] or said["past_results"])
    (decision,) = predictor.decide(
        [listing], explain="always" if explained else "never", previous=[_previous(store, stored)]
    )
    now = decision.to_json()
    now["decision_id"] = stored.id  # given out, not computed
    if stored.scores:  # unrounded and complete, where the answer shows six digits of the likely ones
        said["scores"], now["scores"] = unpack_scores(stored.scores), unpack_scores(pack_scores(decision))
    return _report(stored, _compare(said, now))


def _compare(stored: Mapping[str, Any], recomputed: Mapping[str, Any]) -> tuple[FieldReplay, ...]:
    names = [*stored, *(name for name in recomputed if name not in stored)]
    return tuple(
        FieldReplay(name, stored.get(name), recomputed.get(name), stored.get(name) == recomputed.get(name))
        for name in names
    )


def _previous(store: Store, stored: StoredDecision) -> Earlier | None:
    """The earlier decision that this one was compared with."""
    from serving.decisions import Earlier

    compared = stored.body.get("previous")
    if not compared:
        return None
    try:
        earlier = store.decision(compared["decision_id"])
    except NotFoundError:
        return None
    fields = (earlier.reasons or {}).get("fields", {})
    return Earlier(earlier.id, earlier.revision, earlier.body["action"], fields)


def _report(stored: StoredDecision, fields: tuple[FieldReplay, ...], problem: str = "") -> ReplayReport:
    return ReplayReport(
        decision_id=stored.id,
        model_version=stored.model_version,
        policy_version=stored.policy_version,
        decided_at=stored.decided_at,
        equal=bool(fields) and all(item.equal for item in fields),
        fields=fields,
        erased_at=stored.erased_at,
        problem=problem,
    )
