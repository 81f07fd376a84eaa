"""Commands for a team's own data files: copy the package's to change them, and check what was changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from features.own_files import FILES, VARIABLE, OwnFilesError, checked_folder, data_file
from serving.commands.options import clear

if TYPE_CHECKING:
    from features.taxonomy import Taxonomy


def _use(context: click.Context, _option: click.Parameter, folder: Path | None) -> None:
    """Have this process, and those it starts, read their data files from a folder, until the command ends."""
    if folder is None:
        return
    try:
        chosen = str(checked_folder(folder))
    except OwnFilesError as error:
        raise click.BadParameter(str(error)) from None
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = chosen

    def put_back() -> None:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before

    context.call_on_close(put_back)


def with_taxonomy(group: click.Group) -> None:
    """Give every command of a group, and of the groups in it, the option ``--taxonomy``."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            with_taxonomy(command)
        elif command is not copy and not any(option.name == "taxonomy" for option in command.params):
            command.params.append(
                click.Option(
                    ["--taxonomy"],
                    type=click.Path(path_type=Path),
                    callback=_use,
                    expose_value=False,
                    is_eager=True,
                    metavar="FOLDER",
                    help="Own hazards, product groups, limits, laboratories, column maps; they win over the "
                    "package's. [env: LISTING_RISK_TAXONOMY]",
                )
            )


@click.group("taxonomy")
def taxonomy() -> None:
    """Own hazards, product groups, legal limits, names, laboratories and column maps, as files."""


@taxonomy.command("copy")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--file", "names", multiple=True, type=click.Choice(tuple(FILES)), help="Only this one; may be repeated."
)
@clear
def copy(folder: Path, names: tuple[str, ...]) -> None:
    """Copy the package's data files to a folder, to be changed there; what is there already stays.

    A file that you do not change can be deleted again: the package's is read in its place.

    \b
    Examples:
      listing-risk taxonomy copy ours
      listing-risk taxonomy copy ours --file limits.csv --file laboratories.yaml
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or FILES:
        target = folder / name
        if target.exists():
            _say(f"{target} stays as it is")
            continue
        shutil.copyfile(FILES[name], target)
        _say(f"{target}")


@taxonomy.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@clear
def check(folder: Path) -> None:
    """Read a folder of own data files and say what it adds to the package's, takes away and changes.

    \b
    Example:
      listing-risk taxonomy check ours
    """
    from features.columns import read_maps
    from features.taxonomy import load_taxonomy, packaged_taxonomy
    from serving.labs.columns import load_columns
    from training.taxonomy_mark import reading_hash

    own, theirs = load_taxonomy(checked_folder(folder)), packaged_taxonomy()
    for path in sorted(folder.iterdir()):
        if path.name not in FILES:
            _say(f"not read: {path.name} (names that are: {', '.join(FILES)})")
    for what, mine, packaged in _parts(own, theirs):
        _say_difference(what, mine, packaged)
    marketplaces = [dict(read_maps(path)) for path in _both("column_maps.yaml", folder)]
    _say_difference("column maps of marketplaces", *marketplaces)
    laboratories = [dict(load_columns(path).laboratories) for path in _both("labs_columns.yaml", folder)]
    _say_difference("column maps of laboratories", *laboratories)
    if reading_hash(own) == reading_hash(theirs):
        _say("listings are read as by the package's files: bundles trained with those can be used")
    else:
        _say("listings are read otherwise than by the package's files: train a bundle with this folder")


def _both(name: str, folder: Path) -> tuple[Path, Path]:
    return data_file(name, folder), FILES[name]


def _parts(own: Taxonomy, theirs: Taxonomy) -> list[tuple[str, dict[Any, Any], dict[Any, Any]]]:
    def limits(one: Taxonomy) -> dict[Any, Any]:
        return {limit.ref: limit for limit in one.law.limits}

    return [
        ("hazards", {h.code: h for h in own.hazards}, {h.code: h for h in theirs.hazards}),
        ("product groups", dict(own.groups), dict(theirs.groups)),
        ("legal limits", limits(own), limits(theirs)),
        ("laboratories", dict(own.laboratories), dict(theirs.laboratories)),
    ]


def _say_difference(what: str, mine: dict[Any, Any], packaged: dict[Any, Any]) -> None:
    added = [str(key) for key in mine if key not in packaged]
    gone = [str(key) for key in packaged if key not in mine]
    changed = [str(key) for key in mine if key in packaged and mine[key] != packaged[key]]
    said = [
        f"{len(keys)} {word} ({', '.join(keys[:8])}{', ...' if len(keys) > 8 else ''})"
        for word, keys in (("added", added), ("taken away", gone), ("changed", changed))
        if keys
    ]
    _say(f"{what}: {len(mine)}; {', '.join(said) or 'as in the package'}")


def _say(text: str) -> None:
    click.echo(text, err=True)
