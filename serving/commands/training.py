"""Past results in, bundles out: ingest, fetch, train, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from serving.commands.options import FILE, bundle_path, clear, console, plain

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_data = click.option(
    "--data",
    type=_FOLDER,
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)


@click.command("train")
@click.option("--config", "config_file", type=FILE, required=True, help="Training configuration (YAML).")
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
@clear
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
    screen = console()
    with screen.status("training") as status:

        def say(step: str) -> None:
            status.update(step)
            if not screen.is_terminal:
                screen.print(step, highlight=False)

        manifest = run(config, data, output, work=None if fresh else work, say=say)
    if track:
        from training.registry import register

        screen.print(f"registered as {register(output, manifest)}", highlight=False)
    screen.print(f"bundle {manifest.name}+{manifest.digest[:8]} -> {output}", highlight=False)


@click.command("evaluate")
@click.argument("bundle")
@_data
@click.option("--output", "-o", type=_PATH, required=True, help="Folder for report.json, report.png.")
@click.option(
    "--after", type=click.DateTime(["%Y-%m-%d"]), help="Only results later than this. [default: its as-of]"
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Only results up to this day.")
@click.option(
    "--track/--no-track", default=False, help="Keep the report in MLflow, with the run that made the bundle."
)
@clear
def evaluate(bundle: str, data: Path, output: Path, after: Any, until: Any, track: bool) -> None:
    """Measure a bundle on results that it was not trained on.

    \b
    Examples:
      listing-risk evaluate ./bundle --data ./past --output ./report
      listing-risk evaluate models:/listing-risk@challenger --data ./past --after 2026-06-30 --output ./report
    """
    from training.evaluate import evaluate_bundle
    from training.report import print_report

    path = bundle_path(bundle)
    report = evaluate_bundle(
        path or Path(bundle),
        data,
        output,
        after=None if after is None else after.date(),
        until=None if until is None else until.date(),
    )
    screen = console()
    print_report(report, screen)
    if track:
        from training.manifest import read_manifest
        from training.registry_runs import record_evaluation

        run_id = record_evaluation(read_manifest(path or Path(bundle)), report, output)
        screen.print(f"kept with run {run_id}", highlight=False)


@click.command("ingest")
@click.argument("source")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--output", "-o", type=_PATH, required=True, help="Folder for the records and the rejects.")
@clear
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

    screen = console()
    with screen.status(f"reading {path.name}"):
        counts = run(source_named(source), path, output)
    span = f", {counts.first} to {counts.last}" if counts.first else ""
    screen.print(
        f"{counts.records:,} records, {counts.rejects:,} rejected{span} -> {output}", highlight=False
    )
    table = Table("hazard", "records", title_justify="left")
    for hazard, count in counts.hazards.most_common(12):
        table.add_row(hazard, f"{count:,}")
    screen.print(table)
    for reason, count in counts.reasons.most_common():
        screen.print(f"  rejected {count:,} x {plain(reason)}", highlight=False)


@click.command("fetch")
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
@clear
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
    console().print(
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
    console().print(
        f"{counts.stored:,} photos, {counts.unusable:,} not usable, {counts.known:,} known before -> {output}",
        highlight=False,
    )


COMMANDS: tuple[click.Command, ...] = (train, evaluate, ingest, fetch)
"""What `serving.cli` adds."""
