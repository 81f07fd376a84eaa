"""The one function that scores rows: every row comes back, and none changes what another gets."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.partitions import read_partitions
from serving.batch.partition import REJECTED, Reading, output_schema, partition_schema, score_partition

GOOD = {"id": "1", "title": "wooden duck", "attributes": {"p:lead": "0.9"}}
NO_LISTING = {"id": "2", "title": ""}
EXPLODES = {"id": "3", "title": "secret duck", "attributes": {"explode": "1"}}


def partition(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    (table,) = read_partitions(path)
    return table


def refused(table):
    return [None if line is None else json.loads(line) for line in table[REJECTED].to_pylist()]


def test_rows_come_back_in_their_order_scored_or_with_every_reason(predictor, tmp_path):
    table = score_partition(partition(tmp_path, GOOD, NO_LISTING, "{no json", GOOD), Reading(), predictor)
    assert table.schema == partition_schema(predictor.taxonomy.codes)
    assert table["listing_id"].to_pylist() == ["1", None, None, "1"]
    assert table["p_lead"].to_pylist() == [0.9, None, None, 0.9]
    lines = refused(table)
    assert [None if one is None else one["line"] for one in lines] == [None, 2, 3, None]
    assert lines[1]["reasons"][0]["field"] == "title"
    assert lines[1]["raw"] == NO_LISTING
    assert "not JSON" in lines[2]["reasons"][0]["problem"]


def test_a_row_that_scoring_cannot_cope_with_takes_no_other_with_it(predictor, tmp_path):
    table = score_partition(partition(tmp_path, GOOD, EXPLODES, GOOD), Reading(), predictor)
    assert table["action"].to_pylist()[0] == table["action"].to_pylist()[2]
    assert table["action"].to_pylist()[1] is None
    (line,) = [line for line in table[REJECTED].to_pylist() if line]
    assert "could not be scored: ValueError" in line
    assert "secret" not in line, "an error's message may hold the listing's text"


def test_when_no_row_can_be_scored_the_rows_are_not_to_blame(predictor, tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        score_partition(partition(tmp_path, EXPLODES, EXPLODES), Reading(), predictor)


def test_half_a_surrogate_pair_is_kept_as_it_was_written(predictor, tmp_path):
    text = '{"id": "1", "title": "", "seller": "\\udc00"}'
    (line,) = refused(score_partition(partition(tmp_path, text), Reading(), predictor))
    assert line["raw"]["seller"] == "\udc00"


def test_no_rows_but_rejects_have_the_same_columns(predictor, tmp_path):
    table = score_partition(partition(tmp_path, NO_LISTING), Reading(), predictor)
    assert table.schema == partition_schema(predictor.taxonomy.codes)
    assert set(output_schema(predictor.taxonomy.codes).names) < set(table.schema.names)


@given(st.lists(st.sampled_from(["good", "bad", "odd"]), min_size=1, max_size=12), st.integers(1, 12))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_tables_are_cut_changes_nothing(predictor, tmp_path, kinds, size):
    rows = {"good": GOOD, "bad": NO_LISTING, "odd": GOOD | {"id": ""}}
    whole = partition(tmp_path, *(rows[kind] for kind in kinds))
    cut = [
        score_partition(whole.slice(at, size), Reading(), predictor) for at in range(0, whole.num_rows, size)
    ]
    assert pa.concat_tables(cut).equals(score_partition(whole, Reading(), predictor))
