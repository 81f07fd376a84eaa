"""Where events may be sent: https, a public address, nothing in between.

An address that somebody registers is an address that this service connects to, from inside one's own network. So every
name is resolved here, all its answers must be public, and the connection goes to the checked answer itself: a name
that answers otherwise a moment later (DNS rebinding) changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from features.errors import UserError
from features.image_fetch import is_public

URL_MAX = 2_000
_USUAL = {"https": 443, "http": 80}
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")

Resolve = Callable[[str, int], Iterable[str]]
"""Addresses of a host and port."""


class AddressError(UserError):
    """An address that events are not sent to."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: connect to ``ip`` and say ``host``."""

    scheme: str
    host: str
    port: int
    path: str
    ip: str

    @property
    def url(self) -> str:
        """The address with the checked IP in the place of the name."""
        ip = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{self.scheme}://{ip}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """What the request says it is for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _USUAL[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be connected to.

    Attributes
    ----------
    own_hosts
        ``host`` or ``host:port`` in one's own network that may be sent to although it is not public, also by plain
        http. Empty by default.
    """

    own_hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> AddressRules:
        """Read a list separated by commas, as in ``LISTING_RISK_WEBHOOK_HOSTS``."""
        return cls(frozenset(part.strip().lower() for part in text.split(",") if part.strip()))

    def own(self, host: str, port: int) -> bool:
        """Whether a host and port were named as one's own."""
        return host in self.own_hosts or f"{host}:{port}" in self.own_hosts


def check_url(url: str, rules: AddressRules) -> tuple[SplitResult, int]:
    """Check how an address is written; give its parts and port.

    Raises
    ------
    AddressError
    """
    if len(url) > URL_MAX or _UNFIT.search(url) or not url.isascii():
        raise AddressError(
            f"got an address of {len(url)} characters, expected at most {URL_MAX} ASCII characters without blanks "
            "(punycode, %xx)"
        )
    try:
        parts = urlsplit(url)
        port = parts.port or _USUAL.get(parts.scheme, 0)
    except ValueError:
        raise AddressError("got an address that cannot be read, expected https://host/path") from None
    host = (parts.hostname or "").rstrip(".").lower()
    if not host or parts.scheme not in _USUAL:
        raise AddressError("got an address without https and host, expected https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressError("got an address with a user name or fragment, expected one without")
    if parts.scheme == "http" and not rules.own(host, port):
        raise AddressError("got http, expected https: plain http is only for hosts that the settings name")
    return parts, port


def system_resolve(host: str, port: int) -> list[str]:
    """Ask the system; blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(answer[4][0]) for answer in found]


def check_address(url: str, rules: AddressRules, resolve: Resolve = system_resolve) -> Target:
    """Check an address and where it leads; blocks while the name is resolved.

    Raises
    ------
    AddressError
        When it is not https, or any of its answers is not a public address.
    """
    parts, port = check_url(url, rules)
    host = str(parts.hostname).rstrip(".").lower()
    answers = list(resolve(host, port))
    if not answers:
        raise AddressError("got a host that has no address: check the name")
    # One private answer among public ones is an attack, not a mistake.
    if not rules.own(host, port) and not all(is_public(answer) for answer in answers):
        raise AddressError(
            "got a host whose address is not a public one: name it in LISTING_RISK_WEBHOOK_HOSTS if it is yours"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, answers[0])
