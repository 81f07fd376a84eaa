"""What a person may decide about a listing, and what follows from it. Pure: no store, no clock, no chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from features.errors import UserError
from serving.store.decisions import StoredDecision
from serving.store.prepare import OPEN_ACTIONS

Choice = Literal["block", "lab_test", "allow", "not_hazard"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
LABEL_SOURCE = "review"
RELEASE = "release"
NOTE_MAX = 2_000


class ReviewError(UserError):
    """Something that cannot be decided like this: somebody was faster, or the choice does not fit."""


@dataclass(frozen=True, slots=True)
class DeskRules:
    """How the desk works.

    Attributes
    ----------
    two_person
        Choices that a second person must agree to; ``release`` is allowing what is blocked, ``bulk`` a bulk action.
    lease
        How long a claimed item stays with its reviewer.
    skipped
        How long a skipped item stays away from the one who skipped it.
    laboratory
        How long an item is held for the laboratory.
    golden_share
        Share of taken items that are golden.
    bulk_max
        Most items in one bulk action.
    """

    two_person: frozenset[str] = frozenset({RELEASE})
    lease: timedelta = timedelta(minutes=15)
    skipped: timedelta = timedelta(hours=4)
    laboratory: timedelta = timedelta(days=14)
    golden_share: float = 0.05
    bulk_max: int = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides: the one who chose, and the second one where two were needed."""

    name: str
    second: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said about one item; ``hazard`` is the one it is about, ``bulk`` the bulk action it was part of."""

    choice: Choice
    hazard: str = ""
    note: str = ""
    bulk: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a choice makes of an item: action, state, whether it still waits for somebody, and what it teaches."""

    action: str
    state: str
    needs_work: bool
    held_until: datetime | None
    hazard: str
    labels: tuple[tuple[str, bool], ...]
    dismissed: tuple[str, ...] = ()


def choice_named(name: str) -> Choice:
    """Return the choice of that name.

    Raises
    ------
    ReviewError
    """
    for choice in CHOICES:
        if choice == name:
            return choice
    raise ReviewError(f"got choice {name[:40]!r}, expected one of {', '.join(CHOICES)}")


def suspected(stored: StoredDecision) -> tuple[str, ...]:
    """Hazards that rules fired on, the likeliest first, without those that a person dismissed; else the top one."""
    p = {cell["hazard"]: cell["p"] for cell in stored.body.get("hazards", ())}
    rules = stored.body.get("rules", ())
    # What is only kept in sight is not what somebody is asked about.
    asking = [rule for rule in rules if rule.get("action") in OPEN_ACTIONS] or rules
    fired = {cause["hazard"] for rule in asking for cause in rule.get("causes", ()) if cause.get("hazard")}
    gone = set(stored.body.get("dismissed", ()))
    found = sorted(fired - gone, key=lambda hazard: (-p.get(hazard, 0.0), hazard))
    if not found and stored.top_hazard and stored.top_hazard not in gone:
        return (stored.top_hazard,)
    return tuple(found)


def outcome(said: Said, stored: StoredDecision, now: datetime, rules: DeskRules) -> Outcome:
    """Work out what a choice makes of an item.

    ``allow`` teaches that the suspected hazards are not there, ``block`` that the named one is, ``not_hazard`` that the
    named one is not; the item then waits on under its next suspected hazard, or is allowed when none is left.
    ``lab_test`` teaches nothing yet.

    Raises
    ------
    ReviewError
        When ``not_hazard`` names a hazard that nobody suspected.
    """
    hazards = suspected(stored)
    hazard = said.hazard or (hazards[0] if hazards else stored.top_hazard)
    dismissed = tuple(stored.body.get("dismissed", ()))
    if said.choice == "block":
        return Outcome("block", "off_sale", False, None, hazard, ((hazard, True),) if hazard else ())
    if said.choice == "lab_test":
        return Outcome("lab_test", "held", False, now + rules.laboratory, hazard, (), dismissed)
    if said.choice == "allow":
        return Outcome("allow", "live", False, None, stored.top_hazard, tuple((h, False) for h in hazards))
    if hazard not in hazards:
        raise ReviewError(
            f"got hazard {hazard!r}, expected one that is suspected: {', '.join(hazards) or 'none'}"
        )
    left = [one for one in hazards if one != hazard]
    gone, labels = (*dismissed, hazard), ((hazard, False),)
    if not left:
        return Outcome("allow", "live", False, None, stored.top_hazard, labels, gone)
    return Outcome(stored.action, stored.state, True, stored.held_until, left[0], labels, gone)


def needs_second(said: Said, stored: StoredDecision, rules: DeskRules) -> bool:
    """Whether a second person must agree before this is in force."""
    if said.choice in rules.two_person:
        return True
    releases = said.choice in ("allow", "not_hazard") and (
        stored.action == "block" or stored.state == "off_sale"
    )
    return RELEASE in rules.two_person and releases


def still_in_force(seen: StoredDecision, latest: StoredDecision | None) -> None:
    """Refuse a choice about what is not in force any more.

    Raises
    ------
    ReviewError
    """
    if latest is None or latest.id != seen.id:
        raise ReviewError(
            "got a choice about a decision that is not in force any more, because somebody or an edit came before: "
            "look at the item again"
        )


def harm_of(items: Sequence[Any]) -> float:
    """Sum of the expected harm of queue items."""
    return float(sum(item.expected_harm for item in items))
