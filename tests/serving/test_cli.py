"""The command line: its contract, its exit codes, its examples."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from features.taxonomy import load_taxonomy
from serving.cli import main

CODES = load_taxonomy().codes
ROOT = Path(__file__).parents[2]
ROWS = [
    {"id": "1", "title": "유아 목욕놀이 말랑말랑 비닐 오리 장난감", "price": 3900, "currency": "KRW"},
    {"id": "2", "title": "hardcover novel"},
    {"id": "3", "title": "탁상시계 와이파이 카메라 1080p 원격 보기"},
    {"id": "4", "title": "😀😀😀"},
    {"id": "5", "title": "", "price": -1},
]


def run(*arguments, given=None):
    return CliRunner().invoke(main, [str(part) for part in arguments], input=given, catch_exceptions=True)


@pytest.fixture
def listings(tmp_path):
    path = tmp_path / "listings.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def expected_columns():
    named = ["listing_id", "p_noncompliant", *(f"p_{c}" for c in CODES), *(f"q_{c}" for c in CODES)]
    return [*named, "basis", "risk_level", "expected_harm", "action", "reasons", "model_version"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_batch_writes_the_contract_in_every_form(listings, tmp_path, suffix, expected_columns):
    output = tmp_path / f"scores{suffix}"
    done = run("batch", listings, "--output", output)
    assert done.exit_code == 0, done.output
    if suffix == ".csv":
        with output.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    else:
        rows = pq.read_table(output).to_pylist()
    assert list(rows[0]) == expected_columns
    assert [row["listing_id"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["action"] for row in rows} <= {"allow", "monitor", "review", "lab_test", "block"}
    assert rows[2]["action"] == "block"
    assert rows[0]["q_covert_camera"] in (None, "")
    basis = json.loads(rows[0]["basis"])
    assert basis["covert_camera"]["basis"] == "policy"
    assert set(basis) == set(CODES)
    reasons = json.loads(rows[0]["reasons"])
    assert reasons["rules"]
    assert reasons["past_results"]
    for phrase in reasons["reasons"]:
        assert ROWS[0]["title"][phrase["start"] : phrase["end"]] == phrase["text"]
    rejects = [
        json.loads(line) for line in Path(f"{output}.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [reason["field"] for reason in rejects[0]["reasons"]] == ["title", "price"]


def test_batch_and_score_agree(listings, tmp_path):
    run("batch", listings, "--output", tmp_path / "scores.jsonl")
    batch = json.loads((tmp_path / "scores.jsonl").read_text(encoding="utf-8").splitlines()[0])
    alone = json.loads(run("score", "--all-hazards", given=json.dumps(ROWS[0])).stdout)
    for hazard in alone["hazards"]:
        assert hazard["p"] == pytest.approx(batch[f"p_{hazard['hazard']}"], rel=1e-5, abs=1e-12)
    assert alone["action"] == batch["action"]


def test_a_batch_that_fails_leaves_nothing_that_looks_finished(tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(
        "".join(json.dumps({"id": str(i), "title": "toy duck"}) + "\n" for i in range(3000)).encode()
    )
    path.write_bytes(whole[: len(whole) // 2])
    done = run("batch", path, "--output", tmp_path / "scores.csv")
    assert done.exit_code == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.jsonl.gz"]


def bad_files(folder):
    """Yield (name of the file, options, words of the message)."""
    (folder / "empty.csv").write_bytes(b"")
    yield "empty.csv", (), "empty"
    (folder / "latin.csv").write_bytes("id,title\n1,caf\xe9 장난감".encode("utf-16"))
    yield "latin.csv", (), "utf-8"
    table = pa.table({"id": [str(i) for i in range(1000)], "title": ["toy"] * 1000})
    pq.write_table(table, folder / "whole.parquet")
    raw = (folder / "whole.parquet").read_bytes()
    (folder / "truncated.parquet").write_bytes(raw[: len(raw) // 2])
    yield "truncated.parquet", (), "Parquet"
    (folder / "names.csv").write_text("sku,name\n1,toy\n")
    yield "names.csv", ("--columns", "id=sku,title=nam"), "name"
    (folder / "picture.png").write_bytes(b"x")
    yield "picture.png", (), ".csv"
    yield "names.csv", ("--columns", "no_such_map"), "no_such_map"


@pytest.mark.parametrize("place", range(6))
def test_a_bad_file_exits_2_and_says_what_to_do(tmp_path, place):
    name, options, words = list(bad_files(tmp_path))[place]
    done = run("batch", tmp_path / name, "--output", tmp_path / "scores.csv", *options)
    assert done.exit_code == 2, done.output
    assert words in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (("score",), "{not json", "not JSON"),
        (("score",), "[1]", "expected one listing as an object"),
        (("score",), '{"id": "", "title": "", "surprise": 1}', "title"),
        (("score", "--bundle", "/nowhere"), '{"id": "1", "title": "x"}', "/nowhere"),
        (("model", "/nowhere"), None, "expected a bundle"),
        (("score", "--bundle", "models:/x/y/z"), '{"id": "1", "title": "x"}', "models:/name@alias"),
    ],
)
def test_a_user_error_exits_2(arguments, given, words):
    done = run(*arguments, given=given)
    assert done.exit_code == 2, done.output
    assert words in done.output.replace("\n", " ")


def test_an_output_with_an_unknown_suffix_is_refused_before_any_work(listings, tmp_path):
    done = run("batch", listings, "--output", tmp_path / "scores.xlsx")
    assert done.exit_code == 2
    assert ".parquet" in done.output


def test_every_command_has_examples_and_stands_in_the_documents():
    documents = (ROOT / "README.md").read_text(encoding="utf-8") + "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")
    )
    for name in main.commands:
        shown = run(name, "--help").output
        assert "listing-risk" in shown.split("Options:")[0].split("\n", 1)[1] or "Commands:" in shown, name
        assert f"listing-risk {name}" in documents, f"`listing-risk {name}` stands in no document"


def test_the_model_command_names_data_and_thresholds():
    shown = json.loads(run("model").stdout)
    assert shown["operating_points"]["lab_test"]["lead"] > 0
    assert shown["data"]
    assert run("model", "--card").stdout.startswith("# Model card")
