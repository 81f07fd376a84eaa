"""Commands that say who may come in: accounts, keys, one-time links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from serving.access.table import ROLES
from serving.commands.options import actor_option, clear, show, store_option, who

if TYPE_CHECKING:
    from serving.access.door import AccessDoor

_role = click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")


@contextmanager
def _door(store: str) -> Iterator[AccessDoor]:
    from serving.access.door import AccessDoor
    from serving.store import Store

    with Store(store) as opened:
        yield AccessDoor(opened)


@click.group("access")
def access() -> None:
    """Say who may come in, and as what; the first account closes the service that was open to this machine."""


@access.command("add")
@click.argument("name")
@_role
@store_option
@click.option(
    "--link", "address", metavar="ADDRESS", help="No password: print a one-time link to this service."
)
@actor_option
@clear
def add(name: str, role: str, store: str, address: str | None, actor: str | None) -> None:
    """Add a person, or give an existing one another role or password.

    The password is asked for twice and never shown, or read from standard input where that is no terminal.

    \b
    Examples:
      listing-risk access add mina --role reviewer
      listing-risk access add jun --role compliance --link https://risk.example
    """
    from serving.access.secrets import PASSWORD_MIN

    password = None
    if address is None:
        password = _password(f"Password, at least {PASSWORD_MIN} characters")
    with _door(store) as door:
        door.add_account(name, role, password, who(actor))
        if address is not None:
            click.echo(door.account_link(name, address, who(actor)))
        else:
            click.echo(f"{name} may come in as {role}")


def _password(prompt: str) -> str:
    import sys

    if sys.stdin.isatty():
        return click.prompt(prompt, hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\n")


@access.command("list")
@store_option
@clear
def list_(store: str) -> None:
    """List accounts and keys; never a password or a key itself."""
    from serving.store.records import moment

    def when(at: int | None) -> str | None:
        return None if at is None else moment(at).isoformat(timespec="seconds")

    with _door(store) as door:
        show(
            {
                "accounts": [
                    {
                        "name": one.name,
                        "role": one.role,
                        "password": one.password is not None,
                        "created_at": when(one.created_at),
                        "disabled_at": when(one.disabled_at),
                    }
                    for one in door.accounts()
                ],
                "keys": [
                    {
                        "id": one.id,
                        "name": one.name,
                        "role": one.role,
                        "scopes": list(one.scopes),
                        "created_by": one.created_by,
                        "expires_at": when(one.expires_at),
                        "revoked_at": when(one.revoked_at),
                    }
                    for one in door.api_keys()
                ],
            }
        )


@access.command("disable")
@click.argument("name")
@store_option
@actor_option
@clear
def disable(name: str, store: str, actor: str | None) -> None:
    """Let a person in no more; what they did stays on record.

    \b
    Examples:
      listing-risk access disable mina
    """
    with _door(store) as door:
        door.disable_account(name, who(actor))
    click.echo(f"{name} may not come in any more")


@access.command("link")
@click.argument("name")
@click.argument("address")
@store_option
@actor_option
@clear
def link(name: str, address: str, store: str, actor: str | None) -> None:
    """Print a link that signs a person in once, within an hour.

    \b
    Examples:
      listing-risk access link mina http://127.0.0.1:3000
    """
    with _door(store) as door:
        click.echo(door.account_link(name, address, who(actor)))


@access.command("key")
@click.argument("name")
@_role
@click.option(
    "--scope", "scopes", multiple=True, help="Only this of the role's permissions; may be repeated."
)
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="Until it expires.")
@store_option
@actor_option
@clear
def key(name: str, role: str, scopes: tuple[str, ...], days: int, store: str, actor: str | None) -> None:
    """Issue a key for a program; it is printed this once and kept nowhere.

    \b
    Examples:
      listing-risk access key pipeline --role administrator --scope score --days 30
      curl -H "Authorization: Bearer KEY" https://risk.example/v1/model
    """
    with _door(store) as door:
        made, shown = door.issue_key(name, role, scopes, days, who(actor))
    click.echo(f"key {made.id} of {name}, shown once:", err=True)
    click.echo(shown)


@access.command("revoke")
@click.argument("key_id")
@store_option
@actor_option
@clear
def revoke(key_id: str, store: str, actor: str | None) -> None:
    """Take a key back.

    \b
    Examples:
      listing-risk access revoke 3f9c01ab77de
    """
    with _door(store) as door:
        door.revoke_key(key_id, who(actor))
    click.echo(f"key {key_id} is taken back")
