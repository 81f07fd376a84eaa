"""Start the service, or the demonstration of it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from serving.commands.options import (
    STORE_VARIABLE,
    bundle_path,
    clear,
    console,
    default_store,
    policy_option,
    predictor_of,
)

_PATH = click.Path(path_type=Path)


@click.command("serve")
@click.option("--bundle", metavar="PATH_OR_URI", help="[default: the starter bundle]")
@policy_option
@click.option("--host", default=None, help="[default: 127.0.0.1, this machine only]")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="[default: 3000]")
@click.option(
    "--store",
    metavar="ADDRESS",
    help="Where decisions are kept: a SQLite file or postgresql://...; '' only scores and keeps nothing. "
    "[env: LISTING_RISK_STORE] [default: listing-risk/store.db in $XDG_STATE_HOME, ~/.local/state where unset]",
)
@clear
def serve(
    bundle: str | None, policy: Path | None, host: str | None, port: int | None, store: str | None
) -> None:
    """Start the service in the foreground, until Ctrl-C.

    \b
    Examples:
      listing-risk serve
      listing-risk serve --bundle ./bundle --port 3100
      listing-risk serve --store postgresql://risk@db.example/risk
    """
    from serving.opening import make_store_folder
    from serving.settings import read_settings

    environ = dict(os.environ)
    path = bundle_path(bundle)
    if store is None and STORE_VARIABLE not in environ:
        store = default_store()
    given = (("BUNDLE", path), ("POLICY", policy), ("HOST", host), ("PORT", port), ("STORE", store))
    for name, value in given:
        if value is not None:
            environ[f"LISTING_RISK_{name}"] = str(value)
    settings = read_settings(environ)
    make_store_folder(settings.store)
    from serving.loading import check_settings
    from serving.run import serve_forever

    check_settings(settings)
    serve_forever(settings, environ)


@click.command("demo")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--detach", is_flag=True, help="Leave the service running and return.")
@click.option("--stop", is_flag=True, help="Stop a service that was left running.")
@click.option("--picture", type=_PATH, help="Only draw the ranking of the sample as an SVG file.")
@click.option(
    "--store",
    metavar="ADDRESS",
    help="Where the sample is kept. [default: listing-risk/demo.db in $XDG_STATE_HOME, ~/.local/state where unset]",
)
@clear
def demo(port: int, detach: bool, stop: bool, picture: Path | None, store: str | None) -> None:
    """Start the service with the starter bundle and put the sample catalogue to work: scored, some of it banned.

    \b
    Examples:
      listing-risk demo
      listing-risk demo --port 3100 --detach
    """
    from serving.demo.first_look import Demo, draw_ranking

    if picture is not None:
        draw_ranking(predictor_of(None, None), picture)
        return
    show = Demo(port, console(), store)
    show.stop() if stop else show.run(detach=detach)


COMMANDS: tuple[click.Command, ...] = (serve, demo)
"""What `serving.cli` adds."""
