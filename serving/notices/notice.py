"""Authorities' orders and alerts as they stand. Pure; `serving.notices.book` makes them of what was written.

A notice has products, listings that were found to be them, and tasks with deadlines. It is closed when every task has
ended, and at no other time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from serving.notices.rules import NoticeKind, TaskKind

TaskState = Literal["open", "done", "waived"]
HitState = Literal["sure", "doubtful", "dismissed"]
Key = tuple[str, str]
"""Marketplace and listing id."""


@dataclass(frozen=True, slots=True)
class Product:
    """Goods that a notice is about, in the authority's words.

    Attributes
    ----------
    listings
        Listings that the authority named itself.
    """

    title: str
    brand: str = ""
    models: tuple[str, ...] = ()
    seller_id: str = ""
    description: str = ""
    images: tuple[str, ...] = ()
    listings: tuple[Key, ...] = ()

    def as_listing(self, product_id: str) -> dict[str, Any]:
        """Return it in the form of a listing, to be banned and searched."""
        offer: dict[str, Any] = {"id": product_id, "title": self.title}
        attributes = {"model": ", ".join(self.models)} if self.models else {}
        optional = {
            "brand": self.brand,
            "description": self.description,
            "attributes": attributes,
            "images": list(self.images),
            "seller": {"id": self.seller_id} if self.seller_id else None,
        }
        return offer | {name: value for name, value in optional.items() if value}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "title": self.title,
            "brand": self.brand,
            "models": list(self.models),
            "seller_id": self.seller_id,
            "description": self.description,
            "images": list(self.images),
            "listings": [list(key) for key in self.listings],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Product:
        """Undo `to_json`."""
        return cls(
            raw["title"],
            raw["brand"],
            tuple(raw["models"]),
            raw["seller_id"],
            raw["description"],
            tuple(raw["images"]),
            tuple((market, listing) for market, listing in raw["listings"]),
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A listing that is, or may be, one of the products.

    Attributes
    ----------
    product
        Position of the product.
    p
        P(same product), 1 where the authority named the listing.
    tier
        ``named``, ``exact`` or ``near``.
    """

    marketplace: str
    listing_id: str
    seller_id: str
    product: int
    p: float
    tier: str
    ban_id: str
    decision_id: str
    state: HitState

    @property
    def key(self) -> Key:
        """Marketplace and listing id."""
        return self.marketplace, self.listing_id

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "seller_id": self.seller_id,
            "product": self.product,
            "p": float(f"{self.p:.6g}"),
            "tier": self.tier,
            "ban_id": self.ban_id,
            "decision_id": self.decision_id,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be done about a notice by a time (UTC); about a listing unless that is empty.

    ``units_due`` and ``units_done`` count refunds; None where nobody has said.
    """

    task_id: str
    kind: TaskKind
    marketplace: str
    listing_id: str
    seller_id: str
    due_at: datetime
    state: TaskState = "open"
    ended_at: datetime | None = None
    ended_by: str = ""
    note: str = ""
    units_due: int | None = None
    units_done: int | None = None

    @property
    def key(self) -> Key:
        """Marketplace and listing id."""
        return self.marketplace, self.listing_id

    def late(self, now: datetime) -> bool:
        """Whether it is open past its time."""
        return self.state == "open" and self.due_at < now

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "task_id": self.task_id,
            "kind": self.kind,
            "marketplace": self.marketplace,
            "listing_id": self.listing_id,
            "seller_id": self.seller_id,
            "due_at": self.due_at.isoformat(timespec="seconds"),
            "state": self.state,
            "ended_at": self.ended_at.isoformat(timespec="seconds") if self.ended_at else None,
            "ended_by": self.ended_by,
            "note": self.note,
            "units_due": self.units_due,
            "units_done": self.units_done,
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """An authority's order or alert, a foreign recall, or a laboratory's fail, as it stands.

    Attributes
    ----------
    received_at, due_at
        UTC; ``due_at`` is when the removal is due.
    ban_ids
        Bans that were placed for it.
    searched
        Whether its products were looked for on sale.
    flagged
        Tasks whose being late was said.
    step
        How many rows it has.
    """

    notice_id: str
    kind: NoticeKind
    authority: str
    number: str
    jurisdiction: str
    reason: str
    hazards: tuple[str, ...]
    url: str
    received_at: datetime
    due_at: datetime
    products: tuple[Product, ...]
    actor: str
    opened_at: datetime
    hits: Mapping[Key, Hit] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    ban_ids: tuple[str, ...] = ()
    searched: bool = False
    withdrawn: bool = False
    flagged: frozenset[str] = frozenset()
    step: int = 1

    @property
    def closed(self) -> bool:
        """Whether its products were searched and every task has ended."""
        return self.searched and all(task.state != "open" for task in self.tasks.values())

    @property
    def title(self) -> str:
        """What to call it in a list."""
        more = f" (+{len(self.products) - 1})" if len(self.products) > 1 else ""
        return f"{self.products[0].title}{more}" if self.products else self.number

    def late(self, now: datetime) -> list[Task]:
        """Open tasks past their time, the longest late first."""
        return sorted((t for t in self.tasks.values() if t.late(now)), key=lambda t: (t.due_at, t.task_id))

    def sure(self) -> list[Hit]:
        """Listings that must go."""
        return [hit for hit in self.hits.values() if hit.state == "sure"]

    def to_json(self, now: datetime | None = None) -> dict[str, Any]:
        """Return it as JSON values; with ``now`` also which tasks are late."""
        late = {"late": [task.task_id for task in self.late(now)]} if now else {}
        return {
            "notice_id": self.notice_id,
            "kind": self.kind,
            "authority": self.authority,
            "number": self.number,
            "jurisdiction": self.jurisdiction,
            "reason": self.reason,
            "hazards": list(self.hazards),
            "url": self.url,
            "received_at": self.received_at.isoformat(timespec="seconds"),
            "due_at": self.due_at.isoformat(timespec="seconds"),
            "state": "withdrawn" if self.withdrawn else "closed" if self.closed else "open",
            "searched": self.searched,
            "products": [product.to_json() for product in self.products],
            "hits": [hit.to_json() for hit in self.hits.values()],
            "tasks": [task.to_json() for task in self.tasks.values()],
            "ban_ids": list(self.ban_ids),
            "opened_by": self.actor,
            **late,
        }
