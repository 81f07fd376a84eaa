"""The command that plans what the laboratories test next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.laboratory_office import PATH, console, lab_office, model_options
from serving.commands.options import FILE, actor_option, clear, store_option, who

if TYPE_CHECKING:
    from serving.plans.making import Made


@click.command("plan")
@click.argument("catalogue", type=FILE)
@click.option(
    "--config", "config_file", type=FILE, help="Budget, laboratories, rules. [default: a made-up example]"
)
@click.option(
    "--output", "-o", type=PATH, default=Path("plan"), show_default=True, help="Folder for the files."
)
@click.option("--period", help="Name of the period. [default: next month, such as 2026-12]")
@click.option("--seed", type=int, help="Of the draw. [default: follows from the period]")
@click.option("--columns", help="Column map of the catalogue: title=name,price=price or a named one.")
@click.option("--marketplace", default=None, help="For rows that give none.")
@click.option("--dry-run", is_flag=True, help="Write the files, record nothing.")
@store_option
@model_options
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

    from serving.labs.plan_files import write_plan
    from serving.plans.catalogue import read_catalogue
    from serving.plans.config import read_plan_config
    from serving.plans.making import make_plan, next_period, usual_seed

    config = read_plan_config(config_file)
    today = datetime.now(UTC).date()
    found = read_catalogue(catalogue, columns, marketplace)
    period = period or next_period(today)
    screen = console()
    with lab_office(store, **model) as office:
        assert office.bans is not None
        with Progress(console=screen, disable=not screen.is_terminal) as bar:
            tasks = {step: bar.add_task(step, total=len(found.listings)) for step in ("comparing", "scoring")}
            made = make_plan(
                found.listings, office.bans.decider, office.bans.desk.bank.reader, config, office.past_tests(),  # type: ignore[arg-type]
                period=period, today=today, seed=usual_seed(period, office.taxonomy) if seed is None else seed,
                say=lambda step, count: bar.advance(tasks[step], count) if step in tasks else None,
            )  # fmt: skip
        earlier = None if not office.book.plans else office.book.plan().plan_id
        changed = [] if earlier is None else office.changes(earlier, made)
        if not dry_run:
            office.keep_plan(made.plan, made.scored, who(actor))
        write_plan(made, office, output, changed)
    _say_plan(made, output, found.rejected, changed)


def _say_plan(made: Made, output: Path, rejected: int, changed: list[dict[str, Any]]) -> None:
    plan = made.plan
    roles: dict[str, int] = {}
    for item in plan.items:
        roles[item.role] = roles.get(item.role, 0) + 1
    screen = console()
    screen.print(
        f"{len(plan.items)} items ({', '.join(f'{n} {role}' for role, n in roles.items())}), "
        f"{plan.spent():,} {plan.config.currency}, gap at most {plan.gap:.2%}, {plan.seconds:.1f} s; "
        f"speaks for {len(plan.frame):,} of {len(made.scored.listings):,} listings' goods -> {output}",
        highlight=False,
    )
    if rejected:
        screen.print(f"{rejected:,} rows of the catalogue could not be read", highlight=False)
    if changed:
        entered = sum(change["entered"] for change in changed)
        screen.print(f"against the last plan: {entered} new, {len(changed) - entered} gone", highlight=False)
    if plan.unplaced:
        screen.print(f"no place for ordered tests of {', '.join(plan.unplaced[:10])}", highlight=False)
    for name, missing in plan.shortfalls.items():
        screen.print(f"quota not met: {name}, {missing} missing", highlight=False)
