"""Holds end: what nobody decided in time falls to what its policy says, and that is a decision like any other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.decisions import new_decision_id
from serving.keeping import now_and_then
from serving.review.records import follow_up
from serving.review.rules import Outcome
from serving.store.prepare import OPEN_ACTIONS

if TYPE_CHECKING:
    from serving.doors import Doors
    from serving.store import DecisionRecord, Store, StoredDecision

LOOK_S = 30.0
WHY = "hold_ended"
"""Name in the body of the decision whose hold ended."""
_MANY = 200
log = logging.getLogger("serving.holds")


def ended(stored: StoredDecision, now: datetime) -> DecisionRecord:
    """Return the decision that a held one falls to.

    A block takes the listing off sale; whatever else is on sale again, and waits for somebody where the action asks
    for one.
    """
    action = str(stored.body.get("on_expiry") or "review")
    blocks = action == "block"
    outcome = Outcome(
        action,
        "off_sale" if blocks else "live",
        action in OPEN_ACTIONS and not blocks,
        None,
        stored.top_hazard,
        (),
    )
    made = follow_up(stored, new_decision_id(now), outcome, "system", now, {WHY: stored.id}, "")
    # Several workers look at the same time; the second one's record is taken for the first one's.
    return replace(made, caller="system", idempotency_key=f"{WHY}-{stored.id}")


def end_holds(store: Store, now: datetime) -> int:
    """Decide about every listing whose hold is over; returns how many there were.

    Parameters
    ----------
    now
        With a zone.

    Raises
    ------
    StoreUnavailableError
        What was recorded until then stays.
    """
    from serving.store import ConflictError

    count = 0
    for hold in store.expired_holds(now, _MANY):
        stored = store.latest(hold.marketplace, hold.listing_id)
        if stored is None or stored.id != hold.decision_id:
            continue  # somebody decided a moment ago
        try:
            (recorded,) = store.record([ended(stored, now)], timeout_s=30)
        except ConflictError:  # its text was erased in between, by another worker's clock
            continue
        count += not recorded.replayed
    return count


def follow_holds(
    doors: Doors, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AbstractContextManager[object]:
    """End holds while the service runs, where there is a store."""
    store = doors.engine().store
    if store is None:
        return nullcontext()

    def look() -> None:
        count = end_holds(store, clock())
        if count:
            log.info("%d holds ended", count)

    return now_and_then("holds", LOOK_S, look)
