"""Reconcile: what was ordered off sale and is still, or again, on sale, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from features.schema import parse_listing
from serving.notices.desk import NoticeDesk
from serving.notices.intake import notice_request
from serving.notices.notice import Hit
from serving.notices.reconcile_desk import Reconciler
from serving.policy.evaluation import MatchFact
from serving.store import Store
from serving.store.blocks import read_blocks
from serving.store.engine import reading


def listing(number, **more):
    return parse_listing({"id": f"listing-{number}", "title": "딸랑이", **more})


@pytest.fixture
def desk(store_url) -> Iterator[NoticeDesk]:
    with Store(store_url) as store:
        yield NoticeDesk(store)


def order(desk, *listings, received, number="1"):
    notice = desk.open(
        notice_request(
            {
                "authority": "KATS",
                "number": number,
                "received_at": received,
                "products": [{"title": "딸랑이"}],
            }
        ),
        "kim",
        received,
    )
    hits = [Hit("", one, "s1", 0, 1.0, "named", f"ban-{number}", "", "sure") for one in listings]
    return desk.searched(notice, hits, [f"ban-{number}"], "kim", received)


def test_still_live_again_live_and_relisted_each_with_its_time(desk):
    received = datetime.now(UTC) - timedelta(days=3)
    notice = order(desk, "listing-1", "listing-2", received=received)
    desk.acknowledge(("", "listing-2"), "market", received)
    now = datetime.now(UTC) + timedelta(hours=5)

    def find(one):
        return (MatchFact("exact", "ban-1", 0.9999),) if one.id == "listing-7" else ()

    catalogue = [
        listing(1),
        listing(2),
        listing(7, created_at=now - timedelta(hours=7), seller={"id": "s9"}),
        listing(8),
    ]
    result = Reconciler(desk, find).run(catalogue, now)
    found = {item.listing_id: item for item in result.items}
    assert {name: item.how for name, item in found.items()} == {
        "listing-1": "still_live",
        "listing-2": "live_again",
        "listing-7": "relisted",
    }
    assert found["listing-1"].live_for == now - received
    assert timedelta(hours=5) <= found["listing-2"].live_for < timedelta(hours=5, minutes=5)
    assert found["listing-7"].live_for == timedelta(hours=7) and found["listing-7"].seller_id == "s9"
    (count,) = result.notices
    assert (count.ordered, count.live, count.longest) == (2, 3, now - received)
    assert (count.stop_sale, count.consumer_notice) == ((0, 2), (0, 2))
    desk.end_tasks(notice.notice_id, ["stop_sale:", "stop_sale::listing-1"][1:], "kim")
    (count,) = Reconciler(desk).run([], now).notices
    assert (count.stop_sale, count.consumer_notice, count.live) == ((1, 2), (0, 2), 0)


def test_the_earliest_order_counts_and_a_withdrawn_one_does_not(desk):
    now = datetime.now(UTC)
    first = order(desk, "listing-1", received=now - timedelta(days=9), number="1")
    order(desk, "listing-1", received=now - timedelta(days=2), number="2")
    (item,) = Reconciler(desk).run([listing(1)], now).items
    assert item.notice_id == first.notice_id
    desk.withdraw(first.notice_id, "kim", "x")
    (item,) = Reconciler(desk).run([listing(1)], now).items
    assert item.live_for == timedelta(days=2)


def test_a_block_is_overdue_until_the_marketplace_answers(desk, new_record):
    now = datetime.now(UTC)
    gone = {"action": "block", "state": "off_sale", "held_until": None, "needs_work": False}
    old = {**gone, "decided_at": now - timedelta(hours=30)}
    desk.store.record([new_record(1, **old), new_record(2, **gone, decided_at=now), new_record(3, **old)])
    desk.store.record([new_record(1, action="block", state="held", decided_at=now)])  # an edit, blocked again
    desk.store.record(
        [new_record(3, action="allow", state="live", held_until=None, actor="kim", decided_at=now)]
    )
    reconciler = Reconciler(desk)
    (late,) = reconciler.unacknowledged(now)
    assert late.listing_id == "listing-1" and abs(late.overdue_for - timedelta(hours=6)) < timedelta(
        seconds=1
    )
    desk.acknowledge(("", "listing-1"), "market", now)
    assert reconciler.unacknowledged(now) == ()
    desk.acknowledge(("", "listing-1"), "market", now, status="live_again")
    assert [one.listing_id for one in reconciler.unacknowledged(now)] == ["listing-1"]
    # Released and blocked anew: the old word does not count for the new block.
    desk.acknowledge(("", "listing-1"), "market", now)
    desk.store.record(
        [new_record(1, action="allow", state="live", held_until=None, actor="kim", decided_at=now)]
    )
    desk.store.record([new_record(1, **{**gone, "decided_at": now - timedelta(hours=25)})])
    assert [one.listing_id for one in reconciler.unacknowledged(now)] == ["listing-1"]
    with reading(desk.store.engine) as connection:
        assert {row.listing_id for row in read_blocks(connection)} == {"listing-1", "listing-2"}
    (item, *rest) = reconciler.run([listing(1)], now).items
    assert (item.how, item.notice_id, rest) == ("still_live", "", [])
