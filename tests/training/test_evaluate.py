"""The report says what was measured, on what, and draws it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import features.sample
from training.config import Config
from training.evaluate import evaluate_bundle
from training.metrics import (
    at_budget,
    average_precision,
    bootstrap,
    brier_skill,
    calibration_error,
    macro_bootstrap,
)
from training.pipeline import train

SAMPLE = Path(features.sample.__file__).parent


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    config = Config.model_validate(
        {
            "name": "tiny",
            "sources": [{"reader": "sample", "path": "past_results.jsonl"}],
            "cuts": {"lead": {"value": 100, "unit": "ppm", "basis": "made up"}},
            "as_of": "2025-06-30",
            "root_rate": 0.05,
            "root_rate_source": "made up",
            "folds": 2,
        }
    )
    train(config, SAMPLE, folder / "bundle")
    return evaluate_bundle(folder / "bundle", SAMPLE, folder / "report"), folder / "report"


def test_only_results_later_than_the_bundle_are_measured(report):
    content, _ = report
    assert content["held_out"]
    records = [
        json.loads(line) for line in (SAMPLE / "past_results.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    later = [line for line in records if line["record"] == "lab_result" and line["date"] > "2025-06-30"]
    assert 0 < content["parts"]["laboratory"]["n"] <= len(later)


def test_the_report_is_written_as_json_and_picture(report):
    content, folder = report
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(content))
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert set(content["parts"]["laboratory"]["slices"]) == {
        "language",
        "group",
        "audience",
        "name",
        "source",
    }


def test_metrics_of_a_perfect_and_of_a_useless_score():
    rng = np.random.default_rng(0)
    y = (rng.random(500) < 0.2).astype(float)
    assert average_precision(y, y) == 1.0
    assert average_precision(y, rng.random(500)) == pytest.approx(y.mean(), abs=0.08)
    assert brier_skill(y, np.full(500, y.mean())) == pytest.approx(0.0)
    assert brier_skill(y, y) == 1.0
    assert calibration_error(y, np.full(500, y.mean())) < 0.1
    assert calibration_error(y, np.full(500, 0.9)) == pytest.approx(0.9 - y.mean(), abs=1e-6)
    precision, recall = at_budget(y, y + rng.random(500) / 10, 0.1)
    assert precision == 1.0
    assert recall == pytest.approx(50 / y.sum())


def test_an_interval_holds_its_figure_and_narrows_with_more_items():
    rng = np.random.default_rng(1)
    small, large = ((rng.random(n) < 0.3).astype(float) for n in (100, 2000))
    widths = []
    for y in (small, large):
        figure = bootstrap(average_precision, y, y * 0.3 + rng.random(len(y)), rng=rng, draws=100)
        assert figure.low <= figure.value <= figure.high
        widths.append(figure.high - figure.low)
    assert widths[1] < widths[0]


def test_macro_leaves_classes_without_positives_out():
    Y = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=float)
    figure = macro_bootstrap(Y, Y + 0.1, rng=np.random.default_rng(0), draws=20)
    assert figure.value == 1.0
