from __future__ import annotations

import asyncio
import json
import logging
import threading
from concurrent.futures import Future

import orjson
import pytest
from pydantic import TypeAdapter

from serving.http.answers import ManyAnswer, ModelAnswer, ProblemAnswer, ScoreAnswer
from serving.settings import Limits
from serving.store import Recorded

JSON = {"content-type": "application/json"}
SECRET = "비밀스러운-판매자-문구-8841"
RISKY = {"attributes": {"p:lead": "0.9", "audience": "under_3"}}


def listing(**fields):
    return {"id": "a-1", "title": "폭신한 곰 인형", "market": "KR"} | fields


def problem(response, status, kind):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    TypeAdapter(ProblemAnswer).validate_python(document, strict=True)
    assert document["type"] == f"/docs#problem-{kind}"
    assert document["status"] == status
    assert document["instance"] == "urn:uuid:" + response.headers["x-request-id"]
    return document


# ---- answers -----------------------------------------------------------------------------------------------------


def test_a_decision_has_the_documented_shape(client):
    response = client.post("/v1/score", json=listing(**RISKY))
    assert response.status_code == 200 and response.headers["content-type"] == "application/json"
    answer = response.json()
    TypeAdapter(ScoreAnswer).validate_python(answer, strict=True)
    assert answer["action"] == "lab_test" and answer["listing_id"] == "a-1"
    assert [h["hazard"] for h in answer["hazards"]] == ["lead"], "hazards below the floor are left out"
    assert {rule["id"] for rule in answer["rules"]} >= {"severe-hazard", "children-chemical", "watch"}
    assert answer["reasons"][0]["text"] == "폭신한 "
    assert answer["decided_at"] == "2026-11-22T12:00:00.000+00:00"


@pytest.mark.parametrize("title", ["🎈", "🧸🧸🧸", "👨‍👩‍👧‍👦", "\u200b\ufeff", "‮gnippils", "a" * 1000])
def test_strange_titles_are_scored(client, title):
    assert client.post("/v1/score", json=listing(title=title)).status_code == 200


def test_explain_can_be_asked_for(client):
    assert client.post("/v1/score", json=listing()).json()["reasons"] == []
    assert client.post("/v1/score?explain=always", json=listing()).json()["reasons"] != []
    assert client.post("/v1/score?explain=never", json=listing(**RISKY)).json()["reasons"] == []
    document = problem(client.post("/v1/score?explain=please", json=listing()), 422, "wrong-fields")
    assert document["errors"][0]["field"] == "explain"


def test_an_edit_is_compared_with_the_answer_before(client):
    before = client.post("/v1/score", json=listing(brand="달토끼")).json()
    after = client.post("/v1/score", json=listing(revision=2, brand="해토끼", previous=before)).json()
    assert after["previous"] == {
        "decision_id": before["decision_id"], "revision": 1, "action": "allow", "changed": ["brand"],
    }  # fmt: skip


def test_many_keep_their_order_and_a_bad_one_fails_alone(client):
    entries = [
        listing(id="one"),
        listing(id="two", price=-1, colour="red"),
        listing(id="three", attributes={"explode": "1"}),
        "not a listing",
        listing(id="five", **RISKY),
        {"id": ["x"]},
        {"id": "\ud800", "title": "a"},
    ]
    body = json.dumps({"listings": entries}).encode()  # orjson would not write half a character
    response = client.post("/v1/score-many", content=body, headers=JSON)
    assert response.status_code == 200
    answer = response.json()
    TypeAdapter(ManyAnswer).validate_python(answer, strict=True)
    results = answer["results"]
    assert [r["index"] for r in results] == list(range(7))
    assert [r["listing_id"] for r in results] == ["one", "two", "three", None, "five", None, None]
    assert results[0]["decision"]["action"] == "allow" and results[4]["decision"]["action"] == "lab_test"
    assert {e["field"] for e in results[1]["problem"]["errors"]} == {"price", "colour"}
    assert results[2]["problem"]["status"] == 500
    assert results[3]["problem"]["errors"][0]["got"] == "str"
    assert all("decision" not in results[i] for i in (1, 2, 3, 5, 6))


def test_the_limit_of_many_is_inclusive(client_of):
    client = client_of(limits=Limits(listings=3))
    assert len(client.post("/v1/score-many", json={"listings": [listing()] * 3}).json()["results"]) == 3
    document = problem(client.post("/v1/score-many", json={"listings": [listing()] * 4}), 422, "wrong-fields")
    assert document["errors"] == [{"field": "listings", "problem": "expected 1 to 3 listings", "got": "4"}]


