"""Commands that keep bans and the live catalogue. Imports stand inside the commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, actor_option, clear, settings_of, show, store_option, who

if TYPE_CHECKING:
    from features.reader import ColumnMap
    from serving.bans.retroaction import BanOffice

_FILE = FILE
_store, _actor, _clear = store_option, actor_option, clear
_MODEL = (
    click.option("--bundle", type=click.Path(path_type=Path), help="[default: the starter bundle]"),
    click.option("--policy", type=_FILE, help="[default: the policy of the package]"),
    click.option(
        "--matcher",
        type=_FILE,
        envvar="LISTING_RISK_MATCHER",
        help="[default: the matcher of the package] [env: LISTING_RISK_MATCHER]",
    ),
)


def _model(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the files that decide."""
    for option in reversed(_MODEL):
        function = option(function)
    return function


@contextmanager
def _office(
    store: str, bundle: Path | None = None, policy: Path | None = None, matcher: Path | None = None
) -> Iterator[BanOffice]:
    from serving.bans.office import open_office

    with open_office(store, settings_of(bundle, policy), matcher) as office:
        yield office


@click.group("bans")
def bans() -> None:
    """Ban items, so that they do not come back under another title, photo or seller."""


@bans.command("add")
@click.argument("listing", type=click.File("rb"), default="-")
@click.option("--reason", default="", help="Why, in a few words.")
@click.option("--bank", default="banned", show_default=True, help="Which bank the item goes to.")
@click.option(
    "--notice",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Of the authority's notice: regulator, number, date, url.",
)
@_store
@_model
@_actor
@_clear
def add(
    listing: Any,
    reason: str,
    bank: str,
    notice: tuple[str, ...],
    store: str,
    actor: str | None,
    **model: Path | None,
) -> None:
    """Ban one item, a JSON listing, and decide about everything in the catalogue that matches it.

    \b
    Examples:
      listing-risk bans add item.json --reason "lead 310 mg/kg" --notice number=2026-114
    """
    from serving.bans.book import request_of

    request = request_of(
        {
            "listing": _json(listing),
            "reason": reason,
            "bank": bank,
            "notice": dict(map(_pair, notice)) or None,
        }
    )
    with _office(store, **model) as office:
        show(office.place(request, who(actor)).to_json())


@bans.command("list")
@click.option("--state", type=click.Choice(["active", "quarantined", "lifted"]), default=None)
@click.option("--bank", default=None)
@_store
@_clear
def list_bans(state: str | None, bank: str | None, store: str) -> None:
    """List bans, one JSON object a line."""
    from serving.bans.office import read_book

    for entry in read_book(store).entries.values():
        if (state is None or entry.state == state) and (bank is None or entry.bank == bank):
            click.echo(json.dumps(entry.to_json(), ensure_ascii=False))


@bans.command("lift")
@click.argument("ban_id")
@click.option("--reason", default="", help="Why, in a few words.")
@_store
@_model
@_actor
@_clear
def lift(ban_id: str, reason: str, store: str, actor: str | None, **model: Path | None) -> None:
    """Lift a ban and decide anew about what it held."""
    with _office(store, **model) as office:
        show(office.lift(ban_id, who(actor), reason).to_json())


@bans.command("look-back")
@click.argument("ban_id")
@_store
@_model
@_actor
@_clear
def look_back(ban_id: str, store: str, actor: str | None, **model: Path | None) -> None:
    """Search the catalogue for a ban again, for example after a crash or an import."""
    with _office(store, **model) as office:
        show(office.look_back(office.desk.book.entry(ban_id), who(actor)).to_json())


@bans.command("quarantine")
@click.argument("ban_id")
@click.option("--release", is_flag=True, help="Put it back in force.")
@click.option("--reason", default="", help="Why, in a few words.")
@_store
@_actor
@_clear
def quarantine(ban_id: str, release: bool, reason: str, store: str, actor: str | None) -> None:
    """Take a ban that misfires out of force, or put it back."""
    with _office(store) as office:
        change = office.desk.release if release else office.desk.quarantine
        show(change(ban_id, who(actor), reason).to_json())


@bans.command("bank")
@click.argument("bank")
@click.option("--enable-ratio", type=float, required=True, help="Share of listings compared with it, 0 to 1.")
@_store
@_actor
@_clear
def bank(bank: str, enable_ratio: float, store: str, actor: str | None) -> None:
    """Say how large a share of the listings is compared with a bank."""
    with _office(store) as office:
        office.desk.set_bank(bank, enable_ratio, who(actor))
    click.echo(f"{bank}: {enable_ratio:g}")


