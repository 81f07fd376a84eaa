"""Records of notices, complaints, sellers, appeals and endpoints, as they are handed to the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.store.chain import PAYLOAD, SALT_BYTES, salted
from serving.store.records import OutboxEvent, Row

Beside = tuple[tuple[str, Row], ...]
"""Rows of other tables that belong to a record."""


def say(text: str, at: int) -> tuple[str, Beside]:
    """Keep what a person wrote apart from the audited row, which gets its salted digest.

    Parameters
    ----------
    text
        As it was written.
    at
        When it came in, microseconds since 1970 (UTC).

    Returns
    -------
    digest : str
        In hex, for the audited body.
    beside : tuple
        The row that can be erased later; hand it to the record.
    """
    salt = os.urandom(SALT_BYTES)
    digest = salted(PAYLOAD, salt, text.encode("utf-8", "replace")).hex()
    kept = text.replace("\x00", " ").encode("utf-8", "replace").decode()
    return digest, (("said", {"received_at": at, "payload": kept, "salt": salt}),)


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """One step of a notice's life; ``step`` counts from 0."""

    notice_id: str
    step: int
    status: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[OutboxEvent, ...] = ()

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {"notice_id": self.notice_id, "step": self.step, "status": self.status}
        return "notices", self.notice_id, columns


@dataclass(frozen=True, slots=True)
class ComplaintRecord:
    """A consumer's complaint; what the consumer wrote goes ``beside``."""

    complaint_id: str
    marketplace: str
    listing_id: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)
    beside: Beside = ()

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {
            "complaint_id": self.complaint_id,
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
        }
        return "complaints", self.complaint_id, columns


@dataclass(frozen=True, slots=True)
class StrikeRecord:
    """A strike given or taken back."""

    strike_id: str
    step: int
    status: str
    marketplace: str
    seller_id: str
    listing_id: str
    decision_id: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {
            "strike_id": self.strike_id,
            "step": self.step,
            "status": self.status,
            "marketplace": self.marketplace,
            "seller_id": self.seller_id,
            "listing_id": self.listing_id,
            "decision_id": self.decision_id,
        }
        return "strikes", self.strike_id, columns


@dataclass(frozen=True, slots=True)
class AppealRecord:
    """One step of an appeal; what the seller wrote goes ``beside``."""

    appeal_id: str
    step: int
    status: str
    decision_id: str
    marketplace: str
    seller_id: str
    listing_id: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)
    beside: Beside = ()
    events: tuple[OutboxEvent, ...] = ()

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {
            "appeal_id": self.appeal_id,
            "step": self.step,
            "status": self.status,
            "decision_id": self.decision_id,
            "marketplace": self.marketplace,
            "seller_id": self.seller_id,
            "listing_id": self.listing_id,
        }
        return "appeals", self.appeal_id, columns


@dataclass(frozen=True, slots=True)
class AcknowledgementRecord:
    """The marketplace's word about a listing: ``removed``, ``refused`` or ``live_again``."""

    marketplace: str
    listing_id: str
    status: str
    actor: str
    decision_id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "decision_id": self.decision_id,
            "status": self.status,
        }
        return "acknowledgements", self.listing_id, columns


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """An address for events: registered, changed, rotated, disabled, enabled, removed."""

    endpoint_id: str
    step: int
    status: str
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        columns = {"endpoint_id": self.endpoint_id, "step": self.step, "status": self.status}
        return "endpoints", self.endpoint_id, columns
