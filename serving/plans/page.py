"""The page that explains a plan: what it spends, finds and speaks for, with charts; Korean and English, no scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from features.taxonomy import Taxonomy
from serving.plans.words import CHANGES, OUTSIDE, PAGE, REASONS, ROLES, Language, word

_ROLES = ("ordered", "certainty", "exploration", "overlap")


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a bar chart: parts of it by role, and what stands beside."""

    label: str
    parts: tuple[tuple[str, float], ...]
    note: str
    most: float = 0.0

    @property
    def total(self) -> float:
        """Length of the bar."""
        return sum(value for _, value in self.parts)


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart; lengths are shares of ``scale``."""

    title: str
    bars: tuple[Bar, ...]
    scale: float


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("serving", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def charts(body: Mapping[str, Any], taxonomy: Taxonomy, language: Language) -> list[Chart]:
    """Return the charts of a plan: by laboratory (against its capacity), category, hazard."""
    items: Sequence[Mapping[str, Any]] = body["items"]
    laboratories = body["config"]["laboratories"]
    words = {role: word(ROLES, role, language) for role in _ROLES}

    def chart(title: str, groups: Iterable[tuple[str, list[Mapping[str, Any]], str, float]]) -> Chart:
        bars = tuple(
            Bar(
                label,
                tuple((role, float(sum(i["role"] == role for i in mine))) for role in words),
                note,
                most,
            )
            for label, mine, note, most in groups
        )
        return Chart(title, bars, max([1.0, *(max(bar.total, bar.most) for bar in bars)]))

    def money(mine: Iterable[Mapping[str, Any]]) -> str:
        return f"{sum(i['cost'] for i in mine):,} {body['config']['currency']}"

    by_lab = (
        (code, mine, f"{len(mine)} / {terms['capacity']}, {money(mine)}", float(terms["capacity"]))
        for code, terms in laboratories.items()
        for mine in [[i for i in items if i["laboratory"] == code]]
    )
    counts = Counter(item["category"] for item in items)
    by_category = (
        (name or "-", mine, str(len(mine)), 0.0)
        for name, _ in counts.most_common(15)
        for mine in [[i for i in items if i["category"] == name]]
    )
    tested = Counter(code for item in items for code in item["hazards"])
    by_hazard = (
        (taxonomy.hazard(code).names[language], mine, str(len(mine)), 0.0)
        for code, _ in tested.most_common(30)
        for mine in [[i for i in items if code in i["hazards"]]]
    )
    return [
        chart(PAGE["laboratories"][language], by_lab),
        chart(PAGE["categories"][language], by_category),
        chart(PAGE["hazards"][language], by_hazard),
    ]


def figures(body: Mapping[str, Any], language: Language) -> list[tuple[str, str]]:
    """Return the figures at the top: label and text."""
    items, config = body["items"], body["config"]
    spent = sum(item["cost"] for item in items)
    roles = Counter(item["role"] for item in items)
    currency = config["currency"]
    return [
        (PAGE["spent"][language], f"{spent:,} / {config['budget']['money']:,} {currency}"),
        (PAGE["items"][language], f"{len(items)} / {config['budget']['items']}"),
        (
            PAGE["roles"][language],
            ", ".join(f"{word(ROLES, role, language)} {roles[role]}" for role in _ROLES if roles[role]),
        ),
        (PAGE["harm"][language], f"{sum(i['harm'] for i in items if i['role'] != 'overlap'):,.0f}"),
        (PAGE["fails"][language], f"{sum(i['p'] for i in items if i['role'] != 'overlap'):.1f}"),
        (PAGE["gap"][language], f"{body['gap']:.2%}"),
        (PAGE["frame"][language], f"{body['clusters']:,}"),
        (
            PAGE["outside"][language],
            ", ".join(f"{word(OUTSIDE, code, language)} {n:,}" for code, n in body["outside"].items()) or "0",
        ),
    ]


def plan_page(
    body: Mapping[str, Any],
    taxonomy: Taxonomy,
    titles: Mapping[str, str],
    language: Language = "ko",
    changed: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page of a plan.

    Parameters
    ----------
    body
        The plan as it is recorded.
    taxonomy
        For names of hazards.
    titles
        Title of each item's listing.
    language
        ``ko`` or ``en``.
    changed
        What `serving.plans.changes` found against the plan before.
    """
    rows = [
        item
        | {
            "title": titles.get(item["listing_id"], ""),
            "names": ", ".join(taxonomy.hazard(code).names[language] for code in item["hazards"]),
            "why": word(REASONS, item["reason"], language),
            "how": word(ROLES, item["role"], language),
        }
        for item in body["items"]
    ]
    return _templates().get_template("plan.html").render(
        body=body,
        language=language,
        words={name: texts[language] for name, texts in PAGE.items()},
        roles=[(role, word(ROLES, role, language)) for role in _ROLES],
        figures=figures(body, language),
        charts=charts(body, taxonomy, language),
        rows=sorted(rows, key=lambda row: (-row["harm"], row["sample_id"])),
        reasons=Counter(word(REASONS, item["reason"], language) for item in body["items"]).most_common(),
        changed=[
            dict(change)
            | {"title": titles.get(change["listing_id"], ""), "why": word(CHANGES, change["reason"], language)}
            for change in changed
        ],
    )  # fmt: skip
