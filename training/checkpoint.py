"""Where a fetch was left: a checkpoint replaced in one step, and files cut back to what it vouches for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from training.sources.parsing import SourceError

_VERSION = 1


@dataclass(slots=True)
class Checkpoint:
    """Where a source was left.

    Attributes
    ----------
    state
        The source's own position.
    validators
        ETag and Last-Modified by address.
    hashes
        SHA-256 of the last body stored, by page key.
    lengths
        Bytes of each output file that belong to stored pages.
    """

    state: dict[str, str] = field(default_factory=dict)
    validators: dict[str, dict[str, str]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; an absent file is a fresh start.

        Raises
        ------
        SourceError
            When the file is damaged or of another version.
        """
        if not path.exists():
            return cls()
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("version") != _VERSION:
                raise ValueError("another version")
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{path}: not a checkpoint ({error}); delete it to fetch from the start"
            ) from None

    def save(self, path: Path) -> None:
        """Replace the file in one step: a kill leaves the old one or the new one, never half."""
        values = {
            "version": _VERSION,
            "state": self.state,
            "validators": self.validators,
            "hashes": self.hashes,
            "lengths": self.lengths,
        }
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(values, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


class Store:
    """The three output files, cut back to what the checkpoint vouches for."""

    def __init__(self, folder: Path, name: str, checkpoint: Checkpoint) -> None:
        self._files: dict[str, IO[bytes]] = {}
        for kind in ("raw", "records", "rejects"):
            path = folder / f"{name}.{kind}.jsonl"
            stored = checkpoint.lengths.get(kind, 0)
            found = path.stat().st_size if path.exists() else 0
            if found < stored:
                self.close()
                raise SourceError(
                    f"{path} is shorter ({found:,} bytes) than its checkpoint says ({stored:,}); put it back, "
                    f"or delete {name}.checkpoint.json and the {name}.*.jsonl files to fetch from the start"
                )
            file = path.open("r+b" if path.exists() else "w+b")
            file.truncate(stored)
            file.seek(stored)
            self._files[kind] = file

    def write(self, kind: str, line: str) -> None:
        """Append one line to a file."""
        self._files[kind].write(line.encode("utf-8", "surrogatepass") + b"\n")

    def settle(self) -> dict[str, int]:
        """Bring everything to the disk and return the lengths."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {kind: file.tell() for kind, file in self._files.items()}

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
