"""The bound conditions of a policy: small pure predicates over `PolicyFacts`."""

from __future__ import annotations

from dataclasses import dataclass

from serving.policy.evaluation import Cause, Condition, PolicyFacts, risk_rank


@dataclass(frozen=True, slots=True)
class HazardAtLeast:
    """Some hazard's probability reaches its operating point.

    ``thresholds`` are (hazard code, probability) pairs. ``basis`` (empty: any) and ``min_risk`` narrow
    the hazards.
    """

    point: str
    thresholds: tuple[tuple[str, float], ...]
    basis: frozenset[str] = frozenset()
    min_risk: int = 0

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return one cause per hazard that reaches its operating point."""
        known = facts.p
        # A list and no generator: most listings reach nothing, and this loop is most of what a policy costs.
        reached = [pair for pair in self.thresholds if pair[0] in known and known[pair[0]] >= pair[1]]
        return (
            tuple(
                Cause("p", known[hazard], f">= {self.point} ({threshold:.4g})", hazard)
                for hazard, threshold in reached
                if self._narrowed(hazard, facts)
            )
            or None
        )

    def _narrowed(self, hazard: str, facts: PolicyFacts) -> bool:
        if self.basis and facts.basis.get(hazard, "") not in self.basis:
            return False
        return not self.min_risk or risk_rank(facts.hazard_risk.get(hazard, "low")) >= self.min_risk


@dataclass(frozen=True, slots=True)
class NoncompliantAtLeast:
    """P(fails any laboratory-type hazard) reaches an operating point."""

    point: str
    threshold: float

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the probability when it reaches the operating point."""
        if facts.p_noncompliant < self.threshold:
            return None
        return (Cause("p_noncompliant", facts.p_noncompliant, f">= {self.point} ({self.threshold:.4g})"),)


@dataclass(frozen=True, slots=True)
class RiskAtLeast:
    """The listing's risk level is at least this one."""

    level: str

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the risk level when it is high enough."""
        if risk_rank(facts.risk_level) < risk_rank(self.level):
            return None
        return (Cause("risk_level", facts.risk_level, f">= {self.level}"),)


@dataclass(frozen=True, slots=True)
class HarmAtLeast:
    """The expected harm is at least this much."""

    amount: float

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the expected harm when it is high enough."""
        if facts.expected_harm < self.amount:
            return None
        return (Cause("expected_harm", facts.expected_harm, f">= {self.amount:g}"),)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text attribute of the facts is one of these values, compared without case."""

    name: str
    values: frozenset[str]

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the attribute when it is one of the values."""
        value: str = getattr(facts, self.name)
        if value.casefold() not in self.values:
            return None
        return (Cause(self.name, value, f"one of {', '.join(sorted(self.values))}"),)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A set-like attribute of the facts (group line, certificate findings) meets these values."""

    name: str
    values: frozenset[str]

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return every value that is present."""
        present = [value for value in getattr(facts, self.name) if value in self.values]
        wanted = f"one of {', '.join(sorted(self.values))}"
        return tuple(Cause(self.name, value, wanted) for value in sorted(present)) or None


@dataclass(frozen=True, slots=True)
class Between:
    """A known number lies in a range; an unknown one never does. Only for numbers no model produced."""

    name: str
    at_least: float | None = None
    below: float | None = None

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the number when it lies in the range."""
        value: float | None = getattr(facts, self.name)
        if value is None:
            return None
        if self.at_least is not None and value < self.at_least:
            return None
        if self.below is not None and value >= self.below:
            return None
        bounds = [f">= {self.at_least:g}"] if self.at_least is not None else []
        bounds += [f"< {self.below:g}"] if self.below is not None else []
        return (Cause(self.name, value, " and ".join(bounds)),)


@dataclass(frozen=True, slots=True)
class Matched:
    """The listing matches a banned item in one of these ways."""

    kinds: frozenset[str]

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return every match of these kinds, by the ban's id."""
        wanted = f"match of kind {', '.join(sorted(self.kinds))}"
        return tuple(Cause("match", m.ban_id, wanted) for m in facts.matches if m.kind in self.kinds) or None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the causes of all parts, or None when one of them fails."""
        found: list[Cause] = []
        for part in self.parts:
            causes = part.causes(facts)
            if causes is None:
                return None
            found.extend(causes)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple[Condition, ...]

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return the causes of the parts that hold, or None when none does."""
        held = [causes for part in self.parts if (causes := part.causes(facts)) is not None]
        return tuple(cause for causes in held for cause in causes) if held else None


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; an unknown value satisfies no condition, so it does satisfy this."""

    part: Condition

    def causes(self, facts: PolicyFacts) -> tuple[Cause, ...] | None:
        """Return no cause of its own when the part fails, None when it holds."""
        return () if self.part.causes(facts) is None else None