@bans.command("demo")
@click.option("--picture", type=click.Path(path_type=Path), help="Only draw the two photos side by side.")
@_model
@_clear
def demo(picture: Path | None, **model: Path | None) -> None:
    """Ban an item of the sample, upload an edited copy of it, and see it blocked; leaves nothing behind.

    \b
    Examples:
      listing-risk bans demo
      listing-risk bans demo --picture docs/figures/relisting_demo.png
    """
    import tempfile

    from rich.console import Console

    from serving.demo.relisting import draw_both, play, tell

    if picture is not None:
        draw_both(picture)
        return
    with tempfile.TemporaryDirectory() as folder, _office(f"{folder}/store.db", **model) as office:
        tell(play(office), Console())


@bans.command("train-matcher")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="The matcher file.")
@click.option("--allowed-only", is_flag=True, help="Use only what may be passed on with the package.")
@_clear
def matcher_train(data: Path, output: Path, allowed_only: bool) -> None:
    """Train the matcher that says whether two offers are one product.

    \b
    Examples:
      listing-risk bans train-matcher --data ./past --output matcher.safetensors
    """
    from training.matcher_train import train_matcher

    matcher = train_matcher(
        data, output, allowed_only=allowed_only, say=lambda step: click.echo(step, err=True)
    )
    points = ", ".join(f"{name} {p:.4f}" for name, p in matcher.header.points.items())
    click.echo(f"{sum(matcher.header.trained_on.values()):,} pairs; {points} -> {output}")


@click.group("catalogue")
def catalogue() -> None:
    """Keep the live catalogue, which a new ban is searched in."""


@catalogue.command("add")
@click.argument("source", metavar="INPUT", type=_FILE)
@click.option("--columns", help="Column map: title=name,price=min_price or a named one such as coupang_kr.")
@click.option("--marketplace", default=None, help="For rows that give none.")
@_store
@_model
@_clear
def catalogue_add(
    source: Path, columns: str | None, marketplace: str | None, store: str, **model: Path | None
) -> None:
    """Add listings of a CSV, JSONL or Parquet file, or new versions of them.

    \b
    Examples:
      listing-risk catalogue add live.jsonl.gz
      listing-risk catalogue add coupang.csv --columns coupang_kr --marketplace coupang
    """
    from rich.console import Console
    from rich.progress import Progress

    from features.reader import RejectedRow, read_listings

    rejected = added = 0

    def good() -> Iterator[Any]:
        nonlocal rejected
        for row in read_listings(source, _columns(columns)):
            if isinstance(row, RejectedRow):
                rejected += 1
            elif marketplace and not row.marketplace:
                yield row.model_copy(update={"marketplace": marketplace})
            else:
                yield row

    console = Console(stderr=True)
    with _office(store, **model) as office, Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("adding", total=None)
        for count in office.catalogue.add(good()):
            added += count
            bar.advance(task, count)
        size = office.catalogue.size()
    click.echo(f"{added:,} added, {rejected:,} rejected; {size:,} live")


@catalogue.command("remove")
@click.argument("listing_ids", nargs=-1, required=True)
@click.option("--marketplace", default="", help="Where they were on sale.")
@_store
@_clear
def catalogue_remove(listing_ids: tuple[str, ...], marketplace: str, store: str) -> None:
    """Take listings away that are no longer on sale."""
    with _office(store) as office:
        removed = office.catalogue.remove([(marketplace, listing_id) for listing_id in listing_ids])
        click.echo(f"{removed:,} removed; {office.catalogue.size():,} live")


@catalogue.command("size")
@_store
@_clear
def catalogue_size(store: str) -> None:
    """Say how many listings are live."""
    from serving.bans.office import catalogue_size as count

    click.echo(f"{count(store):,}")


def _columns(text: str | None) -> ColumnMap | None:
    from features.reader import ColumnMap

    if text is None:
        return None
    return ColumnMap.parse(text) if "=" in text else ColumnMap.named(text.removeprefix("@"))


def _json(stream: Any) -> Any:
    try:
        return json.loads(stream.read())
    except ValueError as error:
        raise click.BadParameter(f"got something that is not JSON: {error}; expected one listing") from None


def _pair(entry: str) -> tuple[str, str]:
    name, found, value = entry.partition("=")
    if not found or not name:
        raise click.BadParameter(f"got {entry!r}, expected FIELD=VALUE", param_hint="--notice")
    return name, value
