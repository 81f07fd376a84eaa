"""Opening the laboratory office for a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, settings_of

if TYPE_CHECKING:
    from serving.labs.loop import LabOffice

PATH = click.Path(path_type=Path)
_MODEL = (
    click.option("--bundle", type=PATH, help="[default: the starter bundle]"),
    click.option("--policy", type=FILE, help="[default: the policy of the package]"),
    click.option(
        "--matcher", type=FILE, envvar="LISTING_RISK_MATCHER", help="[default: the matcher of the package]"
    ),
)


def model_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which model, policy and matcher."""
    for option in reversed(_MODEL):
        function = option(function)
    return function


def console() -> Any:
    """Return the console that words for people go to."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def lab_office(store: str, maps: Path | None = None, **model: Path | None) -> Iterator[LabOffice]:
    """Open the store, bans and predictor, and the laboratory office over them."""
    from serving.bans.office import open_office
    from serving.labs.columns import load_columns
    from serving.labs.loop import LabOffice

    settings = settings_of(model.get("bundle"), model.get("policy"))
    with open_office(store, settings, model.get("matcher")) as bans:
        yield LabOffice(bans.store, bans, maps=load_columns(maps))


@contextmanager
def book_only(store: str) -> Iterator[LabOffice]:
    """Open the store alone: enough to read."""
    from serving.labs.loop import LabOffice
    from serving.store import Store

    with Store(store) as opened:
        yield LabOffice(opened)
