"""Files through the batch: shards, what is gone on from, what is left alone, one bad file among good ones."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from features.reader import ReadError
from serving.batch.crew import Crew
from serving.batch.files import FileRun, Plan, manifest_of
from serving.batch.outputs import about_rows, open_writer, outputs_for, sha256_of, sources_in
from serving.batch.run import Job, plan_for, score_file, score_files, score_piece
from serving.batch.shards import BusyOutputError
from serving.commands.batch_progress import Progress
from serving.settings import STARTER, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(predictor):
    return Crew(predictor, Settings())


@pytest.fixture
def plan(predictor):
    return Plan("b" * 64, "p" * 64, tuple(predictor.taxonomy.codes), shard_rows=100, block=64)


def written(path, count=420, *, bad_every=50):
    rows = [
        {
            "id": f"l{n}",
            "title": "" if n % bad_every == 7 else f"나무 오리 {n}",
            "attributes": {"p": str(n % 7 / 9)},
        }
        for n in range(count)
    ]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


class Stopping:
    """Scores so many pieces and then stops, as if the process had ended; counts what it was given."""

    def __init__(self, predictor, after=10**9):
        self.crew, self.after, self.scored = Crew(predictor, Settings()), after, 0

    def score(self, jobs):
        for piece in self.crew.score(jobs):
            if self.scored >= self.after:
                raise KeyboardInterrupt
            yield piece
            if piece.rows is not None:
                self.scored += piece.rows.num_rows


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_what_was_stopped_goes_on_and_gives_the_same_bytes(predictor, engine, plan, tmp_path, name, suffix):
    source = written(tmp_path / name, 700)
    whole, output = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    report = score_file(source, whole, plan, engine)
    assert (report.scored, report.rejected) == (686, 14)
    for after in (250, 150):
        with pytest.raises(KeyboardInterrupt):
            score_file(source, output, plan, Stopping(predictor, after))
        assert visible(tmp_path) == sorted({*visible(tmp_path)} - {output.name}), "nothing looks finished"
    rest = Stopping(predictor)
    again = score_file(source, output, plan, rest)
    assert rest.scored == 700 - again.resumed
    assert again.resumed >= 300
    assert again.resumed % plan.shard_rows == 0
    assert output.read_bytes() == whole.read_bytes()
    rejects = [path.with_name(f"{path.name}.rejects.jsonl").read_bytes() for path in (whole, output)]
    assert rejects[0] == rejects[1]
    assert rejects[0].count(b"\n") == 14
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "the work folders are gone"


def test_an_output_that_stands_is_left_alone_until_something_differs(predictor, plan, tmp_path):
    source, output = written(tmp_path / "in.jsonl"), tmp_path / "out.parquet"

    def rows_scored(plan):
        engine = Stopping(predictor)
        score_file(source, output, plan, engine)
        return engine.scored

    assert rows_scored(plan) == 420
    stood = output.stat().st_mtime_ns
    assert rows_scored(plan) == 0
    assert output.stat().st_mtime_ns == stood
    other_policy = Plan(plan.bundle, "q" * 64, plan.hazards, shard_rows=100, block=64)
    assert rows_scored(other_policy) == 420
    assert rows_scored(Plan(plan.bundle, "q" * 64, plan.hazards, again=True, shard_rows=100, block=64)) == 420
    output.write_bytes(output.read_bytes()[:-1])
    assert rows_scored(other_policy) == 420, "an output that was changed is made again"
    written(source, 300)
    assert rows_scored(other_policy) == 300, "and so is one whose input is another"
    manifest = json.loads(manifest_of(output).read_text())
    assert manifest["output"]["sha256"] == sha256_of(output)
    assert manifest["plan"]["input"]["sha256"] == sha256_of(source)


def test_shards_of_another_plan_are_not_gone_on_from(predictor, plan, tmp_path):
    source, output = written(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        score_file(source, output, plan, Stopping(predictor, 200))
    rest = Stopping(predictor)
    score_file(source, output, Plan("c" * 64, plan.policy, plan.hazards, shard_rows=100, block=64), rest)
    assert rest.scored == 420


def test_two_runs_do_not_write_the_same_output(plan, tmp_path):
    source, output = written(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    first = FileRun(source, output, plan)
    with pytest.raises(BusyOutputError, match=r"out\.jsonl"):
        FileRun(source, output, plan)
    first.close()
    FileRun(source, output, plan).close()


def test_an_input_that_changes_meanwhile_gives_no_output(predictor, plan, tmp_path):
    source, output = written(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"

    class Changing(Stopping):
        def score(self, jobs):
            for piece in super().score(jobs):
                if piece.rows is None:
                    written(source, 430)
                yield piece

    with pytest.raises(ReadError, match="was changed"):
        score_file(source, output, plan, Changing(predictor))
    assert visible(tmp_path) == ["in.jsonl"]


def test_one_bad_file_does_not_end_the_others(engine, plan, tmp_path):
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    written(folder / "a.jsonl", 100)
    written(folder / "b.jsonl.gz", 150)
    (folder / "c.csv").write_text("sku,name\n1,duck\n")
    cut = folder / "d.jsonl.gz"
    cut.write_bytes(written(cut, 300).read_bytes()[:-300])
    written(folder / "below" / "e.jsonl", 200)
    (folder / "notes.txt").write_text("not for us")
    (folder / ".hidden.jsonl").write_text("{}")
    pairs = outputs_for(sources_in(folder), folder, tmp_path / "out", ".parquet")
    for _, output in pairs:
        output.parent.mkdir(parents=True, exist_ok=True)
    reports = list(score_files(pairs, plan, engine))
    assert [report.output for report in reports] == [output for _, output in pairs]
    found = {report.output.name: (report.scored, bool(report.problem)) for report in reports}
    assert found == {
        "a.jsonl.scores.parquet": (98, False),
        "b.jsonl.gz.scores.parquet": (147, False),
        "c.csv.scores.parquet": (0, True),
        "d.jsonl.gz.scores.parquet": (0, True),
        "e.jsonl.scores.parquet": (196, False),
    }
    there = {path.name for path in (tmp_path / "out").rglob("*.parquet")}
    assert there == {name for name, (_, bad) in found.items() if not bad}
    again = list(score_files(pairs, plan, engine))
    assert [report.resumed for report in again] == [100, 150, 200, 0, 0]


def test_a_folder_without_files_says_so(tmp_path):
    with pytest.raises(ReadError, match="without a file"):
        sources_in(tmp_path)


def test_memory_does_not_grow_with_the_file(engine, plan, tmp_path):
    """Pieces are scored and written one by one: what is read ahead is bounded, whatever is left of the file."""
    source = written(tmp_path / "in.jsonl", 2_000)
    ahead = read = 0

    @contextmanager
    def counting():
        from serving.batch import crew

        original = crew.pieces_of

        def counted(job: Job):
            nonlocal read
            for piece in original(job):
                read += 0 if piece.rows is None else piece.rows.num_rows
                yield piece

        crew.pieces_of = counted
        try:
            yield
        finally:
            crew.pieces_of = original

    written_rows = 0

    def progress(count):
        nonlocal ahead, written_rows
        written_rows += count
        ahead = max(ahead, read - written_rows)

    with counting():
        score_file(source, tmp_path / "out.parquet", plan, engine, progress)
    assert written_rows == 2_000
    assert ahead <= 64


MEMORY = """
import dataclasses, resource, sys
from pathlib import Path
from features.taxonomy import load_taxonomy
from serving.batch.files import Plan
from serving.batch.partition import Reading, partition_schema
from serving.batch.run import pieces_of, score_file
import pyarrow as pa

