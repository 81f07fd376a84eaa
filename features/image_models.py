"""Image encoders by name: the default, and any CLIP or SigLIP model from Hugging Face (extra ``finetune``, torch)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features import encoders, weights
from features.encoding import EncoderIdentity, positive
from features.image_encoder import EfficientNetEncoder, ImageEncoder
from features.image_points import opencv

# pyright: reportMissingImports=false
# (torch and transformers come with an extra)

_BLOCK = 16


@dataclass(frozen=True, slots=True)
class _Preparation:
    """What a model wants to see: a square of some side, cut from the middle or squeezed, and its colour scale."""

    side: int
    cut: bool
    mean: np.ndarray
    std: np.ndarray


class HubImageEncoder:
    """The image half of a CLIP or SigLIP model by name or folder.

    Parameters
    ----------
    model
        Name at Hugging Face or a local folder.
    threads
        Threads of torch; torch has one setting for the whole process.

    Notes
    -----
    Photos are prepared here by the model's own settings (side, cut, mean, deviation), since the library's own
    preparation needs torchvision.
    """

    def __init__(self, model: str, threads: int = 1) -> None:
        if not model:
            raise ValueError(
                "got an empty model name; expected hf:NAME, such as hf:openai/clip-vit-base-patch32"
            )
        self.model = model
        self.threads = positive(threads)
        self._lock = threading.Lock()
        self._loaded: tuple[Any, _Preparation] | None = None
        self._identity: EncoderIdentity | None = None

    def __reduce__(self) -> tuple[type[HubImageEncoder], tuple[str, int]]:
        """Travel to another process without the weights."""
        return type(self), (self.model, self.threads)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, SHA-256 of weights and preparation, and dimension; loads the model."""
        if self._identity is None:
            model, preparation = self._load()
            digest = hashlib.sha256(repr(preparation).encode())
            for name, tensor in sorted(model.state_dict().items()):
                digest.update(name.encode())
                digest.update(
                    tensor.detach().cpu().contiguous().flatten().view(encoders._torch().uint8).numpy()
                )
            dim = self.encode([np.zeros((8, 8, 3), np.uint8)]).shape[1]
            self._identity = EncoderIdentity(f"hf:{self.model}", digest.hexdigest(), dim)
        return self._identity

    def encode(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Encode RGB pictures of shape (height, width, 3), uint8; rows of length 1."""
        model, preparation = self._load()
        torch = encoders._torch()
        blocks: list[np.ndarray] = []
        for start in range(0, max(1, len(pictures)), _BLOCK):
            part = [_prepared(one, preparation) for one in pictures[start : start + _BLOCK]]
            if not part:
                return np.zeros((0, self.identity.dim), np.float32)
            with torch.inference_mode():
                found = model.get_image_features(pixel_values=torch.from_numpy(np.stack(part)))
            found = getattr(found, "pooler_output", found)  # a plain tensor before transformers 5
            blocks.append(found.float().cpu().numpy())
        rows = np.concatenate(blocks)
        return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)

    def _load(self) -> tuple[Any, _Preparation]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    torch = encoders._torch()
                    try:
                        from transformers import AutoModel
                        from transformers.image_processing_base import ImageProcessingMixin
                    except ImportError as error:
                        raise weights.missing("transformers", "finetune") from error
                    torch.set_num_threads(self.threads)
                    settings, _ = ImageProcessingMixin.get_image_processor_dict(self.model)
                    model = AutoModel.from_pretrained(self.model).eval()
                    if not hasattr(model, "get_image_features"):
                        raise ValueError(
                            f"got {self.model}, a {type(model).__name__}; expected a CLIP or SigLIP model, "
                            "which gives image features"
                        )
                    self._loaded = model, _preparation(settings)
        return self._loaded


def _preparation(settings: dict[str, Any]) -> _Preparation:
    size = settings.get("crop_size") if settings.get("do_center_crop") else None
    size = size or settings.get("size") or 224
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or 224
    mean, std = (settings.get(f"image_{part}") or [0.5] * 3 for part in ("mean", "std"))
    cut = bool(settings.get("do_center_crop"))
    return _Preparation(int(size), cut, np.array(mean, np.float32), np.array(std, np.float32))


def _prepared(pixels: np.ndarray, how: _Preparation) -> np.ndarray:
    """Give channels first, float32."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    scale = how.side / min(height, width)
    size = (max(how.side, round(width * scale)), max(how.side, round(height * scale)))
    size = size if how.cut else (how.side, how.side)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=way)
    top, left = (small.shape[0] - how.side) // 2, (small.shape[1] - how.side) // 2
    middle = small[top : top + how.side, left : left + how.side].astype(np.float32) / 255
    return np.ascontiguousarray(((middle - how.mean) / how.std).transpose(2, 0, 1))


def load_image_encoder(spec: str, *, threads: int = 1) -> ImageEncoder:
    """Name an image encoder; nothing is read before its first use.

    Parameters
    ----------
    spec
        ``efficientnet`` (the default everywhere) or ``hf:NAME``.
    threads
        Threads of one call.

    Raises
    ------
    ValueError
        For a specification that is none of these.
    """
    kind, _, rest = spec.partition(":")
    if spec == "efficientnet":
        return EfficientNetEncoder(threads)
    if kind == "hf" and rest:
        return HubImageEncoder(rest, threads)
    raise ValueError(f"got image encoder {spec!r}; expected one of: efficientnet, hf:NAME")
