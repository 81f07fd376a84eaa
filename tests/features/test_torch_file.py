"""The weight reader builds arrays and nothing else."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from features.torch_file import read_arrays
from features.weights import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
    def __init__(self, kind: str, key: str, values: np.ndarray):
        self.kind, self.key, self.values = kind, key, values


@pytest.fixture
def torch_names(monkeypatch):
    """Modules with the names that the pickle refers to; torch itself is not needed."""
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("called while writing")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "LongStorage", "CharStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", inner)
    return torch


class Tensor:
    def __init__(self, torch, storage: Storage, offset: int, shape: tuple, stride: tuple):
        self.parts = (storage, offset, shape, stride, False, OrderedDict())
        self.torch = torch

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


def write(path: Path, torch, tensors: dict, storages: list[Storage]) -> Path:
    class Writer(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                return ("storage", getattr(torch, obj.kind), obj.key, "cpu", len(obj.values), None)
            return None

    held = io.BytesIO()
    for head in (MAGIC, 1001, {"little_endian": True}):
        pickle.dump(head, held, protocol=2)
    Writer(held, protocol=2).dump(OrderedDict(tensors))
    pickle.dump([storage.key for storage in storages], held, protocol=2)
    for storage in storages:
        held.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    path.write_bytes(held.getvalue())
    return path


def test_arrays_come_back_with_shape_and_stride(tmp_path, torch_names):
    numbers = Storage("FloatStorage", "1", np.arange(12, dtype=np.float32))
    count = Storage("LongStorage", "2", np.array([7], np.int64))
    tensors = {
        "plain": Tensor(torch_names, numbers, 0, (3, 4), (4, 1)),
        "turned": Tensor(torch_names, numbers, 0, (4, 3), (1, 4)),
        "part": Tensor(torch_names, numbers, 6, (2,), (1,)),
        "count": Tensor(torch_names, count, 0, (), ()),
    }
    found = read_arrays(write(tmp_path / "w.pth", torch_names, tensors, [numbers, count]))
    assert list(found) == list(tensors)
    np.testing.assert_array_equal(found["plain"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["turned"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [6, 7])
    assert found["count"] == 7 and found["count"].dtype == np.int64


def test_an_array_that_reaches_beyond_its_storage_is_refused(tmp_path, torch_names):
    numbers = Storage("FloatStorage", "1", np.arange(4, dtype=np.float32))
    for offset, shape, stride in ((0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (0, (2,), (-1,))):
        tensors = {"w": Tensor(torch_names, numbers, offset, shape, stride)}
        with pytest.raises(WeightsError, match="expected a legacy torch file"):
            read_arrays(write(tmp_path / "w.pth", torch_names, tensors, [numbers]))


def test_a_file_that_wants_to_run_something_is_refused_and_runs_nothing(tmp_path, torch_names):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    for evil in (Evil(), {"w": Evil()}):
        path = write(tmp_path / "w.pth", torch_names, {"w": evil}, [])
        with pytest.raises(WeightsError, match="system in a weight file"):
            read_arrays(path)
    first = tmp_path / "first.pth"
    first.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match="system in a weight file"):
        read_arrays(first)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "raw", [b"", b"PK\x03\x04zip", pickle.dumps(5), pickle.dumps(MAGIC), b"\x80\x02" * 50]
)
def test_other_files_are_refused(tmp_path, raw):
    path = tmp_path / "w.pth"
    path.write_bytes(raw)
    with pytest.raises(WeightsError):
        read_arrays(path)


def test_a_file_cut_short_is_refused(tmp_path, torch_names):
    numbers = Storage("FloatStorage", "1", np.arange(12, dtype=np.float32))
    path = write(
        tmp_path / "w.pth", torch_names, {"w": Tensor(torch_names, numbers, 0, (12,), (1,))}, [numbers]
    )
    raw = path.read_bytes()
    for end in (len(raw) - 1, len(raw) - 20, len(raw) // 2, 20):
        path.write_bytes(raw[:end])
        with pytest.raises(WeightsError):
            read_arrays(path)


def test_an_unknown_kind_of_number_is_refused(tmp_path, torch_names):
    numbers = Storage("CharStorage", "1", np.arange(4, dtype=np.int8))
    path = write(
        tmp_path / "w.pth", torch_names, {"w": Tensor(torch_names, numbers, 0, (4,), (1,))}, [numbers]
    )
    with pytest.raises(WeightsError, match=r"torch\.CharStorage"):
        read_arrays(path)
