"""The OpenAPI 3.1 document of the service, written here because it has to be true."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from features.schema import Listing
from serving.bans.book import BanRequest, JudgementRequest
from serving.http import openapi_rooms
from serving.http.answers import (
    BanAnswer,
    BansAnswer,
    DecisionAnswer,
    LiftedAnswer,
    ManyAnswer,
    ModelAnswer,
    PlacedAnswer,
    ProblemAnswer,
    ReadyAnswer,
    ScoreAnswer,
    StatusAnswer,
)
from serving.http.openapi_access import SCHEMES, guarded
from serving.http.openapi_labs import labs_paths
from serving.http.problems import (
    CONFLICT,
    CONTENT_TYPE,
    FORBIDDEN,
    INTERNAL,
    MALFORMED_JSON,
    NOT_FOUND,
    NOT_READY,
    NOT_RECORDED,
    OVERLOADED,
    TIMED_OUT,
    TOO_LARGE,
    WRONG_FIELDS,
    WRONG_TYPE,
    Kind,
)
from serving.http.requests import PreviousPart
from serving.settings import Limits

API_VERSION = "1"
_REF = "#/components/schemas/{model}"
_BODY_PROBLEMS = (
    MALFORMED_JSON,
    TIMED_OUT,
    CONFLICT,
    TOO_LARGE,
    WRONG_TYPE,
    WRONG_FIELDS,
    OVERLOADED,
    INTERNAL,
    NOT_RECORDED,
    NOT_READY,
)

EXAMPLE_LISTING: dict[str, Any] = {
    "id": "demo-1",
    "title": "말랑말랑 동물 목욕 장난감 6종 세트",
    "description": "부드러운 소재라 아기가 물고 빨아도 됩니다. 생후 12개월부터.",
    "category": ["완구", "목욕놀이"],
    "price": 7900,
    "currency": "KRW",
    "market": "KR",
    "units_sold": 1200,
}
"""Written for this project."""


_IDEMPOTENCY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A key of the client's own, new for each request. A repeated request with the same key gets the "
    "earlier decision; the same key with another listing is refused. Needs a store.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _schemas() -> dict[str, Any]:
    bodies: tuple[type[BaseModel], ...] = (Listing, PreviousPart, BanRequest, JudgementRequest)
    bodies += openapi_rooms.bodies()
    _, parts = models_json_schema([(body, "validation") for body in bodies], ref_template=_REF)
    schemas: dict[str, Any] = dict(parts["$defs"])
    for name, answer in (
        ("ScoreAnswer", ScoreAnswer),
        ("ManyAnswer", ManyAnswer),
        ("ModelAnswer", ModelAnswer),
        ("ProblemAnswer", ProblemAnswer),
        ("StatusAnswer", StatusAnswer),
        ("BanAnswer", BanAnswer),
        ("BansAnswer", BansAnswer),
        ("PlacedAnswer", PlacedAnswer),
        ("LiftedAnswer", LiftedAnswer),
        ("DecisionAnswer", DecisionAnswer),
        ("ReadyAnswer", ReadyAnswer),
    ):
        schema = TypeAdapter(answer).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    listing = dict(schemas["Listing"])
    listing["properties"] = {**listing["properties"], "previous": _previous()}
    schemas["ScoreRequest"] = listing | {"title": "ScoreRequest"}
    schemas["Listing"] = schemas["Listing"]
    return schemas


def _previous() -> dict[str, Any]:
    return {
        "anyOf": [_ref("PreviousPart"), {"type": "null"}],
        "default": None,
        "description": "The answer to an earlier revision, to be told which fields changed since.",
    }


def _problems(kinds: tuple[Kind, ...]) -> dict[str, Any]:
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": "; ".join(kind.title for kind in same),
            "content": {CONTENT_TYPE: {"schema": _ref("ProblemAnswer")}},
        }
        for status, same in sorted(by_status.items())
    }


def _answer(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(name)}}}


def _get(
    summary: str, operation: str, answer: dict[str, Any], kinds: tuple[Kind, ...] = ()
) -> dict[str, Any]:
    responses = {"200": answer, **_problems((*kinds, INTERNAL))}
    return {"get": {"summary": summary, "operationId": operation, "responses": responses}}


def _post(
    summary: str, operation: str, description: str, body: dict[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    explain = {
        "name": "explain",
        "in": "query",
        "description": "When to give reasons and past results: for every action but allow, always, or never.",
        "schema": {"type": "string", "enum": ["acted", "always", "never"], "default": "acted"},
    }
    return {
        "post": {
            "summary": summary,
            "operationId": operation,
            "description": description,
            "parameters": [explain, _IDEMPOTENCY],
            "requestBody": {"required": True, "content": {"application/json": body}},
            "responses": {"200": answer, **_problems(_BODY_PROBLEMS)},
        }
    }


def _decision() -> dict[str, Any]:
    """Return the path of a recorded decision."""
    kinds = (FORBIDDEN, NOT_FOUND, NOT_RECORDED, NOT_READY)
    found = _get("A recorded decision", "decision", _answer("DecisionAnswer", "The decision"), kinds)
    found["get"]["parameters"] = [
        {"name": "decision_id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    return found


def _bans() -> dict[str, Any]:
    """Return the paths of bans, open to callers on the same machine only."""
    one = {"name": "ban_id", "in": "path", "required": True, "schema": {"type": "string"}}
    item = {"listing": EXAMPLE_LISTING, "reason": "phthalates 4.2 %", "notice": {"number": "2026-114"}}
    here = (FORBIDDEN, NOT_READY)
    body = (*here, MALFORMED_JSON, TIMED_OUT, TOO_LARGE, WRONG_TYPE, WRONG_FIELDS, NOT_RECORDED, INTERNAL)
    post = {
        "summary": "Ban an item and decide about everything on sale that matches it",
        "operationId": "placeBan",
        "requestBody": _json_body("BanRequest", item),
        "responses": {"201": _answer("PlacedAnswer", "The ban and what it found"), **_problems(body)},
    }
    wanted = [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            "description": f"Only bans of this {name}.",
        }
        for name in ("state", "bank")
    ]
    bans = _get("Bans", "bans", _answer("BansAnswer", "Bans"), here)
    bans["get"] |= {"parameters": wanted}
    ban = _get("A ban", "ban", _answer("BanAnswer", "The ban"), (*here, NOT_FOUND))
    lift = {
        "summary": "Lift a ban and decide anew about what it held",
        "operationId": "liftBan",
        "responses": {
            "200": _answer("LiftedAnswer", "What changed"),
            **_problems((*here, NOT_FOUND, NOT_RECORDED, INTERNAL)),
        },
    }
    judge = {
        "summary": "Say whether a match was right; a wrong one makes the listing a confirmed look-alike",
        "operationId": "judgeMatch",
        "requestBody": _json_body("JudgementRequest", {"listing": EXAMPLE_LISTING, "upheld": False}),
        "responses": {"200": _answer("BanAnswer", "The ban"), **_problems((*body, NOT_FOUND))},
    }
    photo = {
        "summary": "A photo of a banned item",
        "operationId": "banPhoto",
        "parameters": [
            one,
            {"name": "position", "in": "path", "required": True, "schema": {"type": "integer"}},
        ],
        "responses": {
            "200": {
                "description": "The photo",
                "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
            },
            **_problems((*here, NOT_FOUND, NOT_RECORDED, INTERNAL)),
        },
    }
    for operation in (ban["get"], lift, judge):
        operation["parameters"] = [one]
    return {
        "/v1/bans": {**bans, "post": post},
        "/v1/bans/{ban_id}": {**ban, "delete": lift},
        "/v1/bans/{ban_id}/photos/{position}": {"get": photo},
        "/v1/bans/{ban_id}/judgements": {"post": judge},
    }


def _json_body(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": _ref(name), "example": example}},
    }


@cache
def openapi_document(limits: Limits) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document.

    Parameters
    ----------
    limits
        They are part of what a client has to know.
    """
    text = {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "Prometheus text format",
    }
    html = {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "A page"}
    document = {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "OpenAPI 3.1"}
    status, ready = _answer("StatusAnswer", "It is"), _answer("ReadyAnswer", "They can")
    many = {
        "type": "object",
        "additionalProperties": False,
        "required": ["listings"],
        "properties": {
            "listings": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.listings,
                "items": _ref("ScoreRequest"),
            }
        },
    }
    paths = {
        "/v1/score": _post(
            "Decide about one listing",
            "score",
            f"Body of at most {limits.body} bytes.",
            {"schema": _ref("ScoreRequest"), "example": EXAMPLE_LISTING},
            _answer("ScoreAnswer", "The decision"),
        ),
        "/v1/score-many": _post(
            "Decide about several listings",
            "scoreMany",
            f"Body of at most {limits.body_many} bytes, at most {limits.listings} listings. Each listing "
            "gets its own decision or problem; a wrong one never fails the others.",
            {"schema": many, "example": {"listings": [EXAMPLE_LISTING]}},
            _answer("ManyAnswer", "One result per listing, in order"),
        ),
        "/v1/model": _get(
            "What is loaded", "model", _answer("ModelAnswer", "Versions, hazards, rules"), (NOT_READY,)
        ),
        "/v1/openapi.json": _get("This document", "openapi", document),
        "/docs": _get("The reference page", "docs", html),
        "/": _get("The first page", "landing", html, (NOT_READY,)),
        "/healthz": _get("Whether the process runs", "healthz", status),
        "/livez": _get("Whether the process runs", "livez", status),
        "/readyz": _get("Whether listings can be scored", "readyz", ready, (NOT_READY,)),
        "/metrics": _get("Counters", "metrics", text),
        "/v1/decisions/{decision_id}": _decision(),
        **_bans(),
        **openapi_rooms.paths(lambda: _problems((FORBIDDEN, NOT_FOUND, *_BODY_PROBLEMS))),
        **labs_paths(_problems, EXAMPLE_LISTING),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "listing-risk",
            "version": API_VERSION,
            "description": "Scores marketplace listings for product-safety hazards.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": guarded(paths, _problems),
        "components": {"schemas": _schemas(), "securitySchemes": dict(SCHEMES)},
    }
