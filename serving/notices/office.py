"""Where a notice meets what is on sale: products are banned and searched, named listings go off sale, work opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from features.schema import Listing, parse_listing
from serving.bans.book import BanRequest
from serving.bans.book import Notice as BanNotice
from serving.bans.retroaction import BanOffice
from serving.decisions import Decision
from serving.events.kinds import decision_events
from serving.notices.desk import NoticeDesk
from serving.notices.intake import NoticeError, NoticeRequest, notice_request, of_recall
from serving.notices.notice import Hit, Key, Notice, Product
from serving.sellers.rulings import order_on_unknown, ruling
from serving.store.decided import decision_record
from serving.store.records import DecisionRecord

if TYPE_CHECKING:
    from training.records import Recall

BANK = "notices"


@dataclass(frozen=True, slots=True)
class LabFail:
    """A laboratory's fail, for `NoticeOffice.notice_from_fail`.

    Attributes
    ----------
    listing
        The listing that the sample was bought from.
    hazards
        Taxonomy codes that it failed for.
    report
        Number of the laboratory's report.
    """

    listing: Listing
    hazards: tuple[str, ...]
    laboratory: str
    report: str
    found_at: datetime
    jurisdiction: str = "KR"


class NoticeOffice:
    """Takes notices in with all that follows from them.

    Parameters
    ----------
    desk
        Notices of the store.
    bans
        Bans and catalogue of the same store.
    """

    def __init__(self, desk: NoticeDesk, bans: BanOffice) -> None:
        self.desk = desk
        self.bans = bans
        self.store = desk.store

    def take_in(self, request: NoticeRequest, actor: str, now: datetime) -> Notice:
        """Open a notice, ban its products and look for them on sale.

        Raises
        ------
        NoticeError, CalendarError
            Before anything was recorded.
        StoreError
            When the notice is open already, `search` goes on from there.
        """
        return self.search(self.desk.open(request, actor, now).notice_id, actor, now)

    def search(self, notice_id: str, actor: str, now: datetime) -> Notice:
        """Look for a notice's products on sale, once more if need be; what was found before stays."""
        notice = self.desk.notice(notice_id)
        hits: dict[Key, Hit] = {}
        bans: list[str] = []
        for position, product in enumerate(notice.products):
            for item in self._items(notice, position, product):
                ban_id, found = self._alike(notice, position, item, actor)
                bans.append(ban_id)
                for hit in found:
                    if hit.key not in hits or hit.p > hits[hit.key].p:
                        hits[hit.key] = hit
            # Last, so that what the authority named is decided by its word and not by a match.
            hits |= {hit.key: hit for hit in self._named(notice, position, product, actor, now)}
        return self.desk.searched(notice, list(hits.values()), bans, actor, now)

    def notice_from_fail(self, fail: LabFail, actor: str, now: datetime) -> Notice:
        """Open the work that a laboratory's fail asks for: removal, orders, consumer notice, refund, report."""
        listing = fail.listing
        request = notice_request(
            {
                "kind": "laboratory",
                "authority": fail.laboratory,
                "number": fail.report,
                "jurisdiction": fail.jurisdiction,
                "reason": "failed the test",
                "hazards": list(fail.hazards),
                "received_at": fail.found_at,
                "products": [
                    {
                        "title": listing.title,
                        "brand": listing.brand or "",
                        "seller_id": (listing.seller.id or "") if listing.seller else "",
                        "images": [image for image in listing.images[:20] if len(image) <= 1_000],
                        "listings": [{"id": listing.id, "marketplace": listing.marketplace or ""}],
                    }
                ],
            }
        )
        known = self.desk.numbered(request.authority, request.number) if request.number else None
        return known or self.take_in(request, actor, now)

    def judge(self, notice_id: str, key: Key, same: bool, actor: str, now: datetime) -> Notice:
        """Take a person's word on whether a listing is the product.

        One that is goes off sale; one that is not becomes a look-alike of the ban and is decided anew.

        Raises
        ------
        NoticeError
        """
        notice = self.desk.judge(notice_id, key, same, actor, now)
        hit, stored = notice.hits[key], self.store.latest(*key)
        if stored is None:
            return notice
        if same and (stored.action, stored.state) != ("block", "off_sale"):
            why = {"notice_id": notice_id, "authority": notice.authority, "number": notice.number}
            self.store.together([ruling(stored, "block", "off_sale", actor, now, why)], timeout_s=30)
        if not same and hit.ban_id and stored.listing is not None:
            listing = parse_listing(stored.listing)
            self.bans.desk.overturn(hit.ban_id, listing, actor)
            if stored.actor == "system":
                decision = self.bans.decider.decide([listing])[0]
                made = decision_events(decision, marketplace=key[0], earlier_state=stored.state)
                self.store.record(
                    [decision_record(listing, decision, caller=actor, events=made)], timeout_s=30
                )
        return notice

    def match_recalls(
        self, recalls: Iterable[Recall], actor: str, now: datetime
    ) -> Iterator[tuple[Recall, Notice | None]]:
        """Look for recalls on sale; what is found opens a notice, what is not leaves no trace.

        Yields each recall with its notice, None where nothing on sale matches or its notice is there already.
        """
        search = self.bans.catalogue.search()
        reader = self.bans.desk.bank.reader
        for recall in recalls:
            try:
                request = of_recall(recall, now)
            except NoticeError:
                yield recall, None
                continue
            if self.desk.numbered(request.authority, request.number):
                yield recall, None
                continue
            item = parse_listing(request.products[0].product().as_listing("recall"))
            read = reader.read([item])[0]
            near = search.nearest(reader.query(read), 200)
            listings = self.bans.catalogue.listings([found.key for found in near])
            near = [found for found in near if found.key in listings]
            p = reader.compare(read, [one.near for one in near], [listings[one.key] for one in near])
            if (p < reader.matcher.near).all():
                yield recall, None
                continue
            yield recall, self.take_in(request, actor, now)

    def _items(self, notice: Notice, position: int, product: Product) -> list[dict[str, Any]]:
        """What to ban: the goods in the authority's words, and the listings that it named as they are known."""
        items = [product.as_listing(f"{notice.notice_id}-{position}")]
        on_sale = self.bans.catalogue.listings(list(product.listings))
        for key in product.listings:
            stored = self.store.latest(*key)
            if key in on_sale:
                items.append(on_sale[key].model_dump(mode="json", exclude_defaults=True))
            elif stored is not None and stored.listing is not None:
                items.append(dict(stored.listing))
        return items

    def _alike(
        self, notice: Notice, position: int, item: dict[str, Any], actor: str
    ) -> tuple[str, list[Hit]]:
        """Ban an item, or take the ban that stands for it, and find what is on sale and matches."""
        about = BanNotice(
            regulator=notice.authority,
            number=notice.number,
            date=notice.received_at.date().isoformat(),
            url=notice.url,
        )
        key = (item.get("marketplace") or "", item["id"])
        known = next(
            (
                entry
                for entry in self.bans.desk.book.entries.values()
                if entry.notice == about and entry.key == key and entry.state != "lifted"
            ),
            None,
        )
        if known is not None:
            found = self.bans.look_back(known, actor)
        else:
            request = BanRequest(listing=item, reason=notice.reason[:1_000], bank=BANK, notice=about)
            found = self.bans.place(request, actor)
        ban_id = found.entry.ban_id
        return ban_id, [self._hit(one, ban_id, position) for one in found.decisions]

    def _hit(self, decision: Decision, ban_id: str, position: int) -> Hit:
        match = next(match for match in decision.matches if match.ban_id == ban_id)
        stored = self.store.decision(decision.decision_id)
        sure = match.kind == "exact"
        return Hit(
            stored.marketplace,
            decision.listing_id,
            _seller(stored.listing),
            position,
            match.similarity,
            match.kind,
            ban_id,
            decision.decision_id,
            "sure" if sure else "doubtful",
        )

    def _named(self, notice: Notice, position: int, product: Product, actor: str, now: datetime) -> list[Hit]:
        """Block the listings that the authority named, whatever the model says of them."""
        records: list[DecisionRecord] = []
        hits: list[Hit] = []
        on_sale = self.bans.catalogue.listings(list(product.listings))
        why = {"notice_id": notice.notice_id, "authority": notice.authority, "number": notice.number}
        hazard = notice.hazards[0] if notice.hazards else ""
        for key in product.listings:
            stored = self.store.latest(*key)
            if stored is not None:
                seller, decision_id = _seller(stored.listing), stored.id
                if stored.action != "block" or stored.state != "off_sale":
                    records.append(ruling(stored, "block", "off_sale", actor, now, why))
                    decision_id = records[-1].id
            else:
                listing = on_sale.get(key) or _bare(key, product)
                records.append(order_on_unknown(listing, actor, now, self._versions(), hazard, why))
                seller = (listing.seller.id or "") if listing.seller else ""
                decision_id = records[-1].id
            hits.append(Hit(*key, seller, position, 1.0, "named", "", decision_id, "sure"))
        if records:
            self.store.together(records, timeout_s=30)
        return hits

    def _versions(self) -> tuple[str, str]:
        """Versions of model and policy in force, for a record that neither was asked for."""
        decider: Any = self.bans.decider
        policy = getattr(decider, "policy", None)
        return str(getattr(decider, "model_version", "")), str(getattr(policy, "version", ""))


