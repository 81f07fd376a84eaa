"""Does a result pass? The value against the limits in force for the goods; the laboratory's word where no limit says.

Pure. Limits come from the taxonomy by product group, audience, market and day. Where parts of a product have different
limits and the row names no part, a value that meets the strictest passes, one that breaks the loosest fails, and one in
between is left to the laboratory's own verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from features.limits import Limit
from features.taxonomy import Taxonomy
from serving.labs.results import Result
from serving.labs.units import Unit, UnitError, convert, unit_of

Outcome = Literal["pass", "fail", "unclear"]
Source = Literal["limit", "laboratory", "none"]
_MIGRATION = ("migration", "용출", "迁移", "析出")
_RELEASE = ("release", "释放")
_WHOLE = ("total", "sum", "총", "합", "프탈레이트", "니트로사민", "邻苯", "增塑剂", "plasticiser", "亚硝胺")
_WORD = re.compile(r"[\w가-힣一-鿿]+")
# Same substance under other names, where a limit of a wide hazard is for one substance. Lower case, without bracket.
_SUBSTANCES: Mapping[str, tuple[str, ...]] = {
    "mercury": ("mercury", "hg", "수은", "汞"),
    "arsenic": ("arsenic", "as", "비소", "砷"),
    "antimony": ("antimony", "sb", "안티모니", "锑"),
    "barium": ("barium", "ba", "바륨", "钡"),
    "chromium(vi)": ("chromium vi", "hexavalent chromium", "육가 크로뮴", "六价铬"),
    "chromium": ("chromium", "cr", "크로뮴", "铬"),
    "selenium": ("selenium", "se", "셀레늄"),
    "boron": ("boron", "붕소", "硼"),
    "ph": ("ph", "ph값"),
    "methanol": ("methanol", "메탄올"),
    "n-nitrosamines": ("n-nitrosamines", "nitrosamines", "니트로사민", "亚硝胺"),
}
_NARROW = frozenset({"chemical_other", "microbiological", "impact_protection", "hearing"})


@dataclass(frozen=True, slots=True)
class Goods:
    """What decides which law applies to a sample."""

    group: str
    audience: str
    market: str = "KR"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a result says.

    Attributes
    ----------
    outcome
        ``unclear`` where neither a limit nor the laboratory says; never counted as a pass.
    source
        Who said so.
    limit
        Reference of the limit that decided (row of ``limits.csv``), with value, unit and regulation in ``to_json``.
    conflict
        The laboratory's own verdict differs from what the limit gives; a person should look.
    reason
        In words, for the report.
    partial
        The value is of one substance of a sum that has a limit: it can break the limit, never meet it alone.
    """

    outcome: Outcome
    source: Source
    limit: Limit | None = None
    conflict: bool = False
    reason: str = ""
    partial: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        found: dict[str, Any] = {"outcome": self.outcome, "source": self.source, "reason": self.reason}
        if self.limit is not None:
            limit = self.limit
            found["limit"] = {"ref": limit.ref, "comparator": limit.comparator, "value": limit.value,
                              "unit": limit.unit, "regulation": limit.regulation, "mark": limit.mark}  # fmt: skip
        flags = {name: True for name in ("conflict", "partial") if getattr(self, name)}
        return found | flags


def judge(result: Result, goods: Goods, on: date, taxonomy: Taxonomy) -> Verdict:
    """Judge one result.

    Parameters
    ----------
    result
        As read.
    goods
        Of its sample.
    on
        The day whose law applies.

    Raises
    ------
    UnitError
        When every limit of this property is set in another quantity than the result's.
    """
    found = _by_limits(result, goods, on, taxonomy)
    if found is None:
        if result.judged:
            return Verdict(
                "pass" if result.judged == "pass" else "fail", "laboratory", reason="laboratory's verdict"
            )
        return Verdict(
            "unclear", "none", reason="no limit is known for these goods, and the laboratory gave no verdict"
        )
    if found.outcome == "unclear" and result.judged:
        return Verdict(
            "pass" if result.judged == "pass" else "fail", "laboratory", found.limit, reason=found.reason
        )
    if result.judged and found.outcome != result.judged:
        return Verdict(
            found.outcome, "limit", found.limit, True,
            f"{found.reason}; the laboratory says {result.judged}",
        )  # fmt: skip
    return found


def _by_limits(result: Result, goods: Goods, on: date, taxonomy: Taxonomy) -> Verdict | None:
    """Judge by the limits alone; None where none is a number for this property, or nothing was measured."""
    if not result.comparator:
        return None
    limits = [
        limit
        for limit in taxonomy.limits(result.hazard, goods.group, goods.market, on, goods.audience)
        if limit.value is not None and _same_property(result, limit)
    ]
    if not limits:
        return None
    if result.comparator == "nd" and result.lod is None:
        return Verdict("pass", "limit", limits[0], reason="not detected")
    usable, wrong = _usable(result, limits)
    if not usable:
        raise UnitError(wrong)
    named = [pair for pair in usable if result.part and _words(result.part) & _words(pair[0].scope)]
    outcomes: list[tuple[Outcome, Limit]] = [
        (_met(result, value, limit), limit) for limit, value in named or usable
    ]
    return _together(result, outcomes)


