"""Commands for events that go out. Imports stand inside the commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from serving.commands.options import actor_option, clear, show, store_option, who

if TYPE_CHECKING:
    from serving.events.webhooks import EndpointDesk

HOSTS = "LISTING_RISK_WEBHOOK_HOSTS"


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _desk(store: str) -> Iterator[EndpointDesk]:
    from serving.events.vault import SecretVault
    from serving.events.webhooks import EndpointDesk
    from serving.events.webhooks_address import AddressRules
    from serving.store import Store
    from serving.supply.settings import read_supply

    vault = SecretVault(read_supply(os.environ).secret_keys)
    with Store(store) as opened:
        yield EndpointDesk(opened, AddressRules.of(os.environ.get(HOSTS, "")), vault=vault)


@click.group("events")
def events() -> None:
    """Tell other systems what was decided: addresses, deliveries, dead letters."""


@events.command("register")
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="A kind of event; may be repeated. [default: all]")
@click.option("--description", default="", help="What it is for.")
@store_option
@actor_option
@clear
def register(url: str, kinds: tuple[str, ...], description: str, store: str, actor: str | None) -> None:
    """Register an address and print its secret, once.

    \b
    Examples:
      listing-risk events register https://shop.example/hooks --kind item.blocked --kind item.released
    """
    with _desk(store) as desk:
        endpoint, secret = desk.register(url, kinds, who(actor), _now(), description)
        show(endpoint.to_json() | {"secret": secret})


@events.command("key")
@clear
def key() -> None:
    """Print a new key that secrets are encrypted with in the database; it is kept nowhere.

    \b
    Examples:
      listing-risk events key > secret.keys
      export LISTING_RISK_SECRET_KEYS_FILE=$PWD/secret.keys
    """
    from serving.events.vault import new_key

    click.echo(new_key())


@events.command("reseal")
@store_option
@actor_option
@clear
def reseal(store: str, actor: str | None) -> None:
    """Encrypt secrets that do not lie under the newest key yet; after that earlier keys can go.

    \b
    Examples:
      LISTING_RISK_SECRET_KEYS=NEW,OLD listing-risk events reseal
    """
    with _desk(store) as desk:
        show({"resealed": desk.reseal(who(actor))})


@events.command("list")
@store_option
@clear
def list_endpoints(store: str) -> None:
    """List addresses with what waits, arrived and died."""
    from serving.store.deliveries import count_deliveries
    from serving.store.engine import reading

    with _desk(store) as desk:
        with reading(desk.store.engine) as connection:
            counts = count_deliveries(connection)
        for endpoint in desk.all().values():
            if endpoint.state == "removed":
                continue
            said = ", ".join(
                f"{counts.get((endpoint.endpoint_id, status), 0):,} {status}"
                for status in ("waiting", "delivered", "dead")
            )
            why = f" ({endpoint.why})" if endpoint.why else ""
            click.echo(f"{endpoint.endpoint_id} {endpoint.url} {endpoint.state}{why}: {said}")


@events.command("dead")
@click.argument("endpoint_id")
@store_option
@clear
def dead(endpoint_id: str, store: str) -> None:
    """List dead letters with the last answer.

    \b
    Examples:
      listing-risk events dead endpoint-019ab3c2
    """
    from serving.store.deliveries import read_deliveries
    from serving.store.engine import reading

    with _desk(store) as desk, reading(desk.store.engine) as connection:
        letters = read_deliveries(connection, endpoint_id=endpoint_id, status="dead", size=1_000)
        for one in letters:
            when = one.created_at.isoformat(timespec="seconds")
            click.echo(
                f"{one.event_id} {one.type} {one.subject} {when} {one.attempts} attempts: {one.last_answer}"
            )
    if not letters:
        click.echo("no dead letters", err=True)


@events.command("replay")
@click.argument("endpoint_id")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Everything from then on, UTC."
)
@store_option
@actor_option
@clear
def replay(endpoint_id: str, since: datetime | None, store: str, actor: str | None) -> None:
    """Send dead letters once more, or with --since everything from then on.

    \b
    Examples:
      listing-risk events replay endpoint-019ab3c2
      listing-risk events replay endpoint-019ab3c2 --since 2026-11-20
    """
    start = since.replace(tzinfo=UTC) if since else None
    with _desk(store) as desk:
        click.echo(f"{desk.replay(endpoint_id, who(actor), _now(), start):,} will be sent once more")


@events.command("rotate")
@click.argument("endpoint_id")
@store_option
@actor_option
@clear
def rotate(endpoint_id: str, store: str, actor: str | None) -> None:
    """Give an address a new secret, printed once; the old one signs beside it for a day.

    \b
    Examples:
      listing-risk events rotate endpoint-019ab3c2
    """
    with _desk(store) as desk:
        show({"secret": desk.rotate(endpoint_id, who(actor), _now())})


@events.command("enable")
@click.argument("endpoint_id")
@store_option
@actor_option
@clear
def enable(endpoint_id: str, store: str, actor: str | None) -> None:
    """Send to an address again.

    \b
    Examples:
      listing-risk events enable endpoint-019ab3c2
    """
    with _desk(store) as desk:
        click.echo(f"{desk.enable(endpoint_id, who(actor)).endpoint_id} active")


@events.command("disable")
@click.argument("endpoint_id")
@click.option("--why", default="", help="Why, for the record.")
@store_option
@actor_option
@clear
def disable(endpoint_id: str, why: str, store: str, actor: str | None) -> None:
    """Stop sending to an address; what waits stays.

    \b
    Examples:
      listing-risk events disable endpoint-019ab3c2 --why "being moved"
    """
    with _desk(store) as desk:
        click.echo(f"{desk.disable(endpoint_id, who(actor), why).endpoint_id} disabled")


@events.command("remove")
@click.argument("endpoint_id")
@store_option
@actor_option
@clear
def remove(endpoint_id: str, store: str, actor: str | None) -> None:
    """Remove an address and its secrets."""
    with _desk(store) as desk:
        desk.remove(endpoint_id, who(actor))
        click.echo(f"{endpoint_id} removed")


@events.command("deliver")
@click.option("--once", is_flag=True, help="Deliver what is due and return.")
@store_option
@clear
def deliver(once: bool, store: str) -> None:
    """Deliver events from this machine; the service does so by itself.

    \b
    Examples:
      listing-risk events deliver --once
    """
    import asyncio
    import threading

    from serving.events.outbox import Outbox
    from serving.events.outbox_worker import OutboxWorker

    with _desk(store) as desk:
        outbox = Outbox(desk)
        if once:
            done = asyncio.run(outbox.once())
            click.echo(f"{done.delivered:,} delivered, {done.failed:,} to try again, {done.dead:,} dead")
            return
        worker = OutboxWorker(outbox).start()
        click.echo("delivering; Ctrl-C ends it", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            worker.close()
