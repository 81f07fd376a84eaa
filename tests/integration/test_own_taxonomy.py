"""A team's own taxonomy folder, from the command line: copied, grown, trained with, promoted, served with."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import httpx
import pytest
import yaml
from click.testing import CliRunner

from features.own_files import VARIABLE
from serving.cli import main

COMMAND = [sys.executable, "-m", "serving.cli"]
CONFIG = {
    "name": "japan",
    "sources": [{"reader": "lab_results", "path": "results.csv"}],
    "folds": 2,
    "lab": {"min_failed": 10},
    "root_rate": 0.1,
    "root_rate_source": "made up for the test",
}
FLUTE = {"id": "f-1", "title": "투명 플라스틱 코피리 별무늬", "market": "JP"}


def _own_taxonomy():
    path = Path(__file__).with_name("test_data_only.py")
    spec = importlib.util.spec_from_file_location("data_only", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
    }
    state = tmp_path_factory.mktemp("state")
    return kept | {"XDG_STATE_HOME": str(state), "OMP_NUM_THREADS": "1", "COLUMNS": "300"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, environ):
    """An empty folder to which a team brings its results, and the package's data files with one of each added."""
    made = tmp_path_factory.mktemp("team")
    code, said = run(made, environ, "taxonomy", "copy", "ours")
    assert code == 0, said
    _own_taxonomy().grow(made / "ours")
    maps = yaml.safe_load((made / "ours" / "column_maps.yaml").read_text("utf-8"))
    maps["kobune"] = {"id": "番号", "title": "商品名", "price": "価格", "currency": "'JPY'", "market": "'JP'"}
    _own_taxonomy().save(made / "ours" / "column_maps.yaml", maps)
    (made / "listings.csv").write_text("商品名,価格,番号\n투명 플라스틱 코피리 별무늬,980,7\n", "utf-8")
    rows = [["product_name", "analyte", "hazard", "verdict", "date"]]
    for i in range(80):
        bad = i % 2 == 0
        name = f"{'투명 플라스틱 코피리' if bad else '스테인리스 코피리'} {chr(44032 + 40 * i)}무늬"
        day = f"2025-{1 + i // 8:02d}-15"
        rows.append([name, "BPA", "bisphenol_a", "fail" if bad else "pass", day])
    with (made / "results.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    (made / "config.yaml").write_text(yaml.safe_dump(CONFIG), "utf-8")
    return made


@pytest.fixture(scope="module")
def bundle(folder, environ):
    code, said = run(
        folder, environ, "train", "--config", "config.yaml", "--data", ".", "--as-of", "2025-06-30",
        "--output", "bundle", "--taxonomy", "ours",
    )  # fmt: skip
    assert code == 0, said
    return folder / "bundle"


def run(folder, environ, *arguments, **more):
    """Call the command line in this process; nothing of a call, its taxonomy least of all, stays for the next."""
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LISTING_RISK_")]:
            patch.delenv(name)
        for name in ("XDG_STATE_HOME", "COLUMNS"):
            patch.setenv(name, environ[name])
        for name, value in more.items():
            patch.setenv(name, value)
        done = CliRunner().invoke(main, arguments)
        assert os.environ.get(VARIABLE) == more.get(VARIABLE)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_the_check_says_what_was_added(folder, environ):
    code, said = run(folder, environ, "taxonomy", "check", "ours")
    assert code == 0, said
    for part in (
        "hazards: 31; 1 added (bisphenol_a)",
        "1 added (nose_flutes)",
        "1 added (t01)",
        "1 added (NEWLAB)",
        "1 added (kobune)",
        "train a bundle with this folder",
    ):
        assert part in said
    (folder / "ours" / "product_group.yaml").write_text("")
    code, said = run(folder, environ, "taxonomy", "check", "ours")
    assert "not read: product_group.yaml" in said


def test_a_wrong_entry_is_named(folder, environ, tmp_path):
    text = (folder / "ours" / "product_groups.yaml").read_text("utf-8")
    (tmp_path / "product_groups.yaml").write_text(
        text.replace("bisphenol_a .8 assumption", "bisphenol_a eight assumption"), "utf-8"
    )
    code, said = run(folder, environ, "taxonomy", "check", str(tmp_path))
    assert code == 2
    assert "groups.nose_flutes.hazards: got 'bisphenol_a eight assumption'" in said
    assert "Traceback" not in said


def test_a_bundle_knows_its_taxonomy_and_refuses_another(folder, environ, bundle):
    (folder / "flute.json").write_text(json.dumps(FLUTE), "utf-8")
    code, said = run(folder, environ, "score", "flute.json", "--bundle", "bundle", "--taxonomy", "ours")
    assert code == 0, said
    assert json.loads(said)["group"] == "nose_flutes"
    code, said = run(folder, environ, "score", "flute.json", "--bundle", "bundle")
    assert code == 2
    assert "got the package's own" in said
    assert "hazards without bisphenol_a" in said
    assert "--taxonomy" in said
    # The starter bundle reads goods by the package's words; with a folder that changes only limits it goes on.
    code, said = run(folder, environ, "serve", "--taxonomy", "ours")
    assert code == 2
    assert "hazards with bisphenol_a" in said
    limits = folder / "limits only"
    limits.mkdir()
    (limits / "limits.csv").write_bytes((folder / "ours" / "limits.csv").read_bytes())
    text = (limits / "limits.csv").read_text("utf-8").splitlines(keepends=True)
    (limits / "limits.csv").write_text("".join(line for line in text if not line.startswith("t01,")), "utf-8")
    code, said = run(folder, environ, "score", "flute.json", **{VARIABLE: str(limits)})
    assert code == 0, said


def test_a_file_is_read_by_the_teams_own_column_map(folder, environ, bundle):
    code, said = run(
        folder, environ, "batch", "listings.csv", "--bundle", "bundle", "--columns", "kobune",
        "--output", "scores.jsonl", "--taxonomy", "ours",
    )  # fmt: skip
    assert code == 0, said
    (row,) = [json.loads(line) for line in (folder / "scores.jsonl").read_text("utf-8").splitlines()]
    assert row["listing_id"] == "7"
    assert row["p_bisphenol_a"] > 0.3


@pytest.mark.long
def test_the_new_hazard_is_evaluated_promoted_and_served(folder, environ, bundle):
    own = {VARIABLE: "ours"}
    code, said = run(folder, environ, "evaluate", "bundle", "--data", ".", "--output", "report", **own)
    assert code == 0, said
    report = json.loads((folder / "report" / "report.json").read_text())
    assert "bisphenol_a" in report["parts"]["laboratory"]["hazards"]
    code, said = run(folder, environ, "promote", "bundle", "--data", ".", "--verdict", "verdict.json", **own)
    assert code == 0, said
    assert "does not know bisphenol_a" in said
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [*COMMAND, "serve", "--taxonomy", "ours", "--port", str(port)], cwd=folder, env=environ,
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            end = time.monotonic() + 180
            while True:
                assert process.poll() is None, (folder / "serve.log").read_text()
                assert time.monotonic() < end, (folder / "serve.log").read_text()
                try:
                    if http.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
            decision = http.post("/v1/score", json=FLUTE).json()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        log.close()
    assert decision["model_version"].startswith("japan+")
    assert decision["group"] == "nose_flutes"
    cell = next(cell for cell in decision["hazards"] if cell["hazard"] == "bisphenol_a")
    assert (cell["basis"], cell["p"] > 0.3) == ("lab", True)


def test_the_same_name_in_another_folder_is_another_taxonomy(folder, environ, tmp_path):
    assert run(folder, environ, "taxonomy", "check", "ours")[0] == 0
    assert run(tmp_path, environ, "taxonomy", "copy", "ours")[0] == 0
    assert "hazards: 30; as in the package" in run(tmp_path, environ, "taxonomy", "check", "ours")[1]
