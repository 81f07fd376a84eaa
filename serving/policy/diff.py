"""What another policy would have changed: two policies over the same recorded facts, counted and shown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serving.policy.evaluation import ACTIONS, BoundPolicy, PolicyFacts, Verdict, evaluate

EXAMPLES = 50
_RANK: Mapping[str, int] = {action: rank for rank, action in enumerate(ACTIONS)}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision to look at again: its facts, and what to name it by."""

    decision_id: str
    listing_id: str
    seller_id: str
    title: str
    at: datetime
    recorded_action: str
    facts: PolicyFacts


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that comes out otherwise; ``rules`` are those of the new policy that fired."""

    decision_id: str
    listing_id: str
    seller_id: str
    title: str
    hazard: str
    before: str
    after: str
    rules: tuple[str, ...]
    expected_harm: float

    @property
    def stricter(self) -> bool:
        """Whether the new policy does more."""
        return _RANK[self.after] > _RANK[self.before]


@dataclass
class PolicyDiff:
    """What would have changed.

    Attributes
    ----------
    looked_at, left_out
        Decisions evaluated, and those whose input was erased or whose hazards are not today's.
    faithful
        Decisions whose recorded action the OLD policy gives again; the rest was decided under yet another one, or on
        what the register of certificates said then.
    actions
        (before, after) -> decisions, unchanged ones too.
    hazards, sellers
        -> [stricter, milder].
    examples
        The most harmful changed ones.
    """

    old: str
    new: str
    looked_at: int = 0
    left_out: int = 0
    faithful: int = 0
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    hazards: dict[str, list[int]] = field(default_factory=dict)
    sellers: dict[str, list[int]] = field(default_factory=dict)
    holds_changed: int = 0
    examples: list[Change] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """Decisions whose action changes."""
        return sum(number for (before, after), number in self.actions.items() if before != after)

    @property
    def stricter(self) -> int:
        """Decisions for which the new policy does more."""
        return sum(n for (before, after), n in self.actions.items() if _RANK[after] > _RANK[before])

    def per_action(self) -> tuple[tuple[str, int, int], ...]:
        """Every action with the number of decisions before and after."""
        before, after = Counter[str](), Counter[str]()
        for (one, other), number in self.actions.items():
            before[one] += number
            after[other] += number
        return tuple((action, before[action], after[action]) for action in reversed(ACTIONS))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "old": self.old,
            "new": self.new,
            "looked_at": self.looked_at,
            "left_out": self.left_out,
            "old_gives_recorded_action": self.faithful,
            "changed": self.changed,
            "stricter": self.stricter,
            "milder": self.changed - self.stricter,
            "holds_changed": self.holds_changed,
            "actions": [
                {"before": before, "after": after, "decisions": number}
                for (before, after), number in sorted(self.actions.items())
            ],
            "hazards": _sides(self.hazards),
            "sellers": _sides(self.sellers),
            "examples": [
                {name: getattr(change, name) for name in Change.__dataclass_fields__ if name != "title"}
                for change in self.examples
            ],
        }


def _sides(counts: Mapping[str, list[int]]) -> list[dict[str, Any]]:
    ranked = sorted(counts.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
    return [{"name": name, "stricter": up, "milder": down} for name, (up, down) in ranked]


def compare_policies(
    old: BoundPolicy, new: BoundPolicy, records: Iterable[Recorded | None], examples: int = EXAMPLES
) -> PolicyDiff:
    """Evaluate both policies on every record.

    Parameters
    ----------
    records
        None stands for one that cannot be evaluated again.

    Examples
    --------
    >>> from datetime import UTC
    >>> none = BoundPolicy("p", ())
    >>> facts = PolicyFacts({}, 0.1)
    >>> record = Recorded("d", "l", "s", "t", datetime(2026, 11, 1, tzinfo=UTC), "allow", facts)
    >>> compare_policies(none, none, [record, None]).looked_at
    1
    """
    found = PolicyDiff(old.version, new.version)
    for record in records:
        if record is None:
            found.left_out += 1
            continue
        _add(
            found,
            record,
            evaluate(old, record.facts, record.at),
            evaluate(new, record.facts, record.at),
            examples,
        )
    found.examples.sort(key=lambda change: -change.expected_harm)
    del found.examples[examples:]
    return found


def _add(found: PolicyDiff, record: Recorded, was: Verdict, now: Verdict, examples: int) -> None:
    found.looked_at += 1
    found.faithful += was.action == record.recorded_action
    found.actions[was.action, now.action] += 1
    if was.action == now.action:
        found.holds_changed += was.held_until != now.held_until
        return
    change = Change(
        record.decision_id,
        record.listing_id,
        record.seller_id,
        record.title,
        hazard_of(now if _RANK[now.action] > _RANK[was.action] else was, record.facts),
        was.action,
        now.action,
        tuple(rule.id for rule in now.fired),
        record.facts.expected_harm,
    )
    side = 0 if change.stricter else 1
    for counts, name in (
        (found.hazards, change.hazard or "(none)"),
        (found.sellers, change.seller_id or "(none)"),
    ):
        counts.setdefault(name, [0, 0])[side] += 1
    found.examples.append(change)
    if len(found.examples) > 4 * examples:
        found.examples.sort(key=lambda one: -one.expected_harm)
        del found.examples[examples:]


def hazard_of(verdict: Verdict, facts: PolicyFacts) -> str:
    """Return the likeliest hazard that the strictest fired rules looked at, "" where they looked at none."""
    strict = [rule for rule in verdict.fired if rule.action == verdict.action]
    named = {cause.hazard for rule in strict for cause in rule.causes if cause.hazard}
    return max(named, key=lambda hazard: facts.p.get(hazard, 0.0), default="")