def _usable(result: Result, limits: Sequence[Limit]) -> tuple[list[tuple[Limit, float]], str]:
    """Return the limits of the result's quantity, each with the measured value in the limit's unit."""
    unit = unit_of(result.unit) if result.unit else None
    amount = result.lod if result.comparator == "nd" else result.value
    usable: list[tuple[Limit, float]] = []
    wrong = ""
    for limit in limits:
        wanted = _limit_unit(limit)
        if wanted is None or amount is None:
            continue
        try:
            usable.append((limit, amount if unit is None else convert(amount, unit, wanted)))
        except UnitError as error:
            wrong = f"sample {result.sample_id}: {result.analyte}: {error} (limit {limit.ref})"
    return usable, wrong or f"sample {result.sample_id}: {result.analyte}: no limit in a known unit"


def _limit_unit(limit: Limit) -> Unit | None:
    try:
        return unit_of(limit.unit)
    except UnitError:
        return None


def _met(result: Result, value: float, limit: Limit) -> Outcome:
    met = limit.met_by(value)
    if result.comparator in ("=", ""):
        return "unclear" if met is None else ("pass" if met else "fail")
    upper = limit.comparator in ("<=", "<")
    if result.comparator in ("<", "nd"):
        # Below the bound: passes an upper limit that the bound meets; above the limit the method was too coarse.
        return "pass" if upper and met else "unclear"
    return "fail" if upper and not met else ("pass" if limit.comparator in (">=", ">") and met else "unclear")


def _together(result: Result, outcomes: Sequence[tuple[Outcome, Limit]]) -> Verdict:
    kinds = {outcome for outcome, _ in outcomes}
    failed = [limit for outcome, limit in outcomes if outcome == "fail"]
    first = outcomes[0][1]
    if kinds == {"pass"}:
        if all(_of_a_sum(result, limit) for _, limit in outcomes):
            return Verdict(
                "unclear", "limit", first, partial=True, reason="one substance of a sum that has a limit"
            )
        return Verdict("pass", "limit", first, reason="meets every limit that may apply")
    if kinds == {"fail"}:
        return Verdict("fail", "limit", failed[0], reason=f"breaks {_said(failed[0])}")
    if kinds == {"unclear"}:
        text = (
            "the detection limit is above the legal limit"
            if result.comparator in ("<", "nd")
            else "no clear bound"
        )
        return Verdict("unclear", "limit", first, reason=f"{text} ({_said(first)})")
    if failed:
        return Verdict(
            "unclear", "limit", failed[0], reason=f"breaks {_said(failed[0])}, meets others: name the part"
        )
    return Verdict("unclear", "limit", first, reason="detection limit above one of the limits that may apply")


def _said(limit: Limit) -> str:
    scope = f", {limit.scope}" if limit.scope else ""
    return f"limit {limit.ref}: {limit.comparator} {limit.value:g} {limit.unit}{scope}"


def _same_property(result: Result, limit: Limit) -> bool:
    """Whether a limit is about what was measured: total or migration, and which substance where the hazard is wide."""
    analyte, substance = result.analyte.casefold(), limit.substance.casefold()
    if _form(substance, "") not in _forms(analyte, result.unit):
        return False
    if result.hazard not in _NARROW:
        return True
    plain = analyte.split("(")[0].strip() if not analyte.startswith("chromium(") else analyte
    for name, names in _SUBSTANCES.items():
        if plain in names or any(plain.startswith(f"{known} ") for known in names):
            return substance == name or substance.startswith((f"{name},", f"{name} "))
    return bool(_words(plain) & _words(substance))


def _form(words: str, unit: str) -> str:
    """Return ``release``, ``migration`` or ``total``."""
    if any(word in words for word in _RELEASE) or (unit and _quantity(unit) == "release"):
        return "release"
    return "migration" if any(word in words for word in _MIGRATION) else "total"


def _forms(analyte: str, unit: str) -> frozenset[str]:
    """Return what a result may be about; Korean has one word for migration and release, the unit tells which."""
    form = _form(analyte, unit)
    both = form == "migration" and "용출" in analyte and not unit
    return frozenset({"migration", "release"} if both else {form})


def _of_a_sum(result: Result, limit: Limit) -> bool:
    if "sum of" not in limit.substance:
        return False
    analyte = result.analyte.casefold()
    return not any(word in analyte for word in _WHOLE) and analyte not in ("phthalates", "n-nitrosamines")


def _quantity(unit: str) -> str:
    try:
        return unit_of(unit).quantity
    except UnitError:
        return ""


_COMMON = frozenset(
    {"every", "part", "except", "the", "of", "and", "or", "for", "that", "is", "meant", "in", "with", "under"}
)


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if word not in _COMMON and not word.isdigit()}
