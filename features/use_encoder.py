"""The default encoder: multilingual Universal Sentence Encoder, token ids to vectors, without torch."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from features import use_model, weights
from features.encoding import MAX_CHARACTERS, EncoderIdentity, encode_unique, plain, positive

MAX_TOKENS = 256
_TOKENS_PER_RUN = 768


def _runs(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of texts of like length, as many as fit into one run."""
    run: list[int] = []
    tokens = 0
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if run and tokens + lengths[i] > _TOKENS_PER_RUN:
            yield run
            run, tokens = [], 0
        run.append(i)
        tokens += lengths[i]
    if run:
        yield run


class UseEncoder:
    """Multilingual Universal Sentence Encoder v3: 16 languages, 512 numbers, int8, no torch.

    Parameters
    ----------
    threads
        Threads of one call.
    path
        Safetensors file of fine-tuned dense weights; the package's own where None.

    Notes
    -----
    The first use builds two ONNX graphs from the package's weights and keeps them in the cache folder.
    Single and bulk encoding give the same bits. Encoders of the same weights that are opened one after another, as
    the bundles of a champion and its successor, are one in memory.
    """

    def __init__(self, threads: int = 1, path: Path | None = None) -> None:
        self.threads = positive(threads)
        self.path = path
        self._lock = threading.Lock()
        self._loaded: tuple[use_model.UseModel, Any] | None = None

    def __reduce__(self) -> tuple[type[UseEncoder], tuple[int, Path | None]]:
        """Travel to another process without the weights."""
        return type(self), (self.threads, self.path)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension; the same on every machine."""
        name = "use" if self.path is None else f"use:{self.path}"
        return EncoderIdentity(name, self._digest(), use_model.DIM)

    def _digest(self) -> str:
        tuned = "" if self.path is None else weights.sha256_of(self.path)
        parts = (
            f"use recipe {use_model.RECIPE}",
            weights.USE_WEIGHTS.sha256,
            weights.USE_TOKENIZER.sha256,
            f"{MAX_TOKENS} tokens, {MAX_CHARACTERS} characters",
            tuned,
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts.

        Parameters
        ----------
        texts
            Any text, also an empty one; what lies beyond 2,048 characters or 256 tokens is not read.

        Returns
        -------
        ndarray of shape (n_texts, 512), float32, rows of length 1

        Raises
        ------
        TypeError
            For a bare string, and for an item that is not a string.
        weights.MissingExtraError, weights.WeightsError
            At first use, when the weights are not there, not the right ones, or cannot be cached.
        """
        return encode_unique(texts, use_model.DIM, self._encode)

    def _encode(self, texts: list[str]) -> np.ndarray:
        model, tokenizer = self._load()
        ids = use_ids(tokenizer, texts)
        rows = np.empty((len(texts), use_model.DIM), np.float32)
        for run in _runs([len(one) for one in ids]):
            rows[run] = model.run([ids[i] for i in run])
        return rows

    def _load(self) -> tuple[use_model.UseModel, Any]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = _opened(self._digest(), self.path, self.threads, weights.cache_folder())
        return self._loaded


@lru_cache(maxsize=1)  # a swap to other weights must not hold those of before
def _opened(digest: str, path: Path | None, threads: int, cache: Path) -> tuple[use_model.UseModel, Any]:
    """Build what is not built yet, and read it; checking and reading all of it takes a third of a second."""

    def build(folder: Path) -> None:
        dense, table = use_model.read_weights(weights.find(weights.USE_WEIGHTS))
        if path is not None:
            dense |= _tuned(path, dense)
        use_model.write_files(folder, dense, table)

    folder = weights.built(f"use-{digest[:16]}", build, cache)
    return use_model.UseModel(folder, threads), use_tokenizer()


def use_tokenizer() -> Any:
    """Load the one tokenizer that training and serving share (the C++ library, as the original model used).

    The package's own Python port splits 5 of 192 titles otherwise: it keeps runs of unknown pieces apart.
    """
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(weights.find(weights.USE_TOKENIZER)))


def use_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts with their end marks, `MAX_TOKENS` at most."""
    # One by one: given a list, the library starts a pool of threads, whatever limit we were given.
    found = (tokenizer.encode(plain(text)) for text in texts)
    return [[use_model.BOS, *ids[: MAX_TOKENS - 2], use_model.EOS] for ids in found]


def _tuned(path: Path, dense: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    tuned = load_file(path)
    for name, value in tuned.items():
        wanted = dense[name].shape if name in dense else None
        if value.shape != wanted or not np.isfinite(value).all():
            raise weights.WeightsError(
                f"got array {name!r} of shape {value.shape} in {path}; expected finite numbers of shape {wanted}: "
                "save the file with training.finetune.save_weights"
            )
    return {name: value.astype(np.float32) for name, value in tuned.items()}
