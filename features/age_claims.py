"""Ages as sellers write them, read as a range in months."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_MONTHS = 99 * 12
# What every claim has somewhere; most texts have none of it and need not be read closely.
_HINT = re.compile(
    r"\d[\s+.\-]{0,2}(?:세|살|岁|周岁|歲|개월|个月|個月|month|mos?\b|m\b|y|t\b)|(?<![a-z])age|(?:under|below)\s?\d"
)
_YEAR = (
    r"(?:세(?!트|대|기|척|제|럭|련|상|미|정|계|요|균|탁|일|팅|이프|이브)|살(?!균)"
    r"|岁|周岁|歲|years?(?: old)?|yrs?|y/?o)"
)
_MONTH = r"(?:개월(?!\s?(?:할부|분|보증|무상|사용|간|a/s|as|치|이용|구독|숙성))|个月(?!质保|保修)|個月|months?|mos?\b)"
_TO = r"\s?(?:~|-|–|—|to|至|到|부터)\s?"
_N = r"(\d{1,3}(?:\.5)?)"
_UP = (
    r"(?:\s?(?:이상|부터|용|\+|~|及以上|以上|起"
    r"|and (?:up|above|over|older)|& ?(?:up|above|over|older)|or older|up\b|plus\b))"
)
_DOWN = r"(?:\s?(?:이하|미만|까지|以下|以内|and under|or younger))"
_AHEAD = r"(?<![\d.a-z])"
_WARRANTY = r"(?!\s?(?:warranty|guarantee|experience|보증|질보|质保|保修|of warranty|limited|manufacturer))"

_SIZE = r"(?:0|1|3|6|9|12|15|18|24|30|36)"  # the months that baby sizes come in: "10m-50m" is a distance

# Each pattern: what the groups mean follows from its name. Order matters: ranges before single ages.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("months", re.compile(_AHEAD + _N + rf"(?:\s?{_MONTH})?" + _TO + _N + r"\s?" + _MONTH + _WARRANTY)),
    ("sizes", re.compile(_AHEAD + rf"({_SIZE})\s?m?\s?[-~]\s?({_SIZE})\s?m(?![a-z0-9])")),
    (
        "years",
        re.compile(
            r"(?:만\s?)?"
            + _AHEAD
            + _N
            + rf"(?:\s?{_YEAR})?"
            + _TO
            + r"(?:만\s?)?"
            + _N
            + r"\s?"
            + _YEAR
            + _WARRANTY
        ),
    ),
    ("years", re.compile(r"(?<![a-z])age[sd]?\s?:?\s?" + _N + r"\s?(?:-|–|to|~)\s?" + _N)),
    ("years", re.compile(_AHEAD + r"(\d{1,2})\s?[-~]\s?(\d{1,2})\s?t(?![a-z0-9])")),
    ("from_months", re.compile(_AHEAD + _N + r"\s?" + _MONTH + _UP)),
    ("to_months", re.compile(_AHEAD + _N + r"\s?" + _MONTH + _DOWN)),
    ("from_months", re.compile(_AHEAD + r"(\d{1,2})\s?m\+")),
    ("from_years", re.compile(r"(?:만\s?)?" + _AHEAD + _N + r"\s?" + _YEAR + _WARRANTY + _UP)),
    ("from_years", re.compile(_AHEAD + _N + r"\s?\+\s?" + _YEAR)),
    ("to_years", re.compile(r"(?:만\s?)?" + _AHEAD + _N + r"\s?" + _YEAR + _DOWN)),
    ("to_years", re.compile(r"(?:under|below|not suitable for children under)\s?" + _N + r"\s?" + _YEAR)),
    (
        "from_years",
        re.compile(r"(?<![a-z])age[sd]?\s?:?\s?" + _N + r"\s?(?:\+|and (?:up|above|over)|& ?up|up\b)?(?!\d)"),
    ),
    ("at_months", re.compile(_AHEAD + r"(\d{1,2})[\s-]months?[\s-]old")),
    ("at_years", re.compile(_AHEAD + r"(\d{1,2})[\s-]years?[\s-]old")),
    ("at_months", re.compile(r"(?:생후\s?)" + _AHEAD + _N + r"\s?" + _MONTH)),
    ("at_years", re.compile(r"(?:만\s?)" + _AHEAD + _N + r"\s?" + _YEAR)),
)
# "Not for children under 3": the smallest may not have it, so it is for 3 and over.
_NOT_UNDER = re.compile(
    r"(?:not (?:suitable |recommended |intended )?for (?:children |kids )?(?:under|below)\s?(\d{1,2})"
    r"|(\d{1,2})\s?세\s?(?:미만|이하)\s?(?:의\s?)?(?:어린이|유아|아이)?\S?\s?(?:사용 ?금지|사용 ?불가)"
    r"|(\d{1,2})\s?岁以下(?:儿童)?(?:禁用|不宜|勿用))"
)


@dataclass(frozen=True, slots=True)
class AgeClaim:
    """An age that a text claims.

    Attributes
    ----------
    low, high
        Months; ``high`` is None where the claim has no upper end.
    start, end
        Where it stands in the text.
    """

    low: float
    high: float | None
    start: int
    end: int


def _range(kind: str, numbers: list[float]) -> tuple[float, float | None] | None:
    unit = 1 if kind.endswith("months") or kind == "sizes" else 12
    values = [n * unit for n in numbers]
    if any(v > _MAX_MONTHS for v in values):
        return None
    match kind.split("_")[0]:
        case "months" | "years" | "sizes":
            low, high = values
            # A year's size ends with the year: "ages 6-12" is up to the thirteenth birthday.
            return (low, high + (unit - 1 if unit > 1 else 0)) if low < high else None
        case "from":
            return values[0], None
        case "to":
            return 0.0, values[0]
        case _:
            return values[0], values[0]


def may_claim(text: str) -> bool:
    """Whether a closer look for ages is worth while; text lower-cased, normalised or not."""
    return _HINT.search(text) is not None


def age_claims(text: str) -> Iterator[AgeClaim]:
    """Yield the ages that a text claims, by position; of overlapping readings the first rule wins.

    Parameters
    ----------
    text
        Normalised and lower-cased. A year of warranty, a set ("3세트") or a cable of 3 m is no age.
    """
    if not may_claim(text):
        return
    taken: list[AgeClaim] = []
    for match in _NOT_UNDER.finditer(text):
        years = next(int(g) for g in match.groups() if g)
        taken.append(AgeClaim(years * 12, None, match.start(), match.end()))
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if any(match.start() < c.end and c.start < match.end() for c in taken):
                continue
            found = _range(kind, [float(g) for g in match.groups()])
            if found is not None:
                taken.append(AgeClaim(*found, match.start(), match.end()))
    yield from sorted(taken, key=lambda c: c.start)
