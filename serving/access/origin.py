"""Where a request comes from: this machine, a trusted proxy, or somebody behind it. Pure."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from serving.access.settings import AccessSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PASSED_ON = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its address or its usual name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def from_here(request: Request) -> bool:
    """Whether the call comes from this machine, addressed as this machine (not by a name that was bent to it)."""
    near = request.client is not None and is_loopback(request.client.host)
    passed_on = any(
        name in request.headers for name in _PASSED_ON
    )  # a proxy on this machine speaks for others
    return near and not passed_on and (request.url.hostname or "") in _LOOPBACK


def within(request: Request, settings: AccessSettings) -> bool:
    """Whether the connection comes from a trusted proxy."""
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return any(peer in network for network in settings.proxies)


def address_of(request: Request) -> str:
    """The caller's address; behind a trusted proxy the one that the proxy saw."""
    return request.scope.get("caller_address") or (request.client.host if request.client else "")


def address_behind(request: Request, settings: AccessSettings) -> str:
    """The address that a trusted proxy saw, "" where there is none."""
    if not settings.proxies or not within(request, settings):
        return ""
    last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return ""
