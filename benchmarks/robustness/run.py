"""Measure robustness tasks: ``python -m benchmarks.robustness.run evasion --data DIR``.

A run looks at locked test parts, so it is noted in ``results/looks.jsonl``.
"""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.quality.run import measure_task
from benchmarks.quality.task import Task, frame_of
from benchmarks.results_file import (
    RESULTS,
    Look,
    Results,
    code_commit,
    log_look,
    now,
    write_results,
    write_scores,
)
from benchmarks.robustness import covert_camera, cross_language, evasion, reasons, style_probe

_ROOMS = (cross_language, evasion, covert_camera, style_probe, reasons)
TASKS: dict[str, Task] = {room.TASK.name: room.TASK for room in _ROOMS}


def show(results: Results, prefix: str = "") -> None:
    """Print every figure whose metric begins with ``prefix``."""
    for row in results.rows:
        if row.metric.startswith(prefix):
            spread = "" if row.low is None else f"  [{row.low:.3f}, {row.high:.3f}]"
            click.echo(f"{results.task}  {row.system:18} {row.metric:36} {row.value:.3f}{spread}  n={row.n}")


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice(sorted(TASKS)), required=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of real data. [env: LISTING_RISK_DATA]",
)
@click.option("--note", default="", help="Why the test part is looked at, for the log.")
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(tasks: tuple[str, ...], data: Path, note: str, folder: Path) -> None:
    """Measure robustness tasks with all their systems."""
    for name in tasks:
        task = TASKS[name]
        log_look(Look(name, now().isoformat(), code_commit(), tuple(task.systems), note or task.note), folder)
        results, scores = measure_task(task, data)
        write_scores(name, frame_of(task.labels(data), scores), folder)
        write_results(results, folder)
        show(results)


if __name__ == "__main__":
    main()
