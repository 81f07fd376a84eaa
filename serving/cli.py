"""The command line: a thin shell that wires the rooms together. Imports stand inside the commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.access import access
from serving.commands.audit import audit, retention
from serving.commands.bans import bans, catalogue
from serving.commands.events import events
from serving.commands.evidence import evidence
from serving.commands.labs import GROUPS as LABORATORY
from serving.commands.notices import notices
from serving.commands.options import STORE_VARIABLE, clear_errors, default_store
from serving.commands.policy import policy
from serving.commands.reconcile import reconcile
from serving.commands.science import COMMANDS as SCIENCE
from serving.commands.sellers import complaints, sellers

if TYPE_CHECKING:
    from features.reader import ColumnMap
    from serving.predictor import Predictor

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _command(*args: Any, **kwargs: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a command whose errors are clear."""

    def declare(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(*a: Any, **k: Any) -> None:
            with clear_errors():
                function(*a, **k)

        return main.command(*args, **kwargs)(run)

    return declare


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="listing-risk")
def main() -> None:
    """Score marketplace listings for product-safety hazards.

    \b
    Examples:
      listing-risk score listing.json
      listing-risk batch listings.csv --output scores.parquet --columns title=name,price=price
      listing-risk serve
    """


_bundle = click.option(
    "--bundle",
    metavar="PATH_OR_URI",
    help="Folder of a bundle or models:/name@alias. [default: the starter bundle]",
)
_policy = click.option("--policy", type=_FILE, help="Policy file. [default: the policy of the package]")
_data = click.option(
    "--data",
    type=_FOLDER,
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)


def _bundle_path(reference: str | None) -> Path | None:
    """Return the folder of a bundle; a registry address is resolved by a short-lived process of its own."""
    if reference is None:
        return None
    if not reference.startswith("models:/"):
        return Path(reference)
    from training.registry_path import resolve

    return resolve(reference)


def _predictor(bundle: str | None, policy: Path | None) -> Predictor:
    from serving.predictor import load_predictor
    from serving.settings import Settings

    return load_predictor(Settings(bundle=_bundle_path(bundle), policy=policy))


def _columns(text: str | None) -> ColumnMap | None:
    from features.reader import ColumnMap

    if text is None:
        return None
    return ColumnMap.parse(text) if "=" in text else ColumnMap.named(text.removeprefix("@"))


@_command("score")
@click.argument("listing", type=click.File("rb"), default="-")
@_bundle
@_policy
@click.option("--all-hazards", is_flag=True, help="Show every hazard, however unlikely.")
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
    decision = _predictor(bundle, policy).decide([parse_listing(raw)], explain="always")[0]
    click.echo(json.dumps(decision.to_json(floor=0.0 if all_hazards else 0.01), ensure_ascii=False, indent=2))


@_command("batch")
@click.argument("source", metavar="INPUT", type=_FILE)
@click.option("--output", "-o", type=_PATH, required=True, help="CSV, JSONL or Parquet by its suffix.")
@_bundle
@_policy
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
    settings = Settings(bundle=_bundle_path(bundle), policy=policy)
    predictor = load_predictor(settings)
    form = None if encoding is None else Form(encoding=encoding)
    console = _console()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
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
    console.print(
        f"{report.scored:,} scored, {report.rejected:,} rejected -> {report.output}", highlight=False
    )
    console.print(
        ", ".join(f"{name} {count:,}" for name, count in sorted(report.actions.items())), highlight=False
    )
    if report.notes:
        console.print(_plain(report.notes), highlight=False)
    if report.rejects is not None:
        console.print(f"rejected rows with their reasons: {report.rejects}", highlight=False)


def _pair(entry: str) -> tuple[str, str]:
    name, found, value = entry.partition("=")
    if not found or not name:
        raise click.BadParameter(f"got {entry!r}, expected FIELD=VALUE", param_hint="--default")
    return name, value