schema = partition_schema(load_taxonomy().codes)
cells = [pa.array([1.5] * 512 if pa.types.is_floating(one.type) else [None] * 512, one.type) for one in schema]
scored = pa.Table.from_arrays(cells, schema=schema)

class Nothing:
    def score(self, jobs):
        for job in jobs:
            for piece in pieces_of(job):
                rows = None if piece.rows is None else scored.slice(0, piece.rows.num_rows)
                yield dataclasses.replace(piece, rows=rows)

source, output = map(Path, sys.argv[1:])
report = score_file(source, output, Plan("b", "p", tuple(load_taxonomy().codes)), Nothing())
print(report.scored, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_file_five_times_as_long_takes_no_more_memory(tmp_path):
    """Nothing is scored here: what the pass over the file holds by itself."""
    found = {}
    for count in (30_000, 150_000):
        source = tmp_path / f"{count}.jsonl"
        source.write_text('{"id": "1", "title": "a wooden duck of a middling length"}\n' * count)
        command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / f"{count}.parquet")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        rows, found[count] = map(int, said.split())
        assert rows == count
    assert found[150_000] < found[30_000] + 40


def test_parquet_has_row_groups_of_one_size(tmp_path):
    schema = pa.schema([("n", pa.int64())])
    numbers = range(40_000)
    for size in (1_000, 7_777, 40_000):
        writer = open_writer(tmp_path / f"{size}.parquet", ".parquet", schema)
        for at in range(0, len(numbers), size):
            writer.write_batch(pa.record_batch([pa.array(numbers[at : at + size])], schema=schema))
        writer.close()
        metadata = pq.read_metadata(tmp_path / f"{size}.parquet")
        groups = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
        assert groups == [16_384, 16_384, 7_232]
        assert pq.read_table(tmp_path / f"{size}.parquet")["n"].to_pylist() == list(numbers)
    assert len({(tmp_path / f"{size}.parquet").read_bytes() for size in (1_000, 7_777, 40_000)}) == 1


