"""What the reference says of notices, complaints, sellers, appeals, evidence and events."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from serving.events import api as events_api
from serving.notices import api as notices_api
from serving.sellers import api as sellers_api


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it does, its body, what it takes in the address, its status and media types."""

    path: str
    method: str
    name: str
    summary: str
    body: str = ""
    query: tuple[tuple[str, str] | tuple[str, str, tuple[str, ...]], ...] = ()
    status: int = 200
    media: tuple[str, ...] = ("application/json",)


_NOTICE, _DECISION, _ENDPOINT = (
    "/v1/notices/{notice_id}",
    "/v1/decisions/{decision_id}",
    "/v1/endpoints/{endpoint_id}",
)
_FORMS = (
    ("form", "the document itself, a page, or PDF", ("json", "html", "pdf")),
    ("language", "of a page or PDF", ("ko", "en")),
)
_DRAWN = ("application/json", "text/html", "application/pdf")
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "/v1/notices",
        "get",
        "notices",
        "Notices of authorities, the open ones first",
        query=(("state", "open, closed or withdrawn"), ("late", "1: only those with late tasks")),
    ),
    Operation(
        "/v1/notices",
        "post",
        "takeNotice",
        "Take an order or alert in, ban its products and look for them on sale",
        "NoticeRequest",
        status=201,
    ),
    Operation(_NOTICE, "get", "notice", "A notice with its tasks and the listings found"),
    Operation(f"{_NOTICE}/tasks", "post", "endTasks", "Mark tasks done, waived or open", "TasksRequest"),
    Operation(f"{_NOTICE}/hits", "post", "judgeHit", "Say whether a listing is the product", "HitRequest"),
    Operation(f"{_NOTICE}/refunds", "post", "countRefunds", "Say how far refunds are", "RefundRequest"),
    Operation(f"{_NOTICE}/search", "post", "searchNotice", "Look for the products on sale once more"),
    Operation(f"{_NOTICE}/withdrawal", "post", "withdrawNotice", "Take a notice back", "WithdrawalRequest"),
    Operation(
        f"{_NOTICE}/evidence", "get", "noticeEvidence", "Evidence of a notice", query=_FORMS, media=_DRAWN
    ),
    Operation(
        "/v1/acknowledgements",
        "post",
        "acknowledge",
        "The marketplace's word that a listing is off sale",
        "AcknowledgementRequest",
        status=201,
    ),
    Operation("/v1/refunds", "get", "refunds", "Refunds that are due and not done"),
    Operation("/v1/unacknowledged", "get", "unacknowledged", "Blocks without the marketplace's word in time"),
    Operation(
        "/v1/complaints",
        "post",
        "complaints",
        "Take consumers' complaints in",
        "ComplaintsRequest",
        status=201,
    ),
    Operation("/v1/sellers", "get", "sellers", "Sellers with strikes, the most points first"),
    Operation(
        "/v1/sellers/{seller_id}",
        "get",
        "seller",
        "A seller: points, measure, strikes, appeals",
        query=(("marketplace", "where"),),
    ),
    Operation(
        f"{_DECISION}/statement",
        "get",
        "statement",
        "The statement of reasons for the seller",
        query=(("language", "of the statement", ("ko", "en", "zh")),),
    ),
    Operation(f"{_DECISION}/appeals", "post", "appeal", "Appeal a decision", "AppealRequest", status=201),
    Operation(
        f"{_DECISION}/evidence",
        "get",
        "decisionEvidence",
        "Evidence of a decision",
        query=_FORMS,
        media=_DRAWN,
    ),
    Operation("/v1/appeals", "get", "appeals", "Appeals", query=(("state", "open, upheld or overturned"),)),
    Operation("/v1/appeals/{appeal_id}", "get", "oneAppeal", "An appeal with what the seller wrote"),
    Operation(
        "/v1/appeals/{appeal_id}/judgement",
        "post",
        "judgeAppeal",
        "Let the decision stand or take it back",
        "AppealJudgement",
    ),
    Operation(
        "/v1/evidence",
        "get",
        "export",
        "Decisions of a period as CSV, safe to open in a spreadsheet",
        query=(("since", "a day or time"), ("until", "a day or time, not included")),
        media=("text/csv",),
    ),
    Operation("/v1/endpoints", "get", "endpoints", "Addresses that events go to"),
    Operation(
        "/v1/endpoints",
        "post",
        "registerEndpoint",
        "Register an address; the answer holds its secret, once",
        "EndpointRequest",
        status=201,
    ),
    Operation(
        _ENDPOINT, "delete", "removeEndpoint", "Remove an address and its secrets", status=204, media=()
    ),
    Operation(f"{_ENDPOINT}/state", "post", "switchEndpoint", "Switch sending off or on", "EndpointState"),
    Operation(f"{_ENDPOINT}/rotation", "post", "rotateSecret", "Give a new secret"),
    Operation(f"{_ENDPOINT}/replay", "post", "replayEvents", "Send events once more", "ReplayRequest"),
    Operation(
        "/v1/deliveries",
        "get",
        "deliveries",
        "What became of deliveries, the newest first",
        query=(
            ("status", "how far they are", ("waiting", "delivered", "dead")),
            ("endpoint", "of one endpoint"),
            ("subject", "about one listing or notice"),
        ),
    ),
)


def bodies() -> tuple[type[BaseModel], ...]:
    """Return every body that these routes take."""
    return (*notices_api.bodies(), *sellers_api.bodies(), *events_api.bodies())


def paths(problems: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the paths of the reference.

    Parameters
    ----------
    problems
        Gives the answers to what can go wrong.
    """
    found: dict[str, Any] = {}
    for one in OPERATIONS:
        found.setdefault(one.path, {})[one.method] = _operation(one, problems())
    return found


def _words(known: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "string", "enum": list(known)} if known else {"type": "string"}


def _operation(one: Operation, problems: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", one.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": _words(*known), "description": text}
        for name, text, *known in one.query
    ]
    content = {
        media: {"schema": {"type": "object" if media == "application/json" else "string"}}
        for media in one.media
    }
    answer: dict[str, Any] = {"description": one.summary}
    made: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.name,
        "responses": {str(one.status): answer | ({"content": content} if content else {}), **problems},
    }
    if parameters:
        made["parameters"] = parameters
    if one.body:
        schema = {"$ref": f"#/components/schemas/{one.body}"}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made