@_command("train")
@click.option("--config", "config_file", type=_FILE, required=True, help="Training configuration (YAML).")
@_data
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Leave out what was not known on this day.")
@click.option("--output", "-o", type=_PATH, required=True, help="Folder of the bundle.")
@click.option("--track/--no-track", default=False, help="Record the run and the version in MLflow.")
@click.option(
    "--work",
    type=_PATH,
    default=Path(".listing-risk/work"),
    show_default=True,
    help="Finished steps; the next run goes on from them.",
)
@click.option("--fresh", is_flag=True, help="Do every step again.")
def train(
    config_file: Path, data: Path, as_of: Any, output: Path, track: bool, work: Path, fresh: bool
) -> None:
    """Train a bundle from past results; steps whose data, settings and code did not change are not done again.

    \b
    Examples:
      listing-risk train --config training/starter.yaml --data ./past --output ./bundle
      listing-risk train --config mine.yaml --data ./past --as-of 2026-06-30 --output ./bundle --track
    """
    from training.config import load_config
    from training.pipeline import train as run

    config = load_config(config_file)
    if as_of is not None:
        config = config.model_copy(update={"as_of": as_of.date()})
    console = _console()
    with console.status("training") as status:

        def say(step: str) -> None:
            status.update(step)
            if not console.is_terminal:
                console.print(step, highlight=False)

        manifest = run(config, data, output, work=None if fresh else work, say=say)
    if track:
        from training.registry import register

        console.print(f"registered as {register(output, manifest)}", highlight=False)
    console.print(f"bundle {manifest.name}+{manifest.digest[:8]} -> {output}", highlight=False)


@_command("evaluate")
@click.argument("bundle")
@_data
@click.option("--output", "-o", type=_PATH, required=True, help="Folder for report.json, report.png.")
@click.option(
    "--after", type=click.DateTime(["%Y-%m-%d"]), help="Only results later than this. [default: its as-of]"
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Only results up to this day.")
def evaluate(bundle: str, data: Path, output: Path, after: Any, until: Any) -> None:
    """Measure a bundle on results that it was not trained on.

    \b
    Examples:
      listing-risk evaluate ./bundle --data ./past --output ./report
      listing-risk evaluate models:/listing-risk@challenger --data ./past --after 2026-06-30 --output ./report
    """
    from training.evaluate import evaluate_bundle
    from training.report import print_report

    path = _bundle_path(bundle)
    report = evaluate_bundle(
        path or Path(bundle),
        data,
        output,
        after=None if after is None else after.date(),
        until=None if until is None else until.date(),
    )
    print_report(report, _console())


@_command("serve")
@click.option("--bundle", metavar="PATH_OR_URI", help="[default: the starter bundle]")
@_policy
@click.option("--host", default=None, help="[default: 127.0.0.1, this machine only]")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="[default: 3000]")
@click.option(
    "--store",
    metavar="ADDRESS",
    help="Where decisions are kept: a SQLite file or postgresql://...; '' only scores and keeps nothing. "
    "[env: LISTING_RISK_STORE] [default: listing-risk/store.db in $XDG_STATE_HOME, ~/.local/state where unset]",
)
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
    path = _bundle_path(bundle)
    if store is None and STORE_VARIABLE not in environ:
        store = default_store()
    given = (("BUNDLE", path), ("POLICY", policy), ("HOST", host), ("PORT", port), ("STORE", store))
    for name, value in given:
        if value is not None:
            environ[f"LISTING_RISK_{name}"] = str(value)
    settings = read_settings(environ)
    make_store_folder(settings.store)
    from serving.run import serve_forever

    serve_forever(settings, environ)


@_command("demo")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--detach", is_flag=True, help="Leave the service running and return.")
@click.option("--stop", is_flag=True, help="Stop a service that was left running.")
@click.option("--picture", type=_PATH, help="Only draw the ranking of the sample as an SVG file.")
@click.option(
    "--store",
    metavar="ADDRESS",
    help="Where the sample is kept. [default: listing-risk/demo.db in $XDG_STATE_HOME, ~/.local/state where unset]",
)
def demo(port: int, detach: bool, stop: bool, picture: Path | None, store: str | None) -> None:
    """Start the service with the starter bundle and put the sample catalogue to work: scored, some of it banned.

    \b
    Examples:
      listing-risk demo
      listing-risk demo --port 3100 --detach
    """
    from serving.demo.first_look import Demo, draw_ranking

    if picture is not None:
        draw_ranking(_predictor(None, None), picture)
        return
    show = Demo(port, _console(), store)
    show.stop() if stop else show.run(detach=detach)


