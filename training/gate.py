"""The gate: may a challenger serve in place of the champion? A pure function of evidence and rules.

The evidence is made by `training.gate_evidence`; the rules are a file (``gate.yaml`` by default).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.yaml_file import read_as

FigureName = Literal["average_precision", "roc_auc", "brier"]
Over = Literal["all", "hazards", "language", "group", "name", "source"]
Proof = Literal["point", "shown", "excluded"]
Status = Literal["passed", "failed", "no_evidence"]
LOWER_IS_BETTER: frozenset[str] = frozenset({"brier"})


class GateError(UserError):
    """Rules that cannot be used, or bundles that cannot be compared."""


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(min_length=1, max_length=80)
    required: bool = False


class WorseRule(_Rule):
    """No loss beyond ``by``; see ``gate.yaml``."""

    kind: Literal["worse"]
    figure: FigureName
    over: Over
    by: float = Field(ge=0)
    proof: Proof = "shown"


class EvidenceRule(_Rule):
    """So many later results and fails."""

    kind: Literal["evidence"]
    results: int = Field(ge=1)
    positives: int = Field(ge=1)


class CalibrationRule(_Rule):
    """Expected over observed fails within a range."""

    kind: Literal["calibration"]
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class SpeedRule(_Rule):
    """Median time of a listing against the champion's; up to ``free`` milliseconds are never too slow."""

    kind: Literal["speed"]
    ratio: float = Field(gt=0)
    free: float = Field(default=5.0, ge=0)


class SizeRule(_Rule):
    """Megabytes of the bundle."""

    kind: Literal["size"]
    megabytes: float = Field(gt=0)


class OffPolicyRule(_Rule):
    """Finds among the goods each would test, on history with known propensities."""

    kind: Literal["off_policy"]
    by: float = Field(ge=0)
    proof: Proof = "shown"
    budget: float = Field(default=0.05, gt=0, le=1)


Rule = Annotated[
    WorseRule | EvidenceRule | CalibrationRule | SpeedRule | SizeRule | OffPolicyRule,
    Field(discriminator="kind"),
]


class GateRules(BaseModel):
    """All rules of a gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    rules: tuple[Rule, ...] = Field(min_length=1)


def load_rules(path: Path | None = None) -> GateRules:
    """Read the rules; None for those of the package.

    Raises
    ------
    GateError
        Naming every wrong entry.
    """
    return read_as(GateRules, path or resources.files("training") / "gate.yaml", GateError)


@dataclass(frozen=True, slots=True)
class Paired:
    """One figure of both bundles on the same results.

    Attributes
    ----------
    part
        ``laboratory`` or ``hazard_type``.
    over, label
        What the results are a slice of, and which: ``hazards`` / ``lead``; ``all`` / ``all``.
    gain
        Challenger less champion, turned so that above 0 is better; ``low`` and ``high`` its 95 % interval from
        redrawing whole products.
    """

    part: str
    over: str
    label: str
    figure: str
    n: int
    positives: int
    champion: float
    challenger: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected over observed fails of the challenger for one hazard, with a 95 % interval."""

    hazard: str
    expected: float
    observed: int
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OffPolicyFigure:
    """More finds per test than the champion, with a 95 % interval; ``problem`` where none can be had."""

    budget: float
    gain: float | None
    low: float | None
    high: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the gate judges by.

    Attributes
    ----------
    champion, challenger
        Versions.
    after, until
        Results dated later than ``after`` up to ``until`` (ISO days, "" for open).
    results, positives
        Later laboratory results and recalls together, and cells among them that failed.
    milliseconds
        Median time of a listing: champion, challenger.
    megabytes
        Size of the challenger.
    data
        SHA-256 of each file that was measured on.
    caveats
        What weakens the comparison, in words.
    """

    champion: str
    challenger: str
    after: str
    until: str
    results: int
    positives: int
    pairs: tuple[Paired, ...]
    calibration: tuple[Calibration, ...]
    milliseconds: tuple[float, float]
    megabytes: float
    off_policy: tuple[OffPolicyFigure, ...]
    data: Mapping[str, str]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule says, and why."""

    rule: str
    status: Status
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger may serve."""

    passed: bool
    outcomes: tuple[Outcome, ...]
    evidence: GateEvidence

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not; empty where it passed."""
        return tuple(
            f"{outcome.rule}: {reason}"
            for outcome in self.outcomes
            if outcome.status != "passed"
            for reason in outcome.reasons
            if outcome.status == "failed"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"reasons": list(self.reasons)}


