"""Measure robustness tasks: ``python -m benchmarks.robustness.run --data DIR``, all of them or those named.

Every full run looks at locked test parts, so it is noted in ``results/looks.jsonl``. ``--quick`` checks the machinery
on every eighth row of the data and writes nothing.
"""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from benchmarks.quality.run import QUICK_STEP, measure_task, record
from benchmarks.quality.run import subsample as subsample_tables
from benchmarks.quality.task import Task, frame_of
from benchmarks.results_file import (
    RESULTS,
    ROOT,
    Look,
    Results,
    code_commit,
    log_look,
    now,
    write_results,
    write_scores,
)
from benchmarks.robustness import covert_camera, cross_language, evasion, reasons, style_probe
from benchmarks.robustness.items import QUICK

_ROOMS = (cross_language, covert_camera, style_probe, reasons, evasion)
TASKS: dict[str, Task] = {room.TASK.name: room.TASK for room in _ROOMS}
_LINES = ".jsonl.gz"
# How what is measured was trained; one task trains up to 2009 only.
_STARTER = ROOT / "training" / "starter.yaml"
_SETTINGS = {"style_probe": ROOT / "benchmarks" / "quality" / "hazard_type.yaml"}


def subsample(task: Task, data: Path, folder: Path, step: int = QUICK_STEP) -> Path:
    """Copy every ``step``-th row of the task's files below ``folder``."""
    tables = tuple(name for name in task.files if not name.endswith(_LINES))
    subsample_tables(replace(task, files=tables), data, folder, step)
    for name in set(task.files) - set(tables):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(data / name, "rt", encoding="utf-8") as whole, gzip.open(target, "wt") as part:
            part.writelines(islice(whole, 0, None, step))
    (folder / QUICK).touch()
    return folder


def show(results: Results) -> None:
    """Print every figure."""
    for row in results.rows:
        spread = "" if row.low is None else f"  [{row.low:.3f}, {row.high:.3f}]"
        click.echo(f"{results.task}  {row.system:18} {row.metric:36} {row.value:.3f}{spread}  n={row.n}")


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice(sorted(TASKS)))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of real data. [env: LISTING_RISK_DATA]",
)
@click.option("--quick", is_flag=True, help="Check the machinery on every eighth row; write nothing.")
@click.option("--note", default="", help="Why the test part is looked at, for the log.")
@click.option("--track/--no-track", default=True, help="Record the run in MLflow (MLFLOW_TRACKING_URI).")
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(tasks: tuple[str, ...], data: Path, quick: bool, note: str, track: bool, folder: Path) -> None:
    """Measure robustness tasks with all their systems."""
    for name in tasks or TASKS:
        task = TASKS[name]
        if quick:
            with tempfile.TemporaryDirectory() as part:
                show(measure_task(task, subsample(task, data, Path(part)))[0])
            continue
        log_look(Look(name, now().isoformat(), code_commit(), tuple(task.systems), note or task.note), folder)
        results, scores = measure_task(task, data)
        command = f"python -m benchmarks.robustness.run {name}"
        write_scores(name, frame_of(task.labels(data), scores), folder)
        results = results.model_copy(update={"command": command})
        path = write_results(results, folder)
        if track:
            record(results, task.files, path, data, _SETTINGS.get(name, _STARTER))
        show(results)


if __name__ == "__main__":
    main()
