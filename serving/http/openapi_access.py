"""Who may call what, in the OpenAPI document: taken from the table that is enforced, so that it cannot differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from serving.access.table import PUBLIC, TABLE
from serving.http.problems import (
    FORBIDDEN,
    INTERNAL,
    NOT_FOUND,
    NOT_READY,
    NOT_RECORDED,
    OVERLOADED,
    SIGN_IN,
    Kind,
)

SCHEMES: Mapping[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `listing-risk access key`. Until the first account or key exists, the service is "
        "open to callers on its own machine.",
    }
}
_ASKED = {(method, re.sub(r":\w+}", "}", path)): permission for (method, path), permission in TABLE.items()}
_OPEN = (NOT_FOUND,)
"""Whatever is asked: an address that holds a null character."""
_GUARDED = (*_OPEN, SIGN_IN, FORBIDDEN, OVERLOADED, INTERNAL, NOT_RECORDED, NOT_READY)


def guarded(
    paths: Mapping[str, Mapping[str, Any]], problems: Callable[[tuple[Kind, ...]], dict[str, Any]]
) -> dict[str, Any]:
    """Return the paths with what each asks of its caller, and the answers that any of them may get at the door.

    Parameters
    ----------
    paths
        Path to method to operation.
    problems
        Makes the responses of problem kinds.

    Raises
    ------
    KeyError
        When an operation has no line in the table of access.
    """
    return {
        path: {
            method: _guarded(operation, _ASKED[(method.upper(), path)], problems)
            for method, operation in operations.items()
        }
        for path, operations in paths.items()
    }


def _guarded(
    operation: Mapping[str, Any], permission: str, problems: Callable[[tuple[Kind, ...]], dict[str, Any]]
) -> dict[str, Any]:
    if permission == PUBLIC:
        responses = {**problems(_OPEN), **operation["responses"]}
        return {**operation, "security": [], "responses": dict(sorted(responses.items()))}
    responses = {**problems(_GUARDED), **operation["responses"]}
    return {
        **operation,
        "security": [{"key": []}],
        "x-permission": permission,
        "responses": dict(sorted(responses.items())),
    }