@pytest.mark.parametrize(
    "body", [{}, [], {"listings": {}}, {"listings": []}, {"listings": [1], "x": 1}, 3, None]
)
def test_a_wrong_envelope_is_refused(client, body):
    problem(client.post("/v1/score-many", content=json.dumps(body), headers=JSON), 422, "wrong-fields")


def test_model_says_what_is_loaded(client):
    answer = client.get("/v1/model").json()
    TypeAdapter(ModelAnswer).validate_python(answer, strict=True)
    assert answer["model_version"] == "stub-1+00000000" and answer["policy_version"].startswith("2026.")
    assert len(answer["hazards"]) == 30 and answer["hazards"][0]["names"]["ko"] == "납"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health(client, path):
    assert client.get(path).status_code == 200
    assert client.request("HEAD", path).status_code == 200


def test_before_it_is_loaded_it_is_alive_but_not_ready(stub):
    import httpx

    from serving.app import create_app
    from serving.settings import Settings

    async def ask():
        app = create_app(lambda: None, Settings(log="off"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.get("/livez"), await http.get("/readyz"), await http.post("/v1/score", json={})

    alive, ready, scored = asyncio.run(ask())
    assert alive.status_code == 200
    assert problem(ready, 503, "not-ready") and ready.headers["retry-after"] == "1"
    problem(scored, 503, "not-ready")


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "line 1, column 1"),
        (b"{", "not JSON"),
        (b'{"id": "a",}', "not JSON"),
        (b"{'id': 'a'}", "not JSON"),
        (b'{"id": "a"} {}', "Extra data"),
        ("{\"title\": \"인형\"}".encode("cp949"), "not UTF-8"),
        ('{"id": "a"}'.encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"price": NaN}', "NaN"),
        (b'{"price": -Infinity}', "-Infinity"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"attributes": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/score", "/v1/score-many"])
def test_what_is_not_json_is_400(client, path, body, said):
    assert said in problem(client.post(path, content=body, headers=JSON), 400, "malformed-json")["detail"]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (b'{"id": "a", "title": "a", "id": "b"}', "(listing)"),
        (b'{"id": "a", "title": "a", "seller": {"id": "a", "id": "b"}}', "seller"),
        (b'{"id": "a", "title": "a", "attributes": {"k": "1", "k": "2"}}', "attributes"),
        (b'{"id": "a", "title": "a", "price": 1e999}', "price"),
        (b'{"id": "a", "title": "a", "rating": -1e999}', "rating"),
        (b'{"id": "a", "title": "a", "units_sold": 1e400}', "units_sold"),
        (b'{"id": "a", "title": "a", "units_sold": 1234567890123456789}', "units_sold"),
        (b'{"id": "a", "title": "a", "revision": ' + b"9" * 100_000 + b"}", "revision"),
        (b'{"id": "a", "title": "a", "price": -' + b"9" * 5000 + b"}", "price"),
    ],
)
def test_what_json_allows_and_no_listing_may_hold_fails_that_listing_only(client, entry, field):
    alone = problem(client.post("/v1/score", content=entry, headers=JSON), 422, "wrong-fields")
    assert field in {e["field"] for e in alone["errors"]}
    body = b'{"listings": [{"id": "b", "title": "b"}, ' + entry + b"]}"
    results = client.post("/v1/score-many", content=body, headers=JSON).json()["results"]
    assert "decision" in results[0] and results[1]["problem"]["status"] == 422


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"3", b"true"])
def test_json_that_is_no_object_is_422(client, body):
    problem(client.post("/v1/score", content=body, headers=JSON), 422, "wrong-fields")


def test_every_wrong_field_is_named_without_its_value(client):
    body = {
        "title": "", "price": -5, "currency": "won", "units_sold": "many", "market": "Korea", "rating": 9,
        "seller": {"history": {"strikes": -1}, SECRET: 1}, "variants": [{}, {"price": "x"}], "colour": SECRET,
        "previous": {"decision_id": "d", "fields": {"title": SECRET}},
    }  # fmt: skip
    response = client.post("/v1/score", json=body)
    document = problem(response, 422, "wrong-fields")
    assert {e["field"] for e in document["errors"]} >= {
        "id", "title", "price", "currency", "units_sold", "market", "rating", "seller.history.strikes",
        f"seller.{SECRET}", "variants.1.price", "colour", "previous.revision", "previous.action",
        "previous.fields.title",
    }  # fmt: skip
    assert "many" not in response.text
    assert document["detail"] == f"{len(document['errors'])} fields are wrong."


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        ({"id": "\ud800", "title": "\udfff", "x" * 5000: 1, "attributes": {"\ud800": "a"}}, {"id", "title"}),
        ({"id": "a", "title": "a", "\ud83d": 1}, {"(listing)"}),
    ],
)
def test_half_characters_and_endless_names_do_not_break_the_answer(client, entry, fields):
    document = problem(client.post("/v1/score", content=json.dumps(entry), headers=JSON), 422, "wrong-fields")
    assert {e["field"] for e in document["errors"]} >= fields
    assert all(len(e["field"]) <= 200 for e in document["errors"])


