"""Plans, results and cases over HTTP and in the console: routes, refusals, permissions."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from serving.labs.book import Sample
from serving.store import Store
from serving.store.laboratory import lab_record

HEAD = "sample_id,analyte,value,unit\n"


def body():
    names = dict.fromkeys(Sample.__slots__, "")
    item = names | {
        "sample_id": "S1",
        "listing_id": "a",
        "cluster": "a",
        "marketplace": "m",
        "laboratory": "KTR",
        "hazards": ["lead"],
        "propensity": 1.0,
        "stratum": "certainty",
        "role": "certainty",
        "reason": "harm",
        "group": "toys",
        "audience": "under_14",
        "market": "KR",
        "harm": 1.0,
        "p": 0.1,
        "cost": 5,
    }
    config = {
        "currency": "KRW",
        "laboratories": {"KTR": {"capacity": 3}},
        "budget": {"money": 9, "items": 3},
        "made_up": True,
    }
    rest = {
        "seed": 1,
        "model_version": "m",
        "shortfalls": {},
        "unplaced": [],
        "outside": {},
        "clusters": 1,
        "gap": 0.0,
    }
    return {
        "plan_id": "plan-x",
        "period": "x",
        "made": "2026-11-01",
        "items": [item],
        "config": config,
    } | rest


@pytest.fixture
def client(client_of, stub, tmp_path: Path):
    """The application over a store with one plan; bans are kept by a real office."""
    from serving.bans.office import load_reader, office_of
    from serving.policy.document import load_policy
    from serving.predictor import Predictor

    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.change(
            lab_record("plan", "plan-x", "me", body(), {"listings.json": b'[{"id": "a", "title": "t"}]'})
        )
        office = office_of(store, Predictor(stub.StubBundle(), load_policy()), load_reader())
        yield client_of(bans=office, store=store)


def test_plans_are_listed_and_shown(client):
    found = client.get("/v1/plans").json()["plans"]
    assert [(plan["plan_id"], plan["items"], plan["spent"]) for plan in found] == [("plan-x", 1, 5)]
    assert client.get("/v1/plans/plan-x").json()["items"][0]["propensity"] == 1.0
    assert client.get("/v1/plans/nothing").status_code == 404
    assert client.get("/v1/plans/plan-x/files/listings.json").status_code in (404, 409)


def test_a_file_with_a_wrong_unit_is_refused_whole_and_every_line_is_named(client):
    rows = [
        {"sample_id": "S1", "analyte": "lead", "value": 5, "unit": "mg/L"},
        {"sample_id": "S9", "analyte": "lead", "value": 5, "unit": "ppm"},
    ]
    answer = client.post("/v1/lab-results", json={"laboratory": "KTR", "results": rows})
    assert answer.status_code == 422
    assert [error["got"] for error in answer.json()["errors"]] == ["wrong_unit", "sample"]
    assert client.get("/v1/lab-results").json() == {"files": []}


def test_a_pass_is_taken_and_once_only(client):
    content = base64.b64encode(f"{HEAD}S1,lead,<5,mg/kg\n".encode()).decode()
    sent = {"laboratory": "KTR", "file_name": "k.csv", "content": content}
    answer = client.post("/v1/lab-results", json=sent)
    assert answer.status_code == 201, answer.text
    assert answer.json()["counts"] == {"pass": 1, "fail": 0, "unclear": 0}
    again = client.post("/v1/lab-results", json=sent)
    assert again.status_code == 422
    assert "this very file" in again.json()["errors"][0]["problem"]


def test_a_fail_bans_blocks_and_opens_a_case(client):
    rows = [{"sample_id": "S1", "analyte": "납", "value": 400, "unit": "ppm"}]
    answer = client.post("/v1/lab-results", json={"laboratory": "KTR", "results": rows})
    assert answer.status_code == 201, answer.text
    (case,) = client.get("/v1/lab-cases").json()["cases"]
    assert case["open_steps"] == ["off_sale", "consumer_notice", "refunds"]
    assert case["seconds_to_block"] is not None
    (ban,) = client.get("/v1/bans").json()["bans"]
    assert "400 ppm" in ban["reason"]
    step = f"/v1/lab-cases/{case['case_id']}/steps"
    assert client.post(step, json={"step": "refunds"}).status_code == 409
    assert client.post(step, json={"step": "consumer_notice"}).json()["open_steps"] == ["off_sale", "refunds"]
    orders = base64.b64encode(b"listing_id,amount,state\na,900,refunded\n").decode()
    assert client.post("/v1/lab-orders", json={"content": orders}).status_code == 201
    for name in ("off_sale", "refunds"):
        answer = client.post(step, json={"step": name})
    assert answer.json()["state"] == "closed"


@pytest.mark.parametrize(
    "sent",
    [
        {"laboratory": "KTR"},
        {"laboratory": "KTR", "content": "%%%"},
        {"laboratory": "KTR", "results": [], "content": ""},
        {"laboratory": "KTR", "results": [], "extra": 1},
    ],
)
def test_bodies_that_cannot_be_used_are_refused(client, sent):
    assert client.post("/v1/lab-results", json=sent).status_code == 422


def test_a_plan_over_http_needs_listings(client):
    assert client.post("/v1/plans", json={"period": "2026-12", "listings": []}).status_code == 422
    wrong = {"period": "2026-12", "listings": [{"title": "x"}]}
    assert client.post("/v1/plans", json=wrong).status_code == 422


def test_the_console_shows_plans_and_cases(client):
    page = client.get("/console/laboratory")
    assert page.status_code == 200
    assert "plan-x" in page.text
    explained = client.get("/console/laboratory/plans/plan-x")
    assert explained.status_code == 200
    assert "S1" in explained.text
    assert "default-src 'none'" in explained.headers["content-security-policy"]
