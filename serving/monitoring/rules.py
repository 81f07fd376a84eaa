"""From figures to alarms, by rules in a file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.yaml_file import read_as
from serving.monitoring.figures import Drift, Performance, Promised

FEWEST = 100
"""With fewer listings in either window nothing is said about drift."""


class MonitorRulesError(UserError):
    """Rules that cannot be used."""


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str = Field(min_length=1, max_length=80)


class DriftRule(_Rule):
    """A field moved."""

    watch: Literal["drift"]
    of: Literal["input", "score", "action"]
    over: float = Field(gt=0)
    p: float = Field(default=1e-6, gt=0, lt=1)


class EmbeddingRule(_Rule):
    """Titles look different to the encoder."""

    watch: Literal["embedding"]
    over: float = Field(gt=0.5, lt=1)
    z: float = Field(default=5.0, ge=0)


class CalibrationRule(_Rule):
    """Probabilities no longer hold what they promise."""

    watch: Literal["calibration"]
    of: Literal["all", "hazard", "language", "group"]
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class PromisedRule(_Rule):
    """A promised figure fell."""

    watch: Literal["promised"]
    figure: Literal["caught", "auc"]
    fall: float = Field(gt=0)


class RatioRule(_Rule):
    """Now over before left its range."""

    watch: Literal["rate", "volume"]
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class PrecisionRule(_Rule):
    """Too few of what was sent to an action failed."""

    watch: Literal["precision"]
    action: str
    low: float = Field(gt=0, lt=1)


Rule = Annotated[
    DriftRule | EmbeddingRule | CalibrationRule | PromisedRule | RatioRule | PrecisionRule,
    Field(discriminator="watch"),
]


class MonitorRules(BaseModel):
    """All rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    rules: tuple[Rule, ...]


def load_monitor_rules(path: Path | None = None) -> MonitorRules:
    """Read the rules; None for those of the package.

    Raises
    ------
    MonitorRulesError
        Naming every wrong entry.
    """
    packaged = resources.files("serving.monitoring") / "monitor.yaml"
    return read_as(MonitorRules, path or packaged, MonitorRulesError)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rules look at.

    Attributes
    ----------
    before, now
        Listings in either window.
    per_day_before, per_day
        Listings a day.
    embedding
        AUC and z of `embedding_drift`; None where it was not looked at.
    """

    before: int
    now: int
    per_day_before: float
    per_day: float
    drifts: tuple[Drift, ...]
    embedding: tuple[float, float] | None
    promised_before: Promised | None
    promised: Promised | None
    performance: Performance | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule that was crossed, by what, and how far."""

    rule: str
    subject: str
    value: float
    limit: float
    message: str


def alarms(figures: Figures, rules: MonitorRules) -> tuple[Alarm, ...]:
    """Ask every rule; in the order of the rules, the worst first within each."""
    return tuple(alarm for rule in rules.rules for alarm in _ASK[rule.watch](rule, figures))


def _drift(rule: Any, figures: Figures) -> list[Alarm]:
    if min(figures.before, figures.now) < FEWEST:
        return []
    found = []
    for one in figures.drifts:
        if one.kind == rule.of and one.psi > rule.over and one.p_value < rule.p:
            moved = ", ".join(f"{name} {a:.0%} -> {b:.0%}" for name, a, b in one.most[:2])
            text = f"{one.field} moved: PSI {one.psi:.2f}{f' ({moved})' if moved else ''}"
            found.append(Alarm(rule.id, one.field, one.psi, rule.over, text))
    return found


def _embedding(rule: Any, figures: Figures) -> list[Alarm]:
    if figures.embedding is None:
        return []
    auc, z = figures.embedding
    if auc <= rule.over or z < rule.z:
        return []
    text = f"titles of now are told from those of before with AUC {auc:.2f}"
    return [Alarm(rule.id, "titles", auc, rule.over, text)]


def _calibration(rule: Any, figures: Figures) -> list[Alarm]:
    found = []
    for one in figures.performance.calibration if figures.performance else ():
        if one.slice == rule.of and (one.high < rule.low or one.low > rule.high):
            text = (
                f"{one.label}: expected {one.expected:.1f} fails of {one.n}, saw {one.observed} (ratio "
                f"{one.ratio:.2f}, {one.low:.2f} to {one.high:.2f})"
            )
            limit = rule.low if one.high < rule.low else rule.high
            found.append(Alarm(rule.id, one.label, one.ratio, limit, text))
    return found


def _promised(rule: Any, figures: Figures) -> list[Alarm]:
    before, now = figures.promised_before, figures.promised
    if before is None or now is None or min(figures.before, figures.now) < FEWEST:
        return []
    fall = getattr(before, rule.figure) - getattr(now, rule.figure)
    if fall <= rule.fall:
        return []
    text = f"promised {rule.figure} fell from {getattr(before, rule.figure):.2f} to {getattr(now, rule.figure):.2f}"
    return [Alarm(rule.id, rule.figure, fall, rule.fall, text)]


def _ratio(rule: Any, figures: Figures) -> list[Alarm]:
    if rule.watch == "rate":
        if figures.promised is None or figures.promised_before is None:
            return []
        before, now = figures.promised_before.rate, figures.promised.rate
    else:
        before, now = figures.per_day_before, figures.per_day
    if min(figures.before, figures.now) < FEWEST and not (
        rule.watch == "volume" and figures.before >= FEWEST
    ):
        return []
    ratio = now / before if before else 1.0
    if rule.low <= ratio <= rule.high:
        return []
    text = f"{rule.watch} went from {before:.4g} to {now:.4g}, {ratio:.2f} times"
    return [Alarm(rule.id, rule.watch, ratio, rule.low if ratio < rule.low else rule.high, text)]


def _precision(rule: Any, figures: Figures) -> list[Alarm]:
    found = figures.performance.precision.get(rule.action) if figures.performance else None
    if found is None:
        return []
    n, share = found
    if n < 20 or share + 1.96 * (max(share * (1 - share), 0.25 / n) / n) ** 0.5 >= rule.low:
        return []
    text = f"{share:.0%} of {n} judged results of {rule.action} failed, at least {rule.low:.0%} are wanted"
    return [Alarm(rule.id, rule.action, share, rule.low, text)]


_ASK: Mapping[str, Callable[[Any, Figures], list[Alarm]]] = {
    "drift": _drift,
    "embedding": _embedding,
    "calibration": _calibration,
    "promised": _promised,
    "rate": _ratio,
    "volume": _ratio,
    "precision": _precision,
}
