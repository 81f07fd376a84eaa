"""Replays of several strategies at several budgets over seeds: parallel, resumable, summed up with intervals."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from training.replay import LAST_WEEKS, Run, Strategy, Stream, replay_all

Make = Callable[[], tuple[Stream, dict[str, Callable[[], Strategy]]]]
"""Reads the history and names the strategies; a function of a module, as other processes find it by its name."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over seeds with its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float
    n: int


def simulate(
    make: Make,
    budgets: Sequence[float],
    seeds: Sequence[int],
    folder: Path,
    *,
    only: Sequence[str] = (),
    processes: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Run]:
    """Replay every strategy at every budget and seed; finished runs are read from the folder, not repeated.

    Parameters
    ----------
    make
        History and strategies.
    budgets, seeds
        See `training.replay.replay`.
    folder
        One file of finished runs a seed.
    only
        Names of strategies; all where empty.
    processes
        Seeds are spread over so many.
    progress
        Called once a week of every replay with what is done (in one process), or once a seed (in several).
    """
    if processes <= 1:
        stream, strategies = make()
        for seed in seeds:
            yield from replay_all(
                stream, _chosen(strategies, only), budgets, [seed], folder / str(seed), progress
            )
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        waiting = [pool.submit(_one_seed, make, budgets, seed, folder, tuple(only)) for seed in seeds]
        for done in as_completed(waiting):
            runs = done.result()
            progress(f"seed {runs[0].seed}")
            yield from runs


def _one_seed(
    make: Make, budgets: Sequence[float], seed: int, folder: Path, only: tuple[str, ...]
) -> list[Run]:
    stream, strategies = make()
    return list(replay_all(stream, _chosen(strategies, only), budgets, [seed], folder / str(seed)))


def _chosen(
    strategies: dict[str, Callable[[], Strategy]], only: Sequence[str]
) -> dict[str, Callable[[], Strategy]]:
    return {name: make for name, make in strategies.items() if not only or name in only}


def mean_of(values: Iterable[float], level: float = 0.95) -> Figure:
    """Return the mean of one value a seed, with its interval; the interval is the mean where there is one seed."""
    x = np.array(list(values), dtype=float)
    middle = float(x.mean())
    if len(x) < 2:
        return Figure(middle, middle, middle, len(x))
    half = float(student.ppf((1 + level) / 2, len(x) - 1)) * float(x.std(ddof=1)) / np.sqrt(len(x))
    return Figure(middle, middle - half, middle + half, len(x))


def summary(runs: Sequence[Run], first: int = LAST_WEEKS) -> dict[str, dict[str, Figure]]:
    """Return figures by strategy: precision of the last, the first and all weeks, and critical recall."""
    found: dict[str, dict[str, Figure]] = {}
    for name in dict.fromkeys(run.strategy for run in runs):
        mine = [run for run in runs if run.strategy == name]
        found[name] = {
            "precision_last13": mean_of(run.precision(LAST_WEEKS) for run in mine),
            "precision_first13": mean_of(
                sum(run.found[:first]) / max(sum(run.tested[:first]), 1) for run in mine
            ),
            "precision_all": mean_of(run.precision() for run in mine),
            "critical_recall_all": mean_of(run.critical_recall() for run in mine),
        }
    return found


def paired(runs: Sequence[Run], ours: str, other: str, measure: Callable[[Run], float]) -> Figure:
    """Return how much more one strategy reaches than another, seed by seed.

    Raises
    ------
    ValueError
        When the two have no seed in common.
    """
    by_seed = {
        name: {run.seed: measure(run) for run in runs if run.strategy == name} for name in (ours, other)
    }
    shared = sorted(by_seed[ours].keys() & by_seed[other].keys())
    if not shared:
        raise ValueError(f"Got no seed that both {ours!r} and {other!r} ran with; expected some.")
    return mean_of(by_seed[ours][seed] - by_seed[other][seed] for seed in shared)


def draw_curves(runs: Sequence[Run], path: Path, window: int = 8) -> None:
    """Draw precision by week (mean over seeds, smoothed) and precision against critical recall, as one picture."""
    from matplotlib.figure import Figure as Picture

    figure = Picture(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    kernel = np.ones(window) / window
    for name in dict.fromkeys(run.strategy for run in runs):
        mine = [run for run in runs if run.strategy == name]
        weekly = np.mean([np.array(run.found) / np.array(run.tested) for run in mine], axis=0)
        if len(weekly) >= window:
            left.plot(np.arange(window - 1, len(weekly)), np.convolve(weekly, kernel, "valid"), label=name)
        right.scatter(
            np.mean([run.critical_recall() for run in mine]), np.mean([run.precision() for run in mine]), s=28
        )
        right.annotate(
            name,
            (np.mean([run.critical_recall() for run in mine]), np.mean([run.precision() for run in mine])),
            fontsize=7, xytext=(3, 3), textcoords="offset points",
        )  # fmt: skip
    left.set_xlabel("week")
    left.set_ylabel(f"precision, mean of {window} weeks")
    if left.get_legend_handles_labels()[0]:
        left.legend(fontsize=7)
    right.set_xlabel("critical recall, all weeks")
    right.set_ylabel("precision, all weeks")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
