"""The store on SQLite and on PostgreSQL: what goes in comes out, is on disk, once, in order."""

from __future__ import annotations

import asyncio
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from serving.store import (
    BanRecord,
    ConflictError,
    InvalidRecordError,
    LabelRecord,
    ModelRecord,
    NotFoundError,
    OutboxEvent,
    Picture,
    PolicyRecord,
    QueueFilter,
    Store,
    StoreSink,
    StoreUnavailableError,
    schema,
)
from serving.store.driver import EARLIER_POSTGRESQL, EARLIER_SQLITE
from serving.store.engine import reading
from serving.store.prepare import queue_place
from serving.store.records import microseconds, moment


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


def rows(store, table):
    with reading(store.engine) as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings().all()


def test_commits_are_durable(store):
    """What the database itself says, on a connection as the writer uses it."""
    found = store.durability()
    expected = {
        "sqlite": {"synchronous": "full", "journal_mode": "wal"},
        "postgresql": {"synchronous_commit": "on", "fsync": "on"},
    }
    assert found.settings == expected[found.dialect]
    assert found.durable


def test_a_decision_comes_back_as_it_went_in(store, new_record):
    record = new_record(7, title='두 줄\n\x00 제목 😀 "따옴표"', expected_harm=0.1 + 0.2, caller="api-key-3")
    (recorded,) = store.record([record])
    stored = store.decision(record.id)
    assert (recorded.seq, recorded.subject, recorded.replayed) == (1, record.id, False)
    assert stored.listing == record.listing
    assert stored.reasons == record.reasons
    assert stored.body == record.body
    assert stored.rules == record.rules
    assert stored.scores == record.scores
    assert stored.expected_harm == record.expected_harm
    for name in ("action", "state", "held_until", "risk_level", "top_hazard", "p_noncompliant", "caller",
                 "model_version", "policy_version", "decided_at", "received_at", "actor"):  # fmt: skip
        assert getattr(stored, name) == getattr(record, name), name
    assert abs(stored.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert stored.erased_at is None


def test_latest_is_the_decision_in_force(store, new_record):
    first, second = new_record(1), new_record(1, action="allow", state="live", held_until=None)
    store.record([first, second])
    assert store.latest("", "listing-1").id == second.id
    assert store.latest("", "listing-2") is None


def test_unknown_decision(store):
    with pytest.raises(NotFoundError, match="check the identifier"):
        store.decision("nothing")


def test_changes_get_a_row_of_their_own_and_of_the_chain(store):
    done = [
        store.change(LabelRecord("m", "l", "lead", True, "laboratory", "kim", body={"report": "R-1"})),
        store.change(BanRecord("b1", "placed", "lee", bank="covert", reason="recall")),
        store.change(PolicyRecord("p2", "in force", "park", body={"document": "rules: []"})),
        store.change(ModelRecord("m2", "promoted", "choi")),
    ]
    assert [item.seq for item in done] == [1, 2, 3, 4]
    assert [row["kind"] for row in rows(store, schema.audit_rows)] == ["label", "ban", "policy", "model"]
    assert [row["actor"] for row in rows(store, schema.audit_rows)] == ["kim", "lee", "park", "choi"]
    assert rows(store, schema.labels)[0]["value"] is True


def test_events_and_photos_stand_beside_their_decision(store, new_record):
    event = OutboxEvent("e1", "decision.made", "listing-1", {"action": "review"})
    store.record([new_record(1, events=(event,), images=(Picture(b"\xff\xd8one"), Picture(b"\xff\xd8two")))])
    (stored,) = rows(store, schema.events)
    assert (stored["seq"], stored["type"], stored["attempts"], stored["delivered_at"]) == (
        1,
        "decision.made",
        0,
        None,
    )
    assert [bytes(row["content"]) for row in rows(store, schema.images)] == [b"\xff\xd8one", b"\xff\xd8two"]


# --- idempotency


def test_the_same_key_gives_the_earlier_decision(store, new_record):
    first, again = (
        new_record(1, idempotency_key="k", caller="a"),
        new_record(1, idempotency_key="k", caller="a"),
    )
    (one,) = store.record([first])
    (two,) = store.record([again])
    assert (two.seq, two.subject, two.replayed) == (one.seq, first.id, True)
    assert len(rows(store, schema.decisions)) == 1
    with pytest.raises(NotFoundError):
        store.decision(again.id)


def test_the_same_key_with_another_body_conflicts_and_writes_nothing(store, new_record):
    store.record([new_record(1, idempotency_key="k")])
    with pytest.raises(ConflictError, match="expected a new key"):
        store.record([new_record(2), new_record(1, idempotency_key="k", title="another")])
    assert len(rows(store, schema.decisions)) == 1


def test_keys_are_per_caller(store, new_record):
    for caller in ("a", "b"):
        (recorded,) = store.record([new_record(1, idempotency_key="k", caller=caller)])
        assert not recorded.replayed


def test_one_key_handed_in_many_times_at_once_is_one_decision(store, new_record):
    sink = StoreSink(store)

    async def many():
        records = [new_record(1, idempotency_key="k") for _ in range(50)]
        return await asyncio.gather(*(sink.record_all([record]) for record in records))

    answers = [item for (item,) in asyncio.run(many())]
    assert len({item.subject for item in answers}) == 1
    assert sum(not item.replayed for item in answers) == 1
    assert len(rows(store, schema.decisions)) == 1


def test_a_conflict_does_not_touch_its_neighbours(store, new_record):
    store.record([new_record(1, idempotency_key="k")])
    good = [store.writer.submit(store.prepare([new_record(n)])) for n in range(2, 6)]
    bad = store.writer.submit(store.prepare([new_record(1, idempotency_key="k", title="another")]))
    assert [future.result()[0].replayed for future in good] == [False] * 4
    assert isinstance(bad.exception(), ConflictError)


# --- bad records


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a\x00b"},
        {"id": "x" * 3_000},
        {"caller": "\ud800"},
        {"expected_harm": float("nan")},
        {"body": {"p": float("inf")}},
        {"title": "half a \ud83d pair"},
    ],
)
def test_what_no_database_can_hold_is_refused_by_name(store, new_record, changes):
    with pytest.raises(InvalidRecordError, match="expected") as caught:
        store.record([new_record(1, **changes)])
    assert "half a" not in str(caught.value)
    assert rows(store, schema.decisions) == []


