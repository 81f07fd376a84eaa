"""The batch on a Ray cluster, one of whose actors is killed half way: the output of one machine."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from features.errors import OutsideError, UserError
from serving.batch.crew import Crew
from serving.batch.on_ray import OnRay
from serving.batch.outputs import outputs_for, sha256_of, sources_in
from serving.batch.run import plan_for, score_files
from serving.predictor import load_predictor
from serving.run import sample_listings
from serving.settings import Settings

SETTINGS = Settings()
STORE = 100_000_000


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(SETTINGS)


@pytest.fixture(scope="module")
def engine():
    """Two actors on a cluster of this machine, on ports of its own choosing."""
    with OnRay(SETTINGS, 2, object_store_bytes=STORE) as engine:
        yield engine


@pytest.fixture
def folder(tmp_path):
    listings = sample_listings()
    (tmp_path / "in").mkdir()
    for name, count in (("a.jsonl", 400), ("b.jsonl", 200)):
        rows = [listings[n % len(listings)] | {"id": f"l{n}"} for n in range(count)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*rows, {"id": "no title"}])
        (tmp_path / "in" / name).write_text(text, encoding="utf-8")
    (tmp_path / "in" / "bad.csv").write_text("sku,name\n1,duck\n")
    return tmp_path / "in"


def actors() -> list[psutil.Process]:
    """Processes that score. Ray gives each the name of its class and of what it is doing."""
    return [one for one in psutil.process_iter() if "Scorer" in _title(one)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()[:1])
    except psutil.Error:
        return ""


def content(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://[::1]:1"])
def test_a_cluster_that_does_not_answer_is_said(address):
    with pytest.raises(OutsideError, match="no Ray cluster answers"), OnRay(SETTINGS, 1, address):
        pass


def test_without_ray_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"listing-risk\[ray\]"), OnRay(SETTINGS, 1):
        pass


@pytest.mark.long
def test_the_output_is_that_of_one_machine_though_an_actor_was_killed(engine, predictor, folder):
    plan = plan_for(SETTINGS, predictor.taxonomy.codes, block=20)
    folders = folder.parent / "alone", folder.parent / "ray"
    for one in folders:
        one.mkdir()
    alone, on_ray = (outputs_for(sources_in(folder), folder, one, ".parquet") for one in folders)
    list(score_files(alone, plan, Crew(predictor, SETTINGS)))
    killed: list[int] = []
    done = 0

    def kill_one(count: int) -> None:
        nonlocal done
        done += count
        if done >= 100 and not killed and (there := actors()):
            killed.append(there[0].pid)
            os.kill(there[0].pid, signal.SIGKILL)

    reports = list(score_files(on_ray, plan, engine, kill_one))
    assert killed
    assert not psutil.pid_exists(killed[0])
    assert [(report.scored, report.rejected, bool(report.problem)) for report in reports] == [
        (400, 1, False),
        (200, 1, False),
        (0, 0, True),
    ]
    assert content(folders[0]) == content(folders[1])
