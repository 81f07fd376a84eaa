"""The command that watches what was decided: drift, scores, actions, calibration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, actor_option, clear, console, show, store_option, who

if TYPE_CHECKING:
    from serving.monitoring.run import MonitorReport

ALARM = 1
"""Exit code where there is an alarm."""


@click.command("monitor")
@store_option
@actor_option
@click.option("--days", type=click.FloatRange(0.01, 366), default=7.0, show_default=True, help="The present.")
@click.option(
    "--reference-days",
    type=click.FloatRange(0.01, 3660),
    default=28.0,
    show_default=True,
    help="What it is compared with: so many days before it.",
)
@click.option("--until", type=click.DateTime(), help="End of the present, UTC. [default: now]")
@click.option("--rules", type=FILE, help="Rules of the alarms. [default: monitor.yaml of the package]")
@click.option("--embeddings/--no-embeddings", default=True, help="Look for drift in embedding space too.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--keep/--no-keep", default=True, help="Record the report and tell of its alarms.")
@clear
def monitor(
    store: str,
    actor: str | None,
    days: float,
    reference_days: float,
    until: datetime | None,
    rules: Path | None,
    embeddings: bool,
    as_json: bool,
    keep: bool,
) -> None:
    """Watch drift, scores, actions, calibration and what the probabilities promise; needs the extra train.

    Exit code 0 without an alarm, 1 with one.

    \b
    Examples:
      listing-risk monitor
      listing-risk monitor --days 1 --reference-days 14 --json
    """
    from features.encoders import load_encoder
    from features.taxonomy import load_taxonomy
    from serving.monitoring.rules import load_monitor_rules
    from serving.monitoring.run import record, usual_spans, watch
    from serving.store import Store

    now = datetime.now(UTC) if until is None else until.replace(tzinfo=UTC)
    screen = console()
    chosen = load_monitor_rules(rules)
    with screen.status("watching") as status, Store(store) as opened:
        read = 0

        def advance(count: int) -> None:
            nonlocal read
            read += count
            status.update(f"watching: {read:,} decisions")

        report = watch(
            opened,
            load_taxonomy().codes,
            chosen,
            now=now,
            spans=usual_spans(now, days, reference_days),
            encoder=load_encoder("use") if embeddings else None,
            advance=advance,
        )
        if keep:
            record(opened, report, who(actor))
    if as_json:
        show(report.to_json())
    else:
        _print_monitor(report, screen)
    if report.alarms:
        click.get_current_context().exit(ALARM)


def _print_monitor(report: MonitorReport, screen: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    figures = report.figures
    screen.print(
        f"{figures.now:,} decisions, compared with {figures.before:,} before; "
        f"by {', '.join(report.versions) or 'none'}",
        highlight=False,
    )
    for alarm in report.alarms:
        screen.print(f"[red]alarm[/] {escape(alarm.rule)}: {escape(alarm.message)}", highlight=False)
    if not report.alarms:
        screen.print("[green]no alarm[/]")
    table = Table(
        "field", "kind", "PSI", "what moved most", title="drift, the widest first", title_justify="left"
    )
    for one in figures.drifts[:12]:
        moved = ", ".join(f"{name} {a:.0%} -> {b:.0%}" for name, a, b in one.most[:3])
        table.add_row(escape(one.field), one.kind, f"{one.psi:.3f}", escape(moved))
    screen.print(table)
    if figures.promised is not None:
        said = figures.promised
        screen.print(
            f"promised without labels: {said.rate:.2%} non-compliant, {said.caught:.0%} of them reached, "
            f"AUC {said.auc:.3f}",
            highlight=False,
        )
    if figures.performance is not None:
        seen = figures.performance
        screen.print(
            f"{seen.judged:,} of {seen.labels:,} labels judged (decisions at least {seen.matured_after_days:.0f} days "
            f"old; half of all labels are in after {seen.median_delay_days:.0f}); they are of goods that were chosen "
            "for a test",
            highlight=False,
        )
        for one in seen.calibration[:12]:
            screen.print(
                f"  {one.slice} {one.label}: expected {one.expected:.1f}, saw {one.observed} of {one.n} "
                f"(ratio {one.ratio:.2f}, {one.low:.2f} to {one.high:.2f})",
                highlight=False,
            )
