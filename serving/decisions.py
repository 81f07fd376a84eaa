"""What was decided about one listing, with everything needed to say why."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson

from features.schema import Listing
from serving.policy.evaluation import Action, Cause, FiredRule, MatchFact, RiskLevel, State
from training.scores import Basis, PastResult, Phrase

if TYPE_CHECKING:
    from features.image_decode import Photo

FLOOR = 0.01
"""Hazards below this probability are left out of the answer unless a rule fired on them."""

_NOT_OFFER = frozenset({"id", "revision", "created_at", "updated_at", "scored_at"})


def new_decision_id(now: datetime) -> str:
    """Return a UUID of version 7 (RFC 9562): sorts by time, then random.

    Python has ``uuid.uuid7`` from 3.14 on; until then it is these few lines.
    """
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    noise = secrets.randbits(74)
    value = milliseconds << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & (1 << 62) - 1
    return str(UUID(int=value))


def field_digests(listing: Listing) -> dict[str, str]:
    """Return a short digest of every field that was given, to tell later which ones changed.

    Times, the identifier and the revision are not part of the offer. Digests are kept instead of text so that
    an edited listing can be compared with what was allowed without storing what the seller wrote.
    """
    given = listing.model_dump(mode="json", exclude_defaults=True, exclude=set(_NOT_OFFER))
    return {name: _digest(value) for name, value in sorted(given.items())}


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(canonical, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier decision about the same listing, as far as a comparison needs it."""

    decision_id: str
    revision: int
    action: Action
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How this revision differs from the one decided before: ``changed`` names fields of the offer."""

    decision_id: str
    revision: int
    action: Action
    changed: tuple[str, ...]


def compare(earlier: Earlier, fields: Mapping[str, str]) -> Comparison:
    """Compare an earlier decision's field digests with the present ones; a removed field counts as changed."""
    names = sorted({*earlier.fields, *fields})
    changed = tuple(name for name in names if earlier.fields.get(name) != fields.get(name))
    return Comparison(earlier.decision_id, earlier.revision, earlier.action, changed)


class HazardScore(NamedTuple):
    """One hazard of one listing; a tuple, since every decision makes as many of them as there are hazards.

    ``p`` is the joint probability that the listing fails for it, ``q`` the probability given that it fails
    at all (None for what the policy bans), ``p_injury`` the probability of injury over the product's life.
    """

    hazard: str
    p: float
    q: float | None
    basis: Basis
    base_rate: float
    p_injury: float
    risk_level: RiskLevel


