"""Arrays out of a torch weight file, without torch and without trusting its pickle.

The legacy layout (torch before 1.6): a magic number, a protocol number, facts on the writer, the pickled mapping, the
list of storage keys, then each storage as an 8-byte length and its raw numbers. The unpickler builds nothing but
ordered mappings and descriptions of arrays; every other name in the file is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.weights import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8", "DoubleStorage": "<f8", "HalfStorage": "<f2"}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    kind: str
    length: int


@dataclass(frozen=True, slots=True)
class _Array:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def _rebuild(storage: _Storage, offset: int, shape: Any, stride: Any, *_: Any) -> _Array:
    return _Array(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


class _Reader(pickle.Unpickler):
    """Knows four kinds of name; there is no way to a callable of anyone else's."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _KINDS:
            return name
        raise WeightsError(
            f"got {module}.{name} in a weight file; expected arrays only: do not use this file"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), str(), int(length), None) if kind in _KINDS:
                return _Storage(key, kind, length)
        raise WeightsError("got a reference in a weight file that is not a storage; do not use this file")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a mapping of names to arrays.

    Parameters
    ----------
    path
        A ``.pth`` file of the legacy layout.

    Returns
    -------
    dict of str to ndarray
        In the file's order.

    Raises
    ------
    WeightsError
        When the file has another layout, holds anything but arrays, or ends early.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        if _Reader(file).load() != _MAGIC:
            raise WeightsError(f"got no legacy torch file in {path}; expected its magic number")
        _Reader(file).load()
        _Reader(file).load()
        described = _Reader(file).load()
        storages = _storages(file, described, _Reader(file).load())
        return {str(name): _view(array, storages) for name, array in described.items()}
    except WeightsError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        struct.error,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise WeightsError(
            f"got {type(error).__name__} reading {path}; expected a legacy torch file"
        ) from error


def _storages(file: io.BytesIO, described: Any, keys: Any) -> dict[str, np.ndarray]:
    kinds = {array.storage.key: array.storage for array in described.values()}
    storages: dict[str, np.ndarray] = {}
    for key in keys:
        (length,) = struct.unpack("<q", file.read(8))
        kind = np.dtype(_KINDS[kinds[key].kind])
        if length != kinds[key].length:
            raise ValueError("a storage has another length than its description")
        storages[key] = np.frombuffer(file.read(length * kind.itemsize), kind, length)
    return storages


def _view(array: _Array, storages: dict[str, np.ndarray]) -> np.ndarray:
    held = storages[array.storage.key]
    if min((array.offset, *array.shape, *array.stride), default=0) < 0:
        raise ValueError("negative shape")
    last = array.offset + sum((n - 1) * step for n, step in zip(array.shape, array.stride, strict=True))
    if 0 not in array.shape and last >= len(held):  # as_strided would read beyond the storage
        raise ValueError("an array reaches beyond its storage")
    steps = tuple(step * held.itemsize for step in array.stride)
    return np.lib.stride_tricks.as_strided(held[array.offset :], array.shape, steps).copy()
