"""Commands for complaints and sellers. Imports stand inside the commands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from serving.commands.options import FILE, actor_option, clear, show, store_option, who

_marketplace = click.option("--marketplace", default="", help="Where the listing is offered.")


def _now() -> datetime:
    return datetime.now(UTC)


@click.group("complaints")
def complaints() -> None:
    """Take consumers' complaints in: weak evidence that moves items up the queue."""


@complaints.command("add")
@click.argument("source", metavar="FILE", type=FILE)
@store_option
@actor_option
@clear
def add_complaints(source: Path, store: str, actor: str | None) -> None:
    """Take complaints in from JSON lines or a table with id, listing_id, marketplace, text, received_at, injury.

    \b
    Examples:
      listing-risk complaints add complaints.csv
    """
    from serving.notices.complaints import RefusedComplaint, read_complaints_file
    from serving.notices.complaints_desk import ComplaintDesk
    from serving.store import Store

    counts = {"taken": 0, "known": 0, "refused": 0, "naming a hazard": 0, "in the queue now": 0}
    with Store(store) as opened:
        desk = ComplaintDesk(opened)
        for found in read_complaints_file(source):
            if isinstance(found, RefusedComplaint):
                counts["refused"] += 1
                click.echo(f"refused: line {found.line}: {found.problem}", err=True)
                continue
            said = desk.take_in(found, who(actor), _now())
            counts["known" if said.known else "taken"] += 1
            counts["naming a hazard"] += bool(said.hazards)
            counts["in the queue now"] += said.queued
    click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))


@click.group("sellers")
def sellers() -> None:
    """Strikes against sellers, statements of reasons, appeals."""


@sellers.command("list")
@store_option
@clear
def list_sellers(store: str) -> None:
    """List sellers with strikes, the most points first; blocks since the last look give theirs first."""
    from serving.sellers.desk import SellerDesk
    from serving.store import Store

    with Store(store) as opened:
        desk = SellerDesk(opened)
        while desk.sweep():
            pass
        for (marketplace, seller), found in desk.ranked(_now()):
            where = f"{marketplace}/" if marketplace else ""
            click.echo(f"{where}{seller}: {found.points} points, {found.measure or 'no measure'}")


@sellers.command("show")
@click.argument("seller_id")
@_marketplace
@store_option
@clear
def show_seller(seller_id: str, marketplace: str, store: str) -> None:
    """Show a seller's strikes, listings and appeals.

    \b
    Examples:
      listing-risk sellers show s-1 --marketplace shop
    """
    from serving.sellers.desk import SellerDesk
    from serving.store import Store

    with Store(store) as opened:
        show(SellerDesk(opened).page((marketplace, seller_id), _now()).to_json())


@sellers.command("statement")
@click.argument("decision_id")
@click.option(
    "--language", type=click.Choice(["ko", "en", "zh"]), default="ko", show_default=True, help="Of the text."
)
@store_option
@clear
def statement(decision_id: str, language: str, store: str) -> None:
    """Write the statement of reasons for a decision.

    \b
    Examples:
      listing-risk sellers statement 019ab3c2 --language zh
    """
    from serving.sellers.desk import SellerDesk
    from serving.sellers.statements import statement_language, write_statement
    from serving.store import Store

    with Store(store) as opened:
        desk, found = SellerDesk(opened), opened.decision(decision_id)
        seller = str(((found.listing or {}).get("seller") or {}).get("id") or "")
        standing = desk.page((found.marketplace, seller), _now()).standing if seller else None
        click.echo(write_statement(found, statement_language(language), desk.rules, standing).as_text())