def _seller(listing: Any) -> str:
    seller = (listing or {}).get("seller")
    return str(seller.get("id") or "") if isinstance(seller, dict) else ""


def _bare(key: Key, product: Product) -> Listing:
    """What is known of a named listing that was never seen: the authority's words."""
    seller = {"id": product.seller_id} if product.seller_id else None
    return parse_listing(
        {"id": key[1], "marketplace": key[0] or None, "title": product.title, "seller": seller}
    )


def open_refunds(desk: NoticeDesk, now: datetime) -> Sequence[dict[str, Any]]:
    """Return refunds that are due and not done, the longest due first.

    Returns
    -------
    sequence of dict
        Notice, listing, seller, ``due_at``, units due and done (None where nobody said), ``late``.
    """
    found = [
        {
            "notice_id": notice.notice_id,
            "authority": notice.authority,
            "number": notice.number,
            **{name: getattr(task, name) for name in ("marketplace", "listing_id", "seller_id")},
            "due_at": task.due_at,
            "units_due": task.units_due,
            "units_done": task.units_done,
            "late": task.late(now),
        }
        for notice in desk.book.notices.values()
        for task in notice.tasks.values()
        if task.kind == "refund" and task.state == "open"
    ]
    return sorted(found, key=lambda one: (one["due_at"], one["listing_id"]))


def notice_from_fail(office: NoticeOffice, fail: LabFail, actor: str, now: datetime) -> Notice:
    """See `NoticeOffice.notice_from_fail`."""
    return office.notice_from_fail(fail, actor, now)
