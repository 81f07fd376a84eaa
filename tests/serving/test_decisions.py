from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import orjson
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from features.schema import parse_listing
from serving.decisions import Earlier, compare, field_digests, new_decision_id
from serving.http.answers import ScoreAnswer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def listing(**fields):
    return parse_listing({"id": "a", "title": "폭신한 곰 인형"} | fields)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)))
def test_ids_are_version_7_and_carry_the_time(moment):
    moment = moment.replace(tzinfo=UTC)
    made = uuid.UUID(new_decision_id(moment))
    assert made.version == 7 and made.variant == uuid.RFC_4122
    assert abs((made.int >> 80) / 1000 - moment.timestamp()) < 0.002


def test_ids_sort_by_time_and_never_repeat():
    later = [new_decision_id(NOW + timedelta(milliseconds=i)) for i in range(100)]
    assert later == sorted(later)
    assert len({new_decision_id(NOW) for _ in range(10_000)}) == 10_000


def test_digests_see_every_change_of_the_offer_and_nothing_else():
    first = field_digests(listing(price=1000, attributes={"재질": "면", "색": "갈색"}))
    again = field_digests(
        listing(
            price=1000.0,
            attributes={"색": "갈색", "재질": "면"},
            revision=7,
            scored_at="2026-01-01T00:00:00Z",
        )
    )
    assert first == again and set(first) == {"title", "price", "attributes"}
    assert field_digests(listing(price=1001)) != field_digests(listing(price=1000))
    assert "인형" not in json.dumps(first, ensure_ascii=False)


def test_added_removed_and_changed_fields_are_all_told():
    before = Earlier("d1", 1, "allow", field_digests(listing(brand="가", price=1)))
    found = compare(before, field_digests(listing(brand="나", origin="CN")))
    assert found.changed == ("brand", "origin", "price")
    assert compare(before, before.fields).changed == ()


def test_json_is_the_documented_shape_and_the_record_keeps_every_hazard(predictor):
    [decision] = predictor.decide([listing(attributes={"p:lead": "0.2", "p:covert_camera": "0.9"})])
    answer, record = decision.to_json(), decision.to_json(floor=0)
    TypeAdapter(ScoreAnswer).validate_python(answer, strict=True)
    TypeAdapter(ScoreAnswer).validate_python(record, strict=True)
    assert [h["hazard"] for h in answer["hazards"]] == ["covert_camera", "lead"], "likeliest first"
    assert {h["hazard"] for h in record["hazards"]} == set(predictor.taxonomy.codes)
    assert answer["hazards"][0]["q"] is None
    assert orjson.loads(orjson.dumps(answer)) == answer


def test_a_hazard_that_fired_is_shown_however_small(predictor):
    predictor.bundle.manifest.operating_points["review"] |= {"fall": 0.0001, "p_noncompliant": 0.0001}
    from serving.policy.document import load_policy
    from serving.predictor import Predictor

    strict = Predictor(predictor.bundle, load_policy())
    [decision] = strict.decide([listing()])
    assert [h["hazard"] for h in decision.to_json()["hazards"]] == ["fall"]


def test_times_are_utc_whatever_the_clock_says(stub):
    from serving.policy.document import load_policy
    from serving.predictor import Predictor

    seoul = NOW.astimezone(timezone(timedelta(hours=9)))
    made = Predictor(stub.StubBundle(), load_policy(), clock=lambda: seoul)
    answer = made.decide([listing(attributes={"p:covert_camera": "0.9"})])[0].to_json()
    assert answer["decided_at"] == "2026-11-22T12:00:00.000+00:00"
    assert answer["held_until"] == "2026-11-29T12:00:00.000+00:00"
