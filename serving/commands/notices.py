"""Commands for notices. Imports stand inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, actor_option, clear, settings_of, show, store_option, who

if TYPE_CHECKING:
    from serving.notices.desk import NoticeDesk
    from serving.notices.office import NoticeOffice

_BUNDLE = click.option("--bundle", type=click.Path(path_type=Path), help="[default: the starter bundle]")
_POLICY = click.option("--policy", type=FILE, help="[default: the policy of the package]")
_MATCHER = click.option(
    "--matcher",
    type=FILE,
    envvar="LISTING_RISK_MATCHER",
    help="[default: the matcher of the package] [env: LISTING_RISK_MATCHER]",
)
_marketplace = click.option("--marketplace", default="", help="Where the listing is offered.")


def model_options(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the files that decide."""
    return _BUNDLE(_POLICY(_MATCHER(function)))


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _desk(store: str) -> Iterator[NoticeDesk]:
    from serving.notices.desk import NoticeDesk
    from serving.store import Store

    with Store(store) as opened:
        yield NoticeDesk(opened)


@contextmanager
def open_notices(
    store: str, bundle: Path | None, policy: Path | None, matcher: Path | None
) -> Iterator[NoticeOffice]:
    """Open the store, bans and notices."""
    from serving.bans.office import open_office
    from serving.notices.desk import NoticeDesk
    from serving.notices.office import NoticeOffice

    with open_office(store, settings_of(bundle, policy), matcher) as bans:
        yield NoticeOffice(NoticeDesk(bans.store), bans)


@click.group("notices")
def notices() -> None:
    """Carry out authorities' orders and alerts, and show that it was done."""


@notices.command("add")
@click.argument("source", metavar="FILE", type=FILE)
@store_option
@model_options
@actor_option
@clear
def add(source: Path, store: str, actor: str | None, **model: Path | None) -> None:
    """Take notices in from a JSON file, JSON lines or a table, and look for their products on sale.

    \b
    Examples:
      listing-risk notices add order.json
      listing-risk notices add kats-2026-11.csv --store postgresql://risk@db.example/risk
    """
    from serving.notices.intake import NoticeError, RefusedNotice, read_notices_file

    refused = 0
    with open_notices(store, **model) as office:
        for found in read_notices_file(source):
            try:
                if isinstance(found, RefusedNotice):
                    raise NoticeError(f"line {found.line}: {found.problem}")
                notice = office.take_in(found, who(actor), _now())
            except NoticeError as error:
                refused += 1
                click.echo(f"refused: {error}", err=True)
                continue
            click.echo(_line(notice.to_json(_now())))
    if refused:
        raise click.exceptions.Exit(2)


@notices.command("list")
@click.option("--state", type=click.Choice(["open", "closed", "withdrawn"]), default=None)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@store_option
@clear
def list_notices(state: str | None, as_json: bool, store: str) -> None:
    """List notices, those with the earliest deadline first."""
    with _desk(store) as desk:
        for notice in sorted(desk.book.notices.values(), key=lambda one: (one.closed, one.due_at)):
            said = notice.to_json(_now())
            if state in (None, said["state"]):
                click.echo(json.dumps(said, ensure_ascii=False) if as_json else _line(said))


@notices.command("show")
@click.argument("notice_id")
@store_option
@clear
def show_notice(notice_id: str, store: str) -> None:
    """Show a notice with its listings and tasks.

    \b
    Examples:
      listing-risk notices show notice-019ab3c2
    """
    with _desk(store) as desk:
        show(desk.notice(notice_id).to_json(_now()))


@notices.command("overdue")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@store_option
@clear
def overdue(as_json: bool, store: str) -> None:
    """List late tasks and unanswered blocks, the longest late first; what was not said before becomes an event.

    Exit code 1 when something is late.

    \b
    Examples:
      listing-risk notices overdue --json
    """
    from serving.notices.reconcile_desk import Reconciler

    now = _now()
    with _desk(store) as desk:
        desk.flag_overdue(now)
        tasks = [
            {"notice_id": notice.notice_id, "number": notice.number, **task.to_json()}
            for notice, late in desk.book.overdue(now)
            for task in late
        ]
        blocks = [one.to_json() for one in Reconciler(desk).unacknowledged(now)]
    for one in (*tasks, *blocks):
        click.echo(json.dumps(one, ensure_ascii=False) if as_json else _late_line(one))
    if tasks or blocks:
        raise click.exceptions.Exit(1)


@notices.command("done")
@click.argument("notice_id")
@click.argument("task_ids", nargs=-1, required=True)
@click.option("--waive", is_flag=True, help="It need not be done; say why with --note.")
@click.option("--reopen", is_flag=True, help="It is open again.")
@click.option("--note", default="", help="What was done, or why not.")
@store_option
@actor_option
@clear
def done(
    notice_id: str,
    task_ids: tuple[str, ...],
    waive: bool,
    reopen: bool,
    note: str,
    store: str,
    actor: str | None,
) -> None:
    """Mark tasks of a notice done.

    \b
    Examples:
      listing-risk notices done notice-019ab3c2 report --note "answered by letter of 24 November"
      listing-risk notices done notice-019ab3c2 consumer_notice:shop:a-1 --waive --note "nobody bought it"
    """
    if waive and reopen:
        raise click.UsageError("give --waive or --reopen, not both")
    to = "waived" if waive else "open" if reopen else "done"
    with _desk(store) as desk:
        notice = desk.end_tasks(notice_id, task_ids, who(actor), to=to, note=note)
        click.echo(_line(notice.to_json(_now())))


