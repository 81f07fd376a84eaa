"""Commands of the laboratory loop: plan, take results in, estimate, simulate, and the whole loop once round."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, actor_option, clear, show, store_option, who
from serving.commands.simulate import simulate

if TYPE_CHECKING:
    from features.reader import ColumnMap
    from features.schema import Listing
    from serving.labs.loop import LabOffice
    from serving.plans.making import Made

_PATH = click.Path(path_type=Path)
_MODEL = (
    click.option("--bundle", type=_PATH, help="[default: the starter bundle]"),
    click.option("--policy", type=FILE, help="[default: the policy of the package]"),
    click.option(
        "--matcher", type=FILE, envvar="LISTING_RISK_MATCHER", help="[default: the matcher of the package]"
    ),
)
_maps = click.option(
    "--maps", type=FILE, help="Column maps of the laboratories. [default: labs_columns.yaml of the package]"
)
_SHOWN = 25


def _model(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_MODEL):
        function = option(function)
    return function


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def _office(store: str, maps: Path | None = None, **model: Path | None) -> Iterator[LabOffice]:
    """Open the store, bans and predictor, and the laboratory office over them."""
    from serving.bans.office import open_office
    from serving.labs.columns import load_columns
    from serving.labs.loop import LabOffice
    from serving.settings import Settings

    settings = Settings(bundle=model.get("bundle"), policy=model.get("policy"))
    with open_office(store, settings, model.get("matcher")) as bans:
        yield LabOffice(bans.store, bans, maps=load_columns(maps))


@contextmanager
def _book_only(store: str) -> Iterator[LabOffice]:
    """Open the store alone: enough to read."""
    from serving.labs.loop import LabOffice
    from serving.store import Store

    with Store(store) as opened:
        yield LabOffice(opened)


def _columns(text: str | None) -> ColumnMap | None:
    from features.reader import ColumnMap

    if text is None:
        return None
    return ColumnMap.parse(text) if "=" in text else ColumnMap.named(text.removeprefix("@"))


def _listings(source: Path, columns: str | None, marketplace: str | None) -> tuple[list[Listing], int]:
    from features.reader import RejectedRow, read_listings

    found: dict[str, Listing] = {}
    rejected = 0
    for row in read_listings(source, _columns(columns)):
        if isinstance(row, RejectedRow):
            rejected += 1
            continue
        listing = (
            row.model_copy(update={"marketplace": marketplace})
            if marketplace and not row.marketplace
            else row
        )
        known = found.get(listing.id)
        if known is None or known.revision <= listing.revision:
            found[listing.id] = listing
    return list(found.values()), rejected


@click.command("plan")
@click.argument("catalogue", type=FILE)
@click.option(
    "--config", "config_file", type=FILE, help="Budget, laboratories, rules. [default: a made-up example]"
)
@click.option(
    "--output", "-o", type=_PATH, default=Path("plan"), show_default=True, help="Folder for the files."
)
@click.option("--period", help="Name of the period. [default: next month, such as 2026-12]")
@click.option("--seed", type=int, help="Of the draw. [default: follows from the period]")
@click.option("--columns", help="Column map of the catalogue: title=name,price=price or a named one.")
@click.option("--marketplace", default=None, help="For rows that give none.")
@click.option("--dry-run", is_flag=True, help="Write the files, record nothing.")
@store_option
@_model
@actor_option
@clear
def plan(
    catalogue: Path,
    config_file: Path | None,
    output: Path,
    period: str | None,
    seed: int | None,
    columns: str | None,
    marketplace: str | None,
    dry_run: bool,
    store: str,
    actor: str | None,
    **model: Path | None,
) -> None:
    """Plan what the laboratories test next: items, panels, laboratories, each with its chance of being chosen.

    Open laboratory decisions of the store enter first, goods tested lately or banned stay out. OUTPUT gets an order
    sheet a laboratory (XLSX, and CSV in Korean and English), a page that explains the plan, and plan.json.

    \b
    Examples:
      listing-risk plan live.jsonl.gz --config plan.yaml --output plans/2026-12
      listing-risk plan coupang.csv --columns coupang_kr --marketplace coupang --dry-run
    """
    from rich.progress import Progress

    from serving.plans.config import read_plan_config
    from serving.plans.making import make_plan, usual_seed

    config = read_plan_config(config_file)
    today = datetime.now(UTC).date()
    listings, rejected = _listings(catalogue, columns, marketplace)
    period = period or _next_month(today)
    console = _console()
    with _office(store, **model) as office:
        assert office.bans is not None
        with Progress(console=console, disable=not console.is_terminal) as bar:
            tasks = {step: bar.add_task(step, total=len(listings)) for step in ("comparing", "scoring")}
            made = make_plan(
                listings, office.bans.decider, office.bans.desk.bank.reader, config, office.past_tests(),  # type: ignore[arg-type]
                period=period, today=today, seed=usual_seed(period, office.taxonomy) if seed is None else seed,
                say=lambda step, count: bar.advance(tasks[step], count) if step in tasks else None,
            )  # fmt: skip
        earlier = None if not office.book.plans else office.book.plan().plan_id
        changed = [] if earlier is None else office.changes(earlier, made)
        if not dry_run:
            office.keep_plan(made.plan, made.scored, who(actor))
        write_plan(made, office, output, changed)
    _say_plan(made, output, rejected, changed)


def _next_month(today: date) -> str:
    return f"{today.year + today.month // 12}-{today.month % 12 + 1:02d}"


def write_plan(made: Made, office: LabOffice, output: Path, changed: list[dict[str, Any]]) -> None:
    """Write every file of a plan; the folder is made."""
    from serving.plans.file import frame_bytes
    from serving.plans.page import plan_page
    from serving.plans.sheets import sheet_files
    from serving.plans.words import LANGUAGES

    output.mkdir(parents=True, exist_ok=True)
    body = made.body
    titles = {listing_id: listing.title for listing_id, listing in made.listings.items()}
    for earlier in office.book.plans:  # what left the catalogue is still named
        titles = office.titles(earlier) | titles
    for name, content in sheet_files(made.plan, made.listings, office.taxonomy).items():
        (output / name).write_bytes(content)
    for language in LANGUAGES:
        page = plan_page(body, office.taxonomy, titles, language, changed)
        (output / f"plan-{language}.html").write_text(page, encoding="utf-8")
    (output / "plan.json").write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
    (output / "frame.parquet").write_bytes(frame_bytes(made.plan))


def _say_plan(made: Made, output: Path, rejected: int, changed: list[dict[str, Any]]) -> None:
    plan = made.plan
    roles: dict[str, int] = {}
    for item in plan.items:
        roles[item.role] = roles.get(item.role, 0) + 1
    console = _console()
    console.print(
        f"{len(plan.items)} items ({', '.join(f'{n} {role}' for role, n in roles.items())}), "
        f"{plan.spent():,} {plan.config.currency}, gap at most {plan.gap:.2%}, {plan.seconds:.1f} s; "
        f"speaks for {len(plan.frame):,} of {len(made.scored.listings):,} listings' goods -> {output}",
        highlight=False,
    )
    if rejected:
        console.print(f"{rejected:,} rows of the catalogue could not be read", highlight=False)
    if changed:
        entered = sum(change["entered"] for change in changed)
        console.print(f"against the last plan: {entered} new, {len(changed) - entered} gone", highlight=False)
    if plan.unplaced:
        console.print(f"no place for ordered tests of {', '.join(plan.unplaced[:10])}", highlight=False)
    for name, missing in plan.shortfalls.items():
        console.print(f"quota not met: {name}, {missing} missing", highlight=False)


@click.group("results")
def results() -> None:
    """Take laboratory results in, and follow what they ask for."""


@results.command("take")
@click.argument("file", type=FILE)
@click.option("--laboratory", "-l", required=True, help="Who tested: its code in the plan, such as KTR.")
@click.option("--check", is_flag=True, help="Only say whether the file would be taken.")
@_maps
@store_option
@_model
@actor_option
@clear
def take(
    file: Path,
    laboratory: str,
    check: bool,
    maps: Path | None,
    store: str,
    actor: str | None,
    **model: Path | None,
) -> None:
    """Take a results file (XLSX, CSV, TSV, JSON) in: whole, or not at all.

    \b
    Examples:
      listing-risk results take ktr-2026-12.xlsx --laboratory KTR
      listing-risk results take fiti.csv -l FITI --check
    """
    from serving.labs.intake import ResultsRefusedError

    content = file.read_bytes()
    try:
        if check:
            with _book_only(store) as office:
                intake = office.check(file.name, content, laboratory)
                show(
                    {
                        "taken": False,
                        "would_be_taken": True,
                        **{k: v for k, v in intake.body().items() if k != "rows"},
                    }
                )
            return
        with _office(store, maps, **model) as office:
            show(office.take(file.name, content, laboratory, who(actor)).to_json())
    except ResultsRefusedError as error:
        for problem in error.problems[:_SHOWN]:
            where = f"line {problem.line}" if problem.line else "file"
            click.echo(f"  {where}: {problem.message} [{problem.code}]", err=True)
        if len(error.problems) > _SHOWN:
            click.echo(f"  and {len(error.problems) - _SHOWN} more", err=True)
        raise


@results.command("settle")
@store_option
@_model
@actor_option
@clear
def settle(store: str, actor: str | None, **model: Path | None) -> None:
    """Do whatever results ask for and is not done, for example after a crash."""
    with _office(store, **model) as office:
        show(office.settle(who(actor)).to_json())


@results.command("cases")
@click.option("--all", "every", is_flag=True, help="Closed ones too.")
@store_option
@clear
def cases(every: bool, store: str) -> None:
    """List cases with what is open of each, one JSON object a line."""
    with _book_only(store) as office:
        for view in office.cases():
            if every or not view.closed:
                click.echo(json.dumps(view.to_json(), ensure_ascii=False))


@results.command("confirm")
@click.argument("case_id")
@click.argument("step")
@click.option("--note", default="", help="In a few words.")
@store_option
@actor_option
@clear
def confirm(case_id: str, step: str, note: str, store: str, actor: str | None) -> None:
    """Confirm a step of a case: off_sale, consumer_notice, refunds, review_of_ban."""
    with _book_only(store) as office:
        show(office.confirm(case_id, step, who(actor), note).to_json())


@results.command("orders")
@click.argument("file", type=FILE)
@store_option
@actor_option
@clear
def orders(file: Path, store: str, actor: str | None) -> None:
    """Take the marketplace's orders in, as counts and sums a listing; no buyer is kept."""
    with _book_only(store) as office:
        show(office.take_orders(file.name, file.read_bytes(), who(actor)))