def test_the_plan_names_the_content_of_bundle_policy_and_own_files(tmp_path, monkeypatch):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: a\n")
    plans = [
        plan_for(Settings(), ()),
        plan_for(Settings(policy=policy), ()),
        plan_for(Settings(bundle=STARTER), ()),
    ]
    assert plans[0] == plans[2] != plans[1]
    own = tmp_path / "own"
    own.mkdir()
    (own / "column_maps.yaml").write_text("mine: {title: name}\n")
    monkeypatch.setenv("LISTING_RISK_TAXONOMY", str(own))
    assert plan_for(Settings(), ()) != plans[0]
    monkeypatch.delenv("LISTING_RISK_TAXONOMY")
    policy.write_text("version: b\n")
    assert plan_for(Settings(policy=policy), ()) != plans[1]


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_the_number_of_rows_is_guessed_from_the_first(tmp_path, name):
    path = written(tmp_path / name, 30_000)
    assert about_rows(path) == pytest.approx(30_000, rel=0.2)
    (tmp_path / "bad.parquet").write_bytes(b"x")
    assert about_rows(tmp_path / "bad.parquet") == 0
    assert about_rows(tmp_path / "none.csv") == 0


def test_a_log_gets_a_line_now_and_then_with_the_rate(tmp_path):
    source = written(tmp_path / "in.jsonl", 1_000)
    said, times = [], iter([0.0, 4.0, 11.0, 12.0, 30.0])
    console = Console(file=io.StringIO())
    console.print = lambda text, **_: said.append(text)
    bar = Progress(console, [(source, tmp_path / "out.csv")], clock=lambda: next(times))
    bar.earlier(100)
    for _ in range(4):
        bar.rows(225)
    assert said == [
        "550 rows, 41 a second, about 55%, file 1 of 1",
        "1,000 rows, 30 a second, about 100%, file 1 of 1",
    ]


def test_a_piece_without_rows_is_passed_on(predictor, engine, tmp_path):
    pieces = list(engine.score([Job(3, tmp_path / "none.csv", Plan("", "", ()).reading)]))
    assert [(piece.job, piece.rows) for piece in pieces] == [(3, None)]
    assert "no such file" in pieces[0].problem
    assert score_piece(pieces[0], predictor) is pieces[0]


def test_what_cannot_be_opened_is_said(engine, plan, tmp_path):
    if os.geteuid() == 0:
        source = tmp_path / "gone.jsonl"
    else:
        source = written(tmp_path / "in.jsonl")
        source.chmod(0)
    (report,) = score_files([(source, tmp_path / "out.csv")], plan, engine)
    assert "cannot be opened" in report.problem
