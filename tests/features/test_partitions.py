"""Rows in tables: the same rows as read one by one, from any row on, in tables of any size."""

from __future__ import annotations

import gzip
import json
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.partitions import read_partitions, rows_of
from features.rows import Form, ReadError, read_rows

RECORDS = [
    {
        "_line": n,
        "title": f"나무 딸랑이 {n}",
        "price": n / 8,
        "tags": ["a", "b"][: n % 3],
        "seller": {"id": str(n)},
    }
    for n in range(57)
]


def flat(path, **options):
    return [row for table in read_partitions(path, **options) for row in rows_of(table)]


def written(folder, kind):
    path = folder / f"x{kind}"
    if kind == ".parquet":
        times = {"day": date(2026, 1, 2), "at": datetime(2026, 1, 2, 3, tzinfo=UTC), "cost": Decimal("1.50")}
        pq.write_table(pa.Table.from_pylist([row | times for row in RECORDS]), path, row_group_size=10)
        return path
    if "jsonl" in kind:
        lines = [json.dumps(row, ensure_ascii=False) for row in RECORDS]
        lines[7:7] = ["", "{not json", "[1]"]
    else:
        lines = ["_line,title,=odd", *(f'{n},"나무, ""{n}""\n둘째 줄",x' for n in range(40))]
        lines[9:9] = ["too,few", "", "far,too,many,cells", 'bad "quote" here,"a"b,c']
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("rows", [1, 7, 512])
def test_the_same_rows_whatever_the_size_of_the_tables(tmp_path, kind, rows):
    path = written(tmp_path, kind)
    expected = list(read_rows(path))
    assert flat(path, rows=rows) == expected
    assert all(0 < table.num_rows <= rows for table in read_partitions(path, rows=rows))
    for first in (1, 10, 33, len(expected), len(expected) + 5):
        assert flat(path, rows=rows, first=first) == expected[first:]


def test_a_table_survives_the_way_to_another_process(tmp_path):
    path = written(tmp_path, ".csv")
    sent = [pickle.loads(pickle.dumps(table, protocol=5)) for table in read_partitions(path, rows=9)]
    assert [row for table in sent for row in rows_of(table)] == list(read_rows(path))


CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_delimited_file(tmp_path, cells, rows):
    path = tmp_path / "any.csv"
    text = "\n".join(",".join(row) for row in cells)
    path.write_text("a,b\n" + text, encoding="utf-8", newline="")

    def outcome(read):
        try:
            return list(read())
        except ReadError as error:
            return str(error)

    assert outcome(lambda: flat(path, rows=rows)) == outcome(lambda: read_rows(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.csv", None),
        ("empty.csv", b""),
        ("empty.jsonl", b"\n\n"),
        ("nul.jsonl", b'{"title": "a\0"}\n'),
        ("latin.csv", "id,title\n1,caf\xe9".encode("latin-1")),
        ("cut.csv.gz", gzip.compress(b"id,title\n" + b"1,duck\n" * 9_000)[:-20]),
        ("cut.parquet", b"PAR1 and no more"),
        ("picture.png", b"x"),
    ],
)
def test_a_file_that_cannot_be_read_gets_the_same_message(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    said = []
    for read in (lambda: list(read_rows(path, Form())), lambda: flat(path, form=Form())):
        with pytest.raises(ReadError) as error:
            read()
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_file_is_not_read_far_ahead(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text('{"title": "duck"}\n' * 300_000)
    tables = read_partitions(path, rows=100)
    lines = [table["_line"][0].as_py() for table, _ in zip(tables, range(5), strict=False)]
    assert [b - a for a, b in pairwise(lines)] == [100] * 4
