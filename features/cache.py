"""Embeddings on disk, keyed by the encoder's identity and the text: what was encoded once is read after that."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from features.encoding import Encoder, EncoderIdentity, encode_unique

_ASKED_AT_ONCE = 500
_CHECK = 8
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"


def text_key(text: str) -> bytes:
    """Give the 16-byte BLAKE2b digest that stands for a text; any str has one, lone surrogates too."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class EmbeddingCache:
    """One SQLite file per encoder in a folder.

    Safe when a process dies and when several processes and threads use it. It holds no text. It is a cache: a
    damaged vector counts as absent, a damaged file is set aside as ``*.damaged`` and begun anew.

    Parameters
    ----------
    folder
        Created at the first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._open: dict[tuple[int, str], sqlite3.Connection] = {}

    def __reduce__(self) -> tuple[type[EmbeddingCache], tuple[Path]]:
        """Travel to another process without the connections."""
        return type(self), (self.folder,)

    def path(self, identity: EncoderIdentity) -> Path:
        """File that holds the vectors of one encoder."""
        return self.folder / f"{identity.sha256[:32]}-{identity.dim}.sqlite"

    def get_many(self, identity: EncoderIdentity, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Look up texts.

        Parameters
        ----------
        identity
            Of the encoder whose vectors are wanted.
        texts
            Any number.

        Returns
        -------
        vectors
            ndarray of shape (n_texts, dim), float32; zeros where absent.
        found
            ndarray of shape (n_texts,), bool.
        """
        keys = [text_key(text) for text in texts]
        vectors = np.zeros((len(keys), identity.dim), np.float32)
        found = np.zeros(len(keys), bool)
        with self._lock:
            try:
                known = dict(self._read(identity, sorted(set(keys))))
            except sqlite3.DatabaseError as error:
                self._set_aside(identity, error)
                return vectors, found
        for i, key in enumerate(keys):
            vector = _unpack(known.get(key, b""), identity.dim)
            if vector is not None:
                vectors[i], found[i] = vector, True
        return vectors, found

    def put_many(self, identity: EncoderIdentity, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Keep vectors, all or none of them.

        Parameters
        ----------
        identity
            Of the encoder that made them.
        texts
            What was encoded.
        vectors
            ndarray of shape (n_texts, dim), finite.

        Raises
        ------
        ValueError
            For another shape, or for a number that is not finite.
        """
        if vectors.shape != (len(texts), identity.dim):
            raise ValueError(f"got vectors of shape {vectors.shape}; expected {(len(texts), identity.dim)}")
        if not np.isfinite(vectors).all():
            raise ValueError(
                "got a vector with a number that is not finite; expected the output of an encoder"
            )
        rows = [
            (text_key(text), _pack(vector)) for text, vector in zip(texts, vectors.astype("<f4"), strict=True)
        ]
        with self._lock:
            try:
                self._write(identity, rows)
            except sqlite3.DatabaseError as error:
                self._set_aside(identity, error)
                self._write(identity, rows)

    def close(self) -> None:
        """Close the files; the next use opens them again."""
        with self._lock:
            for (process, _), connection in self._open.items():
                if process == os.getpid():
                    connection.close()
            self._open.clear()

    def _read(self, identity: EncoderIdentity, keys: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        connection = self._connection(identity)
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            some = keys[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            yield from connection.execute(
                f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608  (only question marks)
                some,
            )

    def _write(self, identity: EncoderIdentity, rows: list[tuple[bytes, bytes]]) -> None:
        with self._connection(identity) as connection:  # one transaction
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def _connection(self, identity: EncoderIdentity) -> sqlite3.Connection:
        """Give this process's connection: one inherited over a fork must not be used."""
        key = os.getpid(), identity.sha256
        if key not in self._open:
            self.folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path(identity), timeout=60, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_SCHEMA)
            except sqlite3.DatabaseError:
                connection.close()
                raise
            self._open[key] = connection
        return self._open[key]

    def _set_aside(self, identity: EncoderIdentity, error: sqlite3.DatabaseError) -> None:
        """Move a damaged file away; a full disk or a lock is not damage and is raised."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise error
        connection = self._open.pop((os.getpid(), identity.sha256), None)
        if connection is not None:
            connection.close()
        path = self.path(identity)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was first
            path.replace(path.with_name(path.name + ".damaged"))


class CachedEncoder:
    """An encoder that asks the cache first.

    Parameters
    ----------
    encoder
        Encodes what the cache does not hold.
    cache
        Where vectors are kept.
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache

    @property
    def identity(self) -> EncoderIdentity:
        """The identity of the encoder inside."""
        return self.encoder.identity

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts, or read what was encoded before: the same numbers either way.

        Returns
        -------
        ndarray of shape (n_texts, dim), float32, rows of length 1
        """
        identity = self.identity
        return encode_unique(texts, identity.dim, lambda some: self._encode(identity, some))

    def _encode(self, identity: EncoderIdentity, texts: list[str]) -> np.ndarray:
        vectors, found = self.cache.get_many(identity, texts)
        if not found.all():
            new = np.flatnonzero(~found)
            wanted = [texts[i] for i in new]
            vectors[new] = self.encoder.encode(wanted)
            self.cache.put_many(identity, wanted, vectors[new])
        return vectors


def _pack(vector: np.ndarray) -> bytes:
    raw = vector.tobytes()
    return raw + hashlib.blake2b(raw, digest_size=_CHECK).digest()


def _unpack(stored: bytes, dim: int) -> np.ndarray | None:
    raw, check = stored[:-_CHECK], stored[-_CHECK:]
    if len(raw) != 4 * dim or hashlib.blake2b(raw, digest_size=_CHECK).digest() != check:
        return None
    return np.frombuffer(raw, "<f4")
