"""Binding a policy file to a bundle: operating points become numbers, unknown names are refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from features.taxonomy import Taxonomy
from serving.policy.certificates import BAD_STANDING, FINDINGS
from serving.policy.conditions import (
    All,
    Any,
    AnyOf,
    Between,
    HarmAtLeast,
    HazardAtLeast,
    Matched,
    NoncompliantAtLeast,
    Not,
    OneOf,
    RiskAtLeast,
)
from serving.policy.document import (
    ConditionPart,
    HazardPart,
    NumberPart,
    PolicyDocument,
    PolicyError,
    PolicyProblem,
    RulePart,
    SellerPart,
    Where,
)
from serving.policy.evaluation import BoundPolicy, BoundRule, Condition, Hold, risk_rank

OperatingPoints = Mapping[str, Mapping[str, float]]
NONCOMPLIANT = "p_noncompliant"
_MODEL = (HazardAtLeast, NoncompliantAtLeast, RiskAtLeast, HarmAtLeast)


class _Binder:
    """Collects every problem of one document instead of stopping at the first."""

    def __init__(self, document: PolicyDocument, points: OperatingPoints, taxonomy: Taxonomy) -> None:
        self.document = document
        self.points = points
        self.taxonomy = taxonomy
        self.problems: list[PolicyProblem] = []
        self.uncovered: list[tuple[str, str, tuple[str, ...]]] = []
        self.rule_id = ""

    def wrong(self, where: Where, text: str) -> None:
        self.problems.append(self.document.problem(where, text))

    def known(self, where: Where, names: list[str] | None, known: Collection[str], what: str) -> None:
        for position, name in enumerate(names or ()):
            if name not in known:
                self.wrong((*where, position), f"got {name!r}, which is no {what}")

    def rule(self, part: RulePart, position: int) -> BoundRule:
        where: Where = ("rules", position)
        self.rule_id = part.id
        when = self.condition(part.when, (*where, "when"))
        if part.action == "block" and self.on_model_alone(when):
            text = (
                "blocks on model risk of a laboratory-type hazard alone; send it to lab_test or review, "
                "or also require a certificate in bad standing or a match"
            )
            self.wrong((*where, "action"), text)
        hold = part.hold and Hold(part.hold.hours, part.hold.on_expiry or self.document.content.on_expiry)
        return BoundRule(part.id, part.action, part.why.model_dump(), when, hold)

    def on_model_alone(self, when: Condition) -> bool:
        scored = any(_laboratory_model(leaf, self.taxonomy) for leaf in _leaves(when))
        return scored and not _evidence(when, self.taxonomy)

    def condition(self, part: ConditionPart, where: Where) -> Condition:
        leaves = [*self.model_leaves(part, where), *self.attribute_leaves(part, where)]
        if part.all is not None:
            leaves.append(All(self.several(part.all, (*where, "all"))))
        if part.any is not None:
            leaves.append(Any(self.several(part.any, (*where, "any"))))
        if part.not_ is not None:
            inner = self.condition(part.not_, (*where, "not"))
            if any(isinstance(leaf, _MODEL) for leaf in _leaves(inner)):
                text = "probabilities and risk may not stand under not: more risk must never mean less action"
                self.wrong((*where, "not"), text)
            leaves.append(Not(inner))
        return leaves[0] if len(leaves) == 1 else All(tuple(leaves))

    def several(self, parts: list[ConditionPart], where: Where) -> tuple[Condition, ...]:
        return tuple(self.condition(part, (*where, i)) for i, part in enumerate(parts))

    def model_leaves(self, part: ConditionPart, where: Where) -> Iterator[Condition]:
        if part.hazard is not None:
            yield self.hazard(part.hazard, (*where, "hazard"))
        if part.noncompliant is not None:
            name = part.noncompliant.at_least
            threshold = self.points.get(name, {}).get(NONCOMPLIANT)
            if threshold is None:
                self.wrong((*where, "noncompliant", "at_least"), self.no_point(name, NONCOMPLIANT))
            yield NoncompliantAtLeast(name, 1.0 if threshold is None else threshold)
        if part.risk_level_at_least is not None:
            yield RiskAtLeast(part.risk_level_at_least)
        if part.expected_harm_at_least is not None:
            yield HarmAtLeast(part.expected_harm_at_least)

    def attribute_leaves(self, part: ConditionPart, where: Where) -> Iterator[Condition]:
        if part.group is not None:
            self.known((*where, "group"), part.group, self.taxonomy.groups, "product group of the taxonomy")
            yield AnyOf("group_line", frozenset(part.group))
        if part.certificate is not None:
            self.known(
                (*where, "certificate"),
                part.certificate,
                FINDINGS,
                f"certificate finding; known: {sorted(FINDINGS)}",
            )
            yield AnyOf("certificates", frozenset(part.certificate))
        if part.match is not None:
            yield Matched(frozenset(part.match))
        for name in ("audience", "language", "market", "marketplace", "origin"):
            values: list[str] | None = getattr(part, name)
            if values is not None:
                yield OneOf(name, frozenset(value.casefold() for value in values))
        if part.seller is not None:
            yield from _seller(part.seller)
        if part.price is not None:
            yield OneOf("currency", frozenset({part.price.currency.casefold()}))
            yield _between("price", part.price)
        if part.units_sold is not None:
            yield _between("units_sold", part.units_sold)

    def hazard(self, part: HazardPart, where: Where) -> Condition:
        codes = self.selected(part, where)
        point = self.points.get(part.at_least)
        if point is None:
            self.wrong((*where, "at_least"), self.no_point(part.at_least))
            return HazardAtLeast(part.at_least, ())
        lacking = tuple(code for code in codes if code not in point)
        if lacking and (part.codes is not None or len(lacking) == len(codes)):
            self.wrong((*where, "at_least"), self.no_point(part.at_least, ", ".join(lacking)))
        elif lacking:
            self.uncovered.append((self.rule_id, part.at_least, lacking))
        return HazardAtLeast(
            part.at_least,
            tuple((code, point[code]) for code in codes if code in point),
            frozenset(part.basis or ()),
            risk_rank(part.risk_level_at_least) if part.risk_level_at_least else 0,
        )

    def selected(self, part: HazardPart, where: Where) -> tuple[str, ...]:
        """Return the hazards a condition speaks of; policy hazards only when they are named."""
        taxonomy = self.taxonomy
        self.known((*where, "codes"), part.codes, taxonomy.codes, "hazard code of the taxonomy")
        families = frozenset(taxonomy.hazard(code).family for code in taxonomy.codes)
        self.known((*where, "family"), part.family, families, f"hazard family; known: {sorted(families)}")
        chosen: list[str] = []
        for code in taxonomy.codes:
            hazard = taxonomy.hazard(code)
            if part.codes is not None and code not in part.codes:
                continue
            if part.codes is None and hazard.policy:
                continue
            if part.family is not None and hazard.family not in part.family:
                continue
            if hazard.severity >= (part.severity_at_least or 1):
                chosen.append(code)
        if not chosen and not self.problems:
            self.wrong(where, "chooses no hazard at all; check codes, family and severity_at_least together")
        return tuple(chosen)

    def no_point(self, name: str, hazards: str = "") -> str:
        known = ", ".join(sorted(self.points)) or "none"
        what = f" for {hazards}" if hazards else ""
        return f"the bundle has no operating point {name!r}{what}; it names {known}"


def _seller(part: SellerPart) -> Iterator[Condition]:
    for name, least in (
        ("seller_strikes", part.strikes_at_least),
        ("seller_failed", part.failed_at_least),
        ("seller_removed", part.removed_at_least),
    ):
        if least is not None:
            yield Between(name, at_least=least)


def _between(name: str, part: NumberPart) -> Condition:
    return Between(name, part.at_least, part.below)


def _leaves(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, All | Any):
        for part in condition.parts:
            yield from _leaves(part)
    elif isinstance(condition, Not):
        yield from _leaves(condition.part)
    else:
        yield condition


def _laboratory_model(leaf: Condition, taxonomy: Taxonomy) -> bool:
    if isinstance(leaf, HazardAtLeast):
        return any(not taxonomy.hazard(code).policy for code, _ in leaf.thresholds)
    return isinstance(leaf, NoncompliantAtLeast | RiskAtLeast | HarmAtLeast)


def _evidence(condition: Condition, taxonomy: Taxonomy) -> bool:
    """Say whether the condition can only hold with evidence beside a laboratory-type model score."""
    if isinstance(condition, All):
        return any(_evidence(part, taxonomy) for part in condition.parts)
    if isinstance(condition, Any):
        return all(_evidence(part, taxonomy) for part in condition.parts)
    if isinstance(condition, HazardAtLeast):
        return bool(condition.thresholds) and not _laboratory_model(condition, taxonomy)
    if isinstance(condition, AnyOf):
        return condition.name == "certificates" and condition.values <= BAD_STANDING
    return isinstance(condition, Matched)


def bind(document: PolicyDocument, points: OperatingPoints, taxonomy: Taxonomy) -> BoundPolicy:
    """Turn a policy file into rules with numbers.

    Parameters
    ----------
    document
        A well-formed policy.
    points
        The bundle's operating points: name -> hazard code (or ``p_noncompliant``) -> probability.
    taxonomy
        Names the hazards and product groups.

    Raises
    ------
    PolicyError
        With every problem: an unknown hazard, group, finding or operating point; a probability under ``not``;
        a block on model risk alone.

    """
    binder = _Binder(document, points, taxonomy)
    rules = tuple(binder.rule(part, position) for position, part in enumerate(document.content.rules))
    if binder.problems:
        raise PolicyError(document.name, tuple(binder.problems))
    return BoundPolicy(document.version, rules, tuple(binder.uncovered))
