"""From a publisher's file to records, rejects and a tally."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from features.reader import read_listings
from features.rows import ReadError
from features.schema import Listing
from training.ingest import ingest, tally
from training.records import Reject
from training.sources import SOURCES

FILES = Path(__file__).parents[1] / "files" / "sources"
SAMPLE = Path(__file__).parents[2] / "features" / "sample"


def test_every_row_is_in_one_of_the_two_files(tmp_path):
    counts = ingest(SOURCES["cpsc"], FILES / "cpsc.csv", tmp_path)
    assert (counts.records, counts.rejects, counts.undated, counts.unnamed) == (3, 3, 1, 1)
    assert (counts.first, counts.last) == (date(2009, 5, 4), date(2011, 6, 1))
    assert counts.hazards == {"choking": 2, "lead": 1, "fire": 1}
    again = tally(SOURCES["records"], tmp_path / "cpsc.records.jsonl")
    assert (again.records, again.rejects) == (3, 0)
    rejects = [json.loads(line) for line in (tmp_path / "cpsc.rejects.jsonl").read_text().splitlines()]
    assert [r["line"] for r in rejects] == [4, 5, 6]
    assert all(r["reason"] and r["raw"] for r in rejects)


def test_a_file_that_cannot_be_read_leaves_earlier_output(tmp_path):
    ingest(SOURCES["cpsc"], FILES / "cpsc.csv", tmp_path)
    before = (tmp_path / "cpsc.records.jsonl").read_bytes()
    broken = tmp_path / "broken.csv"
    broken.write_bytes((FILES / "cpsc.csv").read_bytes() + b"\xff\xff")
    with pytest.raises(ReadError, match="byte 0xff"):
        ingest(SOURCES["cpsc"], broken, tmp_path)
    assert (tmp_path / "cpsc.records.jsonl").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "broken.csv",
        "cpsc.records.jsonl",
        "cpsc.rejects.jsonl",
    ]


def test_the_samples_past_results_and_catalogue_are_read_whole():
    past = list(SOURCES["sample"].read(SAMPLE / "past_results.jsonl"))
    assert past
    assert not [item for item in past if isinstance(item, Reject)]
    assert {item.source for item in past} == {"sample"}
    assert all(isinstance(item, Listing) for item in read_listings(SAMPLE / "catalogue.jsonl"))
