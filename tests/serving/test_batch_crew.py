"""Processes that share a batch: the same rows in the same order, little read ahead, and work that survives them."""

from __future__ import annotations

import json

import psutil
import pyarrow as pa
import pytest

from features.errors import OutsideError
from serving.batch import crew as crew_module
from serving.batch.crew import ALONE, HELD, Crew, usual_processes
from serving.batch.partition import Reading
from serving.batch.run import Job, pieces_of
from serving.predictor import load_predictor
from serving.run import sample_listings
from serving.settings import Settings

SETTINGS = Settings()
PIECES = ALONE + 2 * HELD


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(SETTINGS)


@pytest.fixture
def job(tmp_path):
    listings = sample_listings()
    path = tmp_path / "sample.jsonl"
    chosen = [listings[n % len(listings)] for n in range(6 * PIECES)]
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in chosen), encoding="utf-8")
    return Job(0, path, Reading(), block=6)


def children():
    return [c for c in psutil.Process().children() if any("spawn_main" in word for word in c.cmdline())]


def table(pieces):
    return pa.concat_tables([piece.rows for piece in pieces if piece.rows is not None])


def test_the_output_is_the_same_with_and_without_other_processes(predictor, job, monkeypatch):
    read = lead = 0

    def counted(job):
        nonlocal read
        for piece in pieces_of(job):
            read += 1
            yield piece

    monkeypatch.setattr(crew_module, "pieces_of", counted)
    found = []
    for given, piece in enumerate(Crew(predictor, SETTINGS, 2).score([job]), start=1):
        lead = max(lead, read - given)
        found.append(piece)
    monkeypatch.undo()
    alone = list(Crew(predictor, SETTINGS).score([job]))
    assert table(found).equals(table(alone))
    assert found[-1].rows is None
    assert lead <= HELD
    assert not children(), "the processes end with the work"


def test_a_process_that_is_killed_is_replaced_and_its_work_given_out_again(predictor, job):
    killed, found = 0, []
    for piece in Crew(predictor, SETTINGS, 2).score([job]):
        found.append(piece)
        if len(found) > ALONE and not killed:
            for child in children():
                child.kill()
                killed += 1
    assert killed
    assert table(found).equals(table(Crew(predictor, SETTINGS).score([job])))


def test_processes_that_end_again_and_again_end_the_run_with_a_sentence(predictor, job):
    # Settings of a bundle that is not there: no process ever gets as far as scoring.
    nowhere = Settings(bundle=job.path.parent / "none")
    with pytest.raises(OutsideError, match="--workers"):
        list(Crew(predictor, nowhere, 2).score([job]))


def test_a_short_file_starts_no_process(predictor, tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text('{"id": "1", "title": "wooden duck"}\n')
    before = len(psutil.Process().children(recursive=True))
    pieces = list(Crew(predictor, SETTINGS, 2).score([Job(0, path, Reading())]))
    assert [piece.rows is None for piece in pieces] == [False, True]
    assert len(psutil.Process().children(recursive=True)) == before


def test_no_jobs_give_nothing(predictor):
    assert list(Crew(predictor, SETTINGS, 2).score([])) == []


def test_the_usual_number_of_processes_is_small():
    assert 1 <= usual_processes() <= 4
