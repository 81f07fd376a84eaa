"""Replay of sampling strategies on history: week after week a strategy picks what to test and learns only from that.

Nothing here knows what the goods are. A strategy never sees a label it has not paid for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from features.errors import UserError

LAST_WEEKS = 13


class ReplayError(UserError):
    """A replay that cannot be run as asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Goods:
    """What is known of all goods before any test.

    Attributes
    ----------
    codes
        ndarray of shape (n, n_columns), int: categories, 0 or more.
    amounts
        ndarray of shape (n, n_amounts), float64.
    names
        Of the columns of ``codes``, then of ``amounts``.
    week
        ndarray of shape (n,), int: 0 for the first week.
    """

    codes: np.ndarray
    amounts: np.ndarray
    names: tuple[str, ...]
    week: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Goods with what a test of each would find: ``failed`` and ``critical`` are bool arrays of shape (n,)."""

    goods: Goods
    failed: np.ndarray
    critical: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Results so far: row numbers with what was found, and with which probability each had been chosen."""

    rows: np.ndarray
    failed: np.ndarray
    critical: np.ndarray
    propensity: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Rows to test this week, and the probability with which each was chosen (1 where chosen outright)."""

    rows: np.ndarray
    propensity: np.ndarray


class Strategy(Protocol):
    """Picks ``budget`` of ``rows``; may keep what it learnt from one week to the next."""

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose exactly ``budget`` distinct rows out of ``rows``."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy replayed once, week by week: tests, fails and critical fails found, and how many there were."""

    strategy: str
    budget: float
    seed: int
    tested: tuple[int, ...]
    found: tuple[int, ...]
    critical_found: tuple[int, ...]
    critical_there: tuple[int, ...]

    def precision(self, last: int | None = None) -> float:
        """Mean over weeks of fails / tests; of the last weeks only where ``last`` is given."""
        share = np.array(self.found) / np.array(self.tested)
        return float(share[-last:].mean() if last else share.mean())

    def critical_recall(self) -> float:
        """Share of all critical goods of the replay that were tested."""
        there = sum(self.critical_there)
        return sum(self.critical_found) / there if there else float("nan")


def replay(
    stream: Stream,
    name: str,
    strategy: Strategy,
    budget: float,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> Run:
    """Replay one strategy.

    Parameters
    ----------
    stream
        History with all results.
    name
        Of the strategy, for the record.
    strategy
        Fresh: it has learnt nothing yet.
    budget
        Share of each week's goods that may be tested, above 0 and at most 1.
    seed
        Of all chance in the replay.
    progress
        Called after each week.

    Raises
    ------
    ReplayError
        For a budget outside (0, 1], or a strategy that picks too many, too few, or goods of another week.
    """
    if not 0 < budget <= 1:
        raise ReplayError(f"Got budget {budget}; expected a share above 0 and at most 1.")
    random = np.random.default_rng(seed)
    seen = Seen(np.zeros(0, np.intp), np.zeros(0), np.zeros(0), np.zeros(0))
    counts: list[tuple[int, int, int, int]] = []
    for week in range(int(stream.goods.week.max()) + 1):
        rows = np.flatnonzero(stream.goods.week == week)
        if not len(rows):
            continue
        size = max(round(budget * len(rows)), 1)
        choice = strategy(stream.goods, rows, size, seen, random)
        _check(name, choice, rows, size)
        failed, critical = stream.failed[choice.rows], stream.critical[choice.rows]
        counts.append((size, int(failed.sum()), int(critical.sum()), int(stream.critical[rows].sum())))
        seen = Seen(
            np.concatenate([seen.rows, choice.rows]),
            np.concatenate([seen.failed, failed.astype(np.float64)]),
            np.concatenate([seen.critical, critical.astype(np.float64)]),
            np.concatenate([seen.propensity, choice.propensity]),
        )
        progress()
    columns = [tuple(column) for column in zip(*counts, strict=True)]
    return Run(name, budget, seed, *columns)


def _check(name: str, choice: Choice, rows: np.ndarray, size: int) -> None:
    picked = np.unique(choice.rows)
    if len(picked) != size or len(choice.rows) != size or not np.isin(picked, rows).all():
        raise ReplayError(
            f"Strategy {name!r} picked {len(choice.rows)} ({len(picked)} distinct); "
            f"expected {size} distinct goods of the week."
        )
    if not np.all((choice.propensity > 0) & (choice.propensity <= 1)):
        raise ReplayError(f"Strategy {name!r} gave propensities outside (0, 1]; expected one for each pick.")


def replay_all(
    stream: Stream,
    strategies: dict[str, Callable[[], Strategy]],
    budgets: Sequence[float],
    seeds: Sequence[int],
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Run]:
    """Replay every strategy at every budget and seed; what was finished before is read, not repeated.

    Parameters
    ----------
    strategies
        By name: makes a fresh one.
    folder
        Where finished runs are kept, one JSON line each in ``runs.jsonl``. It belongs to one stream and one version of
        the strategies; use another for others.
    progress
        Called with what is being done, once a week of the replay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "runs.jsonl"
    done = {(run.strategy, run.budget, run.seed): run for run in read_runs(kept)}
    for seed in seeds:
        for budget in budgets:
            for name, make in strategies.items():
                run = done.get((name, budget, seed))
                if run is None:
                    label = f"{name}, {budget:.0%}, seed {seed}"
                    run = replay(stream, name, make(), budget, seed, lambda label=label: progress(label))
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(asdict(run)) + "\n")
                yield run


def read_runs(path: Path) -> list[Run]:
    """Read finished runs; a last line that was cut short is left out, so that its run is repeated."""
    runs: list[Run] = []
    if not path.is_file():
        return runs
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        runs.append(Run(**fields))
    return runs
