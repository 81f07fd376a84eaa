"""Scoring of whole files in constant memory: one pass, complete output or none, rejects beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import csv, parquet

from features.reader import ColumnMap, Form, ListingReader, ReadError, RejectedRow, read_listings
from features.schema import Listing
from serving.crew import Crew, spread
from serving.decisions import reasons_json
from serving.predictor import Judgement, Predictor
from training.scores import BASES, Scores

BLOCK = 512
SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch did: rows scored and rejected, actions taken, where the output lies."""

    scored: int
    rejected: int
    actions: Mapping[str, int]
    output: Path
    rejects: Path | None
    notes: str


def output_schema(hazards: Sequence[str]) -> pa.Schema:
    """Return the columns of the output: the contract that other tools rely on."""
    number = pa.float64()
    return pa.schema(
        [
            pa.field("listing_id", pa.string()),
            pa.field("p_noncompliant", number),
            *(pa.field(f"p_{code}", number) for code in hazards),
            *(pa.field(f"q_{code}", number) for code in hazards),
            pa.field("basis", pa.string()),
            pa.field("risk_level", pa.string()),
            pa.field("expected_harm", number),
            pa.field("action", pa.string()),
            pa.field("reasons", pa.string()),
            pa.field("model_version", pa.string()),
        ]
    )


def score_partition(listings: Sequence[Listing], predictor: Predictor) -> pa.RecordBatch:
    """Score some listings; the same function whatever engine hands them out.

    Returns
    -------
    pyarrow.RecordBatch
        One row a listing, in their order, with the columns of `output_schema`.
    """
    scores, risk, judged = predictor.judge(listings, explain="acted")
    policy_bans = np.isnan(scores.q)
    n, n_hazards = scores.p.shape
    columns = [
        pa.array(scores.listing_ids, pa.string()),
        pa.array(scores.p_noncompliant),
        *(pa.array(scores.p[:, k]) for k in range(n_hazards)),
        *(pa.array(scores.q[:, k], mask=policy_bans[:, k]) for k in range(n_hazards)),
        pa.array(_bases(scores, predictor.taxonomy.codes), pa.string()),
        pa.array(risk.worst, pa.string()),
        pa.array(risk.harm),
        pa.array([one.verdict.action for one in judged], pa.string()),
        pa.array([_why(one) for one in judged], pa.string()),
        pa.array([predictor.model_version] * n, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=output_schema(predictor.taxonomy.codes))


def _bases(scores: Scores, codes: Sequence[str]) -> list[str]:
    """Return the basis of each listing's probabilities as JSON; listings of one product group share theirs."""
    rates = [round(rate, 6) for rate in scores.base_rate.tolist()]
    kept: dict[bytes, str] = {}
    for row in scores.basis:
        if (key := row.tobytes()) not in kept:
            cells = zip(codes, row.tolist(), rates, strict=True)
            basis = {code: {"basis": BASES[at], "base_rate": rate} for code, at, rate in cells}
            kept[key] = orjson.dumps(basis).decode()
    return [kept[row.tobytes()] for row in scores.basis]


def _why(one: Judgement) -> str:
    return orjson.dumps(reasons_json(one.verdict.fired, one.reasons, one.past_results)).decode()


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...


class _JsonLines:
    """One JSON object a line; empty cells are null."""

    def __init__(self, path: Path) -> None:
        self._stream: IO[bytes] = path.open("wb")

    def write_batch(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._stream.write(orjson.dumps(row) + b"\n")

    def close(self) -> None:
        self._stream.close()


def _writer(path: Path, suffix: str, schema: pa.Schema) -> _Writer:
    if suffix == ".csv":
        return csv.CSVWriter(path, schema)
    if suffix == ".parquet":
        return parquet.ParquetWriter(path, schema, compression="zstd")
    return _JsonLines(path)


def check_output(path: Path) -> None:
    """Refuse an output name before any work is done.

    Raises
    ------
    ReadError
        When the suffix is none of `SUFFIXES` or the folder does not exist.
    """
    if path.suffix not in SUFFIXES:
        raise ReadError(f"Got output {path.name!r}; expected a name that ends in {', '.join(SUFFIXES)}.")
    if not path.absolute().parent.is_dir():
        raise ReadError(f"Got output {str(path)!r}, whose folder does not exist; make it first.")


def _blocks(rows: ListingReader, reject: Callable[[RejectedRow], None]) -> Iterator[list[Listing]]:
    def accepted() -> Iterator[Listing]:
        for row in rows:
            if isinstance(row, RejectedRow):
                reject(row)
            else:
                yield row

    listings = accepted()
    while block := list(islice(listings, BLOCK)):
        yield block


def score_file(
    source: Path,
    output: Path,
    predictor: Predictor,
    *,
    columns: ColumnMap | None = None,
    defaults: Mapping[str, Any] | None = None,
    form: Form | None = None,
    crew: Crew | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> BatchReport:
    """Score a file of listings.

    The output appears under its name only when it is whole; a batch that dies leaves nothing that looks finished.

    Parameters
    ----------
    source
        CSV, JSONL or Parquet, gzip too.
    output
        CSV, JSONL or Parquet by its suffix. Rejected rows go to ``<output>.rejects.jsonl``.
    columns, defaults, form
        See `features.reader.read_listings`.
    crew
        Processes to help with a long file; the output is the same without them.
    progress
        Called with the number of rows scored since the last call.

    Raises
    ------
    ReadError
        When the input cannot be read or the output cannot be written.
    """
    check_output(output)
    rows = read_listings(source, columns, defaults, form)
    rejects, partial = Path(f"{output}.rejects.jsonl"), output.with_name(f".{output.name}.{os.getpid()}.part")
    partial_rejects = partial.with_suffix(".rejects")
    actions: dict[str, int] = {}
    scored = 0
    try:
        with partial_rejects.open("w", encoding="utf-8") as refused:

            def reject(row: RejectedRow) -> None:
                refused.write(json.dumps(row.as_dict(), ensure_ascii=False, default=str) + "\n")

            writer = _writer(partial, output.suffix, output_schema(predictor.taxonomy.codes))
            try:
                for batch in spread(score_partition, _blocks(rows, reject), predictor, crew):
                    writer.write_batch(batch)
                    for action in batch.column("action").to_pylist():
                        actions[action] = actions.get(action, 0) + 1
                    scored += batch.num_rows
                    progress(batch.num_rows)
            finally:
                writer.close()
        partial.replace(output)
        if rows.counts.rejected:
            partial_rejects.replace(rejects)
        else:
            rejects.unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)
        partial_rejects.unlink(missing_ok=True)
    kept = rejects if rows.counts.rejected else None
    return BatchReport(scored, rows.counts.rejected, actions, output, kept, rows.counts.summary())
