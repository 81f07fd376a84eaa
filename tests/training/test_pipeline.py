"""From past results to a bundle that loads, scores, explains, and refuses to be tampered with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import features.sample
from features.schema import parse_listing
from features.taxonomy import load_taxonomy
from training.bundle import Bundle
from training.config import Config, ConfigError, load_config
from training.dataset import DataError, load_dataset
from training.manifest import BundleError, read_manifest
from training.pipeline import train

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
TITLES = [
    "소프트 비닐 오리 목욕 장난감",
    "USB C fast charger 65W",
    "儿童手链 合金 可爱",
    "hardcover novel",
    "😀😀😀",
    "a" * 900,
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    train(Config.model_validate(CONFIG), SAMPLE, folder)
    return folder


@pytest.fixture(scope="module")
def bundle(tiny):
    return Bundle.load(tiny)


@pytest.fixture(scope="module")
def listings():
    return [parse_listing({"id": str(i), "title": title}) for i, title in enumerate(TITLES)]


def test_scores_are_coherent_probabilities(bundle, listings):
    scores = bundle.score(listings)
    laboratory = bundle.taxonomy.laboratory_mask
    assert scores.p.shape == scores.q.shape == (len(TITLES), len(bundle.taxonomy.codes))
    assert np.all((scores.p >= 0) & (scores.p <= 1))
    assert np.all(scores.p_noncompliant[:, None] >= scores.p[:, laboratory] - 1e-12)
    assert np.isnan(scores.q[:, ~laboratory]).all()
    assert not np.isnan(scores.q[:, laboratory]).any()


def test_single_and_bulk_give_the_same_bits(bundle, listings):
    together = bundle.score(listings)
    for i, listing in enumerate(listings):
        alone = bundle.score([listing])
        assert alone.p.tobytes() == together.p[i : i + 1].tobytes()
        assert alone.p_noncompliant[0] == together.p_noncompliant[i]


def test_a_reason_quotes_what_the_seller_wrote(bundle, listings):
    for listing in listings[:3]:
        for phrase in bundle.explain(listing, ["lead", "choking", "fire"]):
            assert phrase.field == "title"
            assert listing.title[phrase.start : phrase.end] == phrase.text
            assert phrase.weight > 0


def test_no_listings_give_no_scores(bundle):
    assert bundle.score([]).p.shape == (0, len(bundle.taxonomy.codes))


def test_the_same_data_and_settings_give_the_same_model(tiny, tmp_path):
    again = train(Config.model_validate(CONFIG), SAMPLE, tmp_path / "again")
    first = read_manifest(tiny)
    assert again.files["model.safetensors"] == first.files["model.safetensors"]
    assert again.labels_sha256 == first.labels_sha256


@pytest.mark.parametrize("name", ["model.safetensors", "terms.json", "past_results.jsonl", "card.md"])
def test_a_changed_file_is_refused(tiny, tmp_path, name):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(BundleError, match=f"'{name}'.*changed"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contract": 99}, "contract 99"),
        ({"hazards": ["lead"]}, "trained on 1 hazards"),
        ({"files": {"../../etc/passwd": "0"}}, "lacks its file"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_foreign_manifest_is_refused(tiny, tmp_path, change, message):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text()) | change
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


def test_a_bundle_of_another_encoder_is_refused(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["encoder"]["sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="was trained with encoder"):
        Bundle.load(copy)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="expected a bundle"):
        Bundle.load(tmp_path)


def test_loading_and_scoring_need_neither_torch_nor_scikit_learn(tiny):
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"torch", "sklearn", "mlflow", "pandas", "scipy", "sentence_transformers"}}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from features.schema import parse_listing
from training.bundle import Bundle
bundle = Bundle.load(Path({str(tiny)!r}))
print(bundle.score([parse_listing({{"id": "1", "title": "toy duck"}})]).p.shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 30)"


def test_a_snapshot_leaves_later_records_out():
    config = Config.model_validate(CONFIG | {"as_of": "2025-06-30"})
    dataset = load_dataset(config, SAMPLE, load_taxonomy())
    whole = load_dataset(Config.model_validate(CONFIG), SAMPLE, load_taxonomy())
    for part in (dataset.recalls, dataset.lab):
        assert all(day is not None and day <= date(2025, 6, 30) for day in part.dates)
    assert 0 < len(dataset.recalls) + len(dataset.lab) < len(whole.recalls) + len(whole.lab)
    assert dataset.left_out["sample: not known on 2025-06-30"] > 0


def test_a_missing_source_and_an_unknown_reader_are_named(tmp_path):
    config = Config.model_validate(CONFIG)
    with pytest.raises(DataError, match=r"past_results.jsonl' is not in"):
        load_dataset(config, tmp_path, load_taxonomy())
    wrong = Config.model_validate(CONFIG | {"sources": [{"reader": "csv", "path": "x"}]})
    with pytest.raises(DataError, match="expected one of"):
        load_dataset(wrong, tmp_path, load_taxonomy())


def test_a_wrong_configuration_names_every_entry(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("name: '../x'\nsources: []\nroot_rate: 2\nsurprise: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    for name in ("name", "sources", "root_rate", "root_rate_source", "surprise"):
        assert name in str(caught.value)


def test_the_product_group_is_a_word_of_what_the_hazard_type_model_reads(bundle):
    ko, en = (parse_listing({"id": "1", "title": title}) for title in ("오토바이 헬멧", "motorcycle helmet"))
    (korean, english), _ = bundle.read([ko, en])
    assert korean.group == english.group != ""
    assert korean.type_text.split()[-1] == english.type_text.split()[-1] == f"group:{english.group}"
    assert "group:" not in english.view.text


def test_few_recalls_leave_the_level_to_the_prior_and_keep_their_order(bundle):
    titles = ["magnetic balls", "wooden rattle", "phone charger", "novel", "steel ladder", "baby crib"]
    readings, embeddings = bundle.read([parse_listing({"id": t, "title": t}) for t in titles])
    positives = bundle.model.hazard_type.positives
    few = np.flatnonzero((positives > 0) & (positives < 15))
    assert len(few), "the sample no longer has a hazard with few recalls"
    same_group = np.full(len(titles), -1)
    q = bundle._given_failure(readings, embeddings, same_group)
    recalled = [
        bundle.model.hazard_type.probabilities(reading.type_text, embedding)
        for reading, embedding in zip(readings, embeddings, strict=True)
    ]
    assert np.array_equal(np.argsort(q[:, few], axis=0), np.argsort(np.array(recalled)[:, few], axis=0))
    none = np.flatnonzero((positives == 0) & bundle.taxonomy.laboratory_mask)
    assert np.allclose(q[:, none], bundle.model.group_prior[-1, none], atol=1e-5)


def test_a_hazard_that_the_prior_does_not_name_has_the_share_of_recalls(bundle):
    seen = np.flatnonzero((bundle.model.hazard_type.positives > 0) & bundle.taxonomy.laboratory_mask)
    assert (bundle.model.group_prior[:, seen] > 0).all()
