"""Score one listing or whole files, and show what a bundle is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import (
    bundle_option,
    bundle_path,
    clear,
    console,
    policy_option,
    predictor_of,
    settings_of,
)

if TYPE_CHECKING:
    from features.reader import ColumnMap
    from serving.batch.run import Engine
    from serving.settings import Settings

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
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output",
    "-o",
    type=_PATH,
    required=True,
    help="CSV, JSONL or Parquet by its suffix; a folder for a folder.",
)
@bundle_option
@policy_option
@click.option("--columns", help="Column map: title=name,price=min_price or a named one such as coupang_kr.")
@click.option(
    "--default", "defaults", multiple=True, metavar="FIELD=VALUE", help="Value for rows that give none."
)
@click.option("--encoding", default=None, help="Encoding of a text file. [default: UTF-8]")
@click.option(
    "--workers",
    "--processes",
    "workers",
    type=click.IntRange(1, 1024),
    help="Processes that score; with --engine ray actors. [default: one a core, four at most]",
)
@click.option(
    "--engine", type=click.Choice(("local", "ray")), default="local", show_default=True, help="Who scores."
)
@click.option(
    "--ray-address", help="Address of a Ray cluster. [default: RAY_ADDRESS, else one started on this machine]"
)
@click.option(
    "--form",
    type=click.Choice(("parquet", "jsonl", "csv")),
    default="parquet",
    show_default=True,
    help="Of the outputs, where INPUT is a folder.",
)
@click.option("--again", is_flag=True, help="Score also what stands there with the same hashes.")
@click.option(
    "--shard-rows",
    type=click.IntRange(1, 10_000_000),
    default=8_192,
    show_default=True,
    help="Rows that a kill can cost, at most.",
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
    again: bool,
    shard_rows: int,
    form: str,
    **engine: Any,
) -> None:
    """Score a file of any size, or a folder of them, in constant memory.

    Killed at any moment, the same command goes on where it was. Rejected rows go to OUTPUT.rejects.jsonl with every
    reason, hashes of input, bundle, policy and output to OUTPUT.manifest.json. An output that stands is left alone
    when its hashes are the same.

    \b
    Examples:
      listing-risk batch listings.jsonl.gz --output scores.parquet
      listing-risk batch coupang.csv --output scores.csv --columns coupang_kr
      listing-risk batch mine.csv -o scores.jsonl --columns id=sku,title=name,price=price --default market=KR
      listing-risk batch catalogue/ --output scores/ --workers 8
      listing-risk batch catalogue/ --output scores/ --engine ray --ray-address ray-head:6379 --workers 64
    """
    # Blocks are spread over processes; threads of linear algebra inside each would only fight for the same cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from features.reader import Form
    from serving.batch.outputs import check_output, outputs_for, sources_in
    from serving.batch.partition import Reading
    from serving.batch.run import plan_for, score_files
    from serving.commands.batch_progress import Progress

    if source.is_dir():
        pairs = outputs_for(sources_in(source), source, output, f".{form}")
        for _, target in pairs:
            target.parent.mkdir(parents=True, exist_ok=True)
    else:
        check_output(output)
        pairs = [(source, output)]
    settings = settings_of(bundle_path(bundle), policy)
    reading = Reading(_columns(columns), dict(_pair(entry) for entry in defaults))
    with Progress(console(), pairs) as progress, _engine(settings, **engine) as (scorer, hazards):
        plan = plan_for(
            settings,
            hazards,
            reading=reading,
            form=None if encoding is None else Form(encoding=encoding),
            again=again,
            shard_rows=shard_rows,
        )
        for report in score_files(pairs, plan, scorer, progress.rows, progress.earlier):
            progress.report(report)
    progress.end()


@contextmanager
def _engine(
    settings: Settings, engine: str, workers: int | None, ray_address: str | None
) -> Iterator[tuple[Engine, Sequence[str]]]:
    """Give the engine and the hazards that it scores; what it starts ends with the block."""
    from serving.batch.crew import Crew, usual_processes
    from serving.predictor import load_predictor

    workers = workers or usual_processes()
    if engine == "local":
        predictor = load_predictor(settings)
        yield Crew(predictor, settings, workers), predictor.taxonomy.codes
        return
    from features.taxonomy import load_taxonomy
    from serving.batch.on_ray import OnRay
    from serving.loading import check_settings

    check_settings(settings)
    with OnRay(settings, workers, ray_address) as cluster:
        yield cluster, load_taxonomy().codes


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
