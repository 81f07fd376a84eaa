"""An encoder that remembers the latest texts: the same text, and the texts of one listing, are encoded once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakValueDictionary

import numpy as np

from features.encoding import Encoder, EncoderIdentity

KEPT = 4_096
"""Vectors remembered at least; twice as many at most, 2 kB each."""
_LONGEST = 1_000
_in_use: WeakValueDictionary[str, RememberingEncoder] = WeakValueDictionary()


def remembered(encoder: Encoder) -> RememberingEncoder:
    """Return the one remembering encoder of this identity in this process, for as long as somebody uses it."""
    if isinstance(encoder, RememberingEncoder):
        return encoder
    key = encoder.identity.sha256
    found = _in_use.get(key)
    if found is None:
        found = _in_use[key] = RememberingEncoder(encoder)
    return found


class RememberingEncoder:
    """Wraps an encoder whose vector of a text does not depend on the other texts of the call.

    Parameters
    ----------
    encoder
        Does the work.
    kept
        How many texts are remembered at least. Texts of more than 1,000 characters are not.
    """

    def __init__(self, encoder: Encoder, kept: int = KEPT) -> None:
        self.encoder = encoder
        self.kept = kept
        # Two generations: what was asked for lately moves to the young one, the old one is dropped as a whole.
        self._young: dict[str, np.ndarray] = {}
        self._old: dict[str, np.ndarray] = {}
        self._announced = threading.local()

    @property
    def identity(self) -> EncoderIdentity:
        """That of the encoder inside."""
        return self.encoder.identity

    def announce(self, texts: Sequence[str]) -> None:
        """Say which texts this thread will ask for soon: they go into one run with what it asks for next."""
        self._announced.texts = [text for text in texts if len(text) <= _LONGEST]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give an ndarray of shape (n_texts, dim), float32, each row of length 1."""
        if isinstance(texts, str):
            return self.encoder.encode(texts)  # which refuses it by name
        known = [self._recall(text) for text in texts]
        missing = [text for text, vector in zip(texts, known, strict=True) if vector is None]
        if not missing and texts:
            return np.stack([vector for vector in known if vector is not None])
        soon = [text for text in self._announced.__dict__.pop("texts", ()) if self._recall(text) is None]
        rows = self.encoder.encode([*missing, *soon])
        self._remember([*missing, *soon], rows)
        if len(missing) == len(texts):
            return rows[: len(texts)]
        fresh = iter(rows)
        return np.stack([next(fresh) if vector is None else vector for vector in known])

    def _recall(self, text: str) -> np.ndarray | None:
        found = self._young.get(text)
        if found is None and (found := self._old.get(text)) is not None:
            self._keep(text, found)
        return found

    def _remember(self, texts: Sequence[str], rows: np.ndarray) -> None:
        for text, row in zip(texts, rows, strict=True):
            if len(text) <= _LONGEST:
                self._keep(text, row.copy())

    def _keep(self, text: str, row: np.ndarray) -> None:
        if len(self._young) >= self.kept:
            self._old, self._young = self._young, {}
        self._young[text] = row
