"""Appeals: what they may be about, who may judge them, and that overturning gives back exactly what was taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import parse_listing
from serving.audit.verification import verify
from serving.bans.book import request_of
from serving.bans.office import load_reader, office_of
from serving.sellers.appeals import AppealError, labels_before
from serving.sellers.appeals_desk import AppealDesk
from serving.sellers.desk import SellerDesk
from serving.store import LabelRecord, Store
from serving.store.engine import reading
from serving.store.sellers import LabelRow, read_labels_on

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
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
HAZARDS = ["lead", "choking", "fire"]

label_rows = st.lists(
    st.tuples(
        st.sampled_from(["d-before", "d-appealed", "d-after"]),
        st.sampled_from(HAZARDS),
        st.sampled_from([True, False, None]),
        st.sampled_from(["review", "lab"]),
    ),
    max_size=12,
).map(lambda rows: sorted(rows, key=lambda row: ["d-before", "d-appealed", "d-after"].index(row[0])))


def standing_labels(rows) -> dict[tuple[str, str], bool]:
    found = {(row.hazard, row.source): row.value for row in rows}
    return {cell: value for cell, value in found.items() if value is not None}


@given(label_rows)
def test_overturning_gives_back_exactly_the_labels_that_were_there_before(raw):
    rows = [
        LabelRow(n, "m", "l", 1, hazard, value, source, decision)
        for n, (decision, hazard, value, source) in enumerate(raw)
    ]
    restored = [replace(row, decision_id="d-overturned") for row in labels_before(rows, "d-appealed")]
    without = [row for row in rows if row.decision_id != "d-appealed"]
    assert standing_labels([*rows, *restored]) == standing_labels(without)


@pytest.fixture
def desk(store_url) -> Iterator[AppealDesk]:
    with Store(store_url) as store:
        yield AppealDesk(SellerDesk(store))


def block(desk, new_record, number=1, **more):
    record = new_record(number, action="block", state="off_sale", held_until=None, decided_at=NOON, **more)
    desk.store.record([record])
    return record


def test_an_appeal_that_is_upheld(desk, new_record):
    record = block(desk, new_record)
    desk.sellers.sweep()
    appeal = desk.open(record.id, "제 제품은 안전합니다", "api", NOON)
    assert appeal.state == "open" and appeal.seller_id == "s1" and desk.text(appeal) == "제 제품은 안전합니다"
    assert appeal.due_at == NOON + timedelta(days=14)
    upheld = desk.uphold(appeal.appeal_id, "the report shows it", "lee")
    assert (upheld.state, upheld.decided_by, upheld.note) == ("upheld", "lee", "the report shows it")
    assert desk.store.latest("", "listing-1").id == record.id
    assert [s.state for s in desk.sellers.strikes(("", "s1"))] == ["given"]
    assert verify(desk.store).intact


def test_overturning_takes_back_decision_strikes_and_labels_and_nothing_else(desk, new_record):
    store = desk.store
    store.change(LabelRecord("", "listing-1", "lead", False, "review", "ann", decision_id="earlier"))
    store.change(LabelRecord("", "listing-1", "fire", True, "lab", "ann", decision_id="earlier"))
    record, other = block(desk, new_record, 1, actor="kim"), block(desk, new_record, 2)
    store.change(LabelRecord("", "listing-1", "lead", True, "review", "kim", decision_id=record.id))
    store.change(LabelRecord("", "listing-1", "choking", True, "review", "kim", decision_id=record.id))
    assert desk.sellers.sweep() == 2
    appeal = desk.open(record.id, "please look again", "api", NOON)
    done = desk.overturn(appeal.appeal_id, "certificate was in order", "lee", NOON)
    latest = store.latest("", "listing-1")
    assert (latest.action, latest.state, latest.actor) == ("allow", "live", "lee")
    assert latest.body["appeal_id"] == appeal.appeal_id and done.effects["decision"] == latest.id
    strikes = {s.listing_id: s.state for s in desk.sellers.strikes(("", "s1"))}
    assert strikes == {"listing-1": "taken_back", "listing-2": "given"}
    with reading(store.engine) as connection:
        labels = standing_labels(read_labels_on(connection, "", "listing-1"))
        kinds = connection.exec_driver_sql("SELECT type FROM events ORDER BY position").scalars().all()
    assert labels == {("lead", "review"): False, ("fire", "lab"): True}
    assert kinds[-2:] == ["decision.made", "item.released"]
    assert store.latest("", "listing-2").id == other.id
    assert verify(store).intact


def test_what_was_decided_later_stays(desk, new_record):
    record = block(desk, new_record)
    appeal = desk.open(record.id, "x", "api", NOON)
    later = block(desk, new_record)
    done = desk.overturn(appeal.appeal_id, "the first one was wrong", "lee", NOON)
    assert done.effects["decision"] is None and desk.store.latest("", "listing-1").id == later.id


def test_a_strike_goes_with_its_block_however_often_that_was_decided(desk, new_record):
    block(desk, new_record)
    assert desk.sellers.sweep() == 1
    again = block(desk, new_record)  # an edit, blocked anew: the same block
    appeal = desk.open(again.id, "x", "api", NOON)
    desk.overturn(appeal.appeal_id, "wrong all along", "lee", NOON)
    assert [s.state for s in desk.sellers.strikes(("", "s1"))] == ["taken_back"]
    later = block(desk, new_record)  # released, then blocked once more: another block, another strike
    assert desk.sellers.sweep() == 1
    strikes = {s.decision_id: s.state for s in desk.sellers.strikes(("", "s1"))}
    assert strikes[later.id] == "given" and len(strikes) == 2


@pytest.mark.parametrize(
    ("change", "text", "now", "said"),
    [
        ({"action": "allow", "state": "live", "held_until": None}, "x", NOON, "restricts nothing"),
        ({}, "   ", NOON, "expected 1 to"),
        ({}, "x", NOON + timedelta(days=200), "older than 183 days"),
    ],
)
def test_what_cannot_be_appealed(tmp_path, new_record, change, text, now, said):
    with Store(str(tmp_path / "s.db")) as store:
        desk = AppealDesk(SellerDesk(store))
        record = new_record(1, decided_at=NOON, **change)
        store.record([record])
        with pytest.raises(AppealError, match=said):
            desk.open(record.id, text, "api", now)


def test_who_decided_does_not_judge_and_nothing_is_judged_twice(tmp_path, new_record):
    with Store(str(tmp_path / "s.db")) as store:
        desk = AppealDesk(SellerDesk(store))
        record = block(desk, new_record, actor="kim")
        appeal = desk.open(record.id, "x", "api", NOON)
        with pytest.raises(AppealError, match="one appeal each"):
            desk.open(record.id, "again", "api", NOON)
        with pytest.raises(AppealError, match="somebody else"):
            desk.overturn(appeal.appeal_id, "no", "kim", NOON)
        with pytest.raises(AppealError, match="told why"):
            desk.uphold(appeal.appeal_id, " ", "lee")
        desk.uphold(appeal.appeal_id, "stands", "lee")
        with pytest.raises(AppealError, match="upheld already"):
            desk.overturn(appeal.appeal_id, "no", "lee", NOON)
        with pytest.raises(AppealError, match="does not exist"):
            desk.appeal("appeal-none")


def test_the_bank_learns_that_it_was_a_look_alike(tmp_path: Path, predictor: Any):
    with Store(str(tmp_path / "s.db")) as store:
        office = office_of(store, predictor, load_reader())
        list(office.catalogue.add([parse_listing(AGAIN)]))
        placed = office.place(request_of({"listing": ITEM, "reason": "magnets"}), "ann")
        (decision,) = placed.decisions
        desk = AppealDesk(SellerDesk(store), office)
        appeal = desk.open(decision.decision_id, "other goods", "api", decision.decided_at)
        done = desk.overturn(appeal.appeal_id, "they are other goods", "lee", decision.decided_at)
        assert done.effects["bans"] == [{"ban_id": placed.entry.ban_id, "what": "look-alike"}]
        assert office.desk.book.entry(placed.entry.ban_id).overturned == 1
        assert office.decider.decide([parse_listing(AGAIN)])[0].matches == ()
        assert store.latest("hanbada", "item-2").state == "live"


def test_a_ban_on_the_very_listing_goes_with_the_decision(tmp_path: Path, predictor: Any):
    with Store(str(tmp_path / "s.db")) as store:
        office = office_of(store, predictor, load_reader())
        list(office.catalogue.add([parse_listing(ITEM)]))
        placed = office.place(request_of({"listing": ITEM, "reason": "by mistake"}), "ann")
        desk = AppealDesk(SellerDesk(store), office)
        (decision,) = placed.decisions
        appeal = desk.open(decision.decision_id, "mine", "api", decision.decided_at)
        desk.overturn(appeal.appeal_id, "it was a mistake", "lee", decision.decided_at)
        assert office.desk.book.entry(placed.entry.ban_id).state == "lifted"
