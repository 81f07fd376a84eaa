"""The newcomer: own files in other columns and languages, and nothing but the commands that init prints."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from serving.cli import main

FILES = Path(__file__).parents[1] / "files"
COMMAND = [sys.executable, "-m", "serving.cli"]


def own_data():
    spec = importlib.util.spec_from_file_location("own_data", FILES / "own_data.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("newcomer")
    own_data().newcomer(made)
    return made


@pytest.fixture(scope="module")
def environ(folder):
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("LISTING_RISK_", "BENTO", "PROMETHEUS_"))
    }
    return kept | {"XDG_STATE_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1", "COLUMNS": "300"}


def run(folder, environ, *arguments):
    """Run a command here: the starts of six processes would take longer than what they do."""
    others = dict.fromkeys(os.environ.keys() - environ.keys())
    with chdir(folder):
        done = CliRunner().invoke(main, arguments, env=environ | others)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def printed_commands(text):
    """The commands under "what comes next", word by word."""
    lines = text.partition("what comes next:")[2].splitlines()
    return {words[1]: words[1:] for line in lines if (words := shlex.split(line))[:1] == ["listing-risk"]}


def serve(folder, environ, arguments, work):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--port", str(port)], cwd=folder, env=environ, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            for _ in range(600):
                assert process.poll() is None, (folder / "serve.log").read_text()
                try:
                    if http.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
            return work(http)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


@pytest.mark.long
def test_from_files_to_answers_without_reading_source(folder, environ):
    code, said = run(folder, environ, "init")
    assert code == 0, said
    assert "lead: " in said
    assert "a model of its own" in said
    assert "look " not in said.split("what can be trained")[0]
    steps = printed_commands(said)
    assert list(steps) == ["train", "evaluate", "promote", "serve", "batch"]

    code, said = run(folder, environ, *steps["train"])
    assert code == 0, said
    code, said = run(folder, environ, *steps["evaluate"])
    assert code == 0, said
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report["held_out"]
    lead = report["parts"]["laboratory"]["hazards"]["lead"]
    assert lead["average_precision"]["value"] > 1.5 * lead["base_rate"]

    code, said = run(folder, environ, *steps["promote"])
    assert code == 0, said
    version = re.search(r"(mine\+[0-9a-f]{8}) serves now", said)
    assert version, said

    def ask(http):
        listing = {"id": "n-1", "title": "별빛 반짝이 도금 귀걸이 토끼 세트"}
        return http.get("/v1/model").json(), http.post("/v1/score", json=listing).json()

    model, decision = serve(folder, environ, steps["serve"], ask)
    assert model["model_version"] == decision["model_version"] == version[1]
    p = {cell["hazard"]: cell for cell in decision["hazards"]}
    assert p["lead"]["basis"] == "lab"
    assert p["lead"]["p"] > 0.2

    code, said = run(folder, environ, *steps["batch"])
    assert code == 0, said
    assert "40 scored, 0 rejected" in said
    code, said = run(folder, environ, "history", "--served", "--json")
    assert code == 0, said
    assert json.loads(said)[0]["version"] == version[1]


@pytest.mark.long
def test_a_second_init_does_not_overwrite_what_was_changed(folder, environ):
    code, said = run(folder, environ, "init")
    assert code == 2
    assert "--force" in said
