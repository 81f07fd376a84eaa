"""Commands of the laboratory loop: take results in, estimate, simulate, and the whole loop once round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from serving.commands.laboratory_office import PATH, book_only, console, lab_office, model_options
from serving.commands.options import FILE, actor_option, clear, show, store_option, who
from serving.commands.simulate import simulate

_maps = click.option(
    "--maps", type=FILE, help="Column maps of the laboratories. [default: labs_columns.yaml of the package]"
)
_SHOWN = 25


@click.group("results")
def results() -> None:
    """Take laboratory results in, and follow what they ask for."""


@results.command("take")
@click.argument("file", type=FILE)
@click.option("--laboratory", "-l", required=True, help="Who tested: its code in the plan, such as KTR.")
@click.option("--check", is_flag=True, help="Only say whether the file would be taken.")
@_maps
@store_option
@model_options
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
            with book_only(store) as office:
                intake = office.check(file.name, content, laboratory)
                show(
                    {
                        "taken": False,
                        "would_be_taken": True,
                        **{k: v for k, v in intake.body().items() if k != "rows"},
                    }
                )
            return
        with lab_office(store, maps, **model) as office:
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
@model_options
@actor_option
@clear
def settle(store: str, actor: str | None, **model: Path | None) -> None:
    """Do whatever results ask for and is not done, for example after a crash."""
    with lab_office(store, **model) as office:
        show(office.settle(who(actor)).to_json())


@results.command("cases")
@click.option("--all", "every", is_flag=True, help="Closed ones too.")
@store_option
@clear
def cases(every: bool, store: str) -> None:
    """List cases with what is open of each, one JSON object a line."""
    with book_only(store) as office:
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
    with book_only(store) as office:
        show(office.confirm(case_id, step, who(actor), note).to_json())


@results.command("orders")
@click.argument("file", type=FILE)
@store_option
@actor_option
@clear
def orders(file: Path, store: str, actor: str | None) -> None:
    """Take the marketplace's orders in, as counts and sums a listing; no buyer is kept."""
    with book_only(store) as office:
        show(office.take_orders(file.name, file.read_bytes(), who(actor)))


@results.command("refunds")
@store_option
@clear
def refunds(store: str) -> None:
    """List the refunds that are due, one JSON object a listing."""
    with book_only(store) as office:
        for row in office.work_list():
            click.echo(json.dumps(row, ensure_ascii=False))


@results.command("export")
@click.option(
    "--output", "-o", type=PATH, required=True, help="JSONL for the source `sample` of a configuration."
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

    with book_only(store) as office:
        lines = list(training_lines(office))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    console().print(f"{len(lines):,} records -> {output}", highlight=False)


@click.command("estimate")
@click.argument("plan_id", required=False)
@click.option("--output", "-o", type=PATH, help="Write all of it as JSON here.")
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

    with book_only(store) as office:
        if laboratories:
            fit = strictness_of(office)
            console().print(strictness_table(fit))
            body: Any = [
                {name: getattr(one, name) for name in type(one).__slots__} for one in fit.laboratories
            ]
        else:
            head = office.book.plan(plan_id)
            found = publish(office.frame(head.plan_id), head.plan_id, office.book)
            console().print(rates_table(found, office.taxonomy))
            body = found.to_json()
    if output is not None:
        output.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")


@click.command("demo-loop")
@click.option(
    "--output", "-o", type=PATH, default=Path("demo-loop"), show_default=True, help="Folder for all files."
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

    screen = console()
    report = run_loop(output, seed=seed, say=lambda text: screen.print(text, highlight=False))
    screen.print(
        f"\neverything is in {output}: start with report.md, then plan-1/plan-ko.html", highlight=False
    )
    click.echo(json.dumps(report, ensure_ascii=False, indent=2))


GROUPS = (results, estimate, simulate, demo_loop)
