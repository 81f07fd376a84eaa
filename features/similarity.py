"""An index of vectors, hashes and local features that lives in one file.

The file is an SQLite database in write-ahead mode with full synchronisation: what was acknowledged is on disk, and a
process killed at any moment leaves the last acknowledged state. One process writes, any number read; a reader looks at
each search whether something was committed and takes in what is new. What is searched lies in memory as short codes
(`vector_codes`, `point_votes`); what the exact check needs stays on disk until it is asked for.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from features.encoding import EncoderIdentity
from features.errors import OutsideError, UserError
from features.image_points import Points
from features.point_votes import WORD, PointVotes, Votes
from features.vector_codes import VectorCodes, encode

FORMAT = 1
_BUSY_MS = 10_000
_NO_HASHES = np.zeros(0, np.uint64)
_NO_WORDS = np.zeros(0, WORD)
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, codes BLOB, hashes BLOB, words BLOB, payload BLOB
);
CREATE INDEX entries_key ON entries (key);
"""
_COMPACT = """
UPDATE entries SET codes = NULL, hashes = NULL, words = NULL, payload = NULL
WHERE codes IS NOT NULL AND seq < (SELECT MAX(later.seq) FROM entries later WHERE later.key = entries.key)
"""


class IndexFileError(UserError):
    """An index that cannot be opened as asked: absent, of another encoder, or of another format."""


class IndexBusyError(OutsideError):
    """Another process writes to the index."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What is indexed under one key.

    Attributes
    ----------
    key
        Of the caller's choosing; adding under the same key again replaces.
    vectors
        ndarray of shape (n, dim), float32, rows of length 1.
    hashes
        ndarray of shape (m,), uint64; m is the same for all entries of an index that use hashes.
    words
        Of local features, dtype `point_votes.WORD`.
    payload
        Bytes given back as they are.
    """

    key: str
    vectors: np.ndarray
    hashes: np.ndarray = field(default_factory=lambda: _NO_HASHES)
    words: np.ndarray = field(default_factory=lambda: _NO_WORDS)
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Near:
    """An entry near a query: its key and how near, by cosine, hash distance in bits, or shared local features."""

    key: str
    value: float
    mirrored: bool = False


