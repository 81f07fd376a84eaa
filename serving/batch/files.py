"""One file on its way from input to output: what is done is kept, the output is whole or not there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.reader import ReadCounts, ReadError
from features.rows import Form
from serving.batch.outputs import check_output, open_writer, publish, sha256_of
from serving.batch.partition import HASHED, KEPT, REJECTED, Reading, output_schema
from serving.batch.shards import SHARD_ROWS, Shards

FORM = 1
"""Of manifest and shards: what another one has left is not gone on from."""


BLOCK = 512
"""Rows that are scored at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides the scores beside the rows.

    Attributes
    ----------
    bundle, policy
        SHA-256 of the bundle's manifest, which names those of its files, and of the policy file.
    hazards
        Codes in taxonomy order.
    taxonomy
        SHA-256 over the data files beside the bundle, a team's own where there are some.
    reading, form
        How rows become listings.
    again
        Score also what was scored before with all of this the same.
    shard_rows
        Rows that a kill can cost, at most.
    block
        Rows that are scored at once; changes no score.
    """

    bundle: str
    policy: str
    hazards: tuple[str, ...]
    taxonomy: str = ""
    reading: Reading = Reading()  # noqa: RUF009 - frozen
    form: Form | None = None
    again: bool = False
    shard_rows: int = SHARD_ROWS
    block: int = BLOCK

    def of(self, source: Path) -> dict[str, Any]:
        """Return the plan for one source as JSON values; equal plans give equal scores."""
        columns = self.reading.columns
        return {
            "form": FORM,
            "program": version("listing-risk"),
            "input": {"name": source.name, "bytes": source.stat().st_size, "sha256": sha256_of(source)},
            "bundle": self.bundle,
            "policy": self.policy,
            "taxonomy": self.taxonomy,
            "columns": None
            if columns is None
            else {k: repr(rule) for k, rule in sorted(columns.rules.items())},
            "defaults": {name: str(value) for name, value in sorted(self.reading.defaults.items())},
            "text": asdict(self.form or Form()),
            "shard_rows": self.shard_rows,
        }


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of a file.

    Attributes
    ----------
    scored, rejected, actions
        Rows, and how many got which action.
    output, rejects
        Where they are; ``rejects`` is None where no row was refused.
    notes
        A line for people.
    problem
        Why the file cannot be read; then there is no output.
    resumed
        Rows that an earlier run had done; all of them where the output was there already.
    """

    scored: int
    rejected: int
    actions: Mapping[str, int]
    output: Path
    rejects: Path | None
    notes: str
    problem: str = ""
    resumed: int = 0


def manifest_of(output: Path) -> Path:
    """Return where the manifest of an output is."""
    return Path(f"{output}.manifest.json")


class FileRun:
    """One input and its output.

    Raises
    ------
    ReadError
        When the input cannot be opened or the output cannot be written.
    BusyOutputError
        When another run is at work on the output.
    """

    def __init__(self, source: Path, output: Path, plan: Plan) -> None:
        check_output(output)
        self.source, self.output, self._hazards = source, output, plan.hazards
        self._stamp = _stamp(source)
        self.size = source.stat().st_size
        self._plan = plan.of(source)
        self.shards = Shards(output, self._plan)
        self.finished = None if plan.again else self._earlier()
        if self.finished is not None:
            self.shards.remove()
        self.resumed = self.shards.first

    @property
    def _rejects(self) -> Path:
        return Path(f"{self.output}.rejects.jsonl")

    def _earlier(self) -> BatchReport | None:
        """Return the report of an earlier run whose output stands and was made with the same plan."""
        try:
            manifest = json.loads(manifest_of(self.output).read_text(encoding="utf-8"))
            if manifest["plan"] != self._plan or manifest["output"] != _content(self.output):
                return None
            rejected = manifest["rejected"]
            if rejected and not self._rejects.is_file():
                return None
            return BatchReport(
                scored=manifest["scored"],
                rejected=rejected,
                actions=manifest["actions"],
                output=self.output,
                rejects=self._rejects if rejected else None,
                notes=manifest["notes"],
                resumed=manifest["scored"] + rejected,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self) -> BatchReport:
        """Join the shards to the output and put it under its name.

        Raises
        ------
        ReadError
            When the input is another than it was at the start.
        """
        self.shards.flush()
        if _stamp(self.source) != self._stamp:
            raise ReadError(f"{self.source.name} was changed while it was scored; run the batch again.")
        folder = self.shards.folder
        part, refused = folder / "output.part", folder / "rejects.part"
        counts, actions = self._join(part, refused)
        facts = {
            "scored": counts.accepted,
            "rejected": counts.rejected,
            "actions": dict(sorted(actions.items())),
            "notes": counts.summary(),
        }
        manifest = {"plan": self._plan, "output": _content(part), **facts}
        beside = folder / "manifest.part"
        beside.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        # The output last: where it stands, all that belongs to it does.
        if counts.rejected:
            publish(refused, self._rejects)
        else:
            self._rejects.unlink(missing_ok=True)
        publish(beside, manifest_of(self.output))
        publish(part, self.output)
        self.shards.remove()
        rejects = self._rejects if counts.rejected else None
        return BatchReport(**facts, output=self.output, rejects=rejects, resumed=self.resumed)

    def _join(self, part: Path, refused: Path) -> tuple[ReadCounts, Counter[str]]:
        schema = output_schema(self._hazards)
        counts, actions = ReadCounts(), Counter[str]()
        with refused.open("w", encoding="utf-8") as rejects:
            writer = open_writer(part, self.output.suffix, schema)
            try:
                for batch in self.shards.batches():
                    lines = batch.column(REJECTED).drop_null().to_pylist()
                    rejects.writelines(f"{line}\n" for line in lines)
                    scored = batch.filter(batch.column(REJECTED).is_null()) if lines else batch
                    writer.write_batch(scored.select(schema.names))
                    _count(counts, actions, scored, len(lines))
            finally:
                writer.close()
        return counts, actions

    def fail(self, problem: str) -> BatchReport:
        """Give the file up: it cannot be read, so nothing of it is of use."""
        self.shards.remove()
        return BatchReport(0, 0, {}, self.output, None, "", problem)

    def close(self) -> None:
        """Let go of the file; what is done stays for the next run."""
        self.shards.close()


def _count(counts: ReadCounts, actions: Counter[str], scored: pa.RecordBatch, rejected: int) -> None:
    counts.accepted += scored.num_rows
    counts.rejected += rejected
    counts.hashed_ids += scored.column(HASHED).true_count
    for kept in scored.column(KEPT).drop_null().to_pylist():
        counts.kept_as_text.update(kept.split(","))
    actions.update(scored.column("action").to_pylist())


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _content(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
