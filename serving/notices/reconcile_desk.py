"""Reconciling one store with a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from features.schema import Listing
from serving.notices.desk import NoticeDesk
from serving.notices.notice import Key
from serving.notices.reconcile import (
    Finder,
    LiveItem,
    Reconciliation,
    Standing,
    Unacknowledged,
    live_items,
    notice_counts,
)
from serving.store.blocks import read_blocks, read_last_words
from serving.store.engine import reading


class Reconciler:
    """Compares what is on sale with what must not be.

    Parameters
    ----------
    desk
        Notices of the store.
    find
        Looks a listing up among banned items; None compares by number alone.
    """

    def __init__(self, desk: NoticeDesk, find: Finder | None = None) -> None:
        self.desk = desk
        self.find = find

    def run(
        self, listings: Iterable[Listing], now: datetime, advance: Callable[[int], None] = lambda _: None
    ) -> Reconciliation:
        """Compare a catalogue.

        Parameters
        ----------
        listings
            What a marketplace has on sale now.
        advance
            Called with 1 after each listing.
        """
        notices = list(self.desk.book.notices.values())
        standings = self._standings()
        items: list[LiveItem] = []
        count = 0
        for item in live_items(listings, notices, standings, now, self.find):
            count += 1
            advance(1)
            if item is not None:
                items.append(item)
        items.sort(key=lambda one: (-one.live_for.total_seconds(), one.listing_id))
        return Reconciliation(
            now,
            count,
            tuple(items),
            tuple(notice_counts(notices, items, now)),
            self.unacknowledged(now),
        )

    def unacknowledged(self, now: datetime) -> tuple[Unacknowledged, ...]:
        """Blocks that the marketplace has not answered in time, the longest overdue first."""
        allowed = timedelta(hours=self.desk.rules.acknowledge_hours)
        with reading(self.desk.store.engine) as connection:
            blocks = read_blocks(connection, unacknowledged=True)
        return tuple(
            Unacknowledged(
                block.marketplace,
                block.listing_id,
                block.seller_id,
                block.decision_id,
                block.blocked_at,
                now - block.blocked_at - allowed,
            )
            for block in blocks
            if now - block.blocked_at > allowed
        )

    def _standings(self) -> dict[Key, Standing]:
        with reading(self.desk.store.engine) as connection:
            blocks, words = read_blocks(connection), read_last_words(connection)
        found = {
            key: Standing(acknowledged_at=at) for key, (status, at) in words.items() if status == "removed"
        }
        for block in blocks:
            key = (block.marketplace, block.listing_id)
            found[key] = Standing(block.blocked_at, block.decision_id, block.acknowledged_at, block.seller_id)
        return found
