"""Measure quality tasks: ``python -m benchmarks.quality.run --data DIR``, all of them or those named.

Every full run looks at the locked test part, so it is noted in ``results/looks.jsonl``. ``--quick`` checks the
machinery on every eighth row and writes nothing.
"""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import click
import numpy as np
import yaml

from benchmarks.quality import (
    customs,
    food_hazard,
    hazard_type,
    hazard_type_2013plus,
    inspection_groups,
    lab_lead,
    lab_metals,
    lead_risk_control,
)
from benchmarks.quality.task import Labels, Task, frame_of, scores_of
from benchmarks.results_file import (
    LABELS,
    RESULTS,
    Look,
    Results,
    code_commit,
    data_sha256,
    log_look,
    machine,
    now,
    read_scores,
    write_results,
    write_scores,
)

ROOM = (
    hazard_type, hazard_type_2013plus, lab_lead, lab_metals, lead_risk_control, inspection_groups, food_hazard, customs,
)  # fmt: skip
TASKS: dict[str, Task] = {module.TASK.name: module.TASK for module in ROOM}
QUICK_STEP = 8
HERE = Path(__file__).parent
# Tasks whose model is trained as that of another task.
SETTINGS = {"lead_risk_control": HERE / "lab_lead.yaml"}
SHOWN = (
    "macro_", "ap_all", "ap_unseen", "brier", "ece", "p_at_", "critical_recall", "st1", "st2", "log_score", "coverage",
    "let_through",
)  # fmt: skip


def subsample(task: Task, data: Path, folder: Path, step: int = QUICK_STEP) -> Path:
    """Copy every ``step``-th row of the task's files below ``folder``."""
    for name in task.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = gzip.open if name.endswith(".gz") else open
        with (
            opened(data / name, "rt", encoding="utf-8", newline="") as whole,
            opened(target, "wt", encoding="utf-8", newline="") as part,
        ):
            rows = csv.reader(whole)
            csv.writer(part).writerows([next(rows), *islice(rows, 0, None, step)])
    return folder


def measure_task(task: Task, data: Path) -> tuple[Results, dict[str, np.ndarray]]:
    """Run every system of a task and compute its figures from the scores as they will be stored."""
    truth = task.labels(data)
    scores = {}
    for name, system in task.systems.items():
        click.echo(f"{task.name}: {name}", err=True)
        scores[name] = system(data)
    return _results(task, data, truth, scores_of(frame_of(truth, scores), truth)), scores


def measure_stored(task: Task, data: Path, folder: Path) -> Results:
    """Compute a task's figures from its stored scores; nothing is scored anew."""
    truth = task.labels(data)
    return _results(task, data, truth, scores_of(read_scores(task.name, folder), truth))


def _results(task: Task, data: Path, truth: Labels, stored: Mapping[str, np.ndarray]) -> Results:
    return Results(
        task=task.name,
        command=f"python -m benchmarks.quality.run {task.name}",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, task.files),
        rows=tuple(task.measure(truth, stored)),
    )


def record(
    results: Results, files: Sequence[str], path: Path, data: Path, settings: Path | None = None
) -> str:
    """File a measurement in MLflow with its parameters, data hashes, figures, settings and scores.

    Parameters
    ----------
    files
        Data files below ``data``; each gets the SHA-256 of its own.
    path
        The results file; scores lie beside it.
    settings
        How our system was trained; ``<task>.yaml`` of this folder where None, if there is one.

    Returns
    -------
    str
        Id of the run.
    """
    from training.registry_runs import Run, flat, record_run

    settings = settings or HERE / f"{results.task}.yaml"
    scores = path.with_name(f"{results.task}.scores.parquet")
    systems = dict.fromkeys(row.system for row in results.rows if row.system != LABELS)
    trained = yaml.safe_load(settings.read_text("utf-8")) if settings.is_file() else {}
    return record_run(
        Run(
            experiment=f"benchmark-{results.task}",
            name=f"{results.task} {results.date:%Y-%m-%d %H:%M}",
            parameters={
                "systems": ", ".join(systems),
                "command": results.command,
                **{f"data.{name}": data_sha256(data, [name]) for name in files},
                **{f"settings.{name}": str(value) for name, value in flat(trained)},
            },
            metrics={f"{row.system}.{row.metric}": row.value for row in results.rows},
            tags={"code_commit": results.commit, "machine": results.machine},
            artifacts=tuple(file for file in (path, scores, settings) if file.is_file()),
        )
    )


def show(results: Results) -> None:
    """Print the figures of all systems but single classes and types."""
    for row in results.rows:
        if row.metric.startswith(SHOWN):
            spread = "" if row.low is None else f"  [{row.low:.3f}, {row.high:.3f}]"
            click.echo(f"{results.task}  {row.system:22} {row.metric:38} {row.value:.3f}{spread}  n={row.n}")


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice(sorted(TASKS)))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)
@click.option("--quick", is_flag=True, help="Check the machinery on every eighth row; write nothing.")
@click.option("--stored", is_flag=True, help="Compute figures from the stored scores; score nothing anew.")
@click.option("--note", default="", help="Why the test part is looked at, for the log.")
@click.option("--track/--no-track", default=True, help="Record the run in MLflow (MLFLOW_TRACKING_URI).")
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(
    tasks: tuple[str, ...], data: Path, quick: bool, stored: bool, note: str, track: bool, folder: Path
) -> None:
    """Measure quality tasks with all their systems; all tasks where none is named."""
    for name in tasks or TASKS:
        task = TASKS[name]
        if quick:
            with tempfile.TemporaryDirectory() as part:
                show(measure_task(task, subsample(task, data, Path(part)))[0])
            continue
        log_look(Look(name, now().isoformat(), code_commit(), tuple(task.systems), note or task.note), folder)
        if stored:
            results = measure_stored(task, data, folder)
        else:
            results, scores = measure_task(task, data)
            write_scores(name, frame_of(task.labels(data), scores), folder)
        path = write_results(results, folder)
        if track:
            record(results, task.files, path, data, SETTINGS.get(name))
        show(results)


if __name__ == "__main__":
    main()
