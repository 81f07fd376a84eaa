"""Sellers of one store: strikes given, read, taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.sellers.appeals import Appeal, fold_appeals
from serving.sellers.book import (
    SellerKey,
    SellerRules,
    SellerStanding,
    Strike,
    fold_strikes,
    load_seller_rules,
    reason_of,
    standing,
)
from serving.store import InvalidRecordError, Store, StoredDecision
from serving.store.engine import reading, writing
from serving.store.notice_records import StrikeRecord
from serving.store.sellers import (
    SellerListing,
    count_seller_listings,
    last_decision,
    read_banned_item,
    read_fresh_blocks,
    read_seller_listings,
    read_struck_sellers,
)
from serving.store.steps import read_appeals, read_mark, read_strikes, set_mark

SYSTEM = "system"
_SWEEP = "strikes"


@dataclass(frozen=True, slots=True)
class SellerPage:
    """All that is known of a seller."""

    marketplace: str
    seller_id: str
    standing: SellerStanding
    listings: tuple[SellerListing, ...]
    states: dict[str, int]
    appeals: tuple[Appeal, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "marketplace": self.marketplace,
            "seller_id": self.seller_id,
            **self.standing.to_json(),
            "listings": self.states,
            "appeals": [appeal.to_json() for appeal in self.appeals],
        }


class SellerDesk:
    """Sellers of one store.

    Parameters
    ----------
    store
        An open store.
    rules
        What strikes weigh and what follows.
    """

    def __init__(self, store: Store, rules: SellerRules | None = None) -> None:
        self.store = store
        self.rules = rules or load_seller_rules()

    def strikes(self, seller: SellerKey) -> list[Strike]:
        """Strikes of a seller, the oldest first."""
        with reading(self.store.engine) as connection:
            return fold_strikes(read_strikes(connection, seller=seller), self.rules)

    def strikes_on(self, listing: tuple[str, str]) -> list[Strike]:
        """Strikes that a listing brought."""
        with reading(self.store.engine) as connection:
            return fold_strikes(read_strikes(connection, listing=listing), self.rules)

    def page(self, seller: SellerKey, now: datetime) -> SellerPage:
        """Return all that is known of a seller."""
        with reading(self.store.engine) as connection:
            strikes = fold_strikes(read_strikes(connection, seller=seller), self.rules)
            return SellerPage(
                *seller,
                standing(strikes, self.rules, now),
                read_seller_listings(connection, *seller),
                count_seller_listings(connection, *seller),
                tuple(fold_appeals(read_appeals(connection, seller=seller))),
            )

    def ranked(self, now: datetime, size: int = 200) -> list[tuple[SellerKey, SellerStanding]]:
        """Sellers that ever got a strike, the most points first."""
        with reading(self.store.engine) as connection:
            rows = read_strikes(connection)
            sellers = read_struck_sellers(connection)
        grouped: dict[SellerKey, list[Strike]] = {seller: [] for seller in sellers}
        for strike in fold_strikes(rows, self.rules):
            grouped[strike.marketplace, strike.seller_id].append(strike)
        found = [(seller, standing(strikes, self.rules, now)) for seller, strikes in grouped.items()]
        return sorted(found, key=lambda pair: (-pair[1].points, pair[0]))[:size]

    def give(self, decision: StoredDecision, actor: str, reason: str | None = None) -> Strike | None:
        """Give the seller of a blocked listing a strike.

        Returns
        -------
        Strike or None
            None where the seller is not known, or the listing has brought a strike that still stands.
        """
        seller = _seller_of(decision)
        key = (decision.marketplace, decision.listing_id)
        stands = (s.state == "given" and s.expires_at > decision.decided_at for s in self.strikes_on(key))
        if not seller or any(stands):
            return None
        reason = reason or reason_of(decision, self._banned_item)
        rule = self.rules.strike(reason)
        body = {"reason": reason, "points": rule.points, "days": rule.days, "rules": self.rules.version}
        record = StrikeRecord(
            f"strike-{decision.id}",
            0,
            "given",
            decision.marketplace,
            seller,
            decision.listing_id,
            decision.id,
            actor,
            body,
        )
        self.store.change(record, timeout_s=30)
        return next(s for s in self.strikes_on(key) if s.strike_id == record.strike_id)

    def _banned_item(self, ban_id: str) -> tuple[str, str] | None:
        with reading(self.store.engine) as connection:
            return read_banned_item(connection, ban_id)

    def sweep(self, limit: int = 500) -> int:
        """Give strikes for blocks that were recorded since the last sweep; returns how many."""
        with reading(self.store.engine) as connection:
            mark = read_mark(connection, _SWEEP)
            newest = last_decision(connection)
            if newest <= mark:
                return 0
            fresh = read_fresh_blocks(connection, mark, limit)
        given = 0
        for _, decision_id in fresh:
            decision = self.store.decision(decision_id)
            latest = self.store.latest(decision.marketplace, decision.listing_id)
            # A block that was taken back meanwhile gives none.
            if latest is not None and latest.action == "block":
                try:
                    given += self.give(latest, SYSTEM) is not None
                except InvalidRecordError:  # another worker, sweeping at the same time, has just given it
                    continue
        reached = fresh[-1][0] if len(fresh) == limit else newest
        with writing(self.store.engine) as connection:
            set_mark(connection, _SWEEP, reached)
        return given


def _seller_of(decision: StoredDecision) -> str:
    seller = (decision.listing or {}).get("seller")
    return str(seller.get("id") or "") if isinstance(seller, dict) else ""


def take_back(strike: Strike, actor: str, why: str) -> StrikeRecord:
    """Return the record that takes a strike back."""
    return StrikeRecord(
        strike.strike_id,
        strike.step,
        "taken_back",
        strike.marketplace,
        strike.seller_id,
        strike.listing_id,
        strike.decision_id,
        actor,
        {"why": why},
    )
