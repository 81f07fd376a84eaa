"""Complaints: what they name, where they put an item, and what they never do."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.audit.verification import verify
from serving.notices.complaints import (
    BOOST_MAX,
    ComplaintError,
    RefusedComplaint,
    boost,
    complaint_request,
    read_complaint,
    read_complaints_file,
)
from serving.notices.complaints_desk import ComplaintDesk
from serving.store import Store
from serving.store.engine import reading, writing
from serving.store.steps import erase_said

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def request(number=1, text="아이가 자석 구슬을 삼켰습니다. 질식 위험!", **more):
    return complaint_request({"id": f"c{number}", "listing_id": "listing-1", "text": text, **more})


@pytest.mark.parametrize(
    ("text", "hazards"),
    [
        ("아이가 목에 걸려 질식할 뻔했어요", {"choking"}),
        ("The charger caught fire and gave me an electric shock", {"fire", "electric_shock"}),
        ("배송이 늦고 색이 다릅니다", set()),
    ],
)
def test_what_a_complaint_names(text, hazards):
    found = read_complaint(request(text=text))
    assert hazards <= set(found.hazards)
    assert found.kind == ("hazard" if hazards else "other")


@given(st.lists(st.floats(0, 100), max_size=30), st.floats(0, 100))
def test_more_complaints_never_lower_a_place_and_a_crowd_has_a_limit(weights, more):
    assert 0 <= boost(weights) <= boost([*weights, more]) <= boost([BOOST_MAX]) + 1e-9


@pytest.fixture
def desk(store_url) -> Iterator[ComplaintDesk]:
    with Store(store_url) as store:
        yield ComplaintDesk(store)


def place(desk, listing="listing-1"):
    return next((i.place for i in desk.store.queue_page() if i.listing_id == listing), None)


def test_a_complaint_raises_an_items_place_and_stays_through_a_new_decision(desk, new_record):
    desk.store.record([new_record(n) for n in range(3)])
    before = place(desk)
    found = desk.take_in(request(), "api", NOON)
    assert found.queued and not found.known and found.boost == pytest.approx(1.0)
    assert place(desk) == pytest.approx(before - 1.0)
    assert desk.store.queue_page()[0].listing_id == "listing-1"
    again = desk.take_in(request(), "api", NOON)
    assert again.known and place(desk) == pytest.approx(before - 1.0), "the same complaint counts once"
    desk.take_in(request(2, injury=True), "api", NOON)
    assert place(desk) == pytest.approx(before - boost([1.0, 4.0]))
    desk.store.record([new_record(1)])
    assert place(desk) == pytest.approx(before - boost([1.0, 4.0])), "decided anew, still complained about"
    assert verify(desk.store).intact


def test_a_complaint_brings_an_item_into_the_queue_and_never_makes_a_label(desk, new_record):
    quiet = {"action": "allow", "state": "live", "held_until": None, "needs_work": False}
    long_ago = NOON - timedelta(days=400)
    desk.store.record([new_record(1, **quiet, decided_at=long_ago), new_record(2, decided_at=NOON)])
    assert place(desk) is None
    assert not desk.take_in(request(1, "색이 다릅니다"), "api", NOON).queued
    assert desk.take_in(request(2), "api", NOON).queued
    assert abs(place(desk) - place(desk, "listing-2")) < 2, "it waits from now, not from its old decision"
    with reading(desk.store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM labels").scalar_one() == 0
    assert desk.store.latest("", "listing-1").action == "allow"


def test_the_words_can_be_erased_and_the_chain_still_verifies(desk):
    text = "비밀 이야기 질식"
    desk.take_in(request(text=text), "api", NOON)
    (row,) = desk.about(("", "listing-1"))
    assert desk.text(row.seq) == text and text not in str(row.body)
    with writing(desk.store.engine) as connection:
        assert erase_said(connection, int((NOON + timedelta(days=1)).timestamp() * 1e6)) == 1
    assert desk.text(row.seq) is None
    assert verify(desk.store).intact


def test_files_are_read_with_their_mistakes(tmp_path):
    table = tmp_path / "c.csv"
    table.write_text("id,listing_id,text,injury\n1,a,caught fire,true\n2,,no listing,\n", encoding="utf-8")
    good, bad = read_complaints_file(table)
    assert good.injury is True and isinstance(bad, RefusedComplaint) and bad.line == 3
    lines = tmp_path / "c.jsonl"
    lines.write_text('{"id": "1", "listing_id": "a", "text": "x"}\n{broken\n')
    assert [type(one).__name__ for one in read_complaints_file(lines)] == [
        "ComplaintRequest",
        "RefusedComplaint",
    ]


@pytest.mark.parametrize(
    "raw", [{}, {"id": "1", "listing_id": "a", "text": ""}, {"id": "1", "x": 2}, [], None]
)
def test_what_is_no_complaint_is_refused(raw):
    with pytest.raises(ComplaintError):
        complaint_request(raw)


@pytest.mark.data
def test_real_consumer_reports_are_read(data_dir):
    """Every report of the file is about a toy that worried somebody; most name what worried them."""
    with gzip.open(
        data_dir / "saferproducts-toy-incidents" / "incidents.csv.gz", "rt", encoding="utf-8"
    ) as file:
        texts = [row["incident_description"] for row in csv.DictReader(file)]
    found = [read_complaint(request(text=text[:20_000])) for text in texts[:400] if text.strip()]
    assert sum(bool(one.hazards) for one in found) / len(found) > 0.3
