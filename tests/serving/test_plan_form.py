"""The console's form that makes a sampling plan: looked at, recorded, refused."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

import features.sample
from features.reader import read_listings
from serving.bans.office import load_reader, office_of
from serving.predictor import load_predictor
from serving.settings import Settings
from serving.store import Store

SAMPLE = Path(features.sample.__file__).with_name("catalogue.jsonl")
PLANS = "/console/laboratory/plans"
HEADS = "id,title,price,seller.id\n"


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(Settings())


@pytest.fixture
def kept(client_of, predictor, tmp_path: Path):
    """The console over a store whose live catalogue holds some of the sample, with the office behind it."""
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        office = office_of(store, predictor, load_reader())
        sum(office.catalogue.add(list(islice(read_listings(SAMPLE), 60))))
        yield client_of(bans=office, store=store)


def send(client, files=None, **fields):
    parts = {name: (None, str(value)) for name, value in fields.items()}
    token = re.search(r'/plans\?csrf=([^"]+)"', client.get("/console/laboratory").text)
    assert token, "the form carries its token"
    return client.post(f"{PLANS}?csrf={token[1]}", files=parts | (files or {}), follow_redirects=False)


def plans(client):
    return client.get("/v1/plans").json()["plans"]


def test_a_plan_is_looked_at_and_nothing_recorded(kept):
    page = send(kept, act="preview", period="2027-01", items=5)
    assert page.status_code == 200, page.text
    assert "2027-01" in page.text
    assert "script" not in page.headers["content-security-policy"]
    assert plans(kept) == []


def test_a_plan_from_the_live_listings_is_recorded_within_the_budget(kept):
    answer = send(kept, act="record", period="2027-01", items=5, money="2,000,000")
    assert answer.status_code == 303, answer.text
    (plan,) = plans(kept)
    assert plan["plan_id"] == "plan-2027-01"
    assert 0 < plan["items"] <= 5
    assert plan["spent"] <= 2_000_000
    page = kept.get("/console/laboratory").text
    assert "2027-01" in page
    again = send(kept, act="record", period="2027-01")
    assert again.status_code == 409
    assert "does not fit what is recorded" in again.text
    assert len(plans(kept)) == 1


def test_a_plan_from_an_uploaded_catalogue_names_its_listings(kept):
    rows = "".join(f"x{n},baby rattle toy {n},{n}000,s{n}\n" for n in range(1, 9))
    sent = {"catalogue": ("../shop.csv", (HEADS + rows).encode(), "text/csv")}
    assert send(kept, sent, act="record", period="p", items=3).status_code == 303
    items = kept.get("/v1/plans/plan-p").json()["items"]
    assert items
    assert {item["listing_id"] for item in items} <= {f"x{n}" for n in range(1, 9)}


@pytest.mark.parametrize(
    ("files", "fields", "said"),
    [
        ({}, {"period": "../x"}, "period"),
        ({}, {"money": "-1"}, "money"),
        ({}, {"items": "many"}, "items"),
        ({}, {"items": "0"}, "budget"),
        ({"catalogue": ("a.csv", b"name\nx\n", "text/csv")}, {}, "column"),
        ({"catalogue": ("a.exe", b"MZ", "application/x")}, {}, "a"),
        ({"config": ("plan.yaml", b"version: 2", "application/yaml")}, {}, "version"),
        (
            {"config": ("plan.yaml", b"!!python/object/apply:os.system [id]", "application/yaml")},
            {},
            "plan.yaml",
        ),
    ],
)
def test_a_form_that_cannot_be_used_is_refused_and_says_why(kept, files, fields, said):
    answer = send(kept, files, **({"act": "record", "period": "2027-01"} | fields))
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert plans(kept) == []


def test_without_live_listings_the_form_says_where_they_come_from(client_of, predictor, tmp_path):
    with Store(f"sqlite:///{tmp_path / 'empty.db'}") as store:
        office = office_of(store, predictor, load_reader())
        answer = send(client_of(bans=office, store=store), act="record", period="2027-01")
    assert answer.status_code == 422
    assert "catalogue add" in answer.text
