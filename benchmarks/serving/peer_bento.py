"""The peer's model behind BentoML with its adaptive batching, everything at its defaults.

PEER_MODEL=MODEL PYTHON -m bentoml serve peer_bento:PeerService
"""

# pyright: reportMissingImports=false

import os
from pathlib import Path

import bentoml
from peer import Pipeline


@bentoml.service(name="peer")
class PeerService:
    """Scores titles; calls that come together are one call of the model."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(Path(os.environ["PEER_MODEL"]))

    @bentoml.api(batchable=True)
    def score(self, titles: list[str]) -> list[dict[str, float]]:
        """Return hazard -> probability for each title."""
        return self.pipeline.score(titles)