@dataclass(frozen=True, slots=True)
class PhotoNote:
    """Something about the photos of a listing; ``photo`` is a position in its ``images``, None for all of them."""

    photo: int | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class PhotosSeen:
    """How many photos were compared with those of banned items, and notes on those that were not.

    ``taken`` are the photos that could be used, by position in ``images``, so that what was judged can be kept.
    """

    compared: int = 0
    notes: tuple[PhotoNote, ...] = ()
    taken: tuple[tuple[int, Photo], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. Times are UTC; ``hazards`` has every hazard, in taxonomy order.

    ``fields`` are digests of the offer's fields (`field_digests`); ``on_expiry`` is what a held listing falls to
    after ``held_until``. ``photos`` is None where no photo was to be looked at.
    """

    decision_id: str
    listing_id: str
    revision: int
    action: Action
    state: State
    held_until: datetime | None
    on_expiry: Action | None
    p_noncompliant: float
    hazards: tuple[HazardScore, ...]
    group: str
    audience: str
    language: str
    risk_level: RiskLevel
    expected_harm: float
    rules: tuple[FiredRule, ...]
    reasons: tuple[Phrase, ...]
    past_results: tuple[PastResult, ...]
    fields: Mapping[str, str]
    model_version: str
    policy_version: str
    decided_at: datetime
    previous: Comparison | None = None
    matches: tuple[MatchFact, ...] = ()
    photos: PhotosSeen | None = None

    def to_json(self, floor: float = FLOOR) -> dict[str, Any]:
        """Return the decision as plain JSON values.

        Parameters
        ----------
        floor
            Hazards with a lower probability are left out unless a rule fired on them; 0 keeps all, which is the
            full record.
        """
        acted = {cause.hazard for rule in self.rules for cause in rule.causes}
        shown = [h for h in self.hazards if h.p >= floor or h.hazard in acted]
        answer = {
            "decision_id": self.decision_id,
            "listing_id": self.listing_id,
            "revision": self.revision,
            "action": self.action,
            "state": self.state,
            "held_until": _time(self.held_until),
            "on_expiry": self.on_expiry,
            "risk_level": self.risk_level,
            "p_noncompliant": _number(self.p_noncompliant),
            "expected_harm": _number(self.expected_harm),
            "hazards": [_hazard(h) for h in sorted(shown, key=lambda h: -h.p)],
            "group": self.group,
            "audience": self.audience,
            "language": self.language,
            **reasons_json(self.rules, self.reasons, self.past_results),
            "previous": None if self.previous is None else _comparison(self.previous),
            "fields": dict(self.fields),
            "model_version": self.model_version,
            "policy_version": self.policy_version,
            "decided_at": _time(self.decided_at),
        }
        if self.matches:
            answer["matches"] = [_match(match) for match in self.matches]
        if self.photos is not None:
            answer["photos"] = photos_json(self.photos)
        return answer


def photos_json(seen: PhotosSeen) -> dict[str, Any]:
    """Return what was seen of photos as plain JSON values."""
    notes = [{"photo": note.photo, "reason": note.reason, "detail": note.detail} for note in seen.notes]
    return {"compared": seen.compared, "notes": notes}


def reasons_json(
    rules: Sequence[FiredRule], reasons: Sequence[Phrase], past_results: Sequence[PastResult]
) -> dict[str, Any]:
    """Return why something was decided as plain JSON values: rules, reasons and past results."""
    return {
        "rules": [_rule(rule) for rule in rules],
        "reasons": [_phrase(phrase) for phrase in reasons],
        "past_results": [_past(result) for result in past_results],
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def _number(value: float) -> float:
    """Keep six significant digits: more would pretend to know more."""
    return float(f"{value:.6g}")


def _hazard(score: HazardScore) -> dict[str, Any]:
    return {
        "hazard": score.hazard,
        "p": _number(score.p),
        "q": None if score.q is None else _number(score.q),
        "basis": score.basis,
        "base_rate": _number(score.base_rate),
        "p_injury": _number(score.p_injury),
        "risk_level": score.risk_level,
    }


def _rule(rule: FiredRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "action": rule.action,
        "why": dict(rule.why),
        "hold_hours": None if rule.hold is None else rule.hold.hours,
        "causes": [_cause(cause) for cause in rule.causes],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    got = _number(cause.got) if isinstance(cause.got, float) else cause.got
    return {"what": cause.what, "hazard": cause.hazard or None, "got": got, "wanted": cause.wanted}


def _phrase(phrase: Phrase) -> dict[str, Any]:
    return {
        "field": phrase.field,
        "start": phrase.start,
        "end": phrase.end,
        "text": phrase.text,
        "weight": _number(phrase.weight),
        "hazard": phrase.hazard,
    }


def _past(result: PastResult) -> dict[str, Any]:
    return {
        "regulator": result.regulator,
        "number": result.number,
        "date": result.date,
        "product": result.product,
        "hazards": list(result.hazards),
        "similarity": _number(result.similarity),
        "url": result.url,
    }


def _match(match: MatchFact) -> dict[str, Any]:
    found = {"tier": match.kind, "ban_id": match.ban_id, "p": _number(match.similarity)}
    return found | dict(match.evidence)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "decision_id": comparison.decision_id,
        "revision": comparison.revision,
        "action": comparison.action,
        "changed": list(comparison.changed),
    }
