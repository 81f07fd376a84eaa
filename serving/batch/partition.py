"""One function scores a table of rows, whatever engine hands it out; every row comes back, as a score or a reject."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.partitions import rows_of
from features.reader import ColumnMap, ReadRow, RejectedRow, read_row
from features.schema import FieldError, Listing
from serving.decisions import reasons_json
from serving.judging import Judgement
from serving.predictor import Predictor
from training.scores import BASES, Scores

REJECTED, HASHED, KEPT = "_rejected", "_hashed", "_kept"
_FACTS = pa.schema(
    [
        pa.field(REJECTED, pa.large_string()),  # the line for the rejects file; null where the row was scored
        pa.field(HASHED, pa.bool_()),
        pa.field(KEPT, pa.string()),  # fields kept as text, by commas
    ]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows become listings; see `features.reader.read_listings`. Travels between processes."""

    columns: ColumnMap | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)


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


def partition_schema(hazards: Sequence[str]) -> pa.Schema:
    """Return the columns of what `score_partition` gives: those of the output, then three facts about each row."""
    return pa.schema([*output_schema(hazards), *_FACTS])


def score_partition(rows: pa.Table, reading: Reading, predictor: Predictor) -> pa.Table:
    """Score a table of rows; a pure function of the rows, the reading, the bundle and the policy.

    Parameters
    ----------
    rows
        As `features.partitions.read_partitions` gives them.
    reading
        How the rows become listings.

    Returns
    -------
    pyarrow.Table
        One row for each row, in their order, with the columns of `partition_schema`. A row that is no listing, or
        that scoring cannot cope with, is empty but for ``_rejected``: the line, every reason, and what stood there.

    Raises
    ------
    Exception
        What scoring raised, when not one of several rows could be scored: then the rows are not to blame.
    """
    try:
        return _scored([read_row(row, reading.columns, reading.defaults) for row in rows_of(rows)], predictor)
    except Exception:
        if rows.num_rows < 2:
            raise
    return _one_by_one(rows, reading, predictor)


def _one_by_one(rows: pa.Table, reading: Reading, predictor: Predictor) -> pa.Table:
    """Score rows each by itself, so that the one that cannot be scored does not take the others with it."""
    done: list[pa.Table] = []
    failures: list[Exception] = []
    for at in range(rows.num_rows):
        one = rows.slice(at, 1)
        try:
            done.append(score_partition(one, reading, predictor))
        except Exception as error:
            failures.append(error)
            # The kind of error and no more: its message may hold the listing's own text.
            problem = f"could not be scored: {type(error).__name__}"
            refused = RejectedRow(one["_line"][0].as_py(), (FieldError("(row)", problem, "a row"),), None)
            done.append(_scored([ReadRow(refused)], predictor))
    if len(failures) == rows.num_rows:
        raise failures[0]
    return pa.concat_tables(done)


def _scored(read: Sequence[ReadRow], predictor: Predictor) -> pa.Table:
    listings = [one.result for one in read if isinstance(one.result, Listing)]
    scores = _score(listings, predictor)
    if len(listings) < len(read):
        place = iter(range(len(listings)))
        at = [next(place) if isinstance(one.result, Listing) else None for one in read]
        scores = scores.take(pa.array(at, pa.int64()))
    refused = [_line(one.result) if isinstance(one.result, RejectedRow) else None for one in read]
    facts = pa.RecordBatch.from_arrays(
        [
            pa.array(refused, pa.large_string()),
            pa.array([one.hashed for one in read], pa.bool_()),
            pa.array([",".join(one.kept) or None for one in read], pa.string()),
        ],
        schema=_FACTS,
    )
    return pa.Table.from_arrays(
        [*scores.columns, *facts.columns], schema=partition_schema(predictor.taxonomy.codes)
    )


def _line(row: RejectedRow) -> str:
    """Write a reject as a line of its file; what is no valid text (half a surrogate pair) is written out as escape."""
    text = json.dumps(row.as_dict(), ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _score(listings: Sequence[Listing], predictor: Predictor) -> pa.RecordBatch:
    schema = output_schema(predictor.taxonomy.codes)
    if not listings:
        return pa.RecordBatch.from_arrays([pa.array([], one.type) for one in schema], schema=schema)
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
    return pa.RecordBatch.from_arrays(columns, schema=schema)


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
