"""Drawn pictures for the tests of photos, and what reads them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pictures() -> ModuleType:
    """The module that draws pictures like listing photos."""
    name = "product_pictures"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "files" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def photo_reader() -> Any:
    """The real encoder and the real local features."""
    from features.image_encoder import EfficientNetEncoder
    from features.image_features import PhotoReader

    return PhotoReader(EfficientNetEncoder())