def test_a_record_that_the_database_refuses_does_not_take_others_with_it(store, new_record):
    taken = new_record(1)
    store.record([taken])
    futures = [
        store.writer.submit(store.prepare([new_record(n, **({"id": taken.id} if n == 5 else {}))]))
        for n in range(2, 10)
    ]
    outcomes = [future.exception() for future in futures]
    assert [isinstance(outcome, InvalidRecordError) for outcome in outcomes] == [n == 5 for n in range(2, 10)]
    assert [row["seq"] for row in rows(store, schema.audit_rows)] == list(range(1, 9))


def test_no_listing_text_in_errors_or_logs(store, new_record, caplog):
    taken = new_record(1, title="비밀스러운 제목")
    store.record([taken])
    with pytest.raises(InvalidRecordError) as caught:
        store.record([new_record(2, id=taken.id, title="비밀스러운 제목")])
    assert "비밀" not in str(caught.value) + caplog.text


# --- the queue


def test_queue_orders_by_harm_and_lets_waiting_items_rise(store, new_record):
    week = timedelta(days=7)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    store.record(
        [
            new_record(1, expected_harm=1.0, decided_at=start + week),
            new_record(2, expected_harm=4.0, decided_at=start + week),
            new_record(3, expected_harm=3.0, decided_at=start),  # a week older: weighs as 6
            new_record(4, expected_harm=0.0, decided_at=start),
            new_record(5, expected_harm=9.0, decided_at=start, action="allow", state="live"),
        ]
    )
    assert [item.listing_id for item in store.queue_page()] == [
        "listing-3",
        "listing-2",
        "listing-1",
        "listing-4",
    ]


def test_queue_pages_join_without_gap_or_repeat(store, new_record):
    store.record([new_record(n, expected_harm=float(n % 7)) for n in range(40)])
    whole = [item.seq for item in store.queue_page(size=100)]
    paged, after = [], None
    while page := store.queue_page(size=9, after=after):
        paged += [item.seq for item in page]
        after = (page[-1].place, page[-1].seq)
    assert paged == whole
    assert len(set(whole)) == 40