def test_more_errors_than_a_person_reads_are_counted(client):
    document = problem(client.post("/v1/score", json={f"x{i}": 1 for i in range(1500)}), 422, "wrong-fields")
    assert len(document["errors"]) == 1000 and document["errors_left_out"] == 502


def body_of(size):
    return orjson.dumps(listing(description="가" * size))


def test_too_large_is_413_by_its_declared_length(client_of):
    client = client_of(limits=Limits(body=1000, body_many=2000))
    document = problem(client.post("/v1/score", content=b" " * 1001, headers=JSON), 413, "too-large")
    assert "1000 bytes" in document["detail"]
    problem(client.post("/v1/score-many", content=b" " * 2001, headers=JSON), 413, "too-large")
    # A length that is a lie upwards, or no number Python would like to read.
    for length in ("30000000", "9" * 5000):
        problem(
            client.post("/v1/score", content=b"{}", headers=JSON | {"content-length": length}),
            413,
            "too-large",
        )


def test_an_undeclared_flood_is_stopped_at_the_limit(client):
    sent = 0

    async def flood():
        nonlocal sent
        for _ in range(30_000):
            sent += 1000
            yield b" " * 1000

    response = client.post("/v1/score", content=flood(), headers=JSON)
    problem(response, 413, "too-large")
    assert response.headers["connection"] == "close"
    assert sent <= 1_010_000, "30 MB must not be read to say no"


