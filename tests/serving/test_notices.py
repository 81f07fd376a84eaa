"""Notices: deadlines, the fold, intake, tasks, what the ban office finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import parse_listing
from serving.audit.verification import verify
from serving.bans.bank import OfferReader
from serving.bans.office import load_reader, office_of
from serving.notices.book import NoticeBook
from serving.notices.calendar import CalendarError, WorkingDays
from serving.notices.desk import NoticeDesk
from serving.notices.intake import (
    NoticeError,
    NoticeRequest,
    RefusedNotice,
    notice_request,
    of_recall,
    read_notices_file,
)
from serving.notices.notice import Hit
from serving.notices.office import LabFail, NoticeOffice, open_refunds
from serving.notices.rules import RulesError, load_notice_rules
from serving.store import InvalidRecordError, Store
from serving.store.engine import reading
from serving.store.steps import StepRow
from training.records import Recall

NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # Friday, noon in Korea
RULES = load_notice_rules()
ITEM: dict[str, Any] = {
    "id": "item-1",
    "title": "말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 장난감",
    "price": 12900,
    "currency": "KRW",
    "seller": {"id": "s-1"},
    "marketplace": "hanbada",
}
AGAIN = {
    **ITEM,
    "id": "item-2",
    "title": "무료배송 말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 특가",
    "price": 10900,
    "seller": {"id": "s-9"},
}
OTHER = {**ITEM, "id": "item-3", "title": "스테인리스 보온병 500ml 대용량 텀블러", "seller": {"id": "s-2"}}


def request(**changes: Any) -> NoticeRequest:
    whole = {
        "authority": "KR KATS",
        "number": "2026-114",
        "hazards": ["magnet_ingestion"],
        "products": [{"title": ITEM["title"]}],
    }
    return notice_request(whole | changes)


# --- deadlines ----------------------------------------------------------------------------------------------------


@given(
    jurisdiction=st.sampled_from(sorted(RULES.zones)),
    received=st.datetimes(datetime(2024, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    working=st.integers(1, 12),
    days=st.integers(1, 60),
)
def test_deadlines_end_on_working_days_and_give_the_whole_time(jurisdiction, received, working, days):
    calendar = RULES.calendar(jurisdiction)
    closed = (
        holidays.financial_holidays("ECB")
        if jurisdiction == "EU"
        else holidays.country_holidays(jurisdiction)
    )
    for due, least in (
        (calendar.after(received, working_days=working), working),
        (calendar.after(received, days=days), days),
    ):
        local = due.astimezone(calendar.zone)
        assert local.weekday() < 5 and local.date() not in closed
        assert (local.hour, local.minute, local.second) == (23, 59, 59)
        assert (local.date() - received.astimezone(calendar.zone).date()).days >= least
    due = calendar.after(received, working_days=working).astimezone(calendar.zone).date()
    start = received.astimezone(calendar.zone).date()
    passed = [start + timedelta(days=n) for n in range(1, (due - start).days + 1)]
    assert sum(day.weekday() < 5 and day not in closed for day in passed) == working


@pytest.mark.parametrize(
    ("jurisdiction", "received", "due"),
    [
        # The day before Chuseok 2026 (24 to 26 September): Wednesday, Monday.
        ("KR", "2026-09-22T03:00:00+00:00", "2026-09-28T14:59:59+00:00"),
        # 5 October stands in for Foundation Day on a Saturday.
        ("KR", "2026-10-02T03:00:00+00:00", "2026-10-07T14:59:59+00:00"),
        # Late evening in Korea is the day after for the clock in UTC: days are Korean.
        ("KR", "2026-11-19T16:00:00+00:00", "2026-11-24T14:59:59+00:00"),
        ("EU", "2026-12-23T10:00:00+00:00", "2026-12-28T22:59:59+00:00"),
        ("DE", "2026-10-02T10:00:00+00:00", "2026-10-06T21:59:59+00:00"),
    ],
)
def test_two_working_days(jurisdiction, received, due):
    got = RULES.calendar(jurisdiction).after(datetime.fromisoformat(received), working_days=2)
    assert got.isoformat() == due


def test_a_country_that_nobody_knows():
    with pytest.raises(CalendarError, match="expected one of"):
        RULES.calendar("XX")
    with pytest.raises(CalendarError, match="holidays are not known"):
        WorkingDays("QQ", "UTC")


def test_rules_with_mistakes_are_named(tmp_path):
    bad = tmp_path / "n.yaml"
    bad.write_text("version: x\nkinds: {}\ndeadlines: [{task: removal, mark: read, source: s}]\n")
    with pytest.raises(RulesError, match=r"deadlines.0.*either working_days or days.*acknowledge_hours"):
        load_notice_rules(bad)


# --- the fold -----------------------------------------------------------------------------------------------------


def row(step: int, status: str, body: dict[str, Any], at: datetime = NOON) -> StepRow:
    return StepRow(step + 1, "n", step, status, {}, body, "kim", at)


def task(task_id: str, due: datetime = NOON) -> dict[str, Any]:
    kind, _, rest = task_id.partition(":")
    market, _, listing = rest.partition(":")
    return {
        "task_id": task_id,
        "kind": kind,
        "marketplace": market,
        "listing_id": listing,
        "seller_id": "s",
        "due_at": due.isoformat(),
    }


OPENED = {
    "kind": "order",
    "authority": "A",
    "number": "1",
    "jurisdiction": "KR",
    "reason": "",
    "hazards": [],
    "url": "",
    "received_at": NOON.isoformat(),
    "due_at": NOON.isoformat(),
    "products": [],
    "tasks": [task("report")],
}
IDS = ["report", "removal:m:1", "refund:m:1", "removal:m:2"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["task", "searched", "overdue", "judged"]),
            st.lists(st.sampled_from(IDS), max_size=4),
            st.sampled_from(["done", "waived", "open"]),
        ),
        max_size=15,
    )
)
def test_a_notice_is_closed_exactly_when_all_its_tasks_are(steps):
    book = NoticeBook()
    book.apply([row(0, "opened", OPENED)])
    states = {"report": "open"}
    searched = False
    for number, (status, ids, to) in enumerate(steps, start=1):
        body: dict[str, Any] = {"task_ids": ids, "to": to}
        if status == "searched":
            body = {"hits": [], "ban_ids": [], "tasks": [task(one) for one in ids]}
            searched = True
            states = dict.fromkeys(ids, "open") | states
        elif status == "task":
            states |= {one: to for one in ids if one in states}
        elif status == "judged":
            body |= {"marketplace": "m", "listing_id": "none", "state": "sure", "tasks": []}
        book.apply([row(number, status, body)])
        notice = book.notices["n"]
        assert {t.task_id: t.state for t in notice.tasks.values()} == states
        assert notice.closed == (searched and all(state != "open" for state in states.values()))
        assert (notice in book.open()) == (not notice.closed)
        late = {t.task_id for t in notice.late(NOON + timedelta(seconds=1))}
        assert late == {one for one, state in states.items() if state == "open"}


# --- intake -------------------------------------------------------------------------------------------------------


def test_a_table_is_read_by_notice_with_its_products(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(
        "authority,number,jurisdiction,hazards,title,models,listing_ids,marketplace\n"
        "KR KATS,7,KR,lead; cadmium,어린이 목걸이,N-1;N-2,a;b,shop\n"
        "KR KATS,7,KR,lead; cadmium,어린이 반지,,,\n"
        "EU DE,9,DE,no_such_hazard,lamp,,,\n",
        encoding="utf-8",
    )
    good, bad = read_notices_file(file)
    assert isinstance(good, NoticeRequest) and isinstance(bad, RefusedNotice)
    assert good.hazards == ["lead", "cadmium"] and len(good.products) == 2
    assert [(one.marketplace, one.id) for one in good.products[0].listings] == [("shop", "a"), ("shop", "b")]
    assert bad.line == 4 and "no_such_hazard" in bad.problem


@pytest.mark.parametrize("form", ["object", "list", "lines"])
def test_json_is_read_in_all_its_forms(tmp_path, form):
    one = {"authority": "EU", "products": [{"title": "lamp"}]}
    text = {"object": json.dumps(one), "list": json.dumps([one]), "lines": json.dumps(one) + "\n{broken\n"}[
        form
    ]
    file = tmp_path / "n.json"
    file.write_text(text)
    found = list(read_notices_file(file))
    assert isinstance(found[0], NoticeRequest)
    assert len(found) == (2 if form == "lines" else 1)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "authority"),
        ({"authority": "A", "products": []}, "products"),
        ({"authority": "A", "products": [{"title": "x"}], "jurisdiction": "Korea"}, "jurisdiction"),
        ({"authority": "A", "products": [{"title": "x"}], "surprise": 1}, "surprise"),
        (None, "notice"),
    ],
)
def test_what_is_no_notice_is_refused_with_every_field(raw, said):
    with pytest.raises(NoticeError, match=said):
        notice_request(raw)


# --- the desk, on both databases ----------------------------------------------------------------------------------


@pytest.fixture
def desk(store_url: str) -> Iterator[NoticeDesk]:
    with Store(store_url) as store:
        yield NoticeDesk(store)


def hit(listing: str, state: str = "sure", seller: str = "s-1") -> Hit:
    return Hit("shop", listing, seller, 0, 0.97, "exact", "ban-1", f"d-{listing}", state)


def test_a_notice_from_receipt_to_its_end(desk):
    notice = desk.open(request(), "kim", NOON)
    assert notice.due_at.isoformat() == "2026-11-24T14:59:59+00:00"
    assert list(notice.tasks) == ["report"] and not notice.closed
    notice = desk.searched(notice, [hit("1"), hit("2", "doubtful")], ["ban-1"], "kim", NOON)
    assert set(notice.tasks) == {
        "report",
        *(f"{kind}:shop:1" for kind in ("removal", "stop_sale", "consumer_notice", "refund")),
        "check:shop:2",
    }
    assert notice.tasks["removal:shop:1"].due_at == notice.due_at
    desk.judge(notice.notice_id, ("shop", "2"), False, "kim", NOON)
    desk.acknowledge(("shop", "1"), "market", NOON)
    desk.refund(notice.notice_id, ("shop", "1"), 30, 12, "kim")
    assert open_refunds(desk, NOON)[0]["units_done"] == 12
    desk.end_tasks(notice.notice_id, ["stop_sale:shop:1", "report"], "kim")
    desk.end_tasks(notice.notice_id, ["consumer_notice:shop:1"], "kim", to="waived", note="nobody bought it")
    assert not desk.notice(notice.notice_id).closed
    closed = desk.refund(notice.notice_id, ("shop", "1"), 30, 30, "kim")
    assert closed.closed and closed.to_json()["state"] == "closed" and not open_refunds(desk, NOON)
    # The marketplace puts it back: the removal is open again.
    desk.acknowledge(("shop", "1"), "market", NOON, status="live_again")
    assert not desk.notice(notice.notice_id).closed
    assert verify(desk.store).intact


def test_overdue_is_said_once_with_an_event(desk):
    notice = desk.open(request(), "kim", NOON)
    desk.searched(notice, [hit("1")], [], "kim", NOON)
    assert desk.flag_overdue(NOON + timedelta(days=1)) == []
    late = NOON + timedelta(days=5)
    ((found, tasks),) = desk.flag_overdue(late)
    assert {t.kind for t in tasks} == {"removal", "stop_sale"} and found.notice_id == notice.notice_id
    assert desk.flag_overdue(late) == []
    (again,) = desk.flag_overdue(NOON + timedelta(days=60))
    assert {t.kind for t in again[1]} == {"consumer_notice", "refund", "report"}
    with reading(desk.store.engine) as connection:
        kinds = connection.exec_driver_sql("SELECT type FROM events ORDER BY position").scalars().all()
    assert kinds == ["refund.due", "notice.overdue", "notice.overdue"]


def test_other_processes_see_it_and_two_people_cannot_take_the_same_step(desk):
    notice = desk.open(request(), "kim", NOON)
    other = NoticeDesk(desk.store)
    assert other.notice(notice.notice_id) == notice
    desk.end_tasks(notice.notice_id, ["report"], "kim")
    with pytest.raises(InvalidRecordError, match="taken"):
        other._write([other._step(notice, "task", "lee", {"task_ids": ["report"]})])


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda d, n: d.open(request(), "kim", NOON), "already"),
        (lambda d, n: d.notice("notice-none"), "does not exist"),
        (lambda d, n: d.end_tasks(n, ["nothing"], "kim"), "expected one of report"),
        (lambda d, n: d.end_tasks(n, ["report"], "kim", to="waived"), "without a note"),
        (lambda d, n: d.refund(n, ("shop", "1"), 1, 1, "kim"), "no refund is due"),
        (lambda d, n: d.judge(n, ("shop", "1"), True, "kim", NOON), "was not found"),
        (lambda d, n: d.acknowledge(("shop", "1"), "kim", NOON, status="gone"), "expected removed"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, work, said):
    with Store(str(tmp_path / "s.db")) as store:
        desk = NoticeDesk(store)
        notice = desk.open(request(), "kim", NOON)
        with pytest.raises(NoticeError, match=said):
            work(desk, notice.notice_id)


def test_a_notice_that_is_withdrawn(tmp_path):
    with Store(str(tmp_path / "s.db")) as store:
        desk = NoticeDesk(store)
        notice = desk.open(request(), "kim", NOON)
        desk.searched(notice, [hit("1")], [], "kim", NOON)
        gone = desk.withdraw(notice.notice_id, "kim", "sent in error")
        assert gone.to_json()["state"] == "withdrawn"
        assert {t.state for t in gone.tasks.values()} == {"waived"}
        assert desk.flag_overdue(NOON + timedelta(days=99)) == []


# --- the office: what is on sale ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> OfferReader:
    return load_reader()


@pytest.fixture
def office(tmp_path: Path, predictor: Any, reader: OfferReader) -> Iterator[NoticeOffice]:
    with Store(str(tmp_path / "s.db")) as store:
        bans = office_of(store, predictor, reader)
        list(bans.catalogue.add(map(parse_listing, (ITEM, AGAIN, OTHER))))
        yield NoticeOffice(NoticeDesk(store), bans)


def test_an_order_bans_its_product_and_opens_work_for_what_is_on_sale(office):
    named = {"title": "자석 구슬 216개", "listings": [{"id": "item-1", "marketplace": "hanbada"}]}
    notice = office.take_in(request(products=[named]), "kim", NOON)
    assert set(notice.hits) == {("hanbada", "item-1"), ("hanbada", "item-2")}, (
        "the same goods of another seller"
    )
    assert notice.hits["hanbada", "item-1"].tier == "named"
    assert notice.searched and len(notice.ban_ids) == 2
    for key, found in notice.hits.items():
        stored = office.store.latest(*key)
        assert stored.id == found.decision_id
        assert stored.action == ("block" if found.state == "sure" else "review")
        kind = "removal" if found.state == "sure" else "check"
        assert f"{kind}:hanbada:{key[1]}" in notice.tasks
    again = office.search(notice.notice_id, "kim", NOON + timedelta(days=1))
    assert again.ban_ids == notice.ban_ids and again.hits == notice.hits and again.tasks == notice.tasks


def test_listings_that_the_authority_named_go_whatever_the_model_says(office):
    named = [{"id": "item-3", "marketplace": "hanbada"}, {"id": "never-seen", "marketplace": "hanbada"}]
    notice = office.take_in(
        request(products=[{"title": "보온병 리콜 대상", "seller_id": "s-2", "listings": named}]), "kim", NOON
    )
    assert {h.tier for h in notice.sure()} == {"named"} and len(notice.sure()) == 2
    for one in named:
        stored = office.store.latest("hanbada", one["id"])
        assert (stored.action, stored.state, stored.actor) == ("block", "off_sale", "kim")
        assert stored.body["notice_id"] == notice.notice_id
    assert notice.hits["hanbada", "item-3"].seller_id == "s-2"
    with reading(office.store.engine) as connection:
        told = {tuple(row) for row in connection.exec_driver_sql("SELECT type, subject FROM events")}
    for one in named:
        assert {("item.blocked", one["id"]), ("refund.due", one["id"])} <= told
    assert verify(office.store).intact


def test_recalls_open_work_only_where_something_is_on_sale(office):
    recalls = [
        Recall("cpsc", "26-1", None, (ITEM["title"],), frozenset({"magnet_ingestion"}), regulator="US CPSC"),
        Recall("cpsc", "26-2", None, ("Inflatable kayak with paddle",), frozenset({"drowning"})),
        Recall("cpsc", "26-3", None, (), frozenset()),
    ]
    found = list(office.match_recalls(recalls, "fetch", NOON))
    assert [notice is not None for _, notice in found] == [True, False, False]
    notice = found[0][1]
    assert (notice.kind, notice.jurisdiction, notice.number) == ("recall", "US", "cpsc:26-1")
    assert list(office.match_recalls(recalls, "fetch", NOON)) == [(recall, None) for recall in recalls]


def test_a_recall_without_a_name_is_refused():
    with pytest.raises(NoticeError, match="without a product name"):
        of_recall(Recall("cpsc", "1", None, (" ",), frozenset()), NOON)


def test_a_laboratory_fail_opens_all_its_work_once(office):
    fail = LabFail(parse_listing(ITEM), ("lead",), "KTR", "KTR-26-1", NOON)
    notice = office.notice_from_fail(fail, "system", NOON)
    assert notice.kind == "laboratory" and notice.hits["hanbada", "item-1"].state == "sure"
    assert "item-1" in {refund["listing_id"] for refund in open_refunds(office.desk, NOON)}
    assert office.notice_from_fail(fail, "system", NOON).notice_id == notice.notice_id
