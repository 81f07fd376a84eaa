"""Our system exactly as users run it: ``listing-risk batch`` with the starter bundle, over a file of listings."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.ours import CommandError, listing_risk
from benchmarks.results_file import ROOT

Row = Mapping[str, object]

KEPT = ROOT / ".cache" / "robustness"
_CODE = ("features", "training", "serving/starter")
_SUFFIXES = frozenset({".py", ".yaml", ".txt", ".csv", ".json", ".safetensors"})
# What was asked for most by the policy comes last; from `review` on somebody has to look.
ACTIONS = ("allow", "monitor", "review", "lab_test", "block")
FLAGGED_FROM = float(ACTIONS.index("review"))


@cache
def code_sha256() -> str:
    """Return one hash of everything that scores: code, word lists and the starter bundle."""
    digest = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in _SUFFIXES and "sample" not in path.parts:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def batch(rows: Sequence[Row]) -> pd.DataFrame:
    """Score listings with the starter bundle.

    The same listings under the same code are not scored twice: scores are kept below ``.cache``.

    Returns
    -------
    DataFrame
        Output of ``batch``, one row a listing in their order.

    Raises
    ------
    CommandError
        When the command fails or a listing was rejected.
    """
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    name = hashlib.sha256((code_sha256() + text).encode("utf-8", "surrogatepass")).hexdigest()[:24]
    kept = KEPT / f"{name}.parquet"
    if not kept.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder) / "listings.jsonl", Path(folder) / "scores.parquet"
            source.write_text(text, encoding="utf-8")
            listing_risk("batch", str(source), "--output", str(output), "--processes", "1")
            scores = pd.read_parquet(output).drop(columns=["basis"])
        if scores["listing_id"].astype(str).tolist() != [str(row["id"]) for row in rows]:
            raise CommandError(
                f"Got scores of {len(scores):,} listings; expected {len(rows):,} in their order."
            )
        scores.to_parquet(kept, compression="zstd", index=False)
    return pd.read_parquet(kept)


def actions(scores: pd.DataFrame) -> np.ndarray:
    """Return how strict the action is, shape (n,): 0 allow to 4 block."""
    return np.array([float(ACTIONS.index(action)) for action in scores["action"]])