def judge(evidence: GateEvidence, rules: GateRules) -> Verdict:
    """Ask every rule.

    Returns
    -------
    Verdict
        Passed when no rule failed; a rule without evidence fails only where it is ``required``.
    """
    outcomes: list[Outcome] = []
    for rule in rules.rules:
        outcome = _JUDGES[rule.kind](rule, evidence)
        if outcome.status == "no_evidence" and rule.required:
            outcome = Outcome(outcome.rule, "failed", outcome.reasons)
        outcomes.append(outcome)
    return Verdict(all(o.status != "failed" for o in outcomes), tuple(outcomes), evidence)


def _outcome(rule: _Rule, failures: Sequence[str], said: Sequence[str]) -> Outcome:
    if failures:
        return Outcome(rule.id, "failed", tuple(failures))
    if not said:
        return Outcome(rule.id, "no_evidence", ("nothing to judge by",))
    return Outcome(rule.id, "passed", tuple(said))


def _lost(gain: float, low: float, high: float, by: float, proof: Proof) -> bool:
    return {"point": gain, "shown": high, "excluded": low}[proof] < -by


def _judge_worse(rule: Any, evidence: GateEvidence) -> Outcome:
    failures, said = [], []
    for pair in evidence.pairs:
        if pair.over != rule.over or pair.figure != rule.figure:
            continue
        text = (
            f"{pair.part}, {pair.label}: {pair.figure} {pair.champion:.3f} -> {pair.challenger:.3f}, gain "
            f"{pair.gain:+.3f} ({pair.low:+.3f} to {pair.high:+.3f}) on {pair.n} results, {pair.positives} fails"
        )
        lost = _lost(pair.gain, pair.low, pair.high, rule.by, rule.proof)
        (failures if lost else said).append(text)
    return _outcome(rule, [f"{text}; a loss of {rule.by} is borne" for text in failures], said)


def _judge_evidence(rule: Any, evidence: GateEvidence) -> Outcome:
    text = f"{evidence.results} results with {evidence.positives} fails after {evidence.after or 'the beginning'}"
    if evidence.results >= rule.results and evidence.positives >= rule.positives:
        return Outcome(rule.id, "passed", (text,))
    wanted = f"expected {rule.results} with {rule.positives}"
    return Outcome(rule.id, "no_evidence", (f"got {text}; {wanted}: train with an earlier --as-of",))


def _judge_calibration(rule: Any, evidence: GateEvidence) -> Outcome:
    failures, said = [], []
    for one in evidence.calibration:
        text = (
            f"{one.hazard}: expected {one.expected:.1f} fails, saw {one.observed}, ratio {one.ratio:.2f} "
            f"({one.low:.2f} to {one.high:.2f})"
        )
        outside = one.high < rule.low or one.low > rule.high
        (failures if outside else said).append(text)
    return _outcome(rule, [f"{text}; expected {rule.low} to {rule.high}" for text in failures], said)


def _judge_speed(rule: Any, evidence: GateEvidence) -> Outcome:
    before, now = evidence.milliseconds
    text = f"{now:.2f} ms a listing, the champion {before:.2f} ms"
    slow = now > rule.ratio * before and now > rule.free
    return _outcome(rule, [f"{text}; at most {rule.ratio} times"] if slow else [], [text])


def _judge_size(rule: Any, evidence: GateEvidence) -> Outcome:
    text = f"{evidence.megabytes:.1f} MB"
    over = evidence.megabytes > rule.megabytes
    return _outcome(rule, [f"{text}; at most {rule.megabytes} MB"] if over else [], [text])


def _judge_off_policy(rule: Any, evidence: GateEvidence) -> Outcome:
    failures, said = [], []
    for one in evidence.off_policy:
        if one.gain is None or one.low is None or one.high is None:
            return Outcome(rule.id, "no_evidence", (one.problem,))
        text = f"testing the worst {one.budget:.0%}: {one.gain:+.3f} finds a test ({one.low:+.3f} to {one.high:+.3f})"
        (failures if _lost(one.gain, one.low, one.high, rule.by, rule.proof) else said).append(text)
    return _outcome(rule, failures, said)


_JUDGES: Mapping[str, Callable[[Any, GateEvidence], Outcome]] = {
    "worse": _judge_worse,
    "evidence": _judge_evidence,
    "calibration": _judge_calibration,
    "speed": _judge_speed,
    "size": _judge_size,
    "off_policy": _judge_off_policy,
}
