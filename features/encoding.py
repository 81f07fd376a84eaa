"""What every text encoder has: an identity, safe texts, and one vector a different text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

MAX_CHARACTERS = 2_048
"""What an encoder reads of a text at most; a title is far below it."""

_BLOCK = 2_048


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder made a vector: vectors of different identities are never compared.

    Attributes
    ----------
    name
        What `load_encoder` was given.
    sha256
        Of everything that decides the vectors: weights, tokenizer, recipe, limits.
    dim
        Length of a vector.
    """

    name: str
    sha256: str
    dim: int


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension of the encoder."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give an ndarray of shape (n_texts, dim), float32, each row of length 1."""
        ...


def plain(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Make a text safe to tokenize: bounded length, single spaces, no lone surrogate and no NUL."""
    text = " ".join(text[: 8 * limit].replace("\0", " ").split())[:limit]
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # halves of a pair are joined, a lone half becomes the replacement character
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def positive(threads: int) -> int:
    """Check a number of threads."""
    if threads < 1:
        raise ValueError(f"got threads={threads}; expected a positive integer")
    return threads


def encode_unique(texts: Sequence[str], dim: int, encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """Encode each different text once, a block at a time, and put the rows in the order of ``texts``.

    Parameters
    ----------
    texts
        Any number of texts.
    dim
        Length of a vector.
    encode
        Takes at most 2,048 texts.

    Returns
    -------
    ndarray of shape (n_texts, dim), float32

    Raises
    ------
    TypeError
        For a bare string, and for an item that is not a string.
    """
    if isinstance(texts, str):
        raise TypeError("got one str; expected a sequence of str: wrap the text in a list")
    unique: dict[str, int] = {}
    inverse = np.empty(len(texts), np.int64)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"got {type(text).__name__} at position {i}; expected str")
        inverse[i] = unique.setdefault(text, len(unique))
    names = list(unique)
    rows = np.empty((len(names), dim), np.float32)
    for start in range(0, len(names), _BLOCK):
        block = names[start : start + _BLOCK]
        rows[start : start + len(block)] = encode(block)
    return rows if len(names) == len(texts) else rows[inverse]
