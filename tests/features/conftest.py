"""Drawn pictures for the tests of photos, and what reads them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pictures() -> ModuleType:
    """The module that draws pictures like listing photos."""
    from benchmarks.relisting import drawn

    return drawn


@pytest.fixture(scope="session")
def photo_reader() -> Any:
    """The real encoder and the real local features."""
    from features.image_encoder import EfficientNetEncoder
    from features.image_features import PhotoReader

    return PhotoReader(EfficientNetEncoder())
