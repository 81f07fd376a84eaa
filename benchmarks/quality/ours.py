"""Our model exactly as a user runs it: ``listing-risk train``, then ``listing-risk batch`` over a file of listings."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.results_file import ROOT


class CommandError(RuntimeError):
    """A command that did not end well, with what it said."""


def listing_risk(*words: str) -> None:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "serving.cli", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(
            f"listing-risk {' '.join(words)} ended with code {done.returncode}:\n{done.stderr[-2000:]}"
        )


def train_and_batch(
    config: Path, data: Path, as_of: date, listings: Sequence[Mapping[str, object]]
) -> pd.DataFrame:
    """Train on what was known on a day and score listings.

    Returns
    -------
    DataFrame
        Output of ``batch``, one row a listing in their order.

    Raises
    ------
    CommandError
        When a command fails or a listing was rejected.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, output, bundle = folder / "listings.jsonl", folder / "scores.parquet", folder / "bundle"
        with source.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(listing, ensure_ascii=False) + "\n" for listing in listings)
        listing_risk(
            *("train", "--config", str(config), "--data", str(data), "--as-of", as_of.isoformat()),
            *("--output", str(bundle)),
        )
        listing_risk("batch", str(source), "--output", str(output), "--bundle", str(bundle))
        scores = pd.read_parquet(output)
    ids = [str(listing["id"]) for listing in listings]
    if scores["listing_id"].astype(str).tolist() != ids:
        raise CommandError(f"Got scores of {len(scores):,} listings; expected {len(ids):,} in their order.")
    return scores
