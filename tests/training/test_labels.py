"""Unknown is never negative, units are never mixed, and a snapshot knows only its day."""

from datetime import date

import numpy as np
import pytest

from features.taxonomy import load_taxonomy
from training.labels import Cut, from_laboratory, from_recalls
from training.records import LabResult, Recall

TAXONOMY = load_taxonomy()
LEAD = TAXONOMY.index("lead")
CUTS = {"lead": Cut(100, "ppm", "made up")}


def recall(number, day, *hazards):
    return Recall("made-up", number, day, ("Toy duck",), frozenset(hazards))


def result(number, value, unit="ppm", comparator="=", failed=None, day=date(2020, 5, 1)):
    return LabResult(
        "made-up", number, day, "Toy duck", "lead", "lead", value, unit, comparator, failed=failed
    )


def test_a_recall_makes_hazards_known_only_for_the_second_factor():
    labels = from_recalls([recall("1", date(2020, 1, 1), "choking")], TAXONOMY)
    assert labels.value[0, TAXONOMY.index("choking")] == 1
    assert labels.known[0].tolist() == TAXONOMY.laboratory_mask.tolist()
    assert not labels.known[0, TAXONOMY.index("covert_camera")]


def test_a_recall_without_a_hazard_supports_none():
    assert len(from_recalls([recall("1", date(2020, 1, 1))], TAXONOMY)) == 0


def test_a_laboratory_result_makes_one_hazard_known():
    labels, _ = from_laboratory([result("1", 150.0)], TAXONOMY, CUTS)
    assert labels.value[0, LEAD] == 1
    assert labels.known[0].sum() == 1


@pytest.mark.parametrize(
    ("value", "unit", "comparator", "expected"),
    [
        (100.0, "ppm", "=", 1.0),
        (99.9, "ppm", "=", 0.0),
        (250.0, "mg/kg", "=", 1.0),
        (None, "ppm", "nd", 0.0),
        (5.0, "ppm", "<", 0.0),
        (500.0, "ppm", "<", None),
        (250.0, "mg/l", "=", None),
        (250.0, "mg/cm2", "=", None),
        (250.0, "", "=", None),
    ],
)
def test_units_and_censored_values(value, unit, comparator, expected):
    labels, left_out = from_laboratory([result("1", value, unit, comparator)], TAXONOMY, CUTS)
    if expected is None:
        assert len(labels) == 0
        assert sum(left_out.values()) == 1
    else:
        assert labels.value[0, LEAD] == expected
        assert not left_out


def test_the_sources_own_verdict_wins_over_the_cut():
    labels, _ = from_laboratory([result("1", 5.0, failed=True)], TAXONOMY, CUTS)
    assert labels.value[0, LEAD] == 1


def test_a_hazard_without_a_cut_is_left_out_and_counted():
    labels, left_out = from_laboratory([result("1", 5.0)], TAXONOMY, {})
    assert len(labels) == 0
    assert left_out == {"no cut for lead": 1}


def test_a_snapshot_knows_only_its_day_and_hashes_its_content():
    older, newer = recall("1", date(2019, 12, 31), "fire"), recall("2", date(2020, 1, 1), "fall")
    undated = recall("3", None, "fall")
    labels = from_recalls([older, newer, undated], TAXONOMY)
    then = labels.as_of(date(2019, 12, 31))
    assert [item.id for item in then.items] == ["made-up:1"]
    assert then.content_hash() == from_recalls([older], TAXONOMY).content_hash()
    assert from_recalls([newer, older], TAXONOMY).content_hash() == labels.take([0, 1]).content_hash()
    changed = labels.take([0, 1])
    changed.value[0] = np.roll(changed.value[0], 1)
    assert changed.content_hash() != labels.take([0, 1]).content_hash()
