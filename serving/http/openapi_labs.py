"""The laboratory loop's part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from serving.http.problems import (
    FORBIDDEN,
    INTERNAL,
    MALFORMED_JSON,
    NOT_FOUND,
    NOT_READY,
    NOT_RECORDED,
    OUT_OF_STEP,
    TIMED_OUT,
    TOO_LARGE,
    WRONG_FIELDS,
    WRONG_TYPE,
    Kind,
)

_READS = (FORBIDDEN, NOT_FOUND, OUT_OF_STEP, NOT_READY, NOT_RECORDED, INTERNAL)
_WRITES = (*_READS, MALFORMED_JSON, TIMED_OUT, TOO_LARGE, WRONG_TYPE, WRONG_FIELDS)
_TEXT = {"type": "string"}
Problems = Callable[[tuple[Kind, ...]], dict[str, Any]]


def _object(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "description": description}
    return schema | ({"properties": properties} if properties else {})


def _listed(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _operation(
    summary: str,
    name: str,
    answer: dict[str, Any],
    problems: Problems,
    *,
    inside: tuple[str, ...] = (),
    body: tuple[dict[str, Any], dict[str, Any]] | None = None,
    status: str = "200",
    also: dict[str, Any] | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": summary, "operationId": name}
    if inside:
        found["parameters"] = [
            {"name": part, "in": "path", "required": True, "schema": _TEXT} for part in inside
        ]
    if body is not None:
        schema, example = body
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    content = {"application/json": {"schema": answer}}
    found["responses"] = {
        status: {"description": answer.get("description", summary), "content": content},
        **(also or {}),
        **problems(_READS if body is None else _WRITES),
    }
    return found


def _closed(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def labs_paths(problems: Problems, listing: dict[str, Any]) -> dict[str, Any]:
    """Return the paths of plans, results and cases.

    Parameters
    ----------
    problems
        Makes the responses of problem kinds.
    listing
        An example listing.
    """
    plan = _object(
        "A plan: budget, order, every item with laboratory, tests, propensity, stratum and reason",
        plan_id=_TEXT, period=_TEXT, made=_TEXT, gap={"type": "number"}, clusters={"type": "integer"},
        items=_listed(
            sample_id=_TEXT, listing_id=_TEXT, laboratory=_TEXT, role=_TEXT, stratum=_TEXT, reason=_TEXT,
            propensity={"type": "number"}, harm={"type": "number"}, p={"type": "number"}, cost={"type": "integer"},
        ),
    )  # fmt: skip
    wanted = _closed(
        ["listings", "period"],
        listings={"type": "array", "minItems": 1, "maxItems": 20000, "items": {"type": "object"}},
        period=_TEXT | {"pattern": r"^[\w.-]{1,40}$"},
        config={
            "type": ["object", "null"],
            "description": "As plan.yaml; the package's made-up example where absent",
        },
        seed={"type": ["integer", "null"], "minimum": 0},
        record={"type": "boolean", "default": True},
    )
    taken = _object(
        "The file is taken: counts, failed samples, notes, and what was done about fails",
        taken={"type": "boolean"}, file_id=_TEXT, results={"type": "integer"}, counts={"type": "object"},
        failed_samples={"type": "array", "items": _TEXT}, notes=_listed(line={"type": "integer"}, message=_TEXT),
    )  # fmt: skip
    sent = _closed(
        ["laboratory"],
        laboratory=_TEXT,
        file_name=_TEXT,
        content=_TEXT | {"description": "The file (XLSX, CSV, JSON) in base64"},
        results={"type": "array", "items": {"type": "object"}, "description": "Rows, instead of a file"},
    )
    row = {
        "sample_id": "2026-12-KTR-0001",
        "analyte": "납",
        "value": "<5",
        "unit": "mg/kg",
        "verdict": "적합",
    }
    case = _object(
        "A case: what was found, what is blocked, refunds as counts, what is still open",
        case_id=_TEXT, state=_TEXT, open_steps={"type": "array", "items": _TEXT}, refunds={"type": "object"},
    )  # fmt: skip
    cases = _object("Cases", cases={"type": "array", "items": case})
    file = {
        "summary": "A file of a plan: an order sheet (XLSX, CSV) or the frame (Parquet)",
        "operationId": "planFile",
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": _TEXT} for part in ("plan_id", "name")
        ],
        "responses": {
            "200": {
                "description": "The file",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            **problems(_READS),
        },
    }
    shown = {
        "200": {"description": "The plan, not recorded", "content": {"application/json": {"schema": plan}}}
    }
    return {
        "/v1/plans": {
            "get": _operation("Plans", "plans", _object("Plans", plans=_listed(plan_id=_TEXT)), problems),
            "post": _operation(
                "Plan what the laboratories test next", "makePlan", plan, problems,
                body=(wanted, {"listings": [listing], "period": "2026-12"}), status="201", also=shown,
            ),
        },
        "/v1/plans/{plan_id}": {"get": _operation("A plan", "plan", plan, problems, inside=("plan_id",))},
        "/v1/plans/{plan_id}/files/{name}": {"get": file},
        "/v1/plans/{plan_id}/estimates": {
            "get": _operation(
                "Failure rates of the whole catalogue, with intervals", "estimates",
                _object("Rates per category, platform and hazard", rates=_listed(by=_TEXT, name=_TEXT, hazard=_TEXT)),
                problems, inside=("plan_id",),
            )
        },
        "/v1/lab-results": {
            "get": _operation(
                "Results files taken in", "labFiles", _object("Files", files=_listed(file_id=_TEXT)), problems
            ),
            "post": _operation(
                "Take a results file in, whole or not at all", "takeResults", taken, problems,
                body=(sent, {"laboratory": "KTR", "results": [row]}), status="201",
            ),
        },
        "/v1/lab-orders": {
            "post": _operation(
                "Take an orders file in, as counts and sums alone", "takeOrders",
                _object("Counts by listing", listings=_listed(listing_id=_TEXT)), problems,
                body=(_closed(["content"], file_name=_TEXT, content=_TEXT), {"content": "bGlzdGluZ19pZCxhbW91bnQK"}),
                status="201",
            )
        },
        "/v1/lab-cases": {
            "get": _operation("Cases, open ones first", "labCases", cases, problems),
        },
        "/v1/lab-cases/{case_id}/steps": {
            "post": _operation(
                "Confirm a step of a case", "confirmStep", case, problems, inside=("case_id",),
                body=(_closed(["step"], step=_TEXT, note=_TEXT), {"step": "consumer_notice"}),
            )
        },
    }  # fmt: skip