class SimilarityIndex:
    """The index over one file.

    Parameters
    ----------
    path
        Of the file; made when it is absent and ``write`` is set.
    identity
        Of the encoder that makes the vectors; an index of another encoder is refused.
    write
        Hold the index for writing; one process at a time.

    Raises
    ------
    IndexFileError
        When the file is absent, not an index, or one of another encoder.
    IndexBusyError
        When another process holds it for writing.
    """

    def __init__(self, path: Path, identity: EncoderIdentity, *, write: bool = False) -> None:
        self.path = Path(path)
        self.identity = identity
        self._lock = threading.RLock()
        self._held: Any = None
        if write:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._held = _hold(self.path)
        elif not self.path.is_file():
            raise IndexFileError(f"got no index at {self.path}; expected one: add something to it first")
        try:
            self._file = _open(self.path, identity, write)
        except BaseException:
            self._release()
            raise
        self._last = 0
        self._seen: tuple[int, int] | None = None
        self._keys: list[str] = []
        self._seqs: list[int] = []
        self._slot: dict[str, int] = {}
        self._alive = np.zeros(0, bool)
        self._codes = VectorCodes(identity.dim)
        self._hashes = np.zeros((0, 0), np.uint64)
        self._votes = PointVotes()
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was added is safe without it."""
        with self._lock:
            self._file.close()
            self._release()

    def __len__(self) -> int:
        self.refresh()
        return len(self._slot)

    def __contains__(self, key: str) -> bool:
        self.refresh()
        return key in self._slot

    def keys(self) -> tuple[str, ...]:
        """Keys of all entries, oldest first."""
        self.refresh()
        with self._lock:
            return tuple(self._keys[slot] for slot in sorted(self._slot.values()))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that vectors and hashes hold."""
        return self._codes.nbytes + self._hashes.nbytes

    def add(self, entries: Iterable[Entry]) -> None:
        """Add or replace entries; when it returns they are on disk, all of them or, on an error, none.

        Raises
        ------
        ValueError
            When a vector has another length than the encoder gives, or is not finite.
        IndexFileError
            When the index was opened for reading.
        """
        rows = [self._row(entry) for entry in entries]
        with self._writing() as file:
            file.executemany(
                "INSERT INTO entries (key, codes, hashes, words, payload) VALUES (?, ?, ?, ?, ?)", rows
            )
        self.refresh()

    def remove(self, keys: Sequence[str]) -> int:
        """Take entries away; when it returns that is on disk. Gives how many there were; unknown keys are none."""
        self.refresh()
        known = [(key,) for key in dict.fromkeys(keys) if key in self._slot]
        with self._writing() as file:
            file.executemany("INSERT INTO entries (key) VALUES (?)", known)
        self.refresh()
        return len(known)

    def compact(self) -> int:
        """Drop from the file what was replaced or removed; gives how many rows went. Readers need not stop."""
        with self._writing() as file:
            # A removal stays: a reader that has not seen it yet still holds the entry.
            gone = file.execute(_COMPACT).rowcount
        return int(gone)

    def nearest(self, vectors: np.ndarray, k: int) -> list[Near]:
        """Entries with a vector nearest to any of the given ones, best first, by cosine."""
        with self._lock:
            self.refresh()
            slots, cosines = self._codes.search(np.asarray(vectors, np.float32), self._alive, k)
            return [Near(self._keys[slot], float(c)) for slot, c in zip(slots, cosines, strict=True)]

    def nearest_hashes(self, hashes: np.ndarray, k: int) -> list[Near]:
        """Entries with a hash nearest to any of the given ones, best first, by distance in bits."""
        with self._lock:
            self.refresh()
            n = len(self._keys)
            if not n or not self._hashes.shape[1] or not len(hashes):
                return []
            best = np.full(n, 255, np.uint8)
            for column in range(self._hashes.shape[1]):
                held = self._hashes[:n, column]
                for one in np.asarray(hashes, np.uint64).ravel():
                    np.minimum(best, np.bitwise_count(held ^ one), out=best)
            best[~self._alive[:n]] = 255
            k = min(k, n)
            top = np.argpartition(best, k - 1)[:k]
            top = top[np.lexsort((top, best[top]))]
            return [Near(self._keys[slot], float(best[slot])) for slot in top if best[slot] <= 64]

    def sharing(self, points: Points, k: int) -> list[Near]:
        """Entries that share local features with a photo, most first."""
        with self._lock:
            self.refresh()
            found: Votes = self._votes.search(points, self._alive[: len(self._keys)], k)
            rows = zip(found.slots, found.votes, found.mirrored, strict=True)
            return [Near(self._keys[slot], float(votes), bool(mirrored)) for slot, votes, mirrored in rows]

    def payload(self, key: str) -> bytes:
        """Give the bytes kept with an entry.

        Raises
        ------
        KeyError
            When there is no such entry.
        """
        with self._lock:
            self.refresh()
            row = self._file.execute(
                "SELECT payload FROM entries WHERE seq = ?", (self._seqs[self._slot[key]],)
            ).fetchone()
            return b"" if row is None or row[0] is None else bytes(row[0])

    def refresh(self) -> None:
        """Take in what any process committed since; costs microseconds when there is nothing new."""
        with self._lock:
            seen = (self._file.execute("PRAGMA data_version").fetchone()[0], self._file.total_changes)
            if seen == self._seen:
                return
            self._seen = seen
            found = self._file.execute(
                "SELECT seq, key, codes, hashes, words FROM entries WHERE seq > ? ORDER BY seq", (self._last,)
            )
            while block := found.fetchmany(4_096):
                self._take(block)

    def _take(self, rows: list[tuple[int, str, bytes | None, bytes | None, bytes | None]]) -> None:
        start = len(self._keys)
        if start + len(rows) > len(self._alive):
            size = max(start + len(rows), round(1.5 * len(self._alive)))
            self._alive = np.concatenate([self._alive, np.zeros(size - len(self._alive), bool)])
        codes: list[np.ndarray] = []
        slots: list[int] = []
        for seq, key, code, hashes, words in rows:
            self._last = seq
            old = self._slot.pop(key, None)
            if old is not None:
                self._alive[old] = False
            if code is None:
                continue
            slot = len(self._keys)
            self._keys.append(key)
            self._seqs.append(seq)
            self._slot[key] = slot
            self._alive[slot] = True
            own = np.frombuffer(code, np.int8).reshape(-1, self.identity.dim)
            codes.append(own)
            slots += [slot] * len(own)
            self._take_hashes(slot, np.frombuffer(hashes or b"", np.uint64))
            self._votes.add(slot, np.frombuffer(words or b"", WORD))
        if codes:
            self._codes.add(np.concatenate(codes), np.array(slots, np.int32))

    def _take_hashes(self, slot: int, hashes: np.ndarray) -> None:
        if not len(hashes):
            return
        if len(hashes) > self._hashes.shape[1] or slot >= len(self._hashes):
            wide = max(len(hashes), self._hashes.shape[1])
            fresh = np.zeros((len(self._alive), wide), np.uint64)
            fresh[: self._hashes.shape[0], : self._hashes.shape[1]] = self._hashes
            self._hashes = fresh
        self._hashes[slot] = np.resize(hashes, self._hashes.shape[1])

    def _row(self, entry: Entry) -> tuple[str, bytes, bytes, bytes, bytes]:
        vectors = np.asarray(entry.vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.identity.dim or not np.isfinite(vectors).all():
            raise ValueError(
                f"got vectors of shape {vectors.shape} for an index of {self.identity.name}; "
                f"expected finite numbers of shape (n, {self.identity.dim})"
            )
        if entry.words.dtype != WORD:
            raise ValueError(f"got words of {entry.words.dtype}; expected what point_votes.words gives")
        hashes = np.asarray(entry.hashes, np.uint64).ravel()
        return entry.key, encode(vectors).tobytes(), hashes.tobytes(), entry.words.tobytes(), entry.payload

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; committed, and so on disk, when the block ends well."""
        if self._held is None:
            raise IndexFileError(f"got a change to {self.path} opened for reading; open it with write=True")
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


def _hold(path: Path) -> Any:
    import fcntl

    held = path.with_name(path.name + ".lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of when the process dies
    except OSError:
        held.close()
        raise IndexBusyError(f"got {path} held by another process; expected to be its only writer") from None
    return held


def _open(path: Path, identity: EncoderIdentity, write: bool) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=_BUSY_MS / 1_000, isolation_level=None, check_same_thread=False)
    try:
        if write:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = FULL")
            _found(file, identity)
        else:
            file.execute("PRAGMA query_only = ON")
        _check(file, path, identity)
    except sqlite3.DatabaseError as error:
        file.close()
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise IndexBusyError(f"got {path} locked for {_BUSY_MS} ms; try again") from error
        raise IndexFileError(f"got {path}, which is not an index or a damaged one; build it anew") from error
    except BaseException:
        file.close()
        raise
    return file


def _found(file: sqlite3.Connection, identity: EncoderIdentity) -> None:
    """Lay the tables of a new index, in one transaction."""
    if file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        return
    about = {"format": FORMAT, "encoder": identity.name, "sha256": identity.sha256, "dim": identity.dim}
    file.execute("BEGIN IMMEDIATE")
    for statement in _TABLES.split(";"):
        file.execute(statement)
    file.executemany("INSERT INTO about VALUES (?, ?)", [(name, str(value)) for name, value in about.items()])
    file.execute("COMMIT")


def _check(file: sqlite3.Connection, path: Path, identity: EncoderIdentity) -> None:
    about = dict(file.execute("SELECT name, value FROM about"))
    if about.get("format") != str(FORMAT):
        raise IndexFileError(f"got {path} of format {about.get('format')}; expected {FORMAT}: build it anew")
    if (about.get("sha256"), about.get("dim")) != (identity.sha256, str(identity.dim)):
        raise IndexFileError(
            f"got {path} made with encoder {about.get('encoder')}; expected {identity.name} as installed here: "
            "vectors of different encoders cannot be compared, build the index anew"
        )
