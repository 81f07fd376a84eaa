"""Who calls, as the layer that enforces access found out; where there is none, only this machine is let in."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from serving.problems import FORBIDDEN, ProblemError

LOCAL = "local"
"""Who is noted as having acted where nobody signs in."""
_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


def caller_of(request: Request) -> str:
    """Return the name of who calls."""
    actor = request.scope.get("actor")
    return (actor.name if actor else "") or LOCAL


def known_or_local(request: Request) -> None:
    """Where nobody signs in, refuse callers elsewhere, and pages elsewhere that a browser here was made to call for.

    Raises
    ------
    ProblemError
        403.
    """
    if "actor" in request.scope:
        return
    host = request.client.host if request.client else ""
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = False
    if not near or (request.url.hostname or "") not in _NAMES:
        detail = "This is open to this machine only, addressed as 127.0.0.1 or localhost."
        raise ProblemError(FORBIDDEN, detail, headers={"Connection": "close"})