@notices.command("judge")
@click.argument("notice_id")
@click.argument("listing_id")
@click.option("--same/--other", required=True, help="Whether the listing is the product.")
@_marketplace
@store_option
@model_options
@actor_option
@clear
def judge(
    notice_id: str,
    listing_id: str,
    same: bool,
    marketplace: str,
    store: str,
    actor: str | None,
    **model: Path | None,
) -> None:
    """Say whether a listing that was found is the product of a notice.

    \b
    Examples:
      listing-risk notices judge notice-019ab3c2 a-1 --marketplace shop --same
    """
    with open_notices(store, **model) as office:
        notice = office.judge(notice_id, (marketplace, listing_id), same, who(actor), _now())
        click.echo(_line(notice.to_json(_now())))


@notices.command("search")
@click.argument("notice_id")
@store_option
@model_options
@actor_option
@clear
def search(notice_id: str, store: str, actor: str | None, **model: Path | None) -> None:
    """Look for a notice's products on sale once more.

    \b
    Examples:
      listing-risk notices search notice-019ab3c2
    """
    with open_notices(store, **model) as office:
        click.echo(_line(office.search(notice_id, who(actor), _now()).to_json(_now())))


@notices.command("refund")
@click.argument("notice_id")
@click.argument("listing_id")
@click.option("--due", type=click.IntRange(0), required=True, help="Buyers that are to be refunded.")
@click.option("--paid", type=click.IntRange(0), required=True, help="Buyers that have been.")
@_marketplace
@store_option
@actor_option
@clear
def refund(
    notice_id: str, listing_id: str, due: int, paid: int, marketplace: str, store: str, actor: str | None
) -> None:
    """Say how far refunds of a listing are.

    \b
    Examples:
      listing-risk notices refund notice-019ab3c2 a-1 --marketplace shop --due 30 --paid 12
    """
    with _desk(store) as desk:
        notice = desk.refund(notice_id, (marketplace, listing_id), due, paid, who(actor))
        click.echo(_line(notice.to_json(_now())))


@notices.command("acknowledge")
@click.argument("listing_ids", nargs=-1, required=True)
@click.option(
    "--status",
    type=click.Choice(["removed", "refused", "live_again"]),
    default="removed",
    help="What the marketplace says.",
)
@_marketplace
@store_option
@actor_option
@clear
def acknowledge(
    listing_ids: tuple[str, ...], status: str, marketplace: str, store: str, actor: str | None
) -> None:
    """Take the marketplace's word that listings are off sale.

    \b
    Examples:
      listing-risk notices acknowledge a-1 a-2 --marketplace shop
    """
    with _desk(store) as desk:
        for listing_id in listing_ids:
            changed = desk.acknowledge((marketplace, listing_id), who(actor), _now(), status=status)
            click.echo(f"{listing_id}: {status}; {len(changed)} notices changed")


@notices.command("withdraw")
@click.argument("notice_id")
@click.option("--note", required=True, help="Why.")
@store_option
@actor_option
@clear
def withdraw(notice_id: str, note: str, store: str, actor: str | None) -> None:
    """Take a notice back that the authority took back.

    \b
    Examples:
      listing-risk notices withdraw notice-019ab3c2 --note "sent in error"
    """
    with _desk(store) as desk:
        click.echo(_line(desk.withdraw(notice_id, who(actor), note).to_json(_now())))


@notices.command("match-recalls")
@click.argument("source", metavar="FILE", type=FILE)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only recalls from this day on.")
@store_option
@model_options
@actor_option
@clear
def match_recalls(
    source: Path, since: datetime | None, store: str, actor: str | None, **model: Path | None
) -> None:
    """Look for fetched recalls in the live catalogue; what is found opens a notice.

    FILE is a records file as `listing-risk fetch` and `ingest` write it. Repeating it does no harm.

    \b
    Examples:
      listing-risk notices match-recalls past/safety_gate.records.jsonl --since 2026-11-01
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.records import Recall
    from training.sources.jsonl import RecordFile

    console = Console(stderr=True)
    looked = opened = 0
    day = since.date() if since else None
    with (
        open_notices(store, **model) as office,
        Progress(console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("matching", total=None)
        recalls = (
            record
            for record in RecordFile(source.name).read(source)
            if isinstance(record, Recall) and (day is None or record.date is None or record.date >= day)
        )
        for _, notice in office.match_recalls(recalls, who(actor), _now()):
            looked += 1
            bar.advance(task)
            if notice is not None:
                opened += 1
                click.echo(_line(notice.to_json(_now())))
    click.echo(f"{looked:,} recalls looked for, {opened:,} notices opened")


def _line(said: dict[str, Any]) -> str:
    tasks = [task for task in said["tasks"] if task["state"] == "open"]
    late = f", {len(said.get('late', ()))} late" if said.get("late") else ""
    return (
        f"{said['notice_id']} {said['authority']} {said['number']} {said['state']}, due {said['due_at'][:16]}: "
        f"{len(said['hits'])} listings, {len(tasks)} tasks open{late}"
    )


def _late_line(one: dict[str, Any]) -> str:
    if "task_id" in one:
        return f"{one['notice_id']} {one['number']} {one['task_id']} was due {one['due_at'][:16]}"
    return f"block of {one['listing_id']} not answered, {one['overdue_hours']:.0f} h past its time"
