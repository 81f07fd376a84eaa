"""The service with a store behind it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter

from features.schema import Listing
from serving.audit.verification import verify
from serving.http.answers import DecisionAnswer, ProblemAnswer, ReadyAnswer, ScoreAnswer
from serving.store import Store, StoreSink, WriterLimits, schema
from serving.store.earlier import read_earlier
from serving.store.engine import reading
from serving.store.retention import erase_expired

RISKY = {"attributes": {"p:lead": "0.9", "audience": "under_3"}}


def listing(**fields):
    return {"id": "a-1", "title": "폭신한 곰 인형", "market": "KR"} | fields


def problem(response, status, kind):
    assert response.status_code == status, response.text
    document = response.json()
    TypeAdapter(ProblemAnswer).validate_python(document, strict=True)
    assert document["type"] == f"/docs#problem-{kind}"
    return document


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


@pytest.fixture
def served(store, client_of):
    return client_of(sink=StoreSink(store), store=store)


def test_the_answer_is_in_the_store_under_its_address(served, store):
    response = served.post("/v1/score", json=listing(**RISKY))
    answer = response.json()
    assert response.headers["content-location"] == f"/v1/decisions/{answer['decision_id']}"
    stored = served.get(response.headers["content-location"])
    assert stored.status_code == 200
    TypeAdapter(DecisionAnswer).validate_python(stored.json(), strict=True)
    assert stored.json()["decision"] == answer, "what was said and what is kept are the same"
    assert stored.json()["listing"] == {"id": "a-1", "title": "폭신한 곰 인형", **RISKY}
    assert stored.json()["record"]["caller"] == "local"
    assert verify(store).intact


def test_a_decision_that_is_not_there_is_404(served):
    document = problem(served.get("/v1/decisions/nothing"), 404, "not-found")
    assert "nothing" in document["detail"]


def test_without_a_store_nothing_is_kept_and_scoring_goes_on(client):
    response = client.post("/v1/score", json=listing(), headers={"idempotency-key": "k"})
    assert response.status_code == 200 and "content-location" not in response.headers
    problem(client.get("/v1/decisions/x"), 503, "not-ready")
    assert client.get("/readyz").json() == {"status": "ready", "store": "none", "waiting": 0}


# ---- idempotency ---------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_earlier_answer(served, store):
    key = {"idempotency-key": f'"{uuid.uuid4()}"'}
    first = served.post("/v1/score", json=listing(), headers=key).json()
    again = served.post(
        "/v1/score", json=listing(), headers={"idempotency-key": key["idempotency-key"][1:-1]}
    )
    assert again.json() == first, "quoted or not, it is the same key"
    TypeAdapter(ScoreAnswer).validate_python(again.json(), strict=True)
    assert store.head().seq == 1
    assert "listing_risk_replayed_total 1.0" in served.get("/metrics").text


def test_the_same_key_with_another_listing_is_409(served, store):
    key = {"idempotency-key": "k-1"}
    served.post("/v1/score", json=listing(), headers=key)
    problem(served.post("/v1/score", json=listing(title="other"), headers=key), 409, "idempotency-conflict")
    assert store.head().seq == 1


def test_many_are_repeated_one_by_one(served, store):
    key, body = (
        {"idempotency-key": "many"},
        {"listings": [listing(), {"id": "bad"}, listing(id="b", **RISKY)]},
    )
    first = served.post("/v1/score-many", json=body, headers=key).json()["results"]
    again = served.post("/v1/score-many", json=body, headers=key).json()["results"]
    assert [one.get("decision") for one in again] == [one.get("decision") for one in first]
    assert store.head().seq == 2
    body["listings"][2]["title"] = "changed"
    problem(served.post("/v1/score-many", json=body, headers=key), 409, "idempotency-conflict")


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, '""'])
def test_a_key_that_is_none_is_refused(served, key):
    document = problem(
        served.post("/v1/score", json=listing(), headers={"idempotency-key": key}), 422, "wrong-fields"
    )
    assert document["errors"][0]["field"] == "Idempotency-Key"


def test_the_same_key_at_the_same_moment_decides_once(served, store):
    async def both():
        one = {"json": listing(), "headers": {"idempotency-key": "race"}}
        return await asyncio.gather(*(served.http.post("/v1/score", **one) for _ in range(8)))

    answers = [response.json() for response in served.portal.call(both)]
    assert len({answer["decision_id"] for answer in answers}) == 1
    assert store.head().seq == 1


# ---- edits -----------------------------------------------------------------------------------------------------------


def test_an_edit_is_compared_with_what_the_store_knows(served):
    before = served.post("/v1/score", json=listing(brand="달토끼")).json()
    after = served.post("/v1/score", json=listing(revision=2, brand="해토끼")).json()
    assert after["previous"] == {
        "decision_id": before["decision_id"], "revision": 1, "action": "allow", "changed": ["brand"],
    }  # fmt: skip
    same_id_elsewhere = served.post("/v1/score", json=listing(marketplace="other")).json()
    assert same_id_elsewhere["previous"] is None


def test_what_the_client_says_of_before_goes_first(served):
    said = served.post("/v1/score", json=listing(brand="달토끼")).json()
    served.post("/v1/score", json=listing(revision=2, brand="해토끼"))
    third = served.post("/v1/score", json=listing(revision=3, brand="해토끼", previous=said)).json()
    assert third["previous"]["decision_id"] == said["decision_id"]


def test_many_edits_are_compared_at_once(served):
    entries = [listing(id=f"n-{n}", marketplace=f"m-{n % 3}") for n in range(9)]
    first = served.post("/v1/score-many", json={"listings": entries}).json()["results"]
    edits = [entry | {"revision": 2, "brand": "x"} for entry in entries[::-1]]
    second = served.post("/v1/score-many", json={"listings": edits}).json()["results"]
    earlier = {one["listing_id"]: one["decision"]["decision_id"] for one in first}
    for one in second:
        assert one["decision"]["previous"]["decision_id"] == earlier[one["listing_id"]]
        assert one["decision"]["previous"]["changed"] == ["brand"]


def test_erased_text_compares_with_nothing(served, store):
    from datetime import UTC, datetime, timedelta

    answer = served.post("/v1/score", json=listing()).json()
    erase_expired(store, datetime.now(UTC) + timedelta(days=2), timedelta(days=1))
    with reading(store.engine) as connection:
        assert read_earlier(connection, [("", "a-1")])["", "a-1"].fields is None
    assert served.post("/v1/score", json=listing(revision=2)).json()["previous"] is None
    kept = served.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert kept["listing"] is None and kept["decision"]["reasons"] is None and kept["record"]["erased_at"]


def test_others_are_told_in_the_same_commit(served, store):
    served.post("/v1/score", json=listing(**RISKY, marketplace="m"))
    served.post("/v1/score", json=listing(revision=2, marketplace="m"))
    with reading(store.engine) as connection:
        told = (
            connection.execute(sa.select(schema.events).order_by(schema.events.c.position)).mappings().all()
        )
    kinds = [(row["seq"], row["type"], row["subject"]) for row in told]
    assert kinds[:2] == [(1, "decision.made", "a-1"), (1, "item.sent_to_laboratory", "a-1")]
    assert kinds[2] == (2, "decision.made", "a-1")
    assert "곰" not in "".join(row["body"] for row in told), "no words of the seller"


# ---- when the store does not take it -------------------------------------------------------------------------------


def break_store(store):
    """Take the table away that every decision is written to."""
    with store.engine.begin() as connection:
        schema.inputs.drop(connection)


def test_a_store_that_is_gone_gives_no_decision(served, store):
    served.post("/v1/score", json=listing())
    break_store(store)
    problem(served.post("/v1/score", json=listing()), 503, "not-recorded")
    many = served.post("/v1/score-many", json={"listings": [listing()]})
    problem(many, 503, "not-recorded")
    assert many.headers["retry-after"] == "2"


def test_readiness_follows_the_store(store_url, client_of):
    limits = WriterLimits(first_retry_s=0.01, last_retry_s=0.02)
    with Store(store_url, limits) as store:
        served = client_of(sink=StoreSink(store), store=store)
        ready = served.get("/readyz").json()
        TypeAdapter(ReadyAnswer).validate_python(ready, strict=True)
        assert ready["store"] == "up"
        assert 'listing_risk_store_up{database="' in served.get("/metrics").text
        with store.engine.begin() as connection:
            for table in ("audit_links", "identity"):
                connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {table}_away"))
        problem(served.post("/v1/score", json=listing()), 503, "not-recorded")
        problem(served.get("/readyz"), 503, "not-ready")
        assert "} 0.0" in next(
            line
            for line in served.get("/metrics").text.splitlines()
            if line.startswith("listing_risk_store_up{")
        )
        with store.engine.begin() as connection:
            for table in ("audit_links", "identity"):
                connection.execute(sa.text(f"ALTER TABLE {table}_away RENAME TO {table}"))
        until = time.monotonic() + 90
        while served.get("/readyz").status_code != 200 and time.monotonic() < until:
            time.sleep(0.02)
        assert served.post("/v1/score", json=listing()).status_code == 200, "it is back by itself"


def test_too_many_waiting_is_429(store_url, client_of):
    with Store(store_url, WriterLimits(waiting_records=2)) as store:
        served = client_of(sink=StoreSink(store), store=store)
        body = {"listings": [listing(id=f"n{n}") for n in range(3)]}
        answers = served.together("/v1/score-many", [body] * 4)
        assert {answer.status_code for answer in answers} <= {200, 429}
        assert any(answer.status_code == 200 for answer in answers)
        for answer in answers:
            if answer.status_code == 429:
                problem(answer, 429, "overloaded")


def test_recording_is_counted(served):
    served.post("/v1/score", json=listing())
    assert "listing_risk_recording_seconds_count 1.0" in served.get("/metrics").text


def test_digests_are_read_as_they_were_written(served, store):
    from serving.decisions import field_digests

    served.post("/v1/score", json=listing(brand="b"))
    with reading(store.engine) as connection:
        (row,) = read_earlier(connection, [("", "a-1"), ("", "unknown")]).values()
    assert row.fields == field_digests(Listing(**listing(brand="b")))
