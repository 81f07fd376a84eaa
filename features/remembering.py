"""An encoder that remembers the latest texts: the same text, and the texts of one listing, are encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.encoders import Encoder, EncoderIdentity

KEPT = 4_096
"""Vectors remembered at least; twice as many at most, 2 kB each."""
_LONGEST = 1_000


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

    @property
    def identity(self) -> EncoderIdentity:
        """That of the encoder inside."""
        return self.encoder.identity

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give an ndarray of shape (n_texts, dim), float32, each row of length 1."""
        if isinstance(texts, str):
            return self.encoder.encode(texts)  # which refuses it by name
        young, old = self._young, self._old
        known = [young.get(text) if text in young else old.get(text) for text in texts]
        missing = [text for text, vector in zip(texts, known, strict=True) if vector is None]
        if len(missing) == len(texts):
            rows = self.encoder.encode(texts)
            self._remember(texts, rows)
            return rows
        fresh = iter(self.encoder.encode(missing) if missing else ())
        rows = np.stack([next(fresh) if vector is None else vector for vector in known])
        self._remember(texts, rows)
        return rows

    def _remember(self, texts: Sequence[str], rows: np.ndarray) -> None:
        for text, row in zip(texts, rows, strict=True):
            if len(text) <= _LONGEST and text not in self._young:
                if len(self._young) >= self.kept:
                    self._old, self._young = self._young, {}
                self._young[text] = row.copy()