def test_queue_filters(store, new_record):
    store.record(
        [
            new_record(1, top_hazard="lead"),
            new_record(2, action="lab_test"),
            new_record(3, product_group="chargers"),
            new_record(4, language="zh"),
        ]
    )

    def ids(**only):
        return {item.listing_id[-1] for item in store.queue_page(only=QueueFilter(**only))}

    assert ids(hazard="lead") == {"1"}
    assert ids(action="lab_test") == {"2"}
    assert ids(product_group="chargers") == {"3"}
    assert ids(language="zh") == {"4"}
    assert ids(seller_id="s1") == {"1", "2", "3", "4"}
    assert ids(seller_id="s2") == ids(marketplace="x") == set()


@pytest.mark.parametrize("size", [0, 501, -1])
def test_queue_page_size_is_bounded(store, size):
    with pytest.raises(ValueError, match="expected 1 to 500"):
        store.queue_page(size=size)


def test_an_item_leaves_the_queue_when_somebody_decided(store, new_record):
    store.record([new_record(1)])
    store.record([new_record(1, actor="kim", action="block", state="off_sale", held_until=None)])
    assert store.queue_page() == ()
    (listing,) = rows(store, schema.listings)
    assert (listing["state"], listing["open_action"], listing["opened_at"]) == ("off_sale", None, None)


def test_an_edit_does_not_send_a_waiting_item_to_the_end(store, new_record):
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    store.record([new_record(1, decided_at=early, expected_harm=2.0)])
    edited = {"id": "listing-1", "title": "new words", "revision": 2}
    store.record([new_record(1, listing=edited, decided_at=late, expected_harm=8.0)])
    (item,) = store.queue_page()
    assert (item.opened_at, item.revision, item.expected_harm, item.title) == (early, 2, 8.0, "new words")
    assert item.place == pytest.approx(queue_place(8.0, microseconds(early)), abs=1e-9)


def test_a_late_answer_about_an_old_revision_does_not_overrule(store, new_record):
    new = {"id": "listing-1", "title": "t", "revision": 3}
    old = {"id": "listing-1", "title": "t", "revision": 2}
    store.record([new_record(1, listing=new, action="block", state="held")])
    store.record([new_record(1, listing=old, action="allow", state="live")])
    (listing,) = rows(store, schema.listings)
    assert (listing["revision"], listing["state"], listing["open_action"]) == (3, "held", "block")


def test_holds_whose_time_is_up(store, new_record):
    noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    store.record(
        [
            new_record(1, held_until=noon - hour),
            new_record(2, held_until=noon - 2 * hour),
            new_record(3, held_until=noon + hour),
            new_record(4, held_until=noon - hour),
            new_record(4, held_until=None, action="allow", state="live", actor="kim"),
        ]
    )
    found = store.expired_holds(noon)
    assert [(item.listing_id, item.held_until) for item in found] == [
        ("listing-2", noon - 2 * hour),
        ("listing-1", noon - hour),
    ]


# --- order, doors, life


def test_a_clock_that_jumps_back_does_not_change_the_order(store_url, new_record):
    times = iter([2_000_000_000_000_000, 1_000_000_000_000_000] + [500_000_000_000_000] * 50)
    with Store(store_url, clock=lambda: next(times)) as store:
        for n in range(1, 6):
            store.record([new_record(n)])
        assert [row["seq"] for row in rows(store, schema.audit_rows)] == [1, 2, 3, 4, 5]
        assert [row["number"] for row in rows(store, schema.audit_links)] == [1, 2, 3, 4, 5]


def test_many_callers_share_commits(store, new_record):
    sink = StoreSink(store)

    async def many():
        return await asyncio.gather(*(sink.record_all([new_record(n)]) for n in range(400)))

    answers = asyncio.run(many())
    assert sorted(item.seq for (item,) in answers) == list(range(1, 401))
    assert len(rows(store, schema.audit_links)) < 100
    assert store.state().records == 400


