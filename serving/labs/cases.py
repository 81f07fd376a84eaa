"""Cases: what a failed sample asks of people, step by step, and what is still open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.labs.book import Case, Filed, LabBook, LabError, Sample, outcomes_of

AUTOMATIC = ("banned", "relistings", "blocked", "strike")
BY_PEOPLE = ("off_sale", "consumer_notice", "refunds")
STEPS = (*AUTOMATIC, *BY_PEOPLE)
REVIEW = "review_of_ban"
"""Asked for when a later result says that the sample passes: only a person lifts a ban."""


@dataclass(frozen=True, slots=True)
class Refunds:
    """Orders of a case's listings: counts and sums, never a name.

    ``known`` is False until an orders file was given.
    """

    known: bool
    orders: int = 0
    refunded: int = 0
    amount: float = 0.0
    refunded_amount: float = 0.0
    currency: str = ""

    @property
    def open(self) -> int:
        """Orders not yet refunded."""
        return self.orders - self.refunded


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as people see it.

    Attributes
    ----------
    hazards
        Hazards that the sample fails now; empty after a correction that passes.
    listings
        The listing that failed and its blocked re-listings: marketplace and id.
    open_steps
        What is still to be confirmed; empty when the case is closed.
    seconds_to_block
        From the result being on disk to the block being on disk; None while it is not.
    """

    case: Case
    sample: Sample
    hazards: tuple[str, ...]
    listings: tuple[tuple[str, str], ...]
    refunds: Refunds
    open_steps: tuple[str, ...]
    seconds_to_block: float | None

    @property
    def closed(self) -> bool:
        """Whether nothing is left to do."""
        return not self.open_steps

    def to_json(self) -> dict[str, Any]:
        """Return the case as JSON values."""
        case, sample, refunds = self.case, self.sample, self.refunds
        return {
            "case_id": case.case_id,
            "state": "closed" if self.closed else "open",
            "sample_id": sample.sample_id,
            "plan_id": sample.plan_id,
            "laboratory": sample.laboratory,
            "listing_id": sample.listing_id,
            "marketplace": sample.marketplace,
            "seller_id": sample.seller_id,
            "hazards": list(self.hazards),
            "found": case.body.get("found", []),
            "listings": [{"marketplace": m, "listing_id": one} for m, one in self.listings],
            "opened_at": _time(case.opened_at),
            "seconds_to_block": None if self.seconds_to_block is None else round(self.seconds_to_block, 3),
            "steps": [self._step(step) for step in dict.fromkeys((*STEPS, *case.done, *self.open_steps))],
            "open_steps": list(self.open_steps),
            "refunds": {
                "known": refunds.known,
                "orders": refunds.orders,
                "refunded": refunds.refunded,
                "open": refunds.open,
                "amount": refunds.amount,
                "refunded_amount": refunds.refunded_amount,
                "currency": refunds.currency,
            },
        }

    def _step(self, step: str) -> dict[str, Any]:
        if step not in self.case.done:
            return {"step": step, "state": "open"}
        at, actor, note = self.case.done[step]
        return {"step": step, "state": "confirmed", "at": _time(at), "by": actor, "note": dict(note)}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def view_of(case: Case, book: LabBook) -> CaseView:
    """Return a case with what is open of it."""
    sample = book.samples[case.sample_id]
    outcomes = outcomes_of(book.current(case.sample_id))
    hazards = tuple(hazard for hazard, outcome in outcomes.items() if outcome == "fail")
    listings = [sample.key]
    if "relistings" in case.done:
        found = case.done["relistings"][2].get("listings", [])
        listings += [(one["marketplace"], one["listing_id"]) for one in found]
    listings = list(dict.fromkeys(listings))
    left = [step for step in STEPS if step not in case.done]
    if not sample.seller_id:
        left = [step for step in left if step != "strike"]
    if not hazards and REVIEW not in case.done:
        left.append(REVIEW)
    blocked = case.done.get("blocked")
    return CaseView(
        case, sample, hazards, tuple(listings), refunds_of(listings, book), tuple(left),
        (blocked[0] - case.opened_at).total_seconds() if blocked else None,
    )  # fmt: skip


