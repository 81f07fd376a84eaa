"""An index of photos that several processes share: one of them writes, and another takes over when it is gone."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from features.encoding import EncoderIdentity
from features.image_features import PhotoFeatures
from features.image_match import PhotoMatch, PhotoMatcher
from features.point_votes import WORD
from features.similarity import Entry, IndexBusyError, IndexFileError, SimilarityIndex

_HEAD = struct.Struct("<BHHII")
_RECIPE = 1


def packed(entry: Entry) -> bytes:
    """Pack an index entry without its key, to be kept where the index can be made again from: about 18 kB."""
    vectors = np.ascontiguousarray(entry.vectors, np.float32)
    hashes, words = np.asarray(entry.hashes, np.uint64).ravel(), entry.words.tobytes()
    head = _HEAD.pack(_RECIPE, *vectors.shape, hashes.size, len(words))
    return head + vectors.tobytes() + hashes.tobytes() + words + entry.payload


def unpacked(key: str, raw: bytes) -> Entry:
    """Undo `packed`.

    Raises
    ------
    ValueError
        When the bytes are of another recipe or do not fit.
    """
    if len(raw) < _HEAD.size or raw[0] != _RECIPE:
        raise ValueError(f"got {len(raw)} bytes, expected a photo's entry of recipe {_RECIPE}")
    _, rows, dim, n_hashes, n_words = _HEAD.unpack_from(raw)
    at = _HEAD.size
    vectors = np.frombuffer(raw, np.float32, rows * dim, at).reshape(rows, dim)
    at += vectors.nbytes
    hashes = np.frombuffer(raw, np.uint64, n_hashes, at)
    at += hashes.nbytes
    words = np.frombuffer(raw[at : at + n_words], WORD)
    return Entry(key, vectors, hashes, words, raw[at + n_words :])


class SharedIndex:
    """A `SimilarityIndex` over one file, opened for writing where no other process has it, else for reading.

    Parameters
    ----------
    path
        Of the file; made where it is absent, made anew where it is of another encoder.
    identity
        Of the encoder.
    """

    def __init__(self, path: Path, identity: EncoderIdentity) -> None:
        self.path = path
        self.identity = identity
        self._lock = threading.RLock()
        self._index: SimilarityIndex | None = None
        self.writes = False

    def claim(self) -> bool:
        """Become the writer where nobody is; True when that was new, so that what is missing can be added."""
        with self._lock:
            if self.writes:
                return False
            try:
                index = self._open()
            except IndexBusyError:
                return False
            if self._index is not None:
                self._index.close()
            self._index, self.writes = index, True
            return True

    def _open(self) -> SimilarityIndex:
        try:
            return SimilarityIndex(self.path, self.identity, write=True)
        except IndexFileError:
            # Of another encoder or format. It holds nothing that cannot be made again.
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            return SimilarityIndex(self.path, self.identity, write=True)

    def _reading(self) -> SimilarityIndex | None:
        with self._lock:
            if self._index is None:
                try:
                    self._index = SimilarityIndex(self.path, self.identity)
                except IndexFileError:  # the writer has not made it yet
                    return None
            return self._index

    def keys(self) -> frozenset[str]:
        """Keys of all entries."""
        index = self._reading()
        return frozenset(index.keys()) if index else frozenset()

    def __len__(self) -> int:
        index = self._reading()
        return len(index) if index else 0

    def has(self, keys: Iterable[str]) -> bool:
        """Whether all of these are there."""
        index = self._reading()
        return index is not None and all(key in index for key in keys)

    def change(self, added: Sequence[Entry], gone: Sequence[str]) -> None:
        """Add and remove entries; only the writer may."""
        with self._lock:
            if self._index is None or not self.writes:
                raise IndexBusyError(f"got a change to {self.path} while another process writes it")
            if gone:
                self._index.remove(gone)
            if added:
                self._index.add(added)

    def match(
        self, matcher: PhotoMatcher, photo: PhotoFeatures, passing_over: frozenset[str] = frozenset()
    ) -> list[PhotoMatch]:
        """Find what a photo may be a copy of; nothing while there is no index."""
        index = self._reading()
        return matcher.match(photo, index, passing_over=passing_over) if index else []

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._index is not None:
                self._index.close()
            self._index, self.writes = None, False
