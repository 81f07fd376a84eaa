"""The command that compares a catalogue with what was ordered off sale. Imports stand inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.notices import model_options, open_notices
from serving.commands.options import FILE, clear, store_option

if TYPE_CHECKING:
    from serving.store import Store


def _now() -> datetime:
    return datetime.now(UTC)


@click.command("reconcile")
@click.argument("source", metavar="CATALOGUE", type=FILE)
@click.option("--columns", help="Column map: title=name,price=min_price or a named one such as coupang_kr.")
@click.option("--marketplace", default=None, help="For rows that give none.")
@click.option("--numbers-only", is_flag=True, help="Compare by listing number alone; finds no re-listings.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write the whole result as JSON.")
@store_option
@model_options
@clear
def reconcile(
    source: Path,
    columns: str | None,
    marketplace: str | None,
    numbers_only: bool,
    output: Path | None,
    store: str,
    **model: Path | None,
) -> None:
    """Say what was ordered off sale and is still, or again, in a marketplace's catalogue, per notice.

    Exit code 1 when something is on sale that must not be, or a block was not answered in time.

    \b
    Examples:
      listing-risk reconcile live.csv --columns coupang_kr --marketplace coupang --output reconcile.json
    """
    from rich.console import Console
    from rich.progress import Progress

    from serving.notices.reconcile_desk import Reconciler

    console = Console(stderr=True)
    with _reconciler(store, numbers_only, model) as find_and_store:
        from serving.notices.desk import NoticeDesk

        find, opened = find_and_store
        reconciler = Reconciler(NoticeDesk(opened), find)
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("comparing", total=None)
            listings = _listings(source, columns, marketplace)
            result = reconciler.run(listings, _now(), lambda n: bar.advance(task, n))
    said = result.to_json()
    if output is not None:
        output.write_text(json.dumps(said, ensure_ascii=False, indent=2), "utf-8")
    _print_reconciliation(said)
    if result.items or result.unacknowledged:
        raise click.exceptions.Exit(1)


@contextmanager
def _reconciler(store: str, numbers_only: bool, model: dict[str, Path | None]) -> Iterator[tuple[Any, Store]]:
    if numbers_only:
        from serving.store import Store

        with Store(store) as opened:
            yield None, opened
        return
    from serving.bans.matching import MatchFinder

    with open_notices(store, **model) as office:
        finder = MatchFinder(office.bans.desk.bank, office.bans.photos)
        yield (lambda listing: tuple(match.fact() for match in finder.find(listing))), office.store


def _listings(source: Path, columns: str | None, marketplace: str | None) -> Iterator[Any]:
    from features.reader import ColumnMap, RejectedRow, read_listings

    found = None
    if columns is not None:
        found = ColumnMap.parse(columns) if "=" in columns else ColumnMap.named(columns.removeprefix("@"))
    refused = 0
    for row in read_listings(source, found):
        if isinstance(row, RejectedRow):
            refused += 1
        elif marketplace and not row.marketplace:
            yield row.model_copy(update={"marketplace": marketplace})
        else:
            yield row
    if refused:
        click.echo(f"{refused:,} rows are no listings and were left out", err=True)


def _print_reconciliation(said: dict[str, Any]) -> None:
    for one in said["notices"]:
        orders, words = one["stop_sale"], one["consumer_notice"]
        click.echo(
            f"{one['notice_id']} {one['authority']} {one['number']}: {one['live']} on sale of {one['ordered']} "
            f"ordered away, longest {one['longest_live_hours']:.0f} h; "
            f"orders to sellers {orders['done']}/{orders['of']}, "
            f"consumer notices {words['done']}/{words['of']}; {one['late_tasks']} tasks late"
        )
    for item in said["live"]:
        where = f"{item['marketplace']}/" if item["marketplace"] else ""
        click.echo(
            f"  {item['how'].replace('_', ' ')}: {where}{item['listing_id']} seller {item['seller_id'] or '-'} for "
            f"{item['live_hours']:.0f} h against {item['notice_id'] or item['ban_id'] or 'a block'}"
        )
    for block in said["unacknowledged"]:
        click.echo(f"  not answered: {block['listing_id']} for {block['overdue_hours']:.0f} h past its time")
    click.echo(
        f"{said['listings']:,} listings compared: {len(said['live']):,} must not be on sale, "
        f"{len(said['unacknowledged']):,} blocks unanswered"
    )