def test_threads_share_commits_too(store, new_record):
    seqs, lock = [], threading.Lock()

    def work(start):
        for n in range(start, start + 20):
            (item,) = store.record([new_record(n)])
            with lock:
                seqs.append(item.seq)

    threads = [threading.Thread(target=work, args=(i * 100,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, 161))


def test_closing_writes_what_waits(store_url, new_record):
    store = Store(store_url).open()
    futures = [store.writer.submit(store.prepare([new_record(n)])) for n in range(200)]
    store.close()
    assert all(future.result(0) for future in futures)
    with Store(store_url) as again:
        assert len(rows(again, schema.decisions)) == 200


def test_a_closed_store_takes_nothing(store_url, new_record):
    store = Store(store_url).open()
    writer = store.writer
    store.close()
    with pytest.raises(StoreUnavailableError, match="open it again"):
        writer.submit(store.prepare([new_record(1)]))
    with pytest.raises(RuntimeError, match="call open"):
        store.record([new_record(1)])


def test_nothing_handed_in_is_nothing_written(store):
    assert store.record([]) == ()
    assert rows(store, schema.audit_links) == []


_TABLES = ["decisions", "labels", "notes", "audit_rows", "audit_links", "inputs"]


@pytest.mark.parametrize(
    ("verb", "table"),
    [(verb, table) for verb in ("UPDATE", "DELETE") for table in _TABLES] + [("DELETE", "images")],
)
def test_append_only_tables_refuse_changes(store, new_record, verb, table):
    store.record([new_record(1, images=(Picture(b"x"),))])
    store.change(LabelRecord("m", "l", "lead", None, "s", "kim"))
    column = {"audit_links": "at", "audit_rows": "at", "inputs": "received_at", "labels": "hazard"}.get(
        table, "salt"
    )
    statement = f"UPDATE {table} SET {column}={column}" if verb == "UPDATE" else f"DELETE FROM {table}"
    if table == "notes":
        with store.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO notes VALUES (99, '{}', 'x')")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), store.engine.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("at", [0, 1, 999_999, 1_764_000_000_123_456, -1])
def test_times_come_back(at):
    assert microseconds(moment(at)) == at


def test_a_time_without_zone_is_utc():
    assert microseconds(datetime(2026, 1, 1)) == microseconds(datetime(2026, 1, 1, tzinfo=UTC))


def test_the_sink_records_what_the_predictor_decides(store, predictor):
    from features.schema import parse_listing

    listings = [
        parse_listing(
            {"id": f"x{n}", "title": "딸랑이 인형", "price": 1000.0, "attributes": {"p:lead": str(p)}}
        )
        for n, p in enumerate((0.001, 0.2, 0.6))
    ]
    decisions = predictor.decide(listings)
    sink = StoreSink(store)
    keys = [uuid.uuid4().hex for _ in decisions]
    first = asyncio.run(sink.record(decisions, listings, caller="c", keys=keys))
    again = asyncio.run(sink.record(predictor.decide(listings), listings, caller="c", keys=keys))
    assert [item.subject for item in first] == [decision.decision_id for decision in decisions]
    assert [item.replayed for item in again] == [True] * 3
    for decision, item in zip(decisions, again, strict=True):
        assert asyncio.run(sink.earlier_answer(item.subject)) == decision.to_json()
    with pytest.raises(InvalidRecordError, match="equally many"):
        asyncio.run(sink.record(decisions, listings[:1]))


# --- the indexes are used


def test_keys_are_looked_up_by_their_index(store, new_record):
    """A list of pairs reads the whole table on SQLite: forty milliseconds with 20,000 decisions."""
    for start in range(0, 3_000, 1_000):
        store.record(
            [new_record(n, idempotency_key=f"k{n}", caller=f"c{n % 3}") for n in range(start, start + 1_000)]
        )
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    sqlite = store.engine.dialect.name == "sqlite"
    explain = f"EXPLAIN QUERY PLAN {EARLIER_SQLITE}" if sqlite else f"EXPLAIN {EARLIER_POSTGRESQL}"
    with store.engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(explain, ("c1", "k1") if sqlite else (["c1"], ["k1"]))
        plan = str(cursor.fetchall())
    assert "uq_decisions_caller_idempotency_key" in plan


def test_keys_of_two_callers_are_not_mixed_up(store, new_record):
    store.record(
        [new_record(1, idempotency_key="x", caller="a"), new_record(2, idempotency_key="y", caller="b")]
    )
    one, two = store.record(
        [new_record(3, idempotency_key="y", caller="a"), new_record(4, idempotency_key="x", caller="b")]
    )
    assert (one.replayed, two.replayed) == (False, False)
