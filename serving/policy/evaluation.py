"""The policy: from facts about a listing to an action, by rules that can be read aloud.

Everything here is pure. The document is in `serving.policy_file`; binding it to a bundle's operating points
gives a `BoundPolicy`, and `evaluate` applies that to the facts of one listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

Action = Literal["allow", "monitor", "review", "lab_test", "block"]
State = Literal["live", "held"]
RiskLevel = Literal["low", "medium", "high", "serious"]

ACTIONS: tuple[Action, ...] = ("allow", "monitor", "review", "lab_test", "block")
RISK_LEVELS: tuple[RiskLevel, ...] = ("low", "medium", "high", "serious")

_STRICTNESS: dict[str, int] = {action: rank for rank, action in enumerate(ACTIONS)}
_RISK_RANK: dict[str, int] = {level: rank for rank, level in enumerate(RISK_LEVELS)}


def strictest(actions: Iterable[Action]) -> Action:
    """Return the strictest of the actions, ``allow`` when there are none."""
    return ACTIONS[max((_STRICTNESS[action] for action in actions), default=0)]


def risk_rank(level: str) -> int:
    """Return the position of a risk level, 0 for ``low`` to 3 for ``serious``."""
    return _RISK_RANK[level]


@dataclass(frozen=True, slots=True)
class MatchFact:
    """A match of the listing with a banned item: ``kind`` says how sure (``exact``, ``near``).

    ``evidence`` is what speaks for it, JSON values without the seller's words; no rule looks at it.
    """

    kind: str
    ban_id: str
    similarity: float = 1.0
    evidence: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What the policy may look at, for one listing.

    Attributes
    ----------
    p
        Joint probability per hazard code, 0 to 1.
    hazard_risk
        Risk level per hazard code.
    group_line
        The product group followed by its parents; empty where none was recognised.
    certificates
        Findings on the claimed certificates, such as ``missing`` or ``cancelled``.
    price, units_sold, seller_strikes, seller_failed, seller_removed
        None where the marketplace did not say; an unknown value satisfies no condition. Unknown text is "".

    """

    p: Mapping[str, float]
    p_noncompliant: float
    risk_level: RiskLevel = "low"
    hazard_risk: Mapping[str, str] = field(default_factory=dict)
    basis: Mapping[str, str] = field(default_factory=dict)
    expected_harm: float = 0.0
    group_line: tuple[str, ...] = ()
    audience: str = "general"
    language: str = "other"
    market: str = "KR"
    marketplace: str = ""
    origin: str = ""
    price: float | None = None
    currency: str = ""
    units_sold: int | None = None
    seller_strikes: int | None = None
    seller_failed: int | None = None
    seller_removed: int | None = None
    certificates: frozenset[str] = frozenset()
    matches: tuple[MatchFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """One fact that satisfied a rule: what it was, what was found, and what the rule asked for."""

    what: str
    got: float | int | str
    wanted: str
    hazard: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a listing is held, and the action it falls to when nobody decided in time."""

    hours: float
    on_expiry: Action


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule that applied, with its reason per language and the facts that made it apply."""

    id: str
    action: Action
    why: Mapping[str, str]
    causes: tuple[Cause, ...]
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one listing; ``held_until`` is in the zone of the clock that was given."""

    action: Action
    state: State
    held_until: datetime | None
    on_expiry: Action | None
    fired: tuple[FiredRule, ...]


class Condition(Protocol):
    """A bound condition."""

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the facts that satisfy the condition, or None when it does not hold."""
        ...


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule whose operating points are numbers."""

    id: str
    action: Action
    why: Mapping[str, str]
    when: Condition
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class BoundPolicy:
    """A policy ready to evaluate.

    Attributes
    ----------
    version
        The document's version and the first eight digits of its SHA-256.
    uncovered
        ``(rule id, operating point, hazard codes)`` where a rule speaks of a family or severity and the
        bundle has no such operating point for these hazards. They are reported, never guessed.

    """

    version: str
    rules: tuple[BoundRule, ...]
    uncovered: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def evaluate(policy: BoundPolicy, facts: PolicyFacts, now: datetime) -> Verdict:
    """Apply every rule; the strictest action wins, the longest hold wins.

    Raising any probability never lowers the action and never shortens a hold: probabilities only appear in
    conditions of the form "at least", and those are refused under ``not``.

    Parameters
    ----------
    policy
        A bound policy.
    facts
        One listing's facts.
    now
        The time of the decision, with a zone.

    Returns
    -------
    Verdict

    """
    fired: list[FiredRule] = []
    for rule in policy.rules:
        causes = rule.when.causes(facts)
        if causes is not None:
            fired.append(FiredRule(rule.id, rule.action, rule.why, causes, rule.hold))
    action = strictest(rule.action for rule in fired)
    holds = [rule.hold for rule in fired if rule.hold is not None]
    if not holds:
        return Verdict(action, "live", None, None, tuple(fired))
    until = now + timedelta(hours=max(hold.hours for hold in holds))
    on_expiry = strictest(hold.on_expiry for hold in holds)
    return Verdict(action, "held", until, on_expiry, tuple(fired))
