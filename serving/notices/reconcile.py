"""What was ordered off sale and is still, or again, on sale. Pure but for what it is handed.

A catalogue is what a marketplace offers now. Each listing in it is compared with what notices ordered away, with blocks
in force, and, by the matcher, with everything that is banned: the same goods come back under another number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from features.schema import Listing
from serving.notices.notice import Key, Notice
from serving.policy.evaluation import MatchFact

How = Literal["still_live", "live_again", "relisted"]


class Finder(Protocol):
    """Finds the banned items that a listing may be."""

    def __call__(self, listing: Listing) -> Sequence[MatchFact]:
        """Return matches, the most probable first."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store says of a listing: the block in force and the marketplace's last word, None where none is."""

    blocked_at: datetime | None = None
    decision_id: str = ""
    acknowledged_at: datetime | None = None
    seller_id: str = ""


@dataclass(frozen=True, slots=True)
class LiveItem:
    """A listing that should be off sale and is not.

    Attributes
    ----------
    how
        ``still_live``: never acknowledged; ``live_again``: the marketplace said it was gone; ``relisted``: another
        listing of the same goods.
    since
        From when it was to be gone, UTC; a re-listing counts from its own creation where that is known and later.
    notice_id, ban_id
        What it stands against; empty where a decision alone blocked it.
    p, tier
        How sure the match is; 1 for a listing that was itself ordered away.
    """

    how: How
    marketplace: str
    listing_id: str
    seller_id: str
    notice_id: str
    ban_id: str
    since: datetime
    live_for: timedelta
    p: float = 1.0
    tier: str = "named"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "how": self.how,
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "seller_id": self.seller_id,
            "notice_id": self.notice_id,
            "ban_id": self.ban_id,
            "since": self.since.isoformat(timespec="seconds"),
            "live_hours": round(self.live_for.total_seconds() / 3600, 2),
            "p": float(f"{self.p:.6g}"),
            "tier": self.tier,
        }


@dataclass(frozen=True, slots=True)
class NoticeCount:
    """How far a notice is carried out.

    ``stop_sale`` and ``consumer_notice`` are pairs of done and all: an order to the seller is no word to buyers.
    """

    notice_id: str
    authority: str
    number: str
    state: str
    ordered: int
    live: int
    longest: timedelta
    stop_sale: tuple[int, int]
    consumer_notice: tuple[int, int]
    refund: tuple[int, int]
    late: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        pairs = {
            name: {"done": getattr(self, name)[0], "of": getattr(self, name)[1]}
            for name in ("stop_sale", "consumer_notice", "refund")
        }
        return {
            "notice_id": self.notice_id,
            "authority": self.authority,
            "number": self.number,
            "state": self.state,
            "ordered": self.ordered,
            "live": self.live,
            "longest_live_hours": round(self.longest.total_seconds() / 3600, 2),
            **pairs,
            "late_tasks": self.late,
        }


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """A block that the marketplace has not answered in time."""

    marketplace: str
    listing_id: str
    seller_id: str
    decision_id: str
    blocked_at: datetime
    overdue_for: timedelta

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "seller_id": self.seller_id,
            "decision_id": self.decision_id,
            "blocked_at": self.blocked_at.isoformat(timespec="seconds"),
            "overdue_hours": round(self.overdue_for.total_seconds() / 3600, 2),
        }


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The whole comparison at one moment (``at``, UTC)."""

    at: datetime
    listings: int
    items: tuple[LiveItem, ...]
    notices: tuple[NoticeCount, ...]
    unacknowledged: tuple[Unacknowledged, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "listings": self.listings,
            "live": [item.to_json() for item in self.items],
            "notices": [one.to_json() for one in self.notices],
            "unacknowledged": [one.to_json() for one in self.unacknowledged],
        }


def live_items(
    listings: Iterable[Listing],
    notices: Sequence[Notice],
    standings: Mapping[Key, Standing],
    now: datetime,
    find: Finder | None = None,
) -> Iterator[LiveItem | None]:
    """Compare listings one by one; None for one that may be on sale.

    Parameters
    ----------
    listings
        What is on sale.
    notices
        All of them.
    standings
        What the store says of listings with a block.
    find
        Looks a listing up among banned items; None compares by number alone.
    """
    ordered: dict[Key, Notice] = {}
    for notice in sorted(notices, key=lambda one: one.received_at, reverse=True):
        if not notice.withdrawn:
            ordered |= {hit.key: notice for hit in notice.sure()}  # the earliest order wins
    by_ban = {ban: notice for notice in notices if not notice.withdrawn for ban in notice.ban_ids}
    for listing in listings:
        key = (listing.marketplace or "", listing.id)
        notice, standing = ordered.get(key), standings.get(key, Standing())
        if notice is not None or standing.blocked_at is not None:
            yield _itself(listing, key, notice, standing, now)
            continue
        yield _relisted(listing, key, by_ban, now, find) if find is not None else None


def _itself(listing: Listing, key: Key, notice: Notice | None, standing: Standing, now: datetime) -> LiveItem:
    since = notice.received_at if notice else standing.blocked_at or now
    gone = standing.acknowledged_at
    again = gone is not None and gone >= since
    since = gone if again and gone is not None else since
    hit = notice.hits[key] if notice else None
    return LiveItem(
        "live_again" if again else "still_live",
        *key,
        seller_id=(hit.seller_id if hit else standing.seller_id) or _seller(listing),
        notice_id=notice.notice_id if notice else "",
        ban_id=hit.ban_id if hit else "",
        since=since,
        live_for=max(now - since, timedelta()),
        p=hit.p if hit else 1.0,
        tier=hit.tier if hit else "named",
    )


def _relisted(
    listing: Listing, key: Key, by_ban: Mapping[str, Notice], now: datetime, find: Finder
) -> LiveItem | None:
    best = next((match for match in find(listing) if match.kind == "exact"), None)
    if best is None:
        return None
    notice = by_ban.get(best.ban_id)
    created = listing.created_at
    if created is not None and created.tzinfo is None:
        created = created.replace(tzinfo=now.tzinfo)
    ordered = notice.received_at if notice else None
    since = max((at for at in (created, ordered) if at is not None), default=now)
    return LiveItem(
        "relisted",
        *key,
        seller_id=_seller(listing),
        notice_id=notice.notice_id if notice else "",
        ban_id=best.ban_id,
        since=since,
        live_for=max(now - since, timedelta()),
        p=best.similarity,
        tier=best.kind,
    )


def _seller(listing: Listing) -> str:
    return (listing.seller.id or "") if listing.seller else ""


def notice_counts(notices: Iterable[Notice], items: Sequence[LiveItem], now: datetime) -> list[NoticeCount]:
    """Say how far each notice is carried out, those with listings on sale first."""
    found = []
    for notice in notices:
        mine = [item for item in items if item.notice_id == notice.notice_id]
        pairs = {}
        for kind in ("stop_sale", "consumer_notice", "refund"):
            tasks = [task for task in notice.tasks.values() if task.kind == kind]
            pairs[kind] = (sum(task.state != "open" for task in tasks), len(tasks))
        found.append(
            NoticeCount(
                notice.notice_id,
                notice.authority,
                notice.number,
                notice.to_json()["state"],
                len(notice.sure()),
                len(mine),
                max((item.live_for for item in mine), default=timedelta()),
                late=len(notice.late(now)),
                **pairs,
            )
        )
    return sorted(found, key=lambda one: (-one.live, -one.late, one.notice_id))