@results.command("refunds")
@store_option
@clear
def refunds(store: str) -> None:
    """List the refunds that are due, one JSON object a listing."""
    with _book_only(store) as office:
        for row in office.work_list():
            click.echo(json.dumps(row, ensure_ascii=False))


@results.command("export")
@click.option(
    "--output", "-o", type=_PATH, required=True, help="JSONL for the source `sample` of a configuration."
)
@store_option
@clear
def export(output: Path, store: str) -> None:
    """Write the results that count as records for training, weighted by how they were chosen and who tested.

    \b
    Examples:
      listing-risk results export --output past/loop.jsonl
    """
    from serving.labs.training import training_lines

    with _book_only(store) as office:
        lines = list(training_lines(office))
    output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _console().print(f"{len(lines):,} records -> {output}", highlight=False)


@click.command("estimate")
@click.argument("plan_id", required=False)
@click.option("--output", "-o", type=_PATH, help="Write all of it as JSON here.")
@click.option("--laboratories", is_flag=True, help="How strict each laboratory is, instead of rates.")
@store_option
@clear
def estimate(plan_id: str | None, output: Path | None, laboratories: bool, store: str) -> None:
    """Estimate failure rates of the whole catalogue from one plan's results, with intervals.

    \b
    Examples:
      listing-risk estimate --output rates.json
      listing-risk estimate plan-2026-12 --laboratories
    """
    from serving.labs.estimate import publish
    from serving.labs.tables import rates_table, strictness_table
    from serving.labs.training import strictness_of

    with _book_only(store) as office:
        if laboratories:
            fit = strictness_of(office)
            _console().print(strictness_table(fit))
            body: Any = [
                {name: getattr(one, name) for name in type(one).__slots__} for one in fit.laboratories
            ]
        else:
            head = office.book.plan(plan_id)
            found = publish(office.frame(head.plan_id), head.plan_id, office.book)
            _console().print(rates_table(found, office.taxonomy))
            body = found.to_json()
    if output is not None:
        output.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")


@click.command("demo-loop")
@click.option(
    "--output", "-o", type=_PATH, default=Path("demo-loop"), show_default=True, help="Folder for all files."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of what is drawn.")
@clear
def demo_loop(output: Path, seed: int) -> None:
    """Send the sample catalogue once round the whole loop, with invented results.

    Plan, order sheets, results with one wrong unit, bans, retroaction, refunds, estimates, retraining, the next plan.

    \b
    Examples:
      listing-risk demo-loop --output ./loop
    """
    from serving.demo.loop import run_loop

    console = _console()
    report = run_loop(output, seed=seed, say=lambda text: console.print(text, highlight=False))
    console.print(
        f"\neverything is in {output}: start with report.md, then plan-1/plan-ko.html", highlight=False
    )
    click.echo(json.dumps(report, ensure_ascii=False, indent=2))


GROUPS = (plan, results, estimate, simulate, demo_loop)
