from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from features.schema import Listing, parse_listing
from serving.http.openapi import EXAMPLE_LISTING, openapi_document
from serving.http.problems import KINDS
from serving.settings import Limits


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(Limits())


def parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from parts(child)
    elif isinstance(node, list):
        for child in node:
            yield from parts(child)


def test_every_reference_leads_somewhere(document):
    found = {part["$ref"] for part in parts(document) if isinstance(part.get("$ref"), str)}
    assert found and all(
        reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
        for reference in found
    )


def test_it_says_every_field_of_a_listing(document):
    fields = document["components"]["schemas"]["ScoreRequest"]["properties"]
    assert set(fields) == {*Listing.model_fields, "previous"}
    assert document["components"]["schemas"]["ScoreRequest"]["additionalProperties"] is False


def test_its_example_is_a_listing():
    assert parse_listing(EXAMPLE_LISTING).id == "demo-1"


def test_every_route_is_in_it_and_nothing_else(document, client):
    routes = {
        re.sub(r":\w+}", "}", route.path): {m.lower() for m in route.methods - {"HEAD"}}
        for route in client.app.routes
        if not route.path.startswith("/console")  # pages for people
    }
    assert {path: set(methods) for path, methods in document["paths"].items()} == routes


def test_every_problem_a_body_can_meet_is_documented(document):
    for path in ("/v1/score", "/v1/score-many"):
        responses = document["paths"][path]["post"]["responses"]
        met = {str(kind.status) for kind in KINDS if kind.status != 405}
        assert set(responses) == met | {"200"}


def test_any_operation_may_meet_an_address_that_names_nothing(document, client):
    """The gate refuses a null character before it looks at anything else."""
    for path in ("/livez", "/v1/score"):
        assert client.get(f"{path}?a=%00").status_code == 404
    assert all(
        "404" in one["responses"] for methods in document["paths"].values() for one in methods.values()
    )


def test_limits_are_told(document):
    many = openapi_document(Limits(listings=7))["paths"]["/v1/score-many"]["post"]
    schema = many["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["listings"]["maxItems"] == 7


def test_it_says_what_each_operation_asks_of_its_caller(document):
    """Taken from the table that is enforced: public ones ask nothing, the others a key and its permission."""
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    operations = {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    public = {path for (path, _), operation in operations.items() if operation["security"] == []}
    assert public == {"/", "/docs", "/v1/openapi.json", "/healthz", "/livez", "/readyz"}
    guarded = [operation for (path, _), operation in operations.items() if path not in public]
    assert all(operation["security"] == [{"key": []}] for operation in guarded)
    assert all({"401", "403", "429", "503"} <= set(operation["responses"]) for operation in guarded)
    assert operations["/v1/bans", "post"]["x-permission"] == "bans.write"
