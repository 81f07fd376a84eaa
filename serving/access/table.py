"""Who may do what: roles, permissions, and one table from every route to the permission it asks for.

Everything here is pure. `serving.access.gate` enforces it, `serving.access.door` keeps accounts, keys and sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "reviewer", "laboratory", "compliance", "data_scientist", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)

PUBLIC = "public"
"""No permission is asked for: health, reference, signing in."""

_READS = (
    "score.read",  # what is loaded: model and policy in force
    "queue.read",
    "decisions.read",
    "photos.read",
    "sellers.read",
    "bans.read",
    "notices.read",
    "laboratory.read",
    "policy.read",
)
_WORKS = (
    "score",  # send listings in
    "queue.work",  # claim, skip, note, decide
    "queue.bulk",
    "queue.second",  # agree to what another person proposed
    "quality.read",  # golden answers and error rates of reviewers
    "golden.manage",
    "appeals.open",  # for the marketplace, on behalf of a seller
    "appeals.decide",
    "bans.write",
    "notices.write",
    "complaints.write",
    "laboratory.write",
    "evidence.export",  # a whole period at once
    "events.read",
    "events.replay",
    "audit.read",
    "policy.try",  # diff and shadow
    "policy.promote",
    "metrics.read",
    "access.manage",
)
PERMISSIONS: tuple[str, ...] = _READS + _WORKS

_VIEWER = frozenset(_READS)
GRANTS: Mapping[Role, frozenset[str]] = {
    "viewer": _VIEWER,
    "reviewer": _VIEWER | {"queue.work", "queue.bulk", "queue.second", "complaints.write"},
    "laboratory": _VIEWER | {"laboratory.write"},
    "compliance": _VIEWER
    | {
        "queue.work",
        "queue.bulk",
        "queue.second",
        "quality.read",
        "golden.manage",
        "appeals.open",
        "appeals.decide",
        "bans.write",
        "notices.write",
        "complaints.write",
        "evidence.export",
        "events.read",
        "events.replay",
        "audit.read",
    },
    "data_scientist": _VIEWER
    | {"score", "quality.read", "golden.manage", "evidence.export", "policy.try", "metrics.read"},
    "administrator": frozenset(PERMISSIONS),
}

Route = tuple[str, str]
"""Method and path template."""

TABLE: Mapping[Route, str] = {
    # --- health, reference, signing in -------------------------------------------------------------------------
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/livez"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/v1/openapi.json"): PUBLIC,
    ("GET", "/"): PUBLIC,
    ("GET", "/console/static/{name}"): PUBLIC,
    ("GET", "/console/login"): PUBLIC,
    ("POST", "/console/login"): PUBLIC,
    ("GET", "/console/enter/{token}"): PUBLIC,
    ("POST", "/console/logout"): PUBLIC,
    ("POST", "/console/language"): PUBLIC,
    # --- scoring -----------------------------------------------------------------------------------------------
    ("POST", "/v1/score"): "score",
    ("POST", "/v1/score-many"): "score",
    ("GET", "/v1/model"): "score.read",
    ("GET", "/metrics"): "metrics.read",
    ("GET", "/v1/decisions/{decision_id}"): "decisions.read",
    # --- bans --------------------------------------------------------------------------------------------------
    ("GET", "/v1/bans"): "bans.read",
    ("POST", "/v1/bans"): "bans.write",
    ("GET", "/v1/bans/{ban_id}"): "bans.read",
    ("DELETE", "/v1/bans/{ban_id}"): "bans.write",
    ("POST", "/v1/bans/{ban_id}/judgements"): "bans.write",
    ("GET", "/v1/bans/{ban_id}/photos/{position:int}"): "photos.read",
    # --- laboratory ------------------------------------------------------------------------------------------------
    ("GET", "/v1/plans"): "laboratory.read",
    ("POST", "/v1/plans"): "laboratory.write",
    ("GET", "/v1/plans/{plan_id}"): "laboratory.read",
    ("GET", "/v1/plans/{plan_id}/files/{name}"): "laboratory.read",
    ("GET", "/v1/plans/{plan_id}/estimates"): "laboratory.read",
    ("GET", "/v1/lab-results"): "laboratory.read",
    ("POST", "/v1/lab-results"): "laboratory.write",
    ("POST", "/v1/lab-orders"): "laboratory.write",
    ("GET", "/v1/lab-cases"): "laboratory.read",
    ("POST", "/v1/lab-cases/{case_id}/steps"): "laboratory.write",
    ("GET", "/console/laboratory"): "laboratory.read",
    ("GET", "/console/laboratory/plans/{plan_id}"): "laboratory.read",
    ("GET", "/console/laboratory/plans/{plan_id}/rates"): "laboratory.read",
    ("GET", "/console/laboratory/plans/{plan_id}/files/{name}"): "laboratory.read",
    ("POST", "/console/laboratory/plans"): "laboratory.write",
    ("POST", "/console/laboratory/results"): "laboratory.write",
    ("POST", "/console/laboratory/orders"): "laboratory.write",
    ("POST", "/console/laboratory/cases/{case_id}/confirm"): "laboratory.write",
    # --- notices, complaints, sellers, appeals, evidence, events -------------------------------------------------
    ("GET", "/v1/notices"): "notices.read",
    ("POST", "/v1/notices"): "notices.write",
    ("GET", "/v1/notices/{notice_id}"): "notices.read",
    ("POST", "/v1/notices/{notice_id}/tasks"): "notices.write",
    ("POST", "/v1/notices/{notice_id}/hits"): "notices.write",
    ("POST", "/v1/notices/{notice_id}/refunds"): "notices.write",
    ("POST", "/v1/notices/{notice_id}/search"): "notices.write",
    ("POST", "/v1/notices/{notice_id}/withdrawal"): "notices.write",
    ("GET", "/v1/notices/{notice_id}/evidence"): "notices.read",
    ("POST", "/v1/acknowledgements"): "notices.write",
    ("GET", "/v1/refunds"): "notices.read",
    ("GET", "/v1/unacknowledged"): "notices.read",
    ("POST", "/v1/complaints"): "complaints.write",
    ("GET", "/v1/sellers"): "sellers.read",
    ("GET", "/v1/sellers/{seller_id}"): "sellers.read",
    ("GET", "/v1/decisions/{decision_id}/statement"): "decisions.read",
    ("POST", "/v1/decisions/{decision_id}/appeals"): "appeals.open",
    ("GET", "/v1/decisions/{decision_id}/evidence"): "decisions.read",
    ("GET", "/v1/appeals"): "sellers.read",
    ("GET", "/v1/appeals/{appeal_id}"): "sellers.read",
    ("POST", "/v1/appeals/{appeal_id}/judgement"): "appeals.decide",
    ("GET", "/v1/evidence"): "evidence.export",
    ("GET", "/v1/endpoints"): "events.read",
    ("POST", "/v1/endpoints"): "access.manage",
    ("DELETE", "/v1/endpoints/{endpoint_id}"): "access.manage",
    ("POST", "/v1/endpoints/{endpoint_id}/state"): "access.manage",
    ("POST", "/v1/endpoints/{endpoint_id}/rotation"): "access.manage",
    ("POST", "/v1/endpoints/{endpoint_id}/replay"): "events.replay",
    ("GET", "/v1/deliveries"): "events.read",
    ("GET", "/console/notices"): "notices.read",
    ("GET", "/console/notices/new"): "notices.write",
    ("POST", "/console/notices/new"): "notices.write",
    ("POST", "/console/notices/acknowledge"): "notices.write",
    ("GET", "/console/notices/{notice_id}"): "notices.read",
    ("POST", "/console/notices/{notice_id}/tasks"): "notices.write",
    ("POST", "/console/notices/{notice_id}/refunds"): "notices.write",
    ("POST", "/console/notices/{notice_id}/hits"): "notices.write",
    ("POST", "/console/notices/{notice_id}/search"): "notices.write",
    ("GET", "/console/events"): "events.read",
    ("POST", "/console/events/{endpoint_id}/replay"): "events.replay",
    # --- console -----------------------------------------------------------------------------------------------
    ("GET", "/console"): "score.read",
    ("GET", "/console/queue"): "queue.read",
    ("POST", "/console/queue/take"): "queue.work",
    ("GET", "/console/items/{decision_id}"): "decisions.read",
    ("POST", "/console/items/{decision_id}/claim"): "queue.work",
    ("POST", "/console/items/{decision_id}/skip"): "queue.work",
    ("POST", "/console/items/{decision_id}/note"): "queue.work",
    ("POST", "/console/items/{decision_id}/decide"): "queue.work",
    ("GET", "/console/second"): "queue.read",
    ("POST", "/console/second/{proposal_id}/agree"): "queue.second",
    ("POST", "/console/second/{proposal_id}/decline"): "queue.second",
    ("GET", "/console/bulk"): "queue.read",
    ("POST", "/console/bulk/apply"): "queue.bulk",
    ("POST", "/console/bulk/{bulk_id}/undo"): "queue.bulk",
    ("GET", "/console/decisions"): "decisions.read",
    ("GET", "/console/sellers"): "sellers.read",
    ("GET", "/console/seller"): "sellers.read",
    ("GET", "/console/appeals"): "sellers.read",
    ("POST", "/console/appeals/{appeal_id}"): "appeals.decide",
    ("GET", "/console/bans"): "bans.read",
    ("GET", "/console/bans/{ban_id}"): "bans.read",
    ("POST", "/console/bans/{ban_id}/change"): "bans.write",
    ("POST", "/console/items/{decision_id}/ban"): "bans.write",
    ("POST", "/console/items/{decision_id}/match"): "bans.write",
    ("GET", "/console/matches"): "bans.read",
    ("GET", "/console/policy"): "policy.read",
    ("POST", "/console/policy/try"): "policy.try",
    ("POST", "/console/policy/shadow"): "policy.try",
    ("POST", "/console/policy/shadow/end"): "policy.try",
    ("POST", "/console/policy/promote"): "policy.promote",
    ("POST", "/console/policy/rollback"): "policy.promote",
    ("GET", "/console/people"): "access.manage",
    ("POST", "/console/people/add"): "access.manage",
    ("POST", "/console/people/disable"): "access.manage",
    ("POST", "/console/people/keys"): "access.manage",
    ("POST", "/console/people/keys/revoke"): "access.manage",
    ("GET", "/console/quality"): "quality.read",
    ("GET", "/console/monitor"): "metrics.read",
    ("GET", "/console/models"): "score.read",
    ("POST", "/console/goldens"): "golden.manage",
    ("POST", "/console/goldens/{golden_id}/retire"): "golden.manage",
    ("GET", "/console/photos/{decision_id}/{position:int}"): "photos.read",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    Attributes
    ----------
    name
        Account, or ``key:NAME`` for a program; what records carry.
    scopes
        Permissions, already cut to the role's.
    how
        ``account``, ``key``, ``proxy``, ``demo``, ``open`` (no account exists and the call comes from this
        machine) or ``nobody``.
    """

    name: str
    role: str
    scopes: frozenset[str]
    how: str = "account"

    def may(self, permission: str) -> bool:
        """Whether this is allowed."""
        return permission == PUBLIC or permission in self.scopes


NOBODY = Actor("", "", frozenset(), "nobody")


def role_named(name: str) -> Role | None:
    """Return the role of that name, None where there is none."""
    return next((role for role in ROLES if role == name), None)


def actor_of(name: str, role: str, how: str = "account", scopes: frozenset[str] | None = None) -> Actor:
    """Return the actor with the permissions of a role, cut to ``scopes`` where given; none for an unknown role."""
    known = role_named(role)
    granted = GRANTS[known] if known else frozenset[str]()
    return Actor(name, role, granted if scopes is None else granted & scopes, how)
