"""Replay of sampling strategies on customs declarations: ``python -m benchmarks.sampling.replay --data DIR``.

Writes ``sampling_replay.json`` and the picture of its curves. Finished runs lie in ``--runs`` and are not repeated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmarks.results_file import (
    RESULTS,
    ROOT,
    Results,
    Row,
    code_commit,
    data_sha256,
    machine,
    now,
    write_results,
)
from benchmarks.sampling.customs import CROSSES, FILES, HISTORY, customs
from training.replay import LAST_WEEKS, Run, read_runs
from training.simulation import Figure, draw_curves, paired, simulate, summary
from training.strategies import named

TASK = "sampling_replay"
BUDGETS = (0.1, 0.02)
SEVERITIES = (3.0, 10.0)
BASELINE = "boosting_90_random_10"
PUBLIC_SIMULATOR = 0.524
METRICS = ("precision_last13", "precision_first13", "precision_all", "critical_recall_all")


def make() -> tuple:
    """Read the stream and name the strategies."""
    stream = customs(Path(os.environ["LISTING_RISK_DATA"]))
    names = stream.goods.names
    price = names.index("Item Price") - stream.goods.codes.shape[1]
    history = tuple(names.index(name) for name in HISTORY)
    return stream, named(price, history, CROSSES, SEVERITIES)


def rows_of(runs: Sequence[Run], suffix: str) -> Iterator[Row]:
    """Yield the figures of one budget."""
    for name, figures in summary(runs).items():
        for metric in METRICS:
            found = figures[metric]
            yield _row(name, metric + suffix, found)
    ours = [name for name in dict.fromkeys(run.strategy for run in runs) if name.startswith("ours")]
    there = {run.strategy for run in runs}
    for name in ours:
        for other in [other for other in (BASELINE, "boosting") if other in there]:
            for metric, measure in (
                ("precision_last13", lambda run: run.precision(LAST_WEEKS)),
                ("precision_all", Run.precision),
                ("critical_recall_all", Run.critical_recall),
            ):
                found = paired(runs, name, other, measure)
                yield _row(name, f"{metric}{suffix}_over_{other}", found, "difference")


def _row(system: str, metric: str, found: Figure, unit: str = "share") -> Row:
    return Row(
        system=system, metric=metric, value=found.value, low=found.low, high=found.high, n=found.n, unit=unit
    )


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), envvar="LISTING_RISK_DATA", required=True
)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=ROOT / ".benchmarks" / TASK, show_default=True
)
@click.option("--seeds", default=5, show_default=True)
@click.option("--processes", default=1, show_default=True)
@click.option("--finished", is_flag=True, help="Sum up the runs that are finished; start none.")
def main(data: Path, runs: Path, seeds: int, processes: int, finished: bool) -> None:
    """Replay all strategies."""
    os.environ["LISTING_RISK_DATA"] = str(data)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    done: list[Run] = []
    kept = [run for seed in range(seeds) for run in read_runs(runs / str(seed) / "runs.jsonl")]
    for run in kept if finished else simulate(make, BUDGETS, range(seeds), runs, processes=processes):
        done.append(run)
        click.echo(
            f"{run.budget:.0%} {run.strategy:24} seed {run.seed} last13 {run.precision(LAST_WEEKS):.3f} "
            f"all {run.precision():.3f} critical {run.critical_recall():.3f}", err=True
        )  # fmt: skip
    rows: list[Row] = []
    for budget in BUDGETS:
        suffix = "" if budget == BUDGETS[0] else f"_at_{budget * 100:g}"
        part = [run for run in done if run.budget == budget]
        rows += rows_of(part, suffix)
        draw_curves(part, ROOT / "docs" / "figures" / f"{TASK}_curves{suffix}.png")
    results = Results(
        task=TASK,
        command="python -m benchmarks.sampling.replay",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, FILES),
        rows=tuple(rows),
    )
    click.echo(f"-> {write_results(results, RESULTS)}", err=True)


if __name__ == "__main__":
    main()
