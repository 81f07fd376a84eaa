"""Strikes and what follows from them, as a fold over what was written. Pure; no storage here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.yaml_file import read_as
from serving.store.decisions import StoredDecision
from serving.store.steps import StepRow

RULES = Path(__file__).with_name("sellers.yaml")

Measure = Literal["warn", "hold_new", "suspend"]
StrikeState = Literal["given", "taken_back"]
SellerKey = tuple[str, str]
"""Marketplace and seller id."""


class SellerError(UserError):
    """A seller, strike or rule that cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StrikeRule(_Part):
    """What a reason for a strike weighs, and for how many days."""

    points: Annotated[int, Field(ge=0, le=1_000)]
    days: Annotated[int, Field(ge=1, le=3_650)]


class MeasureRule(_Part):
    """What applies from so many points within so many days."""

    measure: Measure
    points: Annotated[int, Field(ge=1)]
    within_days: Annotated[int, Field(ge=1, le=3_650)]


class SellerRules(_Part):
    """The whole file."""

    version: str
    strikes: dict[str, StrikeRule]
    measures: tuple[MeasureRule, ...]
    appeal_days: Annotated[int, Field(ge=1)]
    answer_days: Annotated[int, Field(ge=1)]

    def strike(self, reason: str) -> StrikeRule:
        """Return what a reason weighs; one that the file does not name weighs as any block."""
        return self.strikes.get(reason) or self.strikes["blocked"]


@lru_cache(maxsize=4)
def load_seller_rules(path: Path = RULES) -> SellerRules:
    """Read the rules.

    Raises
    ------
    SellerError
        Naming every wrong field.
    """
    return read_as(SellerRules, path, SellerError)


@dataclass(frozen=True, slots=True)
class Strike:
    """A strike as it stands. Times are UTC; ``ended_by`` is who took it back."""

    strike_id: str
    marketplace: str
    seller_id: str
    listing_id: str
    decision_id: str
    reason: str
    points: int
    given_at: datetime
    expires_at: datetime
    given_by: str
    state: StrikeState = "given"
    ended_by: str = ""
    step: int = 1

    def counts(self, now: datetime) -> bool:
        """Whether it counts now."""
        return self.state == "given" and self.given_at <= now < self.expires_at

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "strike_id": self.strike_id,
            "marketplace": self.marketplace,
            "seller_id": self.seller_id,
            "listing_id": self.listing_id,
            "decision_id": self.decision_id,
            "reason": self.reason,
            "points": self.points,
            "given_at": self.given_at.isoformat(timespec="seconds"),
            "expires_at": self.expires_at.isoformat(timespec="seconds"),
            "given_by": self.given_by,
            "state": self.state,
            "taken_back_by": self.ended_by,
        }


def fold_strikes(rows: Iterable[StepRow], rules: SellerRules) -> list[Strike]:
    """Return every strike as it stands, the oldest first."""
    found: dict[str, Strike] = {}
    for row in rows:
        known = found.get(row.subject)
        if row.status == "given":
            found[row.subject] = _given(row, rules)
        elif row.status == "taken_back" and known is not None:
            found[row.subject] = replace(known, state="taken_back", ended_by=row.actor, step=row.step + 1)
    return list(found.values())


def _given(row: StepRow, rules: SellerRules) -> Strike:
    reason = str(row.body.get("reason") or "blocked")
    rule = rules.strike(reason)
    days = int(row.body.get("days") or rule.days)
    names = row.columns
    return Strike(
        row.subject,
        names["marketplace"],
        names["seller_id"],
        names["listing_id"],
        names["decision_id"],
        reason,
        int(row.body.get("points", rule.points)),
        row.at,
        row.at + timedelta(days=days),
        row.actor,
    )


@dataclass(frozen=True, slots=True)
class SellerStanding:
    """Where a seller stands: points that count now, and the strictest measure reached (None for none)."""

    points: int
    measure: Measure | None
    strikes: tuple[Strike, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "points": self.points,
            "measure": self.measure,
            "strikes": [strike.to_json() for strike in self.strikes],
        }


_STRICTNESS: Mapping[Measure, int] = {"warn": 1, "hold_new": 2, "suspend": 3}


def standing(strikes: Sequence[Strike], rules: SellerRules, now: datetime) -> SellerStanding:
    """Work out where a seller stands.

    A strike counts towards a measure while it has not expired and was given within the measure's window.
    """
    live = [strike for strike in strikes if strike.counts(now)]
    reached: Measure | None = None
    for rule in rules.measures:
        start = now - timedelta(days=rule.within_days)
        points = sum(strike.points for strike in live if strike.given_at > start)
        if points >= rule.points and (reached is None or _STRICTNESS[rule.measure] > _STRICTNESS[reached]):
            reached = rule.measure
    return SellerStanding(sum(strike.points for strike in live), reached, tuple(strikes))


def reason_of(decision: StoredDecision, banned_item: Callable[[str], tuple[str, str] | None]) -> str:
    """Return what a block gives a strike for.

    Parameters
    ----------
    banned_item
        Gives marketplace and id of the item behind a ban: the banned listing itself is no re-listing.
    """
    if decision.body.get("notice_id"):
        return "ordered_off_sale"
    key = (decision.marketplace, decision.listing_id)
    exact = [match["ban_id"] for match in decision.body.get("matches", ()) if match.get("tier") == "exact"]
    if exact and key not in [banned_item(str(ban_id)) for ban_id in exact]:
        return "relisting"
    return "blocked"
