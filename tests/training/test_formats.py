"""The documented forms are what the readers take: every example of a schema and every example file is read whole."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from features.reader import RejectedRow, read_listings
from training.gate_history import read_history
from training.records import Reject
from training.sources import SOURCES

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
READERS = {
    "lab_results": "lab_results",
    "recalls": "own_recalls",
    "inspection_rounds": "inspections",
}


@pytest.mark.parametrize("name", sorted(READERS))
def test_examples_of_a_schema_and_its_file_are_read(name, tmp_path):
    schema = json.loads((FORMATS / f"{name}.schema.json").read_text("utf-8"))
    assert set(schema["required"]) <= schema["properties"].keys()
    file = tmp_path / "examples.jsonl"
    file.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in schema["examples"]), "utf-8")
    for path, least in ((file, len(schema["examples"])), (FORMATS / "examples" / f"{name}.csv", 2)):
        found = list(SOURCES[READERS[name]].read(path))
        assert not [one for one in found if isinstance(one, Reject)]
        assert len(found) >= least
    with (FORMATS / "examples" / f"{name}.csv").open(encoding="utf-8") as stream:
        assert set(next(csv.reader(stream))) <= schema["properties"].keys()


def test_listings_and_history(tmp_path):
    rows = list(read_listings(FORMATS / "examples" / "listings.csv"))
    assert len(rows) == 40
    assert not [row for row in rows if isinstance(row, RejectedRow)]
    schema = json.loads((FORMATS / "gate_history.schema.json").read_text("utf-8"))
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in schema["examples"]), "utf-8")
    listings, history = read_history(file)
    assert len(listings) == 2
    assert history.propensity.tolist() == [0.4, 0.02]
