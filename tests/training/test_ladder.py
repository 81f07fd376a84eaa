"""Values beside the cut teach direct models too, and cost nothing where none are asked for."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from features.taxonomy import load_taxonomy
from training.config import Config
from training.fitting import fit_lab_model, rungs
from training.labels import Cut, LabelMatrix, from_laboratory
from training.prepare import Prepared
from training.reading import Reader
from training.records import LabResult

TAXONOMY = load_taxonomy()
LEAD = TAXONOMY.index("lead")
HAZARDS = np.array([LEAD])
GOODS = ("turmeric powder", "glazed clay pot", "silver ring", "wooden train")


def results() -> list[LabResult]:
    """Four kinds of goods, the later the more lead; every fifth result is not detected."""
    found = []
    for i in range(160):
        kind = i % len(GOODS)
        value = None if i % 5 == 0 else float(10 ** (kind + (i % 7) / 7))
        found.append(
            LabResult(
                "made-up", str(i), date(2020, 1, 1 + i % 28), f"{GOODS[kind]} no {i % 9}", "lead", "lead",
                value, "ppm", comparator="nd" if value is None else "=", program="", laboratory="",
            )
        )  # fmt: skip
    return found


def labels(extra: list[LabResult] | None = None) -> LabelMatrix:
    return from_laboratory([*results(), *(extra or [])], TAXONOMY, {"lead": Cut(100, "ppm", "made up")})[0]


def config(*ladder: float, **cuts: object) -> Config:
    return Config.model_validate(
        {
            "name": "made-up", "sources": [{"reader": "lab", "path": "none.csv"}], "root_rate": 0.1,
            "root_rate_source": "made up", "folds": 3, "lab": {"min_failed": 10, "ladder": list(ladder)},
            "cuts": cuts or {"lead": {"value": 100, "unit": "ppm", "basis": "made up"}},
        }
    )  # fmt: skip


def prepared() -> Prepared:
    matrix, reader = labels(), Reader(TAXONOMY)
    readings = [reader.read_item(item) for item in matrix.items]
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(matrix), 8)).astype(np.float32)
    return Prepared(matrix, readings, vectors, np.arange(len(matrix)) // 4)


def test_each_value_is_a_multiple_of_the_cut():
    matrix = labels()
    own, higher, lower = rungs(matrix, HAZARDS, TAXONOMY, config(10.0, 0.1))
    assert np.array_equal(own[0][:, 0], matrix.value[:, LEAD])
    assert np.array_equal(higher[0][:, 0], matrix.measured >= 1000)
    assert np.array_equal(lower[0][:, 0], matrix.measured >= 10)
    assert higher[0].sum() < own[0].sum() < lower[0].sum()


def test_a_bound_teaches_the_cut_alone():
    bound = LabResult(
        "made-up", "b", date(2020, 1, 1), "red pot", "lead", "lead", 50.0, "ppm", comparator="<"
    )
    judged = LabResult(
        "made-up", "j", date(2020, 1, 1), "red pot", "lead", "lead", 5.0, "mg/cm2", failed=True
    )
    matrix = labels([bound, judged])
    own, lower = rungs(matrix, HAZARDS, TAXONOMY, config(0.1))
    assert own[1][-2:, 0].all() and own[0][-2:, 0].tolist() == [0.0, 1.0]
    assert not lower[1][-2:, 0].any()


@pytest.mark.parametrize(
    "settings", [config(1e6), config(10.0, nickel={"value": 1, "unit": "ppm", "basis": "x"})]
)
def test_where_a_value_cannot_teach_the_cut_stands_in(settings: Config):
    own, other = rungs(labels(), HAZARDS, TAXONOMY, settings)
    assert np.array_equal(own[0], other[0]) and np.array_equal(own[1], other[1])


def test_the_model_is_the_mean_and_one_value_is_the_model_without():
    lab = prepared()
    plain, _ = fit_lab_model(lab, TAXONOMY, config())
    same, _ = fit_lab_model(lab, TAXONOMY, config(1.0))
    other, figures = fit_lab_model(lab, TAXONOMY, config(10.0))
    assert plain is not None and same is not None and other is not None
    assert np.allclose(plain.heads.ngram_weights, same.heads.ngram_weights)
    assert not np.allclose(plain.heads.ngram_weights, other.heads.ngram_weights)
    assert plain.heads.ngram_weights.shape == other.heads.ngram_weights.shape
    assert figures["lead"]["average_precision"] > 0.5


@pytest.mark.parametrize("wrong", [[0.0], [-1.0], [1.0] * 9])
def test_a_ladder_is_of_few_positive_multiples(wrong: list[float]):
    with pytest.raises(ValidationError, match="ladder"):
        config(*wrong)
