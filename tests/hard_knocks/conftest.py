"""What attacks and faults share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def attacking() -> ModuleType:
    """The module that starts services to be attacked."""
    name = "attacked_service"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("attacked.py"))
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def service(attacking: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running service with the starter bundle, a store and a key of every role."""
    with attacking.attacked(tmp_path_factory.mktemp("attacked")) as made:
        yield made


@pytest.fixture(scope="session")
def faults() -> ModuleType:
    """The module that starts services to which things happen."""
    name = "service_and_its_faults"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("victim.py"))
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def services(faults: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A service that faults come and go in; who ends it puts another on the same store behind it."""
    folder = tmp_path_factory.mktemp("faults")
    made = [faults.Victim(str(folder / "store.db"), folder / "service")]
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def victim(services: list[Any]) -> Iterator[Any]:
    """That service, under load; what it says in one test is on record in all that follow."""
    victim = services[-1]
    victim.wait_ready()
    victim.load()
    victim.wait_more()
    yield victim
    victim.rest()
