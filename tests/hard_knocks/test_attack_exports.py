"""Formulas in what sellers choose, in the file that a batch writes for people."""

from __future__ import annotations

import csv
import json

from click.testing import CliRunner

from serving.cli import main

FORMULAS = (
    '=HYPERLINK("https://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "＝1+1", " =1+1", "=cmd|' /C calc'!A0",
)  # fmt: skip


def test_no_cell_of_a_batchs_csv_is_a_formula(tmp_path):
    """Ids and titles that start one; every other cell and every other format stays as it is."""
    ids = [*FORMULAS, "plain-1", "나무 블록"]
    rows = [{"id": one, "title": f"{FORMULAS[0]} 유아 비닐 오리 장난감 {one}"} for one in ids]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    for suffix in (".csv", ".jsonl"):
        done = CliRunner().invoke(
            main,
            ["batch", str(source), "-o", str(tmp_path / f"out{suffix}"), "--columns", "id=id,title=title"],
        )
        assert done.exit_code == 0, done.output
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for row in cells:
        for name, cell in row.items():
            assert not cell.lstrip(" \u00a0\u3000").startswith(("=", "+", "@", "＝")), (name, cell)
    # The identifier of a listing is stripped of blanks at its ends before anything else.
    assert [row["listing_id"].removeprefix("'") for row in cells] == [one.strip() for one in ids]
    assert [row["listing_id"] for row in cells][-2:] == ids[-2:]
    kept = [
        json.loads(line)["listing_id"] for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    ]
    assert kept == [one.strip() for one in ids]
