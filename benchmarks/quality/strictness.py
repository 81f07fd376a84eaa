"""Laboratory strictness taken out of the scores: ``python -m benchmarks.quality.strictness --data DIR``.

A simulation whose truth is known: five laboratories, the strict one is sent the riskier product groups. And the real
stand-in, New York's reasons for sampling, which are to its results what laboratories are to others'. ``--quick`` checks
the machinery on a small world and every eighth result and writes nothing.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
import numpy as np

from benchmarks.quality.baselines import logistic, tfidf
from benchmarks.quality.lab_lead import read_samples
from benchmarks.quality.lab_rows import FILE, outcomes, tokens
from benchmarks.quality.resample import Interval, draw_counts, interval
from benchmarks.quality.run import record
from benchmarks.quality.task import existing, figure
from benchmarks.results_file import (
    OURS,
    RESULTS,
    Results,
    Row,
    code_commit,
    data_sha256,
    machine,
    now,
    write_results,
)
from training.heads import logit, sigmoid
from training.records import LabResult
from training.sources.nyc import NycMetals
from training.splits import group_folds
from training.strictness import fit_strictness, strictness_weights

TASK = "laboratory_strictness"
EFFECTS = np.array([0.9, 0.2, -0.1, -0.4, -0.6])
WORLDS, GROUPS = 10, 40
SIZES = (3_000, 12_000)
"""Results in a world. With the more of them, the less of an error is chance."""
PULL = 5.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class World:
    """One simulated year of results.

    Attributes
    ----------
    group, lab
        ndarrays of shape (n,), int.
    failed
        ndarray of shape (n,).
    model
        ndarray of shape (n_groups,): what a model said of each group before, with an error of its own.
    fair
        ndarray of shape (n,): what the mean laboratory would have found in the same goods.
    """

    group: np.ndarray
    lab: np.ndarray
    failed: np.ndarray
    model: np.ndarray
    fair: np.ndarray


def made(seed: int, results: int = SIZES[0]) -> World:
    """Draw a world: the riskier a group, the likelier it goes to the strict laboratory."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(-1.5, 0.8, GROUPS)
    tilt = np.exp(np.outer(risk - risk.mean(), [1.5, 0.3, 0.0, -0.5, -1.0]))
    group = rng.integers(0, GROUPS, results)
    lab = np.array([rng.choice(5, p=tilt[g] / tilt[g].sum()) for g in group])
    luck = rng.random(results)
    failed = (luck < sigmoid(risk[group] + EFFECTS[lab])).astype(float)
    fair = (luck < sigmoid(risk[group] + EFFECTS.mean())).astype(float)
    model = sigmoid(risk + rng.normal(0, 0.4, GROUPS))
    return World(group, lab, failed, model, fair)