def refunds_of(listings: Iterable[tuple[str, str]], book: LabBook) -> Refunds:
    """Add up the orders of some listings."""
    known = [book.orders[key] for key in listings if key in book.orders]
    if not known:
        return Refunds(False)
    return Refunds(
        True,
        sum(one["orders"] for one in known),
        sum(one["refunded"] for one in known),
        round(sum(one["amount"] for one in known), 2),
        round(sum(one["refunded_amount"] for one in known), 2),
        known[0].get("currency", ""),
    )


def failing(book: LabBook) -> list[Sample]:
    """Return samples that fail now and have no case yet; of one listing in one plan the first sample alone."""
    open_for = {
        (book.samples[c.sample_id].plan_id, book.samples[c.sample_id].key) for c in book.cases.values()
    }
    found: list[Sample] = []
    for sample_id, outcomes in book.outcomes().items():
        sample = book.samples[sample_id]
        if "fail" in outcomes.values() and (sample.plan_id, sample.key) not in open_for:
            open_for.add((sample.plan_id, sample.key))
            found.append(sample)
    return found


def case_body(sample: Sample, filed: Iterable[Filed]) -> dict[str, Any]:
    """Return what is recorded when a case is opened: what was found, by which limit, reported by whom."""
    found = [
        {
            "analyte": one.result.analyte,
            "hazard": one.result.hazard,
            "value": one.result.value,
            "unit": one.result.unit,
            "reason": one.verdict.get("reason", ""),
            "limit": (one.verdict.get("limit") or {}).get("ref", ""),
            "result_id": one.result.result_id,
            "file_id": one.file_id,
        }
        for one in filed
        if one.outcome == "fail"
    ]
    return {
        "sample_id": sample.sample_id,
        "plan_id": sample.plan_id,
        "listing_id": sample.listing_id,
        "marketplace": sample.marketplace,
        "seller_id": sample.seller_id,
        "hazards": sorted({one["hazard"] for one in found}),
        "found": found,
    }


def reason_of(body: Mapping[str, Any]) -> str:
    """Say in one line why goods were banned: what was measured against which limit."""
    parts = []
    for one in body["found"][:4]:
        amount = f"{one['value']:g} {one['unit']}" if one["value"] is not None else "fail"
        parts.append(f"{one['analyte']} {amount}" + (f" ({one['reason']})" if one["limit"] else ""))
    return "; ".join(parts)[:900]


def check_step(view: CaseView, step: str) -> None:
    """Refuse a confirmation that does not hold.

    Raises
    ------
    LabError
        When the step is unknown, already confirmed or refunds are still open.
    """
    expected = ", ".join(view.open_steps) or "none: the case is closed"
    if step not in view.open_steps:
        raise LabError(f"got step {step[:40]!r} of {view.case.case_id}; open are {expected}")
    if step in AUTOMATIC:
        raise LabError(f"{step} is done by the program, not by hand: run `listing-risk results settle`")
    if step == "refunds" and (not view.refunds.known or view.refunds.open):
        what = f"{view.refunds.open} of {view.refunds.orders} orders are not refunded" if view.refunds.known else (
            "no orders file was given yet"
        )  # fmt: skip
        raise LabError(f"refunds of {view.case.case_id} cannot be confirmed: {what}")


def work_list(views: Iterable[CaseView], book: LabBook) -> list[dict[str, Any]]:
    """Return the refunds that are due: one row a listing of an open case, with counts and sums alone."""
    return [
        _due(view, key, book.orders.get(key, {}))
        for view in views
        if not view.closed
        for key in view.listings
    ]


def _due(view: CaseView, key: tuple[str, str], orders: Mapping[str, Any]) -> dict[str, Any]:
    known = bool(orders)
    return {
        "case_id": view.case.case_id,
        "marketplace": key[0],
        "listing_id": key[1],
        "hazards": list(view.hazards),
        "orders": orders.get("orders"),
        "refunded": orders.get("refunded"),
        "open": orders["orders"] - orders["refunded"] if known else None,
        "amount_open": round(orders["amount"] - orders["refunded_amount"], 2) if known else None,
        "currency": orders.get("currency", ""),
        "open_steps": [step for step in view.open_steps if step in (*BY_PEOPLE, REVIEW)],
    }
