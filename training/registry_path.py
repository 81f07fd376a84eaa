"""From ``models:/name@alias`` to a folder, without importing MLflow here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from features.errors import OutsideError, UserError


def resolve(address: str, cache: Path | None = None) -> Path:
    """Ask the registry in a process of its own, which ends at once.

    Raises
    ------
    UserError
        When the address names nothing.
    OutsideError
        When the registry does not answer or MLflow is not installed.
    """
    home = Path(os.environ.get("LISTING_RISK_CACHE") or Path.home() / ".cache" / "listing-risk")
    place = cache or home / "bundles"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "training.registry", address, str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return Path(done.stdout.strip().splitlines()[-1])
    if done.returncode == 2:
        raise UserError(done.stderr.strip())
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise OutsideError(
        f"The registry could not be asked for {address}: {last}. "
        "Check MLFLOW_TRACKING_URI, and that the extra `train` is installed."
    )
