"""JSON that the grammar allows and no field may hold, in every operation with a body; and bare numbers as times."""

from __future__ import annotations

import pytest

JSON = {"Content-Type": "application/json"}
ODD = {
    "a repeated key": b'{"a": 1, "a": 2}',
    "an endless number": b'{"a": ' + b"9" * 5_000 + b"}",
    "a number without end": b'{"a": 1e999}',
    "half a character": b'{"a": "\\ud800"}',
    "half a character in a name": b'{"\\udfff": 1}',
}


def taking_a_body(document: dict) -> list[str]:
    return [path for path, methods in document["paths"].items() if "requestBody" in methods.get("post", {})]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_no_field_can_hold_is_a_problem_everywhere(service, odd):
    """As the body, in place of every field, and deep inside those that take anything."""
    document = service.call("GET", "/v1/openapi.json").json()
    paths = taking_a_body(document)
    assert len(paths) > 15
    inside = {
        "/v1/score": [b'{"id": "a", "title": "b", "attributes": %s}' % odd],
        "/v1/plans": [b'{"listings": [%s], "period": "2026-12"}' % odd],
        "/v1/bans": [b'{"listing": {"id": "a", "title": "b", "attributes": %s}}' % odd],
        "/v1/bans/{ban_id}/judgements": [b'{"listing": %s, "upheld": false}' % odd],
        "/v1/lab-results": [b'{"laboratory": "KTR", "results": [{"sample_id": %s}]}' % odd],
    }
    for path in paths:
        for body in (odd, *inside.get(path, ())):
            answer = service.call("POST", path.replace("{", "").replace("}", ""), content=body, headers=JSON)
            many = path == "/v1/score-many" and answer.status_code == 200
            assert many or 400 <= answer.status_code < 500, (path, body[:80], answer.text[:300])


NUL = "a\x00b"
WITH_NUL = [
    ("/v1/score", {"id": "nul", "title": NUL, "attributes": {NUL: NUL}, "seller": {"name": NUL}, "images": [NUL]}),
    ("/v1/bans", {"listing": {"id": "nul-2", "title": NUL}, "reason": NUL, "bank": "mine"}),
    ("/v1/notices", {"authority": NUL, "number": NUL, "reason": NUL, "products": [{"title": NUL, "brand": NUL}]}),
    ("/v1/complaints", {"complaints": [{"id": "c", "listing_id": "nul", "marketplace": NUL, "text": NUL}]}),
    ("/v1/acknowledgements", {"listing_id": "nul", "marketplace": NUL, "note": NUL, "decision_id": NUL}),
    ("/v1/decisions/MADE/appeals", {"text": NUL}),
    ("/v1/endpoints", {"url": "https://shop.example/hooks", "description": NUL}),
    ("/v1/lab-results", {"laboratory": NUL, "file_name": NUL, "results": [{"sample_id": NUL, "analyte": NUL}]}),
    ("/v1/lab-cases/1/steps", {"step": NUL, "note": NUL}),
]  # fmt: skip


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_null_character_does_not_break_postgresql(attacking, tmp_path, store_url):
    """PostgreSQL takes none in text; whatever becomes of it, nothing fails and the store goes on."""
    with attacking.attacked(tmp_path, store_url) as service:
        made = service.call("POST", "/v1/score", json={"id": "a", "title": "b"}).json()["decision_id"]
        for path, body in WITH_NUL:
            answer = service.call("POST", path.replace("MADE", made), json=body)
            assert answer.status_code < 500, (path, answer.text[:300])
        for path in (
            "/v1/notices",
            "/v1/appeals",
            "/v1/bans",
            "/v1/deliveries",
            "/v1/sellers",
            "/v1/refunds",
        ):
            assert service.call("GET", path).status_code == 200, path
        for query in ("?subject=%00", "?endpoint=a%00b"):
            assert service.call("GET", f"/v1/deliveries{query}").status_code == 404, query
        assert service.call("GET", "/v1/decisions/%00").status_code == 404
        assert service.call("GET", "/readyz").status_code == 200


@pytest.mark.parametrize("number", [0, 20261122, 1.5e9, "0", "1700000000"])
def test_a_bare_number_is_no_time(number):
    """Libraries read seconds since 1970 out of it: a day without dashes would be one in 1970."""
    from features.schema import ListingError, parse_listing
    from serving.notices.intake import NoticeError, notice_request

    with pytest.raises(ListingError, match="created_at"):
        parse_listing({"id": "a", "title": "b", "created_at": number})
    order = {"authority": "KATS", "products": [{"title": "doll"}], "deadline": number}
    with pytest.raises(NoticeError, match="deadline"):
        notice_request(order)


def test_a_day_without_dashes_is_that_day():
    from features.schema import parse_listing

    at = parse_listing({"id": "a", "title": "b", "created_at": "20261122"}).created_at
    assert at is not None and (at.year, at.month, at.day) == (2026, 11, 22)
