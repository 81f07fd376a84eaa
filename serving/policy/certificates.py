"""What the policy hears of a listing's KC certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from features.certification import FindingKind, Register, check, parse_numbers
from features.schema import Certificate, Listing

FINDINGS: frozenset[str] = frozenset(get_args(FindingKind))
BAD_STANDING: frozenset[str] = frozenset({"cancelled", "invalid"})
"""Findings that a register states, and so evidence enough to act on without a score."""

_MARKET = "KR"
_NAMED = re.compile(r"\bkc\b|kc[ _-]?(?:인증|mark|cert)|안전\s*인증|안전\s*확인|인증\s*번호", re.IGNORECASE)


class KcCheck:
    """Checks the certificates of goods offered in Korea.

    Parameters
    ----------
    register
        Imported states of certificates; without one a well-formed number is taken as it is.
    """

    def __init__(self, register: Register | None = None) -> None:
        self.register = register

    def __call__(self, listing: Listing, group: str, audience: str) -> frozenset[str]:
        """Return the findings, those of single numbers included; none for another market of sale."""
        if listing.market != _MARKET:
            return frozenset()
        claims = [*listing.certificates, *_attributes(listing)] or list(_in_text(listing))
        finding = check(claims, group, self.register, audience)
        return frozenset({finding.kind, *(number.kind for number in finding.numbers)})


def _attributes(listing: Listing) -> Iterator[Certificate | str]:
    """Yield attributes that are named like a certificate: many marketplaces have no field of their own for it."""
    return (value for name, value in listing.attributes.items() if _NAMED.search(name))


def _in_text(listing: Listing) -> Iterator[Certificate | str]:
    """Yield numbers in free text. Only looked for where nothing was claimed, so that none is called missing."""
    for text in (listing.title, *listing.bullets, listing.description):
        yield from (number.written for number in parse_numbers(text))
