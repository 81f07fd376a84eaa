"""The one form of benchmark results: ``<task>.json``, and beside it the score of every item, ``<task>.scores.parquet``.

The JSON says what was measured, how and on what; the scores let anyone compute every figure again from the labels.
Neither holds text of the data.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
OURS = "ours"
LABELS = "labels"
LOOKS = "looks.jsonl"
SCORE_COLUMNS = ("item", "system", "class", "score")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.+/-]*$", max_length=80)]


class ResultsError(ValueError):
    """A results file that is not in the form; says where."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Row(_Part):
    """One figure.

    Attributes
    ----------
    system
        What was measured; our own is always ``ours``. Counts that belong to the data have the system ``labels``.
    metric
        Its name, the same in every task that measures the same thing.
    value, low, high
        The figure and its 95 % interval; the interval is empty where none applies.
    n
        Items behind it.
    unit
        Of the value: ``share`` for anything between 0 and 1, ``ms``, ``MB``, ``rows`` and so on.
    """

    system: Name
    metric: Name
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = Field(None, ge=0)
    unit: str = Field(min_length=1, max_length=30)

    @model_validator(mode="after")
    def _interval(self) -> Row:
        if (self.low is None) != (self.high is None):
            raise ValueError("got one end of an interval; expected both or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"got an interval from {self.low} to {self.high}; expected low <= high")
        return self


class Results(_Part):
    """One benchmark task as measured once.

    Attributes
    ----------
    task
        Name of the task and of its files.
    command
        What to type to measure it again.
    commit
        Of the code that ran; ends in ``-dirty`` where files differed from it.
    date
        UTC, to the second.
    machine
        Processor, cores, system and Python, in words.
    data_sha256
        SHA-256 of the data file. Several files: of the lines ``<sha256>  <path>`` that ``sha256sum`` prints for
        them, in order of path. Empty where no data is read.
    rows
        The figures.
    """

    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=60)]
    command: str = Field(min_length=1)
    commit: str = Field(pattern=r"^([0-9a-f]{40}(-dirty)?|unknown)$")
    date: datetime
    machine: str = Field(min_length=1)
    data_sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Results:
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            key = (row.system, row.metric)
            if key in seen:
                raise ValueError(f"got {row.metric} of {row.system} twice; expected each figure once")
            seen.add(key)
        return self

    def value(self, system: str, metric: str) -> float:
        """Return one figure.

        Raises
        ------
        KeyError
            When it was not measured.
        """
        return self.row(system, metric).value

    def row(self, system: str, metric: str) -> Row:
        """Return one figure with its interval; KeyError when it was not measured."""
        for row in self.rows:
            if (row.system, row.metric) == (system, metric):
                return row
        raise KeyError(f"{self.task} has no {metric} of {system}")


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a task's test part."""

    task: str
    date: str
    commit: str
    systems: tuple[str, ...]
    note: str


def write_results(results: Results, folder: Path = RESULTS) -> Path:
    """Write ``<task>.json``."""
    path = folder / f"{results.task}.json"
    path.write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path


def read_results(path: Path) -> Results:
    """Read and check a results file.

    Raises
    ------
    ResultsError
        Naming the first wrong entry.
    """
    try:
        results = Results.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise ResultsError(f"{path}: {where}: {first['msg']}. Measure the task again.") from None
        raise ResultsError(f"{path} cannot be read: {error}") from None
    if results.task != path.stem:
        raise ResultsError(
            f"{path} holds the task {results.task!r}; expected {path.stem!r}, the file's own name."
        )
    return results


def all_results(folder: Path = RESULTS) -> list[Results]:
    """Read every results file of a folder, in order of task; tuning reports are no results and are left out."""
    return [
        read_results(path) for path in sorted(folder.glob("*.json")) if not path.stem.startswith("tuning_")
    ]


def write_scores(task: str, scores: pd.DataFrame, folder: Path = RESULTS) -> Path:
    """Write per-item scores: columns item, system, class, score, and no text.

    Parameters
    ----------
    scores
        ``class`` is empty in tasks with one score an item; ``score`` is kept as float32.
    """
    if tuple(scores.columns) != SCORE_COLUMNS:
        raise ResultsError(f"Got columns {tuple(scores.columns)}; expected {SCORE_COLUMNS}.")
    path = folder / f"{task}.scores.parquet"
    packed = scores.astype({"system": "category", "class": "category", "score": "float32"})
    packed.to_parquet(path, compression="zstd", index=False)
    return path


def read_scores(task: str, folder: Path = RESULTS) -> pd.DataFrame:
    """Read what `write_scores` wrote."""
    scores = pd.read_parquet(folder / f"{task}.scores.parquet")
    return scores.astype({"system": str, "class": str})


def log_look(look: Look, folder: Path = RESULTS) -> None:
    """Note that a test part was looked at."""
    line = {
        "task": look.task,
        "date": look.date,
        "commit": look.commit,
        "systems": list(look.systems),
        "note": look.note,
    }
    with (folder / LOOKS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_looks(folder: Path = RESULTS) -> list[Look]:
    """Read the log of looks, the oldest first."""
    path = folder / LOOKS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Look(**(raw | {"systems": tuple(raw["systems"])})) for raw in map(json.loads, lines)]


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def data_sha256(folder: Path, paths: Sequence[str]) -> str:
    """Return the SHA-256 as `Results` explains it."""
    hashes = {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in sorted(paths)}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(f"{h}  {p}\n" for p, h in hashes.items()).encode()).hexdigest()


def code_commit() -> str:
    """Return the commit of the code that runs, with ``-dirty`` where the packages or the benchmarks differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--", "features", "training", "serving", "benchmarks/*.py")
        return git("rev-parse", "HEAD").strip() + ("-dirty" if changed.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Say what this machine is, in words."""
    return ", ".join(part for part in _machine_parts() if part)


def _machine_parts() -> Iterable[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        yield models[0].partition(":")[2].strip() if models else platform.machine()
    yield f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    yield f"{platform.system()} {platform.machine()}"
    yield f"Python {platform.python_version()}"
