"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, or a skip that says how to have it."""
    folder = os.environ.get("LISTING_RISK_DATA")
    if not folder:
        pytest.skip("real data not present: set LISTING_RISK_DATA to the folder that holds it")
    return Path(folder)


def pytest_configure(config: pytest.Config) -> None:
    """Property tests run on machines with other work: examples are bounded in number, never in time."""
    from hypothesis import settings

    settings.register_profile("quiet", deadline=None, print_blob=True)
    settings.load_profile("quiet")
