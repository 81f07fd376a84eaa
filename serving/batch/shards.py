"""What a run has done so far: shards of scored rows in a hidden folder beside the output, each whole or not there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from features.errors import UserError
from serving.batch.outputs import publish

SHARD_ROWS = 8_192
"""Rows that a kill can cost, at most."""

_PLAN = "plan.json"
_CODEC = pa.ipc.IpcWriteOptions(compression="lz4")


class BusyOutputError(UserError):
    """Another run is at work on this output."""


class Shards:
    """The work folder of one output; one run at a time holds it.

    Parameters
    ----------
    output
        The folder is ``.<name>.work`` beside it.
    plan
        Hashes of input, bundle and policy, and how rows are read. What another plan has done is thrown away.

    Raises
    ------
    BusyOutputError
        When another run holds the folder.
    """

    def __init__(self, output: Path, plan: Mapping[str, Any]) -> None:
        self.folder = output.with_name(f".{output.name}.work")
        self.plan = dict(plan)
        self.rows = int(plan["shard_rows"])
        self._lock = _locked(self.folder)
        if self._planned() != self.plan:
            for path in self.folder.iterdir():
                if path.name != "lock":
                    path.unlink()
            part = self.folder / f"{_PLAN}.part"
            part.write_text(json.dumps(self.plan, indent=1), encoding="utf-8")
            publish(part, self.folder / _PLAN)
        self.done = self._count()
        self._stream: Any = None
        self._filled = 0

    def _planned(self) -> Any:
        try:
            return json.loads((self.folder / _PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _count(self) -> int:
        number = 0
        while self._path(number).exists():
            number += 1
        return number

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.arrow"

    @property
    def first(self) -> int:
        """Rows of the input that are done, counted from its start."""
        return self.done * self.rows

    def add(self, table: pa.Table) -> None:
        """Add scored rows, in the order of the input; a shard that is full is put on the disk."""
        while table.num_rows:
            taken = table.slice(0, self.rows - self._filled)
            if self._stream is None:
                self._stream = pa.ipc.new_file(str(self._part), table.schema, options=_CODEC)
            self._stream.write_table(taken)
            self._filled += taken.num_rows
            table = table.slice(taken.num_rows)
            if self._filled == self.rows:
                self.flush()

    @property
    def _part(self) -> Path:
        return self.folder / "shard.part"

    def flush(self) -> None:
        """Put the shard at hand on the disk; after the last row, and when full."""
        if self._stream is None:
            return
        self._stream.close()
        publish(self._part, self._path(self.done))
        self._stream, self._filled = None, 0
        self.done += 1

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give everything that is done, in order, a batch at a time."""
        for number in range(self.done):
            with pa.memory_map(str(self._path(number))) as source, pa.ipc.open_file(source) as file:
                for at in range(file.num_record_batches):
                    yield file.get_batch(at)

    def close(self) -> None:
        """Let another run have the folder; what is done stays."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._lock.close()

    def remove(self) -> None:
        """Throw the folder away: the output stands, or can never be made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()


def _locked(folder: Path) -> IO[bytes]:
    """Make the folder and take its lock, which ends with this process however that ends."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = (folder / "lock").open("wb")
        except FileNotFoundError:  # another run has just finished and removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise BusyOutputError(
                f"Another run is at work on {folder.name.removeprefix('.').removesuffix('.work')!r}; "
                "wait for it, or give another --output."
            ) from None
        if _is_at(lock, folder / "lock"):
            return lock
        lock.close()


def _is_at(stream: IO[bytes], path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(stream.fileno())
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)
