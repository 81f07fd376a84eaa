"""Steps of a pipeline that are done once: each result lies under the hash of everything it depends on.

A run that was ended goes on where it stopped; a changed setting, row, weight or line of code makes its step, and what
rests on it, run again. Results are arrays and JSON, never pickled objects.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

_Result = TypeVar("_Result")
_PACKAGES = ("features", "training")
# Classes that are no dataclasses, and the attributes that make another one like it.
_MADE_FROM = {"features.expectations:Expectations": ("words", "hazards")}


class Stages:
    """Remembers results of steps in a folder.

    Parameters
    ----------
    folder
        Made on first use; None remembers nothing.
    say
        Called with the name of a step whose result was there already.
    """

    def __init__(self, folder: Path | None, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self.say = say

    def once(self, name: str, depends_on: tuple[Any, ...], make: Callable[[], _Result]) -> _Result:
        """Return the result of a step, from the folder where it is there.

        Parameters
        ----------
        name
            Of the step.
        depends_on
            Everything the result depends on besides the code, as JSON values.
        make
            Makes it: dataclasses of this project, tuples, lists, mappings, arrays, texts and numbers.
        """
        if self.folder is None:
            return make()
        key = hashlib.sha256(
            json.dumps([code_hash(), name, depends_on], sort_keys=True, default=str).encode()
        ).hexdigest()
        file = self.folder / f"{name}-{key[:32]}.npz"
        if file.is_file():
            try:
                found = _read(file)
            except (OSError, ValueError, KeyError, TypeError, BadZipFile):
                file.unlink(missing_ok=True)  # cut short or foreign: it is made again
            else:
                self.say(f"{name}: nothing changed, taken from {self.folder}")
                return found
        made = make()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(file, made)
        return made


@cache
def code_hash() -> str:
    """Return the SHA-256 over the code and data files of what a bundle is made by."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[1]
    for package in _PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in (".py", ".yaml", ".csv") and file.is_file():
                digest.update(str(file.relative_to(root)).encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _write(file: Path, value: Any) -> None:
    arrays: dict[str, np.ndarray] = {}
    shape = _flatten(value, arrays)
    arrays["shape"] = np.frombuffer(json.dumps(shape).encode(), dtype=np.uint8)
    partial = file.with_name(f".{file.name}.{os.getpid()}.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(file)


def _read(file: Path) -> Any:
    with np.load(file, allow_pickle=False) as held:
        return _build(json.loads(held["shape"].tobytes().decode()), held)


def _flatten(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Put arrays aside under a number and describe the rest in JSON."""
    if isinstance(value, np.ndarray | np.generic):
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        parts = {
            f.name: _flatten(getattr(value, f.name), arrays) for f in dataclasses.fields(value) if f.init
        }
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": parts}
    named = f"{type(value).__module__}:{type(value).__qualname__}"
    if named in _MADE_FROM:
        parts = {name: _flatten(getattr(value, name), arrays) for name in _MADE_FROM[named]}
        return {"class": named, "fields": parts}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_flatten(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_flatten(k, arrays), _flatten(v, arrays)] for k, v in value.items()]}
    if value is None or isinstance(value, str | int | float | bool):
        return {"value": value}
    raise TypeError(
        f"got {type(value).__name__} as part of a step's result; expected arrays and plain values"
    )


def _build(shape: Any, arrays: Any) -> Any:
    if "array" in shape:
        found = arrays[shape["array"]]
        return found[()] if shape["scalar"] else found
    if "class" in shape:
        module, _, name = shape["class"].partition(":")
        if module.split(".")[0] not in _PACKAGES:
            raise ValueError(f"got a result of class {shape['class']}, which is none of this project's")
        kind = getattr(importlib.import_module(module), name)
        if not dataclasses.is_dataclass(kind) and shape["class"] not in _MADE_FROM:
            raise ValueError(f"got {shape['class']}, which is no dataclass")
        return kind(**{key: _build(part, arrays) for key, part in shape["fields"].items()})  # type: ignore[operator]
    if "tuple" in shape:
        return tuple(_build(item, arrays) for item in shape["tuple"])
    if "list" in shape:
        return [_build(item, arrays) for item in shape["list"]]
    if "dict" in shape:
        return {_build(k, arrays): _build(v, arrays) for k, v in shape["dict"]}
    return shape["value"]
