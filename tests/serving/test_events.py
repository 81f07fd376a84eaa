"""Events: the envelope is CloudEvents, kinds are known, nothing that people wrote is in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from features.schema import parse_listing
from serving.events.kinds import CONTENT_TYPE, EVENT_TYPES, change_of, decision_events, envelope, event
from serving.store import Store
from serving.store.decided import decision_record

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@given(
    kind=st.sampled_from(sorted(EVENT_TYPES)),
    subject=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=50),
    data=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_the_reference_library_reads_the_envelope(kind, subject, data, at):
    body = json.dumps(envelope(event(kind, subject, data, at), "urn:listing-risk:x")).encode()
    read = from_http_event(HTTPMessage({"content-type": CONTENT_TYPE}, body), JSONFormat())
    assert (read.get_type(), read.get_subject(), read.get_data()) == (kind, subject, data)
    assert read.get_source() == "urn:listing-risk:x"
    assert abs((read.get_time() - at).total_seconds()) < 0.001


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"got event 'item.lost', expected one of decision.made"):
        event("item.lost", "a", {}, NOON)


@pytest.mark.parametrize(
    ("action", "state", "earlier", "kind"),
    [
        ("block", "held", None, "item.blocked"),
        ("block", "off_sale", "live", "item.blocked"),
        ("lab_test", "live", None, "item.sent_to_laboratory"),
        ("allow", "live", "held", "item.released"),
        ("monitor", "live", "off_sale", "item.released"),
        ("allow", "live", "live", None),
        ("allow", "live", None, None),
        ("review", "held", "live", None),
    ],
)
def test_what_a_change_is_called(action, state, earlier, kind):
    assert change_of(action, state, earlier) == kind


def test_a_decision_and_its_events_are_one_transaction(predictor, tmp_path):
    words = "비밀 문구 위장 카메라 초소형 몰카 시계"
    listing = parse_listing({"id": "a-1", "title": words})
    (decision,) = predictor.decide([listing])
    events = decision_events(decision, marketplace="m")
    with Store(str(tmp_path / "s.db")) as store:
        store.record([decision_record(listing, decision, events=events)])
        with store.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT type, subject, body FROM events").all()
    assert rows[0][0] == "decision.made" and rows[0][1] == "a-1"
    assert json.loads(rows[0][2])["data"]["action"] == decision.action
    assert not any(word in row[2] for row in rows for word in words.split())
