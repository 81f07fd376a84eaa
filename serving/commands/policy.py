"""Commands that change a policy safely: validate, try on what was decided, run in shadow, promote, roll back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serving.commands.options import FILE, actor_option, clear, show, store_option, who

if TYPE_CHECKING:
    from rich.console import Console

    from serving.policy.desk import Ground, PolicyDesk
    from serving.policy.diff import PolicyDiff

_bundle = click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="[default: the starter bundle]",
)
_register = click.option("--register", type=FILE, envvar="LISTING_RISK_KC_REGISTER", help="KC certificates.")
_why = click.option("--why", default="", help="Kept with the record.")


def _ground(bundle: Path | None, register: Path | None = None) -> Ground:
    from serving.policy.desk import ground_of
    from serving.settings import STARTER

    return ground_of(bundle or STARTER, register)


@contextmanager
def _desk(store: str, bundle: Path | None, register: Path | None = None) -> Iterator[PolicyDesk]:
    from serving.policy.desk import PolicyDesk
    from serving.store import Store

    ground = _ground(bundle, register)
    with Store(store) as opened:
        yield PolicyDesk(opened, ground)


@click.group("policy")
def policy() -> None:
    """Change what follows from a score, safely."""


@policy.command("validate")
@click.argument("file", type=FILE)
@_bundle
@clear
def validate(file: Path, bundle: Path | None) -> None:
    """Check a policy file against the bundle; every problem is named with its line.

    \b
    Examples:
      listing-risk policy validate mine.yaml
    """
    from serving.policy.binding import bind
    from serving.policy.document import load_policy

    ground = _ground(bundle)
    bound = bind(load_policy(file), ground.points, ground.taxonomy)
    click.echo(f"{bound.version}: {len(bound.rules)} rules, ready")
    for rule, point, hazards in bound.uncovered:
        click.echo(
            f"  {rule}: the bundle has no point {point!r} for {', '.join(hazards)}; it never fires on those"
        )


@policy.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="Decisions from this day on (UTC). [default: 30 days]"
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000_000), default=200_000, show_default=True, help="Most decisions."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@_bundle
@_register
@store_option
@clear
def diff(
    old: str,
    new: str,
    since: datetime | None,
    limit: int,
    as_json: bool,
    bundle: Path | None,
    register: Path | None,
    store: str,
) -> None:
    """Say what another policy would have changed, by action, hazard and seller.

    OLD and NEW are files, versions that the store knows, or `in-force`. Both are evaluated on the recorded scores.

    \b
    Examples:
      listing-risk policy diff in-force mine.yaml --since 2026-11-01
      listing-risk policy diff old.yaml new.yaml --json
    """
    start = since.replace(tzinfo=UTC) if since else datetime.now(UTC) - timedelta(days=30)
    with _desk(store, bundle, register) as desk:
        found = desk.diff(desk.document(old), desk.document(new), start, limit)
    if as_json:
        show(found.to_json())
        return
    from rich.console import Console

    _print(found, Console())


def _print(found: PolicyDiff, console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    console.print(
        f"{found.old} -> {found.new}: {found.changed:,} of {found.looked_at:,} decisions change, {found.stricter:,} of "
        f"them to something stricter; {found.left_out:,} could not be looked at",
        highlight=False,
        soft_wrap=True,
    )
    if found.looked_at and found.faithful < found.looked_at:
        console.print(
            f"note: {found.looked_at - found.faithful:,} were recorded with another action than OLD gives now",
            highlight=False,
            soft_wrap=True,
        )
    table = Table("action", "before", "after", box=SIMPLE_HEAD)
    for action, before, after in found.per_action():
        table.add_row(action, f"{before:,}", f"{after:,}")
    console.print(table)
    for title, rows in (("hazard", found.to_json()["hazards"]), ("seller", found.to_json()["sellers"])):
        if not rows:
            continue
        table = Table(title, "stricter", "milder", box=SIMPLE_HEAD)
        for row in rows[:10]:
            table.add_row(escape(row["name"]), f"{row['stricter']:,}", f"{row['milder']:,}")
        console.print(table)
    for change in found.examples[:10]:
        console.print(
            f"  {change.before} -> {change.after}  {escape(change.title[:60])}  ({change.decision_id})",
            highlight=False,
            soft_wrap=True,
        )


@policy.command("promote")
@click.argument("file", type=FILE)
@_why
@_bundle
@store_option
@actor_option
@clear
def promote(file: Path, why: str, bundle: Path | None, store: str, actor: str | None) -> None:
    """Put a policy in force: running services that were given no policy file take it up within seconds.

    \b
    Examples:
      listing-risk policy promote mine.yaml --why "stricter on chargers after the November round"
    """
    with _desk(store, bundle) as desk:
        version = desk.promote(file.read_text("utf-8"), who(actor), str(file), why)
    click.echo(f"{version} is promoted")


@policy.command("rollback")
@_why
@_bundle
@store_option
@actor_option
@clear
def rollback(why: str, bundle: Path | None, store: str, actor: str | None) -> None:
    """Put the policy back in force that was there before.

    \b
    Examples:
      listing-risk policy rollback --why "too many reviews"
    """
    with _desk(store, bundle) as desk:
        version = desk.rollback(who(actor), why)
    click.echo(f"{version} is in force again")


@policy.command("history")
@_bundle
@store_option
@clear
def history(bundle: Path | None, store: str) -> None:
    """Print who put which policy in force, or in shadow, and when.

    \b
    Examples:
      listing-risk policy history
    """
    with _desk(store, bundle) as desk:
        for line in desk.history():
            why = f"  {line.body['why']}" if line.body.get("why") else ""
            click.echo(
                f"{line.at.isoformat(timespec='seconds')}  {line.status:<12} {line.version}  {line.actor}{why}"
            )


@policy.command("shadow")
@click.argument("file", type=FILE, required=False)
@click.option("--stop", is_flag=True, help="End the run.")
@_bundle
@store_option
@actor_option
@clear
def shadow(file: Path | None, stop: bool, bundle: Path | None, store: str, actor: str | None) -> None:
    """Run a policy beside the one in force: recorded, not acted on. Without a file, print what it would have done.

    \b
    Examples:
      listing-risk policy shadow mine.yaml
      listing-risk policy shadow
      listing-risk policy shadow --stop
    """
    with _desk(store, bundle) as desk:
        if stop:
            click.echo(f"{desk.end_shadow(who(actor))} is no longer in shadow")
            return
        if file is not None:
            click.echo(f"{desk.start_shadow(file.read_text('utf-8'), who(actor), str(file))} runs in shadow")
            return
        running = desk.shadow()
        if running is None:
            click.echo("no policy runs in shadow")
            return
        report = desk.shadow_report(running.version)
    click.echo(
        f"{report.version}: {report.changed:,} of {report.seen:,} decisions would have come out otherwise"
    )
    for action, other, number in report.actions:
        if action != other:
            click.echo(f"  {action} -> {other}: {number:,}")
