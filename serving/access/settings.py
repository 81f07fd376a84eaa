"""Settings of the door: who is trusted to say who calls, and how fast anybody may call."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from features.errors import UserError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AccessSettingsError(UserError):
    """Settings of the door that cannot be used."""


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How callers are known.

    Attributes
    ----------
    proxies
        Networks whose requests carry who signed in, in headers that the proxy itself sets; none by default.
    user_header, role_header
        Those headers. A name without a role header gets the role of its account, or ``viewer``.
    per_minute
        Requests a minute of one person, program or address, scoring apart.
    failures_per_minute
        Requests a minute of one address that nobody is known for.
    session_hours, idle_minutes
        When a session ends at the latest, and when it ends unused.
    two_person
        Choices that a second person must agree to: any of ``release`` (allow what is blocked), ``block``, ``allow``,
        ``lab_test``, ``bulk``.
    lease_minutes
        How long a claimed item stays with a reviewer.
    golden_share
        Share of taken items that are golden ones.
    """

    proxies: tuple[Network, ...] = ()
    user_header: str = "x-forwarded-user"
    role_header: str = "x-forwarded-role"
    per_minute: int = 1_200
    failures_per_minute: int = 120
    session_hours: float = 12.0
    idle_minutes: float = 60.0
    two_person: frozenset[str] = frozenset({"release"})
    lease_minutes: float = 15.0
    golden_share: float = 0.05


TWO_PERSON = frozenset({"release", "block", "allow", "lab_test", "bulk"})


def read_access(environ: Mapping[str, str]) -> AccessSettings:
    """Read the door's settings from ``LISTING_RISK_*`` variables.

    Parameters
    ----------
    environ
        ``LISTING_RISK_PROXIES`` (networks, by commas), ``LISTING_RISK_USER_HEADER``, ``LISTING_RISK_ROLE_HEADER``,
        ``LISTING_RISK_TWO_PERSON`` (choices, by commas; ``none`` for none), ``LISTING_RISK_LEASE_MINUTES``,
        ``LISTING_RISK_GOLDEN_SHARE``, ``LISTING_RISK_PER_MINUTE``, ``LISTING_RISK_STRANGERS_PER_MINUTE``.

    Raises
    ------
    AccessSettingsError
        Naming the variable, what was got and what is expected.
    """
    usual = AccessSettings()
    return AccessSettings(
        proxies=_networks(environ.get("LISTING_RISK_PROXIES", "")),
        per_minute=int(_number(environ, "LISTING_RISK_PER_MINUTE", usual.per_minute, 1, 10_000_000)),
        failures_per_minute=int(
            _number(environ, "LISTING_RISK_STRANGERS_PER_MINUTE", usual.failures_per_minute, 1, 10_000_000)
        ),
        user_header=environ.get("LISTING_RISK_USER_HEADER", usual.user_header).lower(),
        role_header=environ.get("LISTING_RISK_ROLE_HEADER", usual.role_header).lower(),
        two_person=_choices(environ.get("LISTING_RISK_TWO_PERSON", "")),
        lease_minutes=_number(environ, "LISTING_RISK_LEASE_MINUTES", usual.lease_minutes, 1.0, 24 * 60),
        golden_share=_number(environ, "LISTING_RISK_GOLDEN_SHARE", usual.golden_share, 0.0, 1.0),
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part) for part in _parts(text))
    except ValueError:
        raise AccessSettingsError(
            f"LISTING_RISK_PROXIES: got {text!r}, expected networks such as 10.0.0.0/8, by commas"
        ) from None


def _choices(text: str) -> frozenset[str]:
    if not text.strip():
        return AccessSettings().two_person
    chosen = frozenset(_parts(text)) - {"none"}
    if not chosen <= TWO_PERSON:
        raise AccessSettingsError(
            f"LISTING_RISK_TWO_PERSON: got {text!r}, expected none or any of {', '.join(sorted(TWO_PERSON))}"
        )
    return chosen


def _number(environ: Mapping[str, str], name: str, usual: float, low: float, high: float) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise AccessSettingsError(f"{name}: got {text!r}, expected a number from {low:g} to {high:g}")
    return value
