"""Steps are done once per content; whatever changes makes them run again, and a damaged file is never believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import features.sample
from training import pipeline
from training.config import Config
from training.labels import Cut
from training.pipeline import train
from training.stages import Stages

SAMPLE = Path(features.sample.__file__).parent
CONFIG = {
    "name": "tiny",
    "sources": [{"reader": "sample", "path": "past_results.jsonl"}],
    "cuts": {"lead": {"value": 100, "unit": "ppm", "basis": "made up for the test"}},
    "root_rate": 0.05,
    "root_rate_source": "made up for the test",
    "folds": 2,
    "lab": {"min_failed": 5},
}


def test_what_was_made_comes_back_as_it_was(tmp_path):
    made = (
        Cut(1.5, "ppm", "x"),
        np.arange(4, dtype=np.float32),
        {"a": [1, None, True]},
        np.float64(2.5),
        "텍스트",
    )
    calls = []

    def make():
        calls.append(1)
        return made

    for _ in range(3):
        found = Stages(tmp_path).once("step", (1, {"x": 2}), make)
        assert found[0] == made[0]
        assert found[1].dtype == np.float32
        assert np.array_equal(found[1], made[1])
        assert found[2:] == made[2:]
    assert len(calls) == 1
    Stages(tmp_path).once("step", (1, {"x": 3}), make)
    Stages(None).once("step", (1, {"x": 2}), make)
    assert len(calls) == 3


def test_a_file_that_was_cut_short_is_made_again(tmp_path):
    Stages(tmp_path).once("step", (), lambda: np.arange(1000))
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:500])
    assert Stages(tmp_path).once("step", (), lambda: np.arange(3)).tolist() == [0, 1, 2]


def test_only_plain_values_are_kept(tmp_path):
    with pytest.raises(TypeError, match="expected arrays and plain values"):
        Stages(tmp_path).once("step", (), lambda: object())


def test_training_goes_on_from_what_is_done(tmp_path, monkeypatch):
    fitted = []
    for name in ("fit_type_model", "fit_lab_model"):
        real = getattr(pipeline, name)
        monkeypatch.setattr(
            pipeline, name, lambda *a, _real=real, _name=name: (fitted.append(_name), _real(*a))[1]
        )
    config, work = Config.model_validate(CONFIG), tmp_path / "work"
    first = train(config, SAMPLE, tmp_path / "a", work=work)
    assert fitted == ["fit_type_model", "fit_lab_model"]
    again = train(config, SAMPLE, tmp_path / "b", work=work)
    assert len(fitted) == 2
    assert again.files["model.safetensors"] == first.files["model.safetensors"]
    other = config.model_copy(update={"lab": config.lab.model_copy(update={"strength": 0.5})})
    train(other, SAMPLE, tmp_path / "c", work=work)
    assert fitted[2:] == ["fit_lab_model"]
