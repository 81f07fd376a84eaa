"""Holds that end: what is on sale again, what is not, and that it is decided once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from serving.audit.verification import replay, verify
from serving.holds import end_holds
from serving.store import Store, schema
from serving.store.engine import reading

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


def held(new_record, number, on_expiry, hours=-1.0, **more):
    body = {"action": "review", "state": "held", "on_expiry": on_expiry}
    return new_record(number, held_until=NOON + timedelta(hours=hours), body=body, **more)


def events(store):
    with reading(store.engine) as connection:
        e = schema.events.c
        return [tuple(row) for row in connection.execute(sa.select(e.type, e.subject).order_by(e.position))]


@pytest.mark.parametrize(
    ("on_expiry", "action", "state", "waits", "told"),
    [
        ("block", "block", "off_sale", False, "item.blocked"),
        ("review", "review", "live", True, "item.released"),
        ("allow", "allow", "live", False, "item.released"),
        (None, "review", "live", True, "item.released"),
    ],
)
def test_what_a_hold_falls_to(store, new_record, on_expiry, action, state, waits, told):
    record = held(new_record, 1, on_expiry)
    store.record([record, held(new_record, 2, on_expiry, hours=1)])
    assert end_holds(store, NOON) == 1
    now = store.latest("", "listing-1")
    assert (now.action, now.state, now.held_until, now.actor) == (action, state, None, "system")
    assert now.body["hold_ended"] == record.id
    waiting = {item.listing_id for item in store.queue_page()}
    assert ("listing-1" in waiting) is waits and "listing-2" in waiting
    assert (told, "listing-1") in events(store)
    assert end_holds(store, NOON) == 0, "it is over"
    assert verify(store).intact


def test_a_person_was_faster(store, new_record):
    store.record([held(new_record, 1, "block")])
    store.record([new_record(1, held_until=None, action="allow", state="live", actor="kim")])
    assert end_holds(store, NOON) == 0


def test_two_workers_end_a_hold_once(store_url, new_record):
    with Store(store_url) as first, Store(store_url) as second:
        first.record([held(new_record, n, "block") for n in range(12)])
        with ThreadPoolExecutor(2) as pool:
            counts = list(pool.map(lambda store: end_holds(store, NOON), (first, second)))
        assert sum(counts) == 12
        assert verify(first).decisions == 24


def test_what_a_clock_decided_is_not_recomputed(store, new_record):
    store.record([held(new_record, 1, "block")])
    end_holds(store, NOON)
    made = store.latest("", "listing-1")
    report = replay(store, made.id, pytest.fail, pytest.fail)
    assert not report.equal and "hold" in report.problem
