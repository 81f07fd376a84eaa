"""Estimates and strictness as tables for a terminal."""

from __future__ import annotations

from rich.table import Table

from features.taxonomy import Taxonomy
from serving.labs.estimate import Published
from training.estimators import Estimate
from training.rate_table import ANY_HAZARD, RateRow
from training.strictness import StrictnessFit

_ROWS = 40


def rates_table(found: Published, taxonomy: Taxonomy) -> Table:
    """Return the rates: the whole catalogue by hazard, then categories and platforms for any hazard."""
    rows = [row for row in found.rows if row.by == "all"]
    rows.sort(key=lambda row: (row.hazard != ANY_HAZARD, -row.naive.failed))
    rows += [row for row in found.rows if row.by != "all" and row.hazard == ANY_HAZARD]
    table = Table(
        title=f"{found.plan_id}: {found.results} of {found.samples} samples have results",
        title_justify="left",
    )
    for name in ("", "hazard", "tested", "failed", "naive", "estimate (95 %)", "with the model", "pooled"):
        table.add_column(name, justify="left" if name in ("", "hazard") else "right")
    for row in rows[:_ROWS]:
        if row.naive.tested:
            table.add_row(*_cells(row, taxonomy))
    harm = found.harm_there
    found_text = f"harm found {found.harm_found:,.0f} of an estimated {harm.value:,.0f}"
    table.caption = f"{found_text} ({harm.low:,.0f} to {harm.high:,.0f})"
    return table


def _cells(row: RateRow, taxonomy: Taxonomy) -> tuple[str, ...]:
    hazard = row.hazard if row.hazard == ANY_HAZARD else taxonomy.hazard(row.hazard).names["en"]
    where = "all" if row.by == "all" else f"{row.by} {row.name or '-'}"
    rate, low, high = row.pooled
    return (
        where,
        hazard,
        str(row.naive.tested),
        str(row.naive.failed),
        f"{row.naive.rate:.1%}" if row.naive.tested else "",
        _share(row.hajek),
        "" if row.difference is None else _share(row.difference),
        f"{rate:.1%} ({low:.1%} to {high:.1%})" if rate == rate else "",
    )


def _share(estimate: Estimate) -> str:
    if estimate.rate != estimate.rate:
        return f"between {estimate.low:.1%} and {estimate.high:.1%}"
    mark = " *" if estimate.conservative else ""
    return f"{estimate.rate:.1%} ({estimate.low:.1%} to {estimate.high:.1%}){mark}"


def strictness_table(fit: StrictnessFit) -> Table:
    """Return the laboratories, the strictest first."""
    table = Table(title="How strict each laboratory is beside the mean of all", title_justify="left")
    for name in ("laboratory", "tests", "fails", "shared", "log-odds (95 %)", "factor on the odds", "told"):
        table.add_column(name, justify="left" if name == "laboratory" else "right")
    for one in sorted(fit.laboratories, key=lambda one: -one.effect):
        table.add_row(
            one.laboratory, str(one.tested), str(one.failed), str(one.shared),
            f"{one.effect:+.2f} ({one.low:+.2f} to {one.high:+.2f})", f"{one.odds:.2f}", "yes" if one.told else "no",
        )  # fmt: skip
    return table
