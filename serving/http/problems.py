"""Errors as RFC 9457 problem documents: what was wrong, what was expected, what to do, never the input's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from features.schema import FieldError

CONTENT_TYPE = "application/problem+json"
ERRORS_MAX = 1_000
NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; ``slug`` is the end of its ``type`` address, explained on ``/docs``."""

    slug: str
    status: int
    title: str
    title_ko: str
    title_zh: str
    meaning: str


MALFORMED_JSON = Kind(
    "malformed-json", 400, "The body is not JSON", "JSON 형식이 아닙니다", "请求体不是有效的 JSON",
    "The body could not be parsed, or holds a number JSON does not have. Repair and send again.",
)  # fmt: skip
SIGN_IN = Kind(
    "not-signed-in", 401, "The service does not know who asks", "인증이 필요합니다", "需要身份验证",
    "Send Authorization: Bearer KEY with a key from listing-risk access key, or sign in to the console.",
)  # fmt: skip
FORBIDDEN = Kind(
    "forbidden", 403, "This is not allowed to you", "허용되지 않은 요청입니다", "没有权限",
    "The role or the key's scope does not include it, or the request came from another page. See the detail.",
)  # fmt: skip
NOT_FOUND = Kind(
    "not-found", 404, "There is nothing here", "주소를 찾을 수 없습니다", "没有该地址",
    "The path is not one of the service's. The paths are listed on /docs.",
)  # fmt: skip
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed", 405, "This path takes another method", "허용되지 않는 메서드입니다", "不支持该请求方法",
    "The Allow header names the methods that the path takes.",
)  # fmt: skip
TIMED_OUT = Kind(
    "body-timeout", 408, "The body did not arrive in time", "본문 수신 시간이 초과되었습니다", "请求体接收超时",
    "The connection was too slow or broke off. Send again.",
)  # fmt: skip
CONFLICT = Kind(
    "idempotency-conflict", 409, "The idempotency key was used for something else",
    "멱등 키가 이미 다른 요청에 쓰였습니다", "幂等键已用于其他请求",
    "The same Idempotency-Key came with another listing. Use a new key for a new request.",
)  # fmt: skip
OUT_OF_STEP = Kind(
    "out-of-step", 409, "This does not fit what is recorded", "기록된 내용과 맞지 않습니다", "与已有记录不符",
    "The detail says what stands in the way, such as a period that has a plan already or a step that is done.",
)  # fmt: skip
TOO_LARGE = Kind(
    "too-large", 413, "The body is too large", "본문이 너무 큽니다", "请求体过大",
    "Send fewer listings at once, or shorter text. The limit is in the detail.",
)  # fmt: skip
WRONG_TYPE = Kind(
    "wrong-content-type", 415, "The body is not declared as JSON", "Content-Type이 JSON이 아닙니다",
    "Content-Type 不是 JSON", "Send Content-Type: application/json, in UTF-8, without compression.",
)  # fmt: skip
WRONG_FIELDS = Kind(
    "wrong-fields", 422, "The listing has wrong fields", "상품 정보의 항목이 올바르지 않습니다", "商品信息字段有误",
    "Every wrong field is listed in errors with what is wrong and what was got.",
)  # fmt: skip
OVERLOADED = Kind(
    "overloaded", 429, "Too many requests at once", "요청이 너무 많습니다", "请求过多",
    "The service is at its limit. Wait for the seconds in the Retry-After header and send again.",
)  # fmt: skip
INTERNAL = Kind(
    "internal", 500, "The service failed", "서비스 내부 오류입니다", "服务内部错误",
    "Nothing was decided. The request id finds the entry in the service's log.",
)  # fmt: skip
NOT_RECORDED = Kind(
    "not-recorded", 503, "The decision could not be recorded", "결정을 기록할 수 없습니다", "无法记录决定",
    "A decision that is not recorded is not given. Send again after the seconds in Retry-After.",
)  # fmt: skip
NOT_READY = Kind(
    "not-ready", 503, "The service is not ready", "서비스가 아직 준비되지 않았습니다", "服务尚未就绪",
    "It is starting or shutting down. Send again after the seconds in Retry-After.",
)  # fmt: skip

KINDS = (
    MALFORMED_JSON, SIGN_IN, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TIMED_OUT, CONFLICT, OUT_OF_STEP, TOO_LARGE,
    WRONG_TYPE,
    WRONG_FIELDS, OVERLOADED, INTERNAL, NOT_RECORDED, NOT_READY,
)  # fmt: skip


@dataclass
class ProblemError(Exception):
    """A request that ends in a problem document; ``detail`` never quotes a listing."""

    kind: Kind
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)


def body(problem: ProblemError, instance: str) -> dict[str, Any]:
    """Return the problem document.

    Parameters
    ----------
    problem
        What went wrong.
    instance
        The request's id, which the log carries as well.
    """
    kind = problem.kind
    document: dict[str, Any] = {
        "type": f"/docs#problem-{kind.slug}",
        "title": kind.title,
        "title_ko": kind.title_ko,
        "title_zh": kind.title_zh,
        "status": kind.status,
        "detail": problem.detail,
        "instance": f"urn:uuid:{instance}",
    }
    if problem.errors:
        document["errors"] = [_error(error) for error in problem.errors[:ERRORS_MAX]]
        if len(problem.errors) > ERRORS_MAX:
            document["errors_left_out"] = len(problem.errors) - ERRORS_MAX
    return document


def _error(error: FieldError) -> dict[str, str]:
    return {"field": _short(error.field), "problem": error.problem, "got": _short(error.got)}


def _short(text: str) -> str:
    """Shorten a name the sender chose, and make it encodable: JSON may carry halves of characters."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return safe if len(safe) <= NAME_MAX else safe[: NAME_MAX - 1] + "…"


def phrase(status: int) -> str:
    """Return the standard phrase of an HTTP status."""
    return HTTPStatus(status).phrase
