"""The published figures of judged listings are those of the committed verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.results_file import RESULTS, read_results
from benchmarks.wild.run import EACH, POINTS, SOURCES

VERDICTS = Path(__file__).parents[2] / "benchmarks" / "wild" / "verdicts.jsonl"


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in VERDICTS.read_text(encoding="utf-8").splitlines()]


def test_every_item_was_judged_twice_and_no_text_is_committed(rows):
    assert {tuple(sorted(row)) for row in rows} == {
        ("chosen", "item", "judge", "listing_id", "source", "verdict")
    }
    judges = {
        judge: {row["item"] for row in rows if row["judge"] == judge} for judge in {r["judge"] for r in rows}
    }
    assert len(judges) == 2
    first, second = judges.values()
    assert first == second
    assert len(first) == 2 * EACH * len(SOURCES)


@pytest.mark.parametrize("source", [*SOURCES, "all"])
@pytest.mark.parametrize(("system", "chosen"), [("ours", True), ("random", False)])
def test_precision_follows_from_the_verdicts(rows, source, system, chosen):
    given = [
        POINTS[row["verdict"]] for row in rows if row["chosen"] is chosen and source in (row["source"], "all")
    ]
    published = read_results(RESULTS / "wild_listings.json").row(system, f"precision_{source}")
    assert published.value == pytest.approx(np.mean(given), abs=1e-9)
    assert published.low <= published.value <= published.high
