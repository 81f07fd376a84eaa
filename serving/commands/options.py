"""What the commands share: where the store is, who acts, and how known errors are said. Imports nothing heavy."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from serving.predictor import Predictor
    from serving.settings import Settings

USER, OUTSIDE = 2, 3
STORE_VARIABLE = "LISTING_RISK_STORE"
DEMO = "demo"


def default_store() -> str:
    """Address of the store where nobody names one: a SQLite file in this user's state folder."""
    from serving.settings import state_folder

    return str(state_folder(os.environ) / "store.db")


def demo_store() -> str:
    """Address of the demonstration's store, which `demo` names on the command line."""
    from serving.settings import state_folder

    return str(state_folder(os.environ) / "demo.db")


def _address(_context: click.Context, _option: click.Parameter, given: str | None) -> str:
    from serving.opening import make_store_folder

    given = demo_store() if given == DEMO else given
    address = given or os.environ.get(STORE_VARIABLE, "").strip() or default_store()
    make_store_folder(address)
    return address


store_option = click.option(
    "--store",
    metavar="ADDRESS",
    callback=_address,
    help="Where decisions are kept: a SQLite file or postgresql://..., or demo for the demonstration's. "
    "[env: LISTING_RISK_STORE] "
    "[default: listing-risk/store.db in $XDG_STATE_HOME, ~/.local/state where unset]",
)
"""``store``: an address whose folder exists."""

actor_option = click.option(
    "--actor", default=None, help="Who acts, for the record. [default: the account's name]"
)


def who(actor: str | None) -> str:
    """Return who acts: as given, or the name of the account."""
    return actor or getpass.getuser()


def show(value: Any) -> None:
    """Print a value as JSON that a person can read."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def exit_code(error: Exception) -> int | None:
    """Return the exit code of an error that says what to do; None for one that is ours to mend."""
    from features.errors import OutsideError, UserError

    if isinstance(error, OutsideError):
        return OUTSIDE
    if isinstance(error, UserError | FileNotFoundError | PermissionError | IsADirectoryError):
        return USER
    store_errors = sys.modules.get("serving.store.errors")  # nobody met a store who did not load it
    if store_errors is None or not isinstance(error, store_errors.StoreError):
        return None
    outside = (store_errors.StoreUnavailableError, store_errors.BusyError, store_errors.NotDurableError)
    return OUTSIDE if isinstance(error, outside) else USER


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn known errors into one line and an exit code: 2 for the user's, 3 for an outside system's."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        from rich.console import Console
        from rich.markup import escape

        # Folded by the terminal, not by us: a path in it can be copied, and a log has it in one line.
        Console(stderr=True).print(
            f"[bold red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(code)


def clear(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command end in one clear line on known errors; the decorator nearest to the function."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        with clear_errors():
            function(*args, **kwargs)

    return run


FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


bundle_option = click.option(
    "--bundle",
    metavar="PATH_OR_URI",
    help="Folder of a bundle or models:/name@alias. [default: the starter bundle]",
)
policy_option = click.option("--policy", type=FILE, help="Policy file. [default: the policy of the package]")


def console() -> Any:
    """Return the console for people: standard error."""
    from rich.console import Console

    return Console(stderr=True)


def plain(text: str) -> str:
    """Return text with nothing in it that the console takes for markup."""
    from rich.markup import escape

    return escape(text)


def bundle_path(reference: str | None) -> Path | None:
    """Return the folder of a bundle; a registry address is resolved by a short-lived process of its own."""
    if reference is None:
        return None
    if not reference.startswith("models:/"):
        return Path(reference)
    from training.registry_path import resolve

    return resolve(reference)


def predictor_of(bundle: str | None, policy: Path | None) -> Predictor:
    """Load a predictor with a bundle and a policy, or with those that come with the package."""
    from serving.predictor import load_predictor

    return load_predictor(settings_of(bundle_path(bundle), policy))


def settings_of(bundle: Path | None, policy: Path | None) -> Settings:
    """Return settings with the bundle and policy of a command, and whom this machine trusts to sign bundles."""
    from serving.settings import Settings
    from serving.supply.settings import read_supply

    return Settings(bundle=bundle, policy=policy, supply=read_supply(os.environ))
