"""Processes that share a batch: the same output in the same order, little read ahead, a clear end when one dies."""

from __future__ import annotations

import psutil
import pyarrow as pa
import pytest

from features.errors import OutsideError
from features.schema import Listing, parse_listing
from serving.batch import score_file, score_partition
from serving.crew import ALONE, HELD, Crew, spread, usual_processes
from serving.predictor import load_predictor
from serving.run import sample_listings
from serving.settings import Settings

CREW = Crew(2, Settings())


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(CREW.settings)


@pytest.fixture(scope="module")
def blocks():
    listings = [parse_listing(raw) for raw in sample_listings()]
    return [listings[i : i + 6] for i in range(0, 6 * (ALONE + 3 * HELD), 6)]


def test_the_output_is_the_same_with_and_without_a_crew(predictor, blocks):
    read = lead = 0

    def counted():
        nonlocal read
        for block in blocks:
            read += 1
            yield block

    found = []
    for written, batch in enumerate(spread(score_partition, counted(), predictor, CREW), start=1):
        lead = max(lead, read - written)
        found.append(batch)
    alone = list(spread(score_partition, blocks, predictor))
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches(alone))
    assert len(found) == len(blocks)
    assert lead <= HELD


def test_a_process_that_ends_early_ends_the_batch_with_a_sentence(predictor, blocks):
    def murderous():
        yield from blocks[: ALONE + 1]
        for child in psutil.Process().children():
            if any("spawn_main" in word for word in child.cmdline()):
                child.kill()
        yield from blocks

    with pytest.raises(OutsideError, match="--processes"):
        list(spread(score_partition, murderous(), predictor, CREW))


def test_a_short_file_starts_no_process(predictor, tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text(Listing(id="1", title="wooden duck").model_dump_json(exclude_defaults=True) + "\n")
    before = len(psutil.Process().children(recursive=True))
    report = score_file(path, tmp_path / "few.parquet", predictor, crew=CREW, progress=lambda n: None)
    assert report.scored == 1
    assert len(psutil.Process().children(recursive=True)) == before


def test_no_blocks_give_nothing(predictor):
    assert list(spread(score_partition, [], predictor, CREW)) == []


def test_the_usual_number_of_processes_is_small():
    assert 1 <= usual_processes() <= 4