@_command("model")
@click.argument("bundle", required=False)
@click.option("--card", is_flag=True, help="Print the model card.")
def model(bundle: str | None, card: bool) -> None:
    """Show what a bundle is: version, data, thresholds, figures.

    \b
    Examples:
      listing-risk model
      listing-risk model ./bundle --card
    """
    from serving.settings import STARTER
    from training.manifest import read_manifest

    path = _bundle_path(bundle) or STARTER
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


@_command("ingest")
@click.argument("source")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--output", "-o", type=_PATH, required=True, help="Folder for the records and the rejects.")
def ingest(source: str, path: Path, output: Path) -> None:
    """Read a publisher's file into records, and say what could not be read.

    \b
    Examples:
      listing-risk ingest cpsc recalls.csv --output past/
      listing-risk ingest lab_results results.csv --output past/
    """
    from rich.table import Table

    from training.dataset import source_named
    from training.ingest import ingest as run

    console = _console()
    with console.status(f"reading {path.name}"):
        counts = run(source_named(source), path, output)
    span = f", {counts.first} to {counts.last}" if counts.first else ""
    console.print(
        f"{counts.records:,} records, {counts.rejects:,} rejected{span} -> {output}", highlight=False
    )
    table = Table("hazard", "records", title_justify="left")
    for hazard, count in counts.hazards.most_common(12):
        table.add_row(hazard, f"{count:,}")
    console.print(table)
    for reason, count in counts.reasons.most_common():
        console.print(f"  rejected {count:,} x {_plain(reason)}", highlight=False)


@_command("fetch")
@click.argument("source")
@click.option(
    "--output", "-o", type=_PATH, required=True, help="Folder for pages, records, rejects and checkpoint."
)
@click.option("--key", envvar="LISTING_RISK_SOURCE_KEY", help="Key of a publisher that asks for one.")
@click.option("--base", help="Address of the publisher. [default: the official one]")
@click.option("--photos", is_flag=True, help="Then fetch the photos that the recalls link (extra images).")
@click.option(
    "--photo-host", "hosts", multiple=True, help="Another host that photos may come from; may be repeated."
)
def fetch(
    source: str, output: Path, key: str | None, base: str | None, photos: bool, hosts: tuple[str, ...]
) -> None:
    """Fetch a publisher's records; the next run goes on where this one ended.

    \b
    Examples:
      listing-risk fetch cpsc_api --output past/
      listing-risk fetch safety_gate --output past/
      LISTING_RISK_SOURCE_KEY=... listing-risk fetch kats --output past/
      listing-risk fetch cpsc_api --output past/ --photos
    """
    from training.fetch import fetch as run
    from training.fetch import network_source, progress

    allowed = _photo_hosts(source, hosts) if photos else ()
    options = {name: value for name, value in (("key", key), ("base", base)) if value is not None}
    with progress(source) as on_page:
        counts = run(network_source(source, **options), output, on_page=on_page)
    _console().print(
        f"{counts.pages:,} pages, {counts.records:,} records, {counts.rejects:,} rejected, "
        f"{counts.unchanged:,} unchanged -> {output}",
        highlight=False,
    )
    if photos:
        _fetch_photos(source, output, allowed)


def _photo_hosts(source: str, more: tuple[str, ...]) -> tuple[str, ...]:
    from training.recall_photos import HOSTS

    allowed = (*HOSTS.get(source, ()), *more)
    if not allowed:
        raise click.UsageError(f"got no host that photos of {source} may come from; name it: --photo-host")
    return allowed


def _fetch_photos(source: str, output: Path, hosts: tuple[str, ...]) -> None:
    from features.image_fetch import Fetcher
    from training.recall_photos import LIMITS, fetch_photos, progress

    with progress(source) as on_photo:
        counts = fetch_photos(output, source, Fetcher(hosts, LIMITS), on_photo=on_photo)
    _console().print(
        f"{counts.stored:,} photos, {counts.unusable:,} not usable, {counts.known:,} known before -> {output}",
        highlight=False,
    )


FOLLOW_UP = (notices, reconcile, complaints, sellers, evidence, events)
for group in (bans, catalogue, audit, retention, access, policy, *SCIENCE, *LABORATORY, *FOLLOW_UP):
    main.add_command(group)


if __name__ == "__main__":
    main()
