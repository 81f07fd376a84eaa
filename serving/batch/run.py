"""Scores files with whatever engine: goes on where an earlier run ended, one bad file does not end the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from features.own_files import FILES, data_file
from features.partitions import read_partitions
from features.reader import ColumnMap, Form, ListingReader, ReadError
from serving.batch.files import BLOCK, BatchReport, FileRun, Plan
from serving.batch.partition import Reading, score_partition
from serving.predictor import Predictor
from serving.settings import STARTER, Settings


@dataclass(frozen=True, slots=True)
class Job:
    """A file, or what is left of it, for an engine to score; travels between machines."""

    number: int
    path: Path
    reading: Reading
    form: Form | None = None
    first: int = 0
    block: int = BLOCK


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a job, before or after scoring; the last of a job has no rows, and says why if it was given up."""

    job: int
    reading: Reading
    rows: pa.Table | None = None
    problem: str = ""


class Engine(Protocol):
    """Hands pieces of jobs to `score_piece`."""

    def score(self, jobs: Iterable[Job]) -> Iterator[Piece]:
        """Give every piece scored: jobs in their order, and in each the pieces in theirs, the last without rows."""
        ...


def pieces_of(job: Job) -> Iterator[Piece]:
    """Read a job; a file that cannot be read on ends with the reason instead of an error."""
    reading = job.reading
    try:
        columns = ListingReader(job.path, reading.columns, reading.defaults, job.form).columns
        # A mapping proxy, as column maps have, does not travel between processes.
        if columns is not None:
            reading = replace(reading, columns=ColumnMap(dict(columns.rules), columns.name, columns.optional))
        for rows in read_partitions(job.path, job.form, job.block, job.first):
            yield Piece(job.number, reading, rows)
    except ReadError as error:
        yield Piece(job.number, reading, problem=str(error))
    else:
        yield Piece(job.number, reading)


def score_piece(piece: Piece, predictor: Predictor) -> Piece:
    """Score the rows of a piece, if it has any."""
    if piece.rows is None:
        return piece
    return replace(piece, rows=score_partition(piece.rows, piece.reading, predictor), reading=Reading())


def plan_for(settings: Settings, hazards: Sequence[str], **more: Any) -> Plan:
    """Return the plan that scores with what the settings name; ``more`` are other fields of `Plan`."""
    from serving.batch.outputs import sha256_of
    from serving.policy.document import DEFAULT_POLICY
    from training.manifest import MANIFEST

    own = "".join(f"{name} {sha256_of(data_file(name))}\n" for name in sorted(FILES))
    return Plan(
        bundle=sha256_of((settings.bundle or STARTER) / MANIFEST),
        policy=sha256_of(settings.policy or DEFAULT_POLICY),
        hazards=tuple(hazards),
        taxonomy=sha256(own.encode()).hexdigest(),
        **more,
    )


def score_files(
    pairs: Sequence[tuple[Path, Path]],
    plan: Plan,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
    earlier: Callable[[int], None] = lambda _: None,
) -> Iterator[BatchReport]:
    """Score files, each to its own output.

    An output appears under its name only when it is whole. What is done is kept in shards beside it; after a kill at
    any moment the same call goes on from there, and gives what an uninterrupted one would have given.

    Parameters
    ----------
    pairs
        Source and output of each. Rejected rows go to ``<output>.rejects.jsonl``, hashes of input, bundle, policy
        and output to ``<output>.manifest.json``.
    plan
        An output made by an equal plan from the same bytes is left as it is.
    engine
        See `Engine`.
    progress
        Called with rows that are done, as they come.
    earlier
        Called with rows of a file that an earlier run had done.

    Yields
    ------
    BatchReport
        One a pair, in their order.

    Raises
    ------
    ReadError
        When an output cannot be written.
    BusyOutputError
        When another run is at work on one of the outputs.
    OutsideError
        When the engine cannot go on; what is done stays.
    """
    runs: dict[int, FileRun] = {}
    try:
        yield from _reports(pairs, plan, engine, progress, earlier, runs)
    finally:
        for run in runs.values():
            run.close()


def _reports(
    pairs: Sequence[tuple[Path, Path]],
    plan: Plan,
    engine: Engine,
    progress: Callable[[int], None],
    earlier: Callable[[int], None],
    runs: dict[int, FileRun],
) -> Iterator[BatchReport]:
    early: dict[int, BatchReport] = {}

    def jobs() -> Iterator[Job]:
        for number, (source, output) in enumerate(pairs):
            try:
                run = FileRun(source, output, plan)
            except OSError as error:
                problem = f"{source.name} or its output cannot be opened: {error.strerror or error}"
                early[number] = BatchReport(0, 0, {}, output, None, "", problem)
                continue
            earlier(run.finished.resumed if run.finished else run.resumed)
            if run.finished is not None:
                early[number] = run.finished
                continue
            runs[number] = run
            yield Job(number, source, plan.reading, plan.form, run.resumed, plan.block)

    said = 0
    for piece in engine.score(jobs()):
        run = runs[piece.job]
        if piece.rows is not None:
            run.shards.add(piece.rows)
            progress(piece.rows.num_rows)
            continue
        early[piece.job] = _end(run, piece.problem)
        del runs[piece.job]
        while said in early:
            yield early.pop(said)
            said += 1
    yield from (early[number] for number in sorted(early))


def _end(run: FileRun, problem: str) -> BatchReport:
    if problem:
        return run.fail(problem)
    try:
        return run.finish()
    except ReadError as error:
        return run.fail(str(error))


def score_file(
    source: Path,
    output: Path,
    plan: Plan,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
) -> BatchReport:
    """Score one file; as `score_files`, but a file that cannot be read raises ReadError."""
    (report,) = score_files([(source, output)], plan, engine, progress)
    if report.problem:
        raise ReadError(report.problem)
    return report
