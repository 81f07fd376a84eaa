"""Batches whose processes are killed at random moments: what is done stays, the output is whole or not there.

Run as a script (``test_batch_kill.py SOURCE OUTPUT``) this file is one run with a stub for a bundle, so that many can
be killed in little time; the command itself is killed with the real one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from features.taxonomy import load_taxonomy
from serving.batch.crew import ALONE, HELD, Crew
from serving.batch.files import Plan
from serving.batch.outputs import sha256_of
from serving.batch.run import score_file
from serving.run import sample_listings
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
KILLS = 40
PATIENCE = 120.0


def stub_predictor():
    spec = importlib.util.spec_from_file_location("stub_bundle", ROOT / "tests" / "files" / "stub_bundle.py")
    assert spec and spec.loader
    stub = importlib.util.module_from_spec(spec)
    sys.modules["stub_bundle"] = stub
    spec.loader.exec_module(stub)
    from serving.policy.document import load_policy
    from serving.predictor import Predictor

    return Predictor(stub.StubBundle(), load_policy())


def score_with_stub(source: Path, output: Path) -> None:
    plan = Plan("b" * 64, "p" * 64, tuple(load_taxonomy().codes), shard_rows=150)
    score_file(source, output, plan, Crew(stub_predictor(), Settings()))


def write_rows(path: Path, count: int) -> Path:
    listings = sample_listings()
    rows = [listings[n % len(listings)] | {"id": f"l{n}"} for n in range(count)]
    rows[5] = {"id": "no title"}
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def made(output: Path) -> dict[str, str]:
    """What belongs to an output, by what is left of the names; the manifest names the hash of the output itself."""
    return {
        path.name.removeprefix(output.name): sha256_of(path) for path in output.parent.glob(f"{output.name}*")
    }


def shards_of(output: Path) -> int:
    return len(list(output.parent.glob(f".{output.name}.work/*.arrow")))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and see that those it has started end too."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive, "what a killed run has started goes on without it"


def wait_for(ready, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_kills_at_random_moments_change_nothing(tmp_path):
    source = write_rows(tmp_path / "in.jsonl", 1_500)
    whole, output = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    score_with_stub(source, whole)
    command = [sys.executable, __file__, str(source), str(output)]
    chance, stages = random.Random(11), []
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        before = shards_of(output)
        # From the first moment of the work on: waiting for a shard or two, then a moment more.
        wanted = before + chance.randrange(2)
        wait_for(lambda wanted=wanted: shards_of(output) >= max(wanted, 1) or output.exists(), process)
        time.sleep(chance.uniform(0, 0.06))
        end(process)
        stages.append(shards_of(output))
        if output.exists():
            assert made(output) == made(whole), (
                "an output that is there is whole, and so is what belongs to it"
            )
            break
        assert not set(made(output)) - {".rejects.jsonl", ".manifest.json"}
    assert len(stages) >= 2, "killed at least once; how often depends on the machine"
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
    assert made(output) == made(whole)
    assert not list(tmp_path.glob(".out*"))
    assert stages == sorted(stages[:-1]) + stages[-1:], "no run loses what one before it has done"


@pytest.mark.long
def test_the_command_goes_on_after_it_was_killed_with_its_processes(tmp_path, long):
    """Quick: killed while the other process loads, which no machine does in no time; long: after it has worked."""
    count, wanted = (6_500, ALONE + HELD) if long else (1_900, ALONE)
    source = write_rows(tmp_path / "in.jsonl", count)
    command = [sys.executable, "-m", "serving.cli", "batch", str(source), "--shard-rows", "256", "--output"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    with subprocess.Popen([*command, str(output), "--workers", "2"], cwd=ROOT, env=environment) as process:
        family = psutil.Process(process.pid)
        wait_for(lambda: shards_of(output) >= wanted and family.children(), process)
        assert process.poll() is None
        end(process)
    assert not output.exists()
    rows = shards_of(output) * 256
    done = subprocess.run(
        [*command, str(output)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"({rows:,} rows were done before)" in done.stderr.replace("\n", " ")
    subprocess.run(
        [*command, str(whole), "--workers", "1"], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    assert made(output) == made(whole)


def test_the_signal_of_a_machine_that_goes_down_leaves_what_is_done(tmp_path):
    source, output = write_rows(tmp_path / "in.jsonl", 1_500), tmp_path / "out.csv"
    command = [sys.executable, __file__, str(source), str(output)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(lambda: shards_of(output) >= 2, process)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert output.exists() or shards_of(output) >= 2
    score_with_stub(source, output)
    assert output.exists()


if __name__ == "__main__":
    score_with_stub(Path(sys.argv[1]), Path(sys.argv[2]))
