"""What is handed to the store to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = dict[str, Any]


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; a time without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def moment(at: int) -> datetime:
    """Return the time, in UTC, of microseconds since 1970."""
    seconds, rest = divmod(at, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it was judged; erased with the text.

    ``position`` is its place among the listing's images, by default its place among the pictures given.
    """

    content: bytes
    media_type: str = "image/jpeg"
    position: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """Something to tell others about, written in the same transaction as its cause."""

    id: str
    type: str
    subject: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision with what it was made from.

    Attributes
    ----------
    id
        Unique among decisions.
    listing
        The listing as scored, JSON values only; erased after retention.
    reasons
        JSON value that quotes the seller's words; erased after retention.
    body
        The rest of the decision, JSON values, without the seller's words; kept.
    scores
        Packed scores, opaque here.
    actor
        Who decided: ``system`` or a person's account.
    caller
        Who asked; idempotency keys are unique per caller.
    needs_work
        Whether somebody must act on it; by default when the system says ``review``, ``lab_test`` or ``block``.
    """

    id: str
    listing: Mapping[str, Any]
    action: str
    state: str
    model_version: str
    policy_version: str
    decided_at: datetime
    received_at: datetime | None = None
    held_until: datetime | None = None
    risk_level: str = "low"
    top_hazard: str = ""
    expected_harm: float = 0.0
    p_noncompliant: float = 0.0
    product_group: str = ""
    language: str = ""
    rules: tuple[str, ...] = ()
    reasons: Any = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    scores: bytes = b""
    actor: str = "system"
    caller: str = ""
    idempotency_key: str | None = None
    needs_work: bool | None = None
    images: tuple[Picture, ...] = ()
    events: tuple[OutboxEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What was found out about a listing and a hazard; ``value`` None takes an earlier label back."""

    marketplace: str
    listing_id: str
    hazard: str
    value: bool | None
    source: str
    actor: str
    revision: int = 1
    decision_id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "revision": self.revision,
            "hazard": self.hazard,
            "value": self.value,
            "source": self.source,
            "decision_id": self.decision_id,
        }
        return "labels", self.listing_id, columns


@dataclass(frozen=True, slots=True)
class BanRecord:
    """A ban placed, changed or lifted; ``beside`` are rows of other tables that are written with it."""

    ban_id: str
    status: str
    actor: str
    bank: str = ""
    reason: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[OutboxEvent, ...] = ()
    beside: tuple[tuple[str, Row], ...] = ()

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {"ban_id": self.ban_id, "status": self.status, "bank": self.bank, "reason": self.reason}
        return "bans", self.ban_id, columns


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy that came into force, went into shadow or was taken back; ``body`` holds the document."""

    version: str
    status: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return "policies", self.version, {"version": self.version, "status": self.status}


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A bundle that was loaded, promoted or rolled back; ``body`` holds its manifest's hashes."""

    version: str
    status: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return "models", self.version, {"version": self.version, "status": self.status}


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """Anything else worth auditing that has no table of its own."""

    subject: str
    actor: str
    body: Mapping[str, Any]

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return "notes", self.subject, {}


class ChangeRecord(Protocol):
    """What `prepare_change` takes: labels, bans, policies, models, notes."""

    @property
    def actor(self) -> str:
        """Who did it."""
        ...

    @property
    def body(self) -> Mapping[str, Any]:
        """JSON values that are kept with it."""
        ...

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        ...
