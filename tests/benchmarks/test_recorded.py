"""A measurement is filed in MLflow with what it was made from; strictness has a quick form that writes nothing."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.quality import strictness
from benchmarks.quality.run import main as quality
from benchmarks.quality.run import record
from benchmarks.results_file import RESULTS, Results, Row, read_looks, read_results, write_results

TASK = "lab_lead"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "rows.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    rows = (
        Row(system="ours", metric="ap_all", value=0.5, low=0.4, high=0.6, n=9, unit="share"),
        Row(system="labels", metric="positives_all", value=3, n=9, unit="rows"),
    )
    made = datetime(2026, 1, 2, tzinfo=UTC)
    command = "python -m benchmarks.quality.run lab_lead"
    results = Results(
        task=TASK, command=command, commit="a" * 40, date=made, machine="2 cores", data_sha256="", rows=rows
    )
    return write_results(results, folder), folder


def test_a_run_holds_parameters_hashes_figures_and_files(
    measured: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    path, folder = measured
    address = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    results = Results.model_validate(json.loads(path.read_text("utf-8")))
    client = MlflowClient(address)
    run = client.get_run(record(results, ("rows.csv",), path, folder))
    assert run.info.status == "FINISHED"
    assert run.data.params["data.rows.csv"] == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    assert run.data.params["systems"] == "ours"
    assert run.data.params["settings.encoder"] == "use"
    assert run.data.metrics == {"ours.ap_all": 0.5, "labels.positives_all": 3.0}
    assert run.data.tags["code_commit"] == "a" * 40
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert kept == {"lab_lead.json", "lab_lead.yaml"}


def test_more_results_leave_less_to_chance_and_strictness_is_taken_out() -> None:
    few, many = (strictness.judge(strictness.made(7, size)) for size in (1_500, 6_000))
    assert few[3] < few[2] and many[3] < many[2]
    assert many[3] < few[3]


def test_strictness_has_a_quick_form_that_writes_nothing(data_dir: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in RESULTS.iterdir()}
    done = CliRunner().invoke(strictness.main, ["--quick", "--data", str(data_dir)])
    assert done.exit_code == 0, done.output
    assert "new_york_program_" in done.output
    assert {path.name: path.stat().st_mtime_ns for path in RESULTS.iterdir()} == before


def test_figures_follow_from_stored_scores_alone(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "inspection_groups.scores.parquet").write_bytes(
        (RESULTS / "inspection_groups.scores.parquet").read_bytes()
    )
    words = [
        "inspection_groups",
        "--stored",
        "--no-track",
        "--data",
        str(data_dir),
        "--results",
        str(tmp_path),
    ]
    done = CliRunner().invoke(quality, words)
    assert done.exit_code == 0, done.output
    written, kept = (read_results(folder / "inspection_groups.json") for folder in (tmp_path, RESULTS))
    assert written.rows == kept.rows
    assert [look.task for look in read_looks(tmp_path)] == ["inspection_groups"]
