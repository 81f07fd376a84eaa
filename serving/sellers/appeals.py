"""Appeals as a fold over what was written about them. Pure; no storage here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from features.errors import UserError
from serving.store.sellers import LabelRow
from serving.store.steps import StepRow

AppealState = Literal["open", "upheld", "overturned"]


class AppealError(UserError):
    """An appeal that cannot be opened or decided."""


class UnknownAppealError(AppealError):
    """An appeal that does not exist."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """A seller's appeal as it stands.

    ``upheld`` means that the decision stands, ``overturned`` that it was taken back. Times are UTC.

    Attributes
    ----------
    seq
        Row that holds what the seller wrote.
    effects
        What overturning changed: decision, strikes, labels, bans.
    """

    appeal_id: str
    decision_id: str
    marketplace: str
    seller_id: str
    listing_id: str
    opened_at: datetime
    opened_by: str
    due_at: datetime
    seq: int
    state: AppealState = "open"
    decided_at: datetime | None = None
    decided_by: str = ""
    note: str = ""
    effects: Mapping[str, Any] = field(default_factory=dict)
    step: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what the seller wrote is read apart."""
        return {
            "appeal_id": self.appeal_id,
            "decision_id": self.decision_id,
            "marketplace": self.marketplace,
            "seller_id": self.seller_id,
            "listing_id": self.listing_id,
            "state": self.state,
            "opened_at": self.opened_at.isoformat(timespec="seconds"),
            "opened_by": self.opened_by,
            "due_at": self.due_at.isoformat(timespec="seconds"),
            "decided_at": self.decided_at.isoformat(timespec="seconds") if self.decided_at else None,
            "decided_by": self.decided_by,
            "note": self.note,
            "effects": dict(self.effects),
        }


def fold_appeals(rows: Iterable[StepRow]) -> list[Appeal]:
    """Return every appeal as it stands, the oldest first."""
    found: dict[str, Appeal] = {}
    for row in rows:
        known = found.get(row.subject)
        if row.status == "opened":
            names = row.columns
            found[row.subject] = Appeal(
                row.subject,
                names["decision_id"],
                names["marketplace"],
                names["seller_id"],
                names["listing_id"],
                row.at,
                row.actor,
                datetime.fromisoformat(row.body["due_at"]),
                row.seq,
            )
        elif known is not None and row.status in ("upheld", "overturned"):
            state: AppealState = "upheld" if row.status == "upheld" else "overturned"
            found[row.subject] = replace(
                known,
                state=state,
                decided_at=row.at,
                decided_by=row.actor,
                note=str(row.body.get("note", "")),
                effects=dict(row.body.get("effects", {})),
                step=row.step + 1,
            )
    return list(found.values())


def labels_before(rows: Iterable[LabelRow], decision_id: str) -> list[LabelRow]:
    """Return the labels that stood before a decision, for the cells it still speaks for.

    Parameters
    ----------
    rows
        Labels of the listing, the oldest first.

    Returns
    -------
    list of LabelRow
        One per hazard and source that the decision labelled and nobody labelled since, with the value to write: the
        one from before, None where there was none.
    """
    before: dict[tuple[str, str], LabelRow] = {}
    ours: dict[tuple[str, str], LabelRow] = {}
    for row in rows:
        cell = (row.hazard, row.source)
        if row.decision_id == decision_id:
            earlier = ours.get(cell) or before.get(cell)
            ours[cell] = replace(row, value=earlier.value if earlier else None)
        else:
            ours.pop(cell, None)
            before[cell] = row
    return list(ours.values())
