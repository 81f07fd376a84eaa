"""Commands of a data scientist: look over own data, search settings; with those that promote, roll back and watch."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.models import COMMANDS as MODELS
from serving.commands.monitor import monitor
from serving.commands.options import FILE, clear, console, show

if TYPE_CHECKING:
    from features.schema import Listing
    from training.findings import CheckReport
    from training.own_config import Draft

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_PATH = click.Path(path_type=Path)
FOUND = 1
"""Exit code where a check found something a person should look at."""
CONFIG_NAME = "listing-risk.yaml"
_COLOURS = {"stop": "red", "look": "yellow", "note": "dim"}
_ROOM_FOR_LISTINGS = 200_000


def _listings(draft_path: Path, columns: str | None, encoding: str = "utf-8") -> dict[str, Listing]:
    """Read listings by id for the checks; only so many as a memory holds."""
    from features.reader import ColumnMap, Form, RejectedRow, read_listings

    chosen = None if not columns else ColumnMap.parse(columns)
    found: dict[str, Listing] = {}
    for row in read_listings(draft_path, chosen, form=Form(encoding=encoding)):
        if not isinstance(row, RejectedRow):
            found[row.id] = row
        if len(found) >= _ROOM_FOR_LISTINGS:
            break
    return found


@click.command("init")
@click.argument("folder", type=_FOLDER, default=".")
@click.option("--name", default="mine", show_default=True, help="Name of the bundle to be trained.")
@click.option("--force", is_flag=True, help=f"Replace a {CONFIG_NAME} that is there.")
@clear
def init(folder: Path, name: str, force: bool) -> None:
    """Look at your own files, write a commented configuration, and say what can be trained.

    Files directly in FOLDER (CSV, TSV, JSONL, Parquet; any column order; Korean, English or Chinese headers) are
    recognised as laboratory results, recalled goods, inspection rounds or listings.

    \b
    Examples:
      listing-risk init
      listing-risk init past/ --name our-model
    """
    from features.taxonomy import load_taxonomy
    from training.checks import check_data
    from training.own_config import draft_config

    target = folder / CONFIG_NAME
    if target.exists() and not force:
        raise click.UsageError(f"{target} is there already; give --force to replace it")
    today, screen = datetime.now(UTC).date(), console()
    taxonomy = load_taxonomy()
    with screen.status("looking at your files") as status:
        draft = draft_config(folder, taxonomy, name=name, today=today)
        guess = draft.listings
        listings = {} if guess is None else _listings(guess.path, draft.listing_columns, guess.encoding)
        report = check_data(draft.config, folder, taxonomy, today=today, listings=listings, say=status.update)
    target.write_text(draft.text, encoding="utf-8")
    _print_files(draft, screen)
    _print_report(report, screen)
    screen.print(f"\nconfiguration -> {target}", highlight=False)
    _print_next(draft, report, folder, target, screen)


@click.command("check")
@click.option("--config", "config_file", type=FILE, required=True, help="Training configuration (YAML).")
@click.option(
    "--data", type=_FOLDER, envvar="LISTING_RISK_DATA", required=True, help="Folder of past results."
)
@click.option("--listings", type=FILE, help="Your listings, to compare texts with results.")
@click.option("--columns", help="Column map of the listings: id=sku,title=name.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@clear
def check(config_file: Path, data: Path, listings: Path | None, columns: str | None, as_json: bool) -> None:
    """Check past results before training: coverage, times, leakage, label noise.

    Exit code 0 when nothing needs a look, 1 when something does.

    \b
    Examples:
      listing-risk check --config listing-risk.yaml --data .
      listing-risk check --config listing-risk.yaml --data . --listings listings.csv --json
    """
    from features.taxonomy import load_taxonomy
    from training.checks import check_data
    from training.config import load_config

    screen = console()
    with screen.status("checking") as status:
        report = check_data(
            load_config(config_file),
            data,
            load_taxonomy(),
            today=datetime.now(UTC).date(),
            listings=_listings(listings, columns) if listings else None,
            say=status.update,
        )
    if as_json:
        show(report.to_json())
    else:
        _print_report(report, screen)
    if report.worst != "note":
        click.get_current_context().exit(FOUND)


def _print_files(draft: Draft, screen: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("file", "taken for", "columns", title_justify="left")
    for guess in draft.files:
        said = guess.kind or guess.problem or f"not used: lacks {', '.join(guess.missing)}"
        columns = ", ".join(f"{ours} = {theirs}" for ours, theirs in guess.columns.items())
        table.add_row(escape(guess.path.name), escape(said[:60]), escape(columns))
    screen.print(table)


def _print_report(report: CheckReport, screen: Any) -> None:
    from rich.markup import escape

    counts = report.counts
    span = f", {report.first} to {report.last}" if report.first else ""
    screen.print(
        f"{counts['lab']:,} laboratory results, {counts['recalls']:,} recalls, {counts['rounds']:,} inspection rounds"
        f"{span}; {counts['rejected']:,} rows give no label",
        highlight=False,
    )
    if report.languages:
        parts = ", ".join(f"{name} {count:,}" for name, count in report.languages.items())
        screen.print(f"languages: {parts}", highlight=False)
    for finding in report.findings:
        colour = _COLOURS[finding.level]
        screen.print(
            f"[{colour}]{finding.level}[/] {finding.check}: {escape(finding.message)} {escape(finding.advice)}",
            highlight=False,
        )
    if not report.findings:
        screen.print("[green]nothing wrong was found[/]")
    screen.print("what can be trained:", highlight=False)
    for one in report.trainable:
        screen.print(f"  {one.hazard}: {escape(one.words)}", highlight=False)


def _print_next(draft: Draft, report: CheckReport, folder: Path, target: Path, screen: Any) -> None:
    """Print the commands that follow, with this folder's own names in them."""
    from shlex import quote

    if report.worst == "stop":
        screen.print("Mend what is marked stop, then run init again with --force.", highlight=False)
        return
    cut = suggested_cut(report)
    as_of = f" --as-of {cut}" if cut else ""
    place = quote(str(folder))
    lines = [
        f"listing-risk train --config {quote(str(target))} --data {place}{as_of} --output bundle",
        f"listing-risk evaluate bundle --data {place} --output report",
        f"listing-risk promote bundle --data {place}",
        "listing-risk serve",
    ]
    if draft.listings is not None:
        columns = quote(draft.listing_columns)
        encoding = "" if draft.listings.encoding == "utf-8" else f" --encoding {draft.listings.encoding}"
        lines.append(
            f"listing-risk batch {quote(str(draft.listings.path))} --bundle bundle --columns {columns}{encoding} "
            "--output scores.csv"
        )
    screen.print("\nwhat comes next:", highlight=False)
    for line in lines:
        screen.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)


