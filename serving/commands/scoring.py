"""Score one listing or whole files, and show what a bundle is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import (
    FILE,
    bundle_option,
    bundle_path,
    clear,
    console,
    plain,
    policy_option,
    predictor_of,
)

if TYPE_CHECKING:
    from features.reader import ColumnMap

_PATH = click.Path(path_type=Path)


def _columns(text: str | None) -> ColumnMap | None:
    from features.reader import ColumnMap

    if text is None:
        return None
    return ColumnMap.parse(text) if "=" in text else ColumnMap.named(text.removeprefix("@"))


@click.command("score")
@click.argument("listing", type=click.File("rb"), default="-")
@bundle_option
@policy_option
@click.option("--all-hazards", is_flag=True, help="Show every hazard, however unlikely.")
@clear
def score(listing: Any, bundle: str | None, policy: Path | None, all_hazards: bool) -> None:
    """Decide about one listing, a JSON object in a file or on standard input.

    \b
    Examples:
      listing-risk score listing.json
      echo '{"id": "1", "title": "유아용 소프트 비닐 오리 장난감"}' | listing-risk score
    """
    from features.reader import ReadError
    from features.schema import parse_listing

    try:
        raw = json.loads(listing.read())
    except ValueError as error:
        raise ReadError(
            f"Got something that is not JSON: {error}. Expected one listing as a JSON object."
        ) from None
    if not isinstance(raw, dict):
        raise ReadError(f"Got JSON of type {type(raw).__name__}; expected one listing as an object.")
    decision = predictor_of(bundle, policy).decide([parse_listing(raw)], explain="always")[0]
    click.echo(json.dumps(decision.to_json(floor=0.0 if all_hazards else 0.01), ensure_ascii=False, indent=2))


@click.command("batch")
@click.argument("source", metavar="INPUT", type=FILE)
@click.option("--output", "-o", type=_PATH, required=True, help="CSV, JSONL or Parquet by its suffix.")
@bundle_option
@policy_option
@click.option("--columns", help="Column map: title=name,price=min_price or a named one such as coupang_kr.")
@click.option(
    "--default", "defaults", multiple=True, metavar="FIELD=VALUE", help="Value for rows that give none."
)
@click.option("--encoding", default=None, help="Encoding of a text file. [default: UTF-8]")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Processes that score a long file. [default: one a core, four at most]",
)
@clear
def batch(
    source: Path,
    output: Path,
    bundle: str | None,
    policy: Path | None,
    columns: str | None,
    defaults: tuple[str, ...],
    encoding: str | None,
    processes: int | None,
) -> None:
    """Score a file of any size in constant memory.

    Rejected rows go to OUTPUT.rejects.jsonl with every reason.

    \b
    Examples:
      listing-risk batch listings.jsonl.gz --output scores.parquet
      listing-risk batch coupang.csv --output scores.csv --columns coupang_kr
      listing-risk batch mine.csv -o scores.jsonl --columns id=sku,title=name,price=price --default market=KR
    """
    # Blocks are spread over processes; threads of linear algebra inside each would only fight for the same cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from features.reader import Form
    from serving.batch import check_output, score_file
    from serving.crew import Crew, usual_processes
    from serving.predictor import load_predictor
    from serving.settings import Settings

    check_output(output)
    settings = Settings(bundle=bundle_path(bundle), policy=policy)
    predictor = load_predictor(settings)
    form = None if encoding is None else Form(encoding=encoding)
    screen = console()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        disable=not screen.is_terminal,
    )
    with bar:
        task = bar.add_task("scoring", total=None)
        report = score_file(
            source,
            output,
            predictor,
            columns=_columns(columns),
            defaults=dict(_pair(entry) for entry in defaults),
            form=form,
            crew=Crew(processes or usual_processes(), settings),
            progress=lambda n: bar.advance(task, n),
        )
    screen.print(
        f"{report.scored:,} scored, {report.rejected:,} rejected -> {report.output}", highlight=False
    )
    screen.print(
        ", ".join(f"{name} {count:,}" for name, count in sorted(report.actions.items())), highlight=False
    )
    if report.notes:
        screen.print(plain(report.notes), highlight=False)
    if report.rejects is not None:
        screen.print(f"rejected rows with their reasons: {report.rejects}", highlight=False)


def _pair(entry: str) -> tuple[str, str]:
    name, found, value = entry.partition("=")
    if not found or not name:
        raise click.BadParameter(f"got {entry!r}, expected FIELD=VALUE", param_hint="--default")
    return name, value


@click.command("model")
@click.argument("bundle", required=False)
@click.option("--card", is_flag=True, help="Print the model card.")
@clear
def model(bundle: str | None, card: bool) -> None:
    """Show what a bundle is: version, data, thresholds, figures.

    \b
    Examples:
      listing-risk model
      listing-risk model ./bundle --card
    """
    from serving.settings import STARTER
    from training.manifest import read_manifest

    path = bundle_path(bundle) or STARTER
    manifest = read_manifest(path)
    if card:
        click.echo((path / "card.md").read_text(encoding="utf-8"))
        return
    summary = manifest.model_dump(mode="json", exclude={"files", "metrics"})
    click.echo(
        json.dumps(
            {"version": f"{manifest.name}+{manifest.digest[:8]}"} | summary, ensure_ascii=False, indent=2
        )
    )


COMMANDS: tuple[click.Command, ...] = (score, batch, model)
"""What `serving.cli` adds."""
