"""`listing-risk simulate`: replay of sampling strategies on history. Imports stand inside the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, clear

if TYPE_CHECKING:
    from training.replay import Strategy, Stream

_PATH = click.Path(path_type=Path)


def own_history(
    path: Path, outcome: str, critical: str | None, day: str, amount: str, history: tuple[str, ...]
) -> tuple[Stream, dict[str, Callable[[], Strategy]]]:
    """Read a table of past results and name the strategies; a function of a module, for other processes."""
    from training.own_history import read_history
    from training.strategies import named

    stream, amount_at, history_at = read_history(path, outcome, critical, day, amount, history)
    return stream, named(amount_at, history_at, severities=(3.0, 10.0))


@click.command("simulate")
@click.argument("history", type=FILE)
@click.option(
    "--outcome", default="failed", show_default=True, help="Column that says whether a test failed: 1 or 0."
)
@click.option("--critical", help="Column that says whether a fail was critical: 1 or 0.")
@click.option(
    "--date", "day", default="date", show_default=True, help="Column with the day; weeks are replayed."
)
@click.option("--amount", required=True, help="Column the best-seller rule goes by: units sold, or price.")
@click.option(
    "--by", multiple=True, required=True, help="Column the history rule goes by, such as seller; repeat it."
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.FloatRange(0.001, 1),
    default=(0.1,),
    show_default=True,
    help="Share of each week's goods that may be tested; repeat it.",
)
@click.option(
    "--seeds",
    default=5,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Replays with chance drawn afresh.",
)
@click.option("--strategy", "only", multiple=True, help="Only these; repeat it. [default: all]")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Seeds run side by side."
)
@click.option(
    "--output", "-o", type=_PATH, default=Path("simulation"), show_default=True, help="Folder; a run resumes."
)
@clear
def simulate(
    history: Path,
    outcome: str,
    critical: str | None,
    day: str,
    amount: str,
    by: tuple[str, ...],
    budgets: tuple[float, ...],
    seeds: int,
    only: tuple[str, ...],
    processes: int,
    output: Path,
) -> None:
    """Replay how strategies would have sampled: week after week only what they chose has a result.

    HISTORY is a CSV or Parquet file in which EVERY row has a result, one row a tested item. On selectively tested
    history the figures say how strategies rank among what was tested, not in the market.

    \b
    Examples:
      listing-risk simulate results.csv --amount units_sold --by seller --by product_group --budget 0.1 --budget 0.02
      listing-risk simulate results.parquet --amount price --by importer --strategy ours --strategy history
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from training.simulation import draw_curves, summary
    from training.simulation import simulate as run

    console = Console(stderr=True)
    make = partial(own_history, history, outcome, critical, day, amount, by)
    output.mkdir(parents=True, exist_ok=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("replaying", total=None)
        done = list(
            run(
                make, budgets, range(seeds), output / "runs", only=only, processes=processes,
                progress=lambda label: bar.update(task, advance=1, description=label),
            )
        )  # fmt: skip
    report: dict[str, Any] = {}
    for budget in budgets:
        part = [one for one in done if one.budget == budget]
        figures = summary(part)
        draw_curves(part, output / f"curves-{budget:g}.png")
        table = Table(
            "strategy",
            "last 13 weeks",
            "first 13",
            "all weeks",
            "critical found",
            title=f"budget {budget:.0%}",
        )
        for name, found in figures.items():
            table.add_row(name, *(f"{f.value:.3f} ({f.low:.3f} to {f.high:.3f})" for f in found.values()))
        console.print(table)
        report[f"{budget:g}"] = {
            name: {metric: [f.value, f.low, f.high] for metric, f in found.items()}
            for name, found in figures.items()
        }
    (output / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    console.print(f"curves and report.json -> {output}", highlight=False)
