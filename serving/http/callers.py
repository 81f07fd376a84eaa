"""Who calls, as the layer that enforces access found out."""

from __future__ import annotations

from starlette.requests import Request

LOCAL = "local"
"""Who is noted as having acted where nobody is known."""


def caller_of(request: Request) -> str:
    """Return the name of who calls."""
    actor = request.scope.get("actor")
    return (actor.name if actor else "") or LOCAL
