"""Reading a request's body: its type, its size, its JSON. Every byte of it is hostile."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from features.schema import FieldError
from serving.http.problems import (
    MALFORMED_JSON,
    TIMED_OUT,
    TOO_LARGE,
    WRONG_FIELDS,
    WRONG_TYPE,
    ProblemError,
)

DIGITS_MAX = 18
"""More digits than this are no count of anything, and fit no database integer."""

SHORT_DIGITS = 4
"""A body whose declared length has no more digits is let come though nobody reads it. Cut off while it is being sent,
its sender would not get to see the answer."""

_CLOSE = {"Connection": "close"}
_NAMED_MAX = 20
_ODD = "expected names once, whole characters, none of them null, and numbers of at most 18 digits"


def check_type(request: Request) -> None:
    """Refuse a body that is not declared as plain JSON in UTF-8.

    Raises
    ------
    ProblemError
        415. Without this rule a browser form on another site could post here.
    """
    declared = request.headers.get("content-type", "")
    media, _, parameters = declared.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        got = declared[:100] or "no Content-Type"
        problem = f"Got {got!r}, expected 'application/json' in UTF-8."
        raise ProblemError(WRONG_TYPE, problem, headers=_unread(request))
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise ProblemError(
            WRONG_TYPE, f"Got Content-Encoding {coding[:40]!r}, expected none.", headers=_unread(request)
        )


def _unread(request: Request) -> dict[str, str]:
    """Say what becomes of the connection of a request whose body is not read."""
    given = request.headers
    come = is_short(given.get("content-length", "0")) and not {"expect", "transfer-encoding"} & set(given)
    return {} if come else _CLOSE


def is_short(declared: str | bytes) -> bool:
    """Whether a declared length is one of a body that is let come; see `SHORT_DIGITS`."""
    return declared.isascii() and declared.isdigit() and len(declared) <= SHORT_DIGITS


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Read a body up to a limit, in a limited time.

    A body that declares more than the limit is refused before any of it is read; one that declares nothing is
    refused at the first byte too many.

    Raises
    ------
    ProblemError
        413 or 408.
    """
    too_large = ProblemError(TOO_LARGE, f"The limit of this path is {limit} bytes.", headers=_CLOSE)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > DIGITS_MAX or int(declared) > limit):
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise ProblemError(
            TIMED_OUT, f"The body did not arrive within {seconds:g} seconds.", headers=_CLOSE
        ) from None
    except ClientDisconnect:
        raise ProblemError(TIMED_OUT, "The connection broke off before the body ended.") from None
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class RepeatedKeys:
    """Stands where an object repeated a key: no field accepts it, so the listing it is in is refused by itself."""

    size: int

    def __len__(self) -> int:
        """Return how many pairs the object had."""
        return self.size


@dataclass(frozen=True, slots=True)
class LongNumber:
    """Stands where a whole number had more digits than `DIGITS_MAX`; no field accepts it."""

    digits: int

    def __len__(self) -> int:
        """Return how many digits it had."""
        return self.digits


def parse_json(body: bytes) -> Any:
    """Parse JSON, more strictly than the library does by default.

    The standard library's parser is used because it can see a repeated key, which faster ones pass over: two
    readers of one document must not read two different listings.

    Returns
    -------
    object
        With `RepeatedKeys` and `LongNumber` where JSON's grammar allows what no listing may hold.

    Raises
    ------
    ProblemError
        400 for what is not JSON in UTF-8, NaN and Infinity included, or is nested too deeply.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise _malformed(f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"The body is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None


def plain(value: Any) -> Any:
    """Return parsed JSON as it is, where it holds nothing but JSON's own values and whole characters.

    For bodies with parts that no model names: what stands for a repeated key or an endless number must not get further.

    Raises
    ------
    ProblemError
        422 with the first places where it does.
    """
    wrong: list[FieldError] = []
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting and len(wrong) < _NAMED_MAX:
        at, part = waiting.pop()
        if isinstance(part, dict):
            for name, inner in part.items():
                waiting += ((f"{at}.{name}".lstrip("."), inner), (at, name))
        elif isinstance(part, list):
            waiting += ((f"{at}.{index}".lstrip("."), inner) for index, inner in enumerate(part))
        elif isinstance(part, RepeatedKeys | LongNumber) or not _whole(part):
            wrong.append(FieldError(at or "(body)", _ODD, type(part).__name__))
    if wrong:
        raise ProblemError(WRONG_FIELDS, "The body holds what no field can.", errors=tuple(wrong))
    return value


def _whole(part: Any) -> bool:
    """Whether text has no halves of characters and no null ones, which PostgreSQL refuses, and a number an end."""
    if isinstance(part, float):
        return math.isfinite(part)
    if not isinstance(part, str):
        return True
    if "\0" in part:
        return False
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed(detail: str) -> ProblemError:
    return ProblemError(MALFORMED_JSON, detail)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | RepeatedKeys:
    found = dict(pairs)
    return found if len(found) == len(pairs) else RepeatedKeys(len(pairs))


def _constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a JSON number.")


def _integer(text: str) -> int | LongNumber:
    digits = len(text) - text.startswith("-")
    return int(text) if digits <= DIGITS_MAX else LongNumber(digits)