def rates(world: World, failed: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return each group's failure rate from weighted results, drawn toward what the model said; shape (n_groups,)."""
    n = np.bincount(world.group, weight, GROUPS)
    k = np.bincount(world.group, weight * failed, GROUPS)
    return (k + PULL * world.model) / (n + PULL)


Judged = tuple[np.ndarray, np.ndarray, float, float, float]


def judge(world: World) -> Judged:
    """Return errors of the effects, whether intervals hold them, and the errors of the rates.

    These are of the rates as the results come, with the effects as fitted, and with the true effects: what no fit can
    better, since what the mean laboratory would have found in each of the goods stays unknown.
    """
    names = [str(lab) for lab in world.lab]
    alone = [str(i) for i in range(len(world.lab))]
    fit = fit_strictness(names, [str(g) for g in world.group], alone, world.failed, world.model[world.group])
    found = {one.laboratory: one for one in fit.laboratories}
    true = EFFECTS - EFFECTS.mean()
    errors = np.array([found[str(k)].effect - true[k] for k in range(5)])
    held = np.array([found[str(k)].low <= true[k] <= found[str(k)].high for k in range(5)])
    even = np.ones(len(world.lab))
    plain = rates(world, world.failed, even)
    truth = rates(world, world.fair, even)

    def error(effect: np.ndarray) -> float:
        fair = plain
        for _ in range(ROUNDS):
            # What the mean laboratory finds is what the laboratory's own findings are weighed against.
            at_lab = sigmoid(logit(fair)[world.group] + effect)
            fair = rates(world, world.failed, strictness_weights(world.failed, at_lab, effect))
        return float(np.abs(fair - truth).mean())

    fitted = np.array([fit.effect(name) for name in names])
    return errors, held, float(np.abs(plain - truth).mean()), error(fitted), error(true[world.lab])


def simulate(worlds: int = WORLDS, sizes: Sequence[int] = SIZES) -> list[Row | None]:
    """Return the figures of the simulation; those of the effects are of the smaller worlds."""
    rows: list[Row | None] = []
    for size in sizes:
        judged = [judge(made(seed, size)) for seed in range(worlds)]
        if size == sizes[0]:
            errors = np.concatenate([one[0] for one in judged])
            held = np.concatenate([one[1] for one in judged]).astype(float)
            rows.append(figure(OURS, "effects_in_interval", float(held.mean()), None, len(held)))
            rows.append(
                figure(OURS, "effect_error", float(np.abs(errors).mean()), None, len(errors), "log-odds")
            )
        rows += _score_errors(judged, "score_error" if size == sizes[0] else f"score_error_{size}")
    return rows


def _score_errors(judged: Sequence[Judged], metric: str) -> list[Row | None]:
    counts = draw_counts(len(judged))
    rows: list[Row | None] = []
    for system, place in (("results_as_they_come", 2), (OURS, 3), ("effects_known", 4)):
        values = np.array([one[place] for one in judged])
        spread = interval(counts @ values / len(judged))
        rows.append(figure(system, metric, float(values.mean()), spread, len(judged)))
    return rows


def stand_in(data: Path) -> list[Row | None]:
    """Return how much more often each of New York's reasons for sampling ends in a fail, type and name allowed for."""
    train, test = read_samples(data)
    samples = [*train, *test]
    programs = {r.native_id: r.program for r in NycMetals().read(data / FILE) if isinstance(r, LabResult)}
    kept = [sample for sample in samples if programs.get(sample.id)]
    y = outcomes(kept)
    names = np.unique([s.name.lower() for s in kept], return_inverse=True)[1]
    p = np.zeros(len(kept))
    for fold in group_folds(names, 5, np.random.default_rng(0)):
        rest = np.setdiff1d(np.arange(len(kept)), fold)
        left, right = tfidf([tokens(kept[i]) for i in rest], [tokens(kept[i]) for i in fold])
        p[fold] = sigmoid(logistic(left, y[rest], right, 10.0))[:, 0]
    fit = fit_strictness(
        [programs[s.id] for s in kept], [s.type for s in kept], [str(i) for i in range(len(kept))], y[:, 0], p
    )
    return [
        figure(
            "new_york_program_" + one.laboratory.lower(),
            "effect",
            one.effect,
            Interval(one.low, one.high),
            one.tested,
            "log-odds",
        )
        for one in fit.laboratories
    ]


def subsample(data: Path, folder: Path, step: int = 8) -> Path:
    """Copy every ``step``-th result below ``folder``."""
    target = folder / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    with (data / FILE).open(encoding="utf-8", newline="") as whole, target.open("w", newline="") as part:
        rows = csv.reader(whole)
        csv.writer(part).writerows([next(rows), *islice(rows, 0, None, step)])
    return folder


def show(rows: Sequence[Row]) -> None:
    """Print every figure."""
    for row in rows:
        click.echo(f"{row.system:24} {row.metric:22} {row.value:.3f} {row.low} {row.high} n={row.n}")


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)
@click.option("--quick", is_flag=True, help="Check the machinery on little; write nothing.")
@click.option("--track/--no-track", default=True, help="Record the run in MLflow (MLFLOW_TRACKING_URI).")
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(data: Path, quick: bool, track: bool, folder: Path) -> None:
    """Run the simulation and the stand-in, and write the results file."""
    if quick:
        with tempfile.TemporaryDirectory() as part:
            show(existing([*simulate(1, SIZES[:1]), *stand_in(subsample(data, Path(part)))]))
        return
    rows = existing([*simulate(), *stand_in(data)])
    results = Results(
        task=TASK,
        command="python -m benchmarks.quality.strictness",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, [FILE]),
        rows=tuple(rows),
    )
    path = write_results(results, folder)
    if track:
        record(results, (FILE,), path, data)
    show(rows)


if __name__ == "__main__":
    main()
