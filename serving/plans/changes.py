"""How a plan differs from the one before it, and why. Pure; over plans as they are recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Below this relative change of expected harm a listing is worth what it was.
_SAME = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A listing that came into the plan or left it.

    Attributes
    ----------
    entered
        Whether it is new in the plan.
    reason
        A code of `CHANGES` in ``plan_words``.
    before, after
        Expected harm of the listing's goods under either plan, None where it was not known.
    """

    listing_id: str
    entered: bool
    reason: str
    before: float | None
    after: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return asdict(self)


def changes(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    old_harm: Mapping[str, float],
    new_harm: Mapping[str, float],
    tested: Collection[str],
    banned: Collection[str],
    on_sale: Collection[str],
) -> list[Change]:
    """Compare two plans.

    Parameters
    ----------
    old, new
        Bodies of recorded plans.
    old_harm, new_harm
        Expected harm by listing, of each plan's whole frame.
    tested
        Listings with results under the old plan.
    banned
        Listings that are banned.
    on_sale
        Listings of the new catalogue.

    Returns
    -------
    list of Change
        Those that left first, by listing.
    """
    before = {item["listing_id"]: item for item in old["items"]}
    after = {item["listing_id"]: item for item in new["items"]}
    found = []
    for listing_id in sorted(set(before) - set(after)):
        item = before[listing_id]
        reason = _left(listing_id, item, old_harm, new_harm, tested, banned, on_sale)
        found.append(Change(listing_id, False, reason, old_harm.get(listing_id), new_harm.get(listing_id)))
    for listing_id in sorted(set(after) - set(before)):
        item = after[listing_id]
        reason = _entered(listing_id, item, old_harm, new_harm)
        found.append(Change(listing_id, True, reason, old_harm.get(listing_id), new_harm.get(listing_id)))
    return found


def _left(
    listing_id: str,
    item: Mapping[str, Any],
    old_harm: Mapping[str, float],
    new_harm: Mapping[str, float],
    tested: Collection[str],
    banned: Collection[str],
    on_sale: Collection[str],
) -> str:
    if listing_id in banned:
        return "banned"
    if listing_id in tested:
        return "tested"
    if listing_id not in on_sale:
        return "gone"
    if item["role"] == "exploration":
        return "not_drawn"
    return "harm_down"


def _entered(
    listing_id: str, item: Mapping[str, Any], old_harm: Mapping[str, float], new_harm: Mapping[str, float]
) -> str:
    if item["role"] == "ordered":
        return "open_order"
    if item["role"] == "exploration":
        return "drawn"
    if item["role"] == "overlap":
        return "overlap"
    was, now = old_harm.get(listing_id), new_harm.get(listing_id)
    if was is not None and now is not None and now > was * (1 + _SAME):
        return "harm_up"
    return "freed"
