"""Bundles go to MLflow and come back whole, and what serves never imports MLflow."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from features.errors import UserError
from features.schema import Listing
from serving.settings import STARTER
from training.config import Config
from training.evaluate import evaluate_bundle
from training.manifest import BundleError, read_manifest
from training.pipeline import train
from training.registry import RegistryError, download, register, set_alias
from training.registry_path import resolve
from training.registry_runs import record_evaluation


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="module")
def versions(tracking):
    return [register(STARTER, tracking_uri=tracking) for _ in range(2)]


def test_the_first_version_is_champion_and_the_next_challenger(versions):
    assert [version.aliases for version in versions] == [("champion",), ("challenger",)]
    assert [version.version for version in versions] == ["1", "2"]


@pytest.mark.parametrize("address", ["models:/starter@champion", "models:/starter/2"])
def test_a_registered_bundle_comes_back_whole(versions, tracking, tmp_path, address):
    folder = download(address, tmp_path, tracking_uri=tracking)
    assert read_manifest(folder).digest == read_manifest(STARTER).digest
    assert download(address, tmp_path, tracking_uri=tracking) == folder


def test_an_address_is_resolved_without_importing_mlflow_here(versions, tracking, tmp_path):
    code = (
        "import sys; from pathlib import Path; from training.registry_path import resolve\n"
        f"print(resolve('models:/starter@champion', Path({str(tmp_path)!r})))\n"
        "assert 'mlflow' not in sys.modules"
    )
    environ = os.environ | {"MLFLOW_TRACKING_URI": tracking}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    read_manifest(type(tmp_path)(done.stdout.strip()))


@pytest.mark.parametrize("address", ["models:/starter@nobody", "models:/nothing/1", "models:/starter/99"])
def test_an_address_that_names_nothing_says_so(versions, tracking, tmp_path, address):
    with pytest.raises(RegistryError, match=address):
        download(address, tmp_path, tracking_uri=tracking)


def test_an_address_of_another_form_says_what_is_expected(tmp_path, monkeypatch, tracking):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    with pytest.raises(UserError, match="models:/name@alias"):
        resolve("models:/a/b/c", tmp_path)


def test_a_broken_bundle_is_not_registered(tmp_path, tracking):
    with pytest.raises(BundleError):
        register(tmp_path, tracking_uri=tracking)


def test_a_measurement_is_recorded_with_parameters_figures_and_files(tracking, tmp_path):
    from mlflow.tracking import MlflowClient

    from training.registry_runs import Run, record_run

    file = tmp_path / "figures.json"
    file.write_text("{}")
    run = Run(
        "benchmark-made-up",
        "first",
        {"data.a+b.csv": "ab12"},
        {"ours.macro_ap": 0.5},
        {"code_commit": "c0"},
        (file,),
    )
    run_id = record_run(run, tracking_uri=tracking)
    client = MlflowClient(tracking)
    kept = client.get_run(run_id)
    assert kept.data.params == {"data.a_b.csv": "ab12"}
    assert kept.data.metrics == {"ours.macro_ap": 0.5}
    assert kept.data.tags["code_commit"] == "c0"
    assert kept.info.status == "FINISHED"
    assert [a.path for a in client.list_artifacts(run_id)] == ["figures.json"]


def test_a_version_is_a_model_that_pyfunc_loads(versions, tracking):
    import mlflow
    import pandas as pd

    from training.bundle import Bundle

    mlflow.set_tracking_uri(tracking)
    model = mlflow.pyfunc.load_model("models:/starter/1")
    assert model.metadata.signature.inputs.required_input_names() == ["title"]
    assert model.metadata.saved_input_example_info is not None
    found = model.predict(
        pd.DataFrame({"title": ["여아 리본 목걸이", "wooden blocks"], "price": [1.0, None]})
    )
    assert len(found) == 2
    direct = Bundle.load(STARTER).score([Listing(id="1", title="여아 리본 목걸이", price=1.0)])
    assert found["p_noncompliant"][0] == direct.p_noncompliant[0]


def test_an_alias_moves(versions, tracking, tmp_path):
    set_alias("models:/starter/2", "previous", tracking_uri=tracking)
    assert "starter-2" in download("models:/starter@previous", tmp_path, tracking_uri=tracking).name


def test_a_training_run_keeps_everything_and_its_evaluation(tracking, tmp_path):
    from mlflow.tracking import MlflowClient

    rows = ["product_name,analyte,hazard,verdict,date"]
    for i in range(80):
        name = f"{'도금 귀걸이' if i % 2 else '원목 블록'} {chr(44032 + 40 * i)}무늬"
        rows.append(f"{name},lead,lead,{'fail' if i % 2 else 'pass'},2025-{1 + i // 8:02d}-15")
    (tmp_path / "r.csv").write_text("\n".join(rows), "utf-8")
    config = Config.model_validate(
        {
            "name": "tiny", "sources": [{"reader": "lab_results", "path": "r.csv"}], "folds": 2,
            "lab": {"min_failed": 10}, "as_of": "2025-06-30", "root_rate": 0.1, "root_rate_source": "made up",
        }
    )  # fmt: skip
    manifest = train(config, tmp_path, tmp_path / "bundle")
    version = register(tmp_path / "bundle", tracking_uri=tracking)
    report = evaluate_bundle(tmp_path / "bundle", tmp_path, tmp_path / "report")
    run_id = record_evaluation(manifest, report, tmp_path / "report", tracking_uri=tracking)
    assert run_id == version.run_id
    client = MlflowClient(tracking)
    run = client.get_run(run_id)
    assert run.data.params["folds"] == "2"
    assert run.data.params["data.r.csv"] == manifest.data["r.csv"]
    assert run.data.tags["code_sha256"] == manifest.code_sha256
    assert run.data.tags["code_commit"] == manifest.code_commit
    assert run.data.tags["taxonomy_sha256"] == manifest.taxonomy_sha256
    rate = manifest.metrics["group_rates"]["children_products"]["rate"]
    assert run.data.metrics["group_rates.children_products.rate"] == rate
    lead = report["parts"]["laboratory"]["hazards"]["lead"]["average_precision"]["value"]
    assert run.data.metrics["evaluation.laboratory.lead.average_precision"] == lead
    kept = {entry.path for entry in client.list_artifacts(run_id)}
    assert kept >= {"card.md", "figures", "model", "evaluation"}
    kept = {entry.path for entry in client.list_artifacts(run_id, "evaluation")}
    assert kept == {"evaluation/report.json", "evaluation/report.png"}
    foreign = manifest.model_copy(update={"name": "nobody", "code_commit": "c0"})
    assert record_evaluation(foreign, report, tmp_path / "report", tracking_uri=tracking) != run_id