def suggested_cut(report: CheckReport) -> str:
    """Return the day that leaves about the last fifth of the time to measure on; "" where all is of one day."""
    if report.first is None or report.last is None or (report.last - report.first).days < 10:
        return ""
    return (report.first + 0.8 * (report.last - report.first)).isoformat()


@click.command("search")
@click.option("--config", "config_file", type=FILE, required=True, help="Training configuration (YAML).")
@click.option(
    "--data", type=_FOLDER, envvar="LISTING_RISK_DATA", required=True, help="Folder of past results."
)
@click.option(
    "--trials",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="In all, earlier runs included.",
)
@click.option("--folds", type=click.IntRange(2, 10), default=4, show_default=True, help="Stretches of time.")
@click.option(
    "--output", "-o", type=_PATH, required=True, help="Folder for the study and the found configuration."
)
@clear
def search(config_file: Path, data: Path, trials: int, folds: int, output: Path) -> None:
    """Search settings with Optuna on later, unseen products; the next run goes on where this one ended.

    \b
    Example:
      listing-risk search --config listing-risk.yaml --data . --trials 50 --output search
    """
    import yaml

    from training.config import load_config
    from training.search import search as run

    screen = console()
    output.mkdir(parents=True, exist_ok=True)
    with screen.status("searching") as status:
        found = run(
            load_config(config_file),
            data,
            trials=trials,
            folds=folds,
            storage=output / "study.db",
            say=status.update,
        )
    values = found.config.model_dump(mode="json", exclude_none=True)
    target = output / "listing-risk.yaml"
    target.write_text(yaml.safe_dump(values, allow_unicode=True, sort_keys=False), encoding="utf-8")
    screen.print(
        f"{found.trials} trials; average precision on later stretches {found.inner_before:.3f} -> {found.inner:.3f}; "
        f"on the last one, looked at once, {found.outer_before:.3f} -> {found.outer:.3f}",
        highlight=False,
    )
    screen.print(f"configuration -> {target}", highlight=False)


COMMANDS: tuple[click.Command, ...] = (init, check, search, monitor, *MODELS)
"""What `serving.cli` adds."""
