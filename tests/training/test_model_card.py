"""The card repeats every measured task, and the starter's is the one that its manifest makes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.document import TEXTS
from features.taxonomy import load_taxonomy
from training.manifest import read_manifest
from training.model_card import model_card
from training.model_card_tasks import MEASURED

STARTER = Path(__file__).parents[2] / "serving" / "starter"
# Rooms that measure the model; the others measure photos, speed and plans.
ROOMS = ("quality", "robustness", "wild")


def test_every_task_that_measures_the_model_is_on_the_card():
    tasks = {path.stem for room in ROOMS for path in (TEXTS / room).glob("*.md") if path.stem.islower()}
    assert {one.task for one in MEASURED} == tasks
    assert all(one.shown and one.not_shown and one.aim for one in MEASURED)


def test_the_starters_card_is_the_one_that_its_manifest_makes():
    made = model_card(read_manifest(STARTER), load_taxonomy())
    assert (STARTER / "card.md").read_text(encoding="utf-8") == made


def test_a_cell_of_the_table_breaks_no_row():
    assert not any("|" in cell or "\n" in cell for one in MEASURED for cell in one)