def test_a_body_that_drips_is_408(client_of):
    async def drip():
        for _ in range(50):
            yield b" "
            await asyncio.sleep(0.05)

    client = client_of(limits=Limits(body_seconds=0.2))
    problem(client.post("/v1/score", content=drip(), headers=JSON), 408, "body-timeout")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/vnd.bentoml+pickle"},
        {"content-type": "application/json; charset=euc-kr"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_another_type_is_415(client, headers):
    problem(
        client.post("/v1/score", content=orjson.dumps(listing()), headers=headers), 415, "wrong-content-type"
    )


@pytest.mark.parametrize(
    "declared", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_json_however_it_is_written(client, declared):
    headers = {"content-type": declared}
    assert client.post("/v1/score", content=orjson.dumps(listing()), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/score/", "/v1/scores", "/docs.json", "/schema.json", "/../etc/passwd"]
)
def test_an_unknown_path_is_404(client, path):
    problem(client.get(path), 404, "not-found")


def test_a_wrong_method_is_405_and_says_which_one(client):
    response = client.get("/v1/score")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"
    problem(client.request("DELETE", "/v1/model"), 405, "method-not-allowed")


def test_overload_is_429_and_says_when_to_come_back(client_of):
    client = client_of(limits=Limits(waiting=2, waiting_many=1), sink=Sink(seconds=0.2))
    answers = client.together("/v1/score", [listing()] * 5)
    assert sorted(a.status_code for a in answers) == [200, 200, 429, 429, 429]
    refused = next(a for a in answers if a.status_code == 429)
    problem(refused, 429, "overloaded")
    assert refused.headers["retry-after"] == "1"
    many = client.together("/v1/score-many", [{"listings": [listing()]}] * 3)
    assert sorted(a.status_code for a in many) == [200, 429, 429]
    assert client.post("/v1/score", json=listing()).status_code == 200, "the places are given back"


# ---- recording -----------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self, fails=False, seconds=0.0):
        self.fails, self.seconds, self.recorded = fails, seconds, []

    def prepare(self, decision, listing, **_):
        return decision, listing

    def submit(self, units):
        futures = [Future() for _ in units]
        for future, unit in zip(futures, units, strict=True):
            threading.Timer(self.seconds, self.write, (future, unit)).start()
        return futures

    def write(self, future, unit):
        if self.fails:
            future.set_exception(RuntimeError(f"no disk for {unit[0][1].title}"))
            return
        self.recorded += unit
        future.set_result([Recorded(1, decision.decision_id) for decision, _ in unit])


def test_what_is_answered_was_recorded(client_of):
    sink = Sink()
    client = client_of(sink=sink)
    one = client.post("/v1/score", json=listing()).json()
    many = client.post(
        "/v1/score-many", json={"listings": [listing(id="b"), {"id": "bad"}, listing(id="c")]}
    ).json()
    given = [one["decision_id"], *(r["decision"]["decision_id"] for r in many["results"] if "decision" in r)]
    assert [d.decision_id for d, _ in sink.recorded] == given
    assert [stored.id for _, stored in sink.recorded] == ["a-1", "b", "c"]


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/score", listing()), ("/v1/score-many", {"listings": [listing()]})]
)
def test_what_was_not_recorded_is_not_answered(client_of, path, body):
    response = client_of(sink=Sink(fails=True)).post(path, json=body)
    problem(response, 503, "not-recorded")
    assert response.headers["retry-after"] == "2"
    assert "allow" not in response.text


# ---- what leaks ----------------------------------------------------------------------------------------------------


def test_a_failure_is_500_without_text_in_answer_or_log(client_of, capsys):
    logger = logging.getLogger("serving")
    handlers, logger.handlers = logger.handlers, []
    try:
        client = client_of(log="json")
        response = client.post("/v1/score", json=listing(title=SECRET, attributes={"explode": "1"}))
        document = problem(response, 500, "internal")
        client.post("/v1/score", json={SECRET: SECRET, "id": SECRET})
        client.post("/v1/score", content=f'{{"{SECRET}": 1, "{SECRET}": 2}}', headers=JSON)
        client.post("/v1/score-many", json={"listings": [listing(title=SECRET, attributes={"explode": "1"})]})
        client.post(f"/{SECRET}?q={SECRET}", json={})
        client_of(log="json", sink=Sink(fails=True)).post("/v1/score", json=listing(title=SECRET))
    finally:
        logger.handlers = handlers
    logged = capsys.readouterr()
    assert SECRET not in response.text and SECRET not in logged.err + logged.out
    lines = [json.loads(line) for line in logged.err.splitlines()]
    failed = next(line for line in lines if line["event"] == "failed")
    assert "urn:uuid:" + failed["request_id"] == document["instance"]
    assert failed["error"][0] == "ValueError" and any("stub_bundle.py" in frame for frame in failed["error"])
    request = next(line for line in lines if line["event"] == "request")
    assert request["route"] == "/v1/score" and request["status"] == 500 and request["problem"] == "internal"
    assert {line["route"] for line in lines if line["event"] == "request"} >= {
        "(unmatched)",
        "/v1/score-many",
    }


def test_counters_are_labelled_by_template_and_stay_few(client):
    for i in range(20):
        client.get(f"/nothing/{i}")
        client.request(f"ODD{i}", "/v1/score")
    client.post("/v1/score", json=listing())
    client.post("/v1/score", content=b"{", headers=JSON)
    text = client.get("/metrics").text
    assert 'listing_risk_requests_total{method="POST",route="/v1/score",status="200"} 1.0' in text
    assert 'listing_risk_requests_total{method="GET",route="(unmatched)",status="404"} 20.0' in text
    assert 'listing_risk_requests_total{method="other",route="/v1/score",status="405"} 20.0' in text
    assert 'listing_risk_decisions_total{action="allow",state="live"} 1.0' in text
    assert 'listing_risk_problems_total{kind="malformed-json"} 1.0' in text
    assert "nothing" not in text and "ODD" not in text


# ---- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_bring_nothing_from_outside(client, path):
    response = client.get(path)
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text.lower()
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert "src=" not in page and "@import" not in page


def test_the_first_page_says_what_runs_in_three_languages(client):
    page = client.get("/").text
    assert (
        "stub-1+00000000" in page
        and "위장형 카메라" in page
        and "禁止销售" in page
        and 'href="/docs"' in page
    )


def test_the_reference_explains_every_problem_and_path(client):
    page, document = client.get("/docs").text, client.get("/v1/openapi.json").json()
    from serving.http.problems import KINDS

    assert all(f'id="problem-{kind.slug}"' in page for kind in KINDS)
    assert all(path in page for path in document["paths"])


def test_what_a_seller_writes_is_escaped_on_pages():
    from serving.http.pages import landing

    model = {
        "model_version": "<script>x</script>",
        "policy_version": "",
        "hazards": [],
        "rules": [],
        "uncovered": [],
    }
    assert "<script>" not in landing(model)


@pytest.mark.parametrize("name", ["id", "marketplace"])
def test_names_without_control_characters(client, name):
    response = client.post("/v1/score", json=listing(**{name: "a\x00b\n"}))
    assert problem(response, 422, "wrong-fields")["errors"][0]["field"] == name
