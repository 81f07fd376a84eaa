"""Past results near a listing, by the embedding of their product names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.scores import PastResult

_FILE = "past_results.jsonl"


@dataclass(frozen=True, slots=True)
class PastResults:
    """What was found before.

    Attributes
    ----------
    results
        n past results; ``similarity`` is filled when one is returned.
    codes
        ndarray of shape (n, n_dimensions), int8: unit vectors times 127.
    """

    results: tuple[PastResult, ...]
    codes: np.ndarray

    def nearest(self, embedding: np.ndarray, limit: int, least: float = 0.45) -> tuple[PastResult, ...]:
        """Return up to ``limit`` different results with a cosine of at least ``least``, the nearest first."""
        if not self.results:
            return ()
        similarity = (self.codes @ embedding.astype(np.float32)) / 127.0
        order = np.argsort(-similarity)[: limit * 4]
        found: list[PastResult] = []
        for i in order:
            if similarity[i] < least or len(found) == limit:
                break
            past = self.results[i]
            if any(other.product == past.product and other.regulator == past.regulator for other in found):
                continue
            found.append(
                PastResult(**(asdict(past) | {"similarity": round(float(min(similarity[i], 1.0)), 4)}))
            )
        return tuple(found)

    def save(self, folder: Path) -> None:
        """Write the results beside the bundle's arrays."""
        with (folder / _FILE).open("w", encoding="utf-8") as stream:
            for result in self.results:
                stream.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path, codes: np.ndarray) -> PastResults:
        """Read what `save` wrote."""
        results = []
        with (folder / _FILE).open(encoding="utf-8") as stream:
            for line in stream:
                raw = json.loads(line)
                results.append(PastResult(**(raw | {"hazards": tuple(raw["hazards"])})))
        # One float32 copy: an int8 product is slower in numpy than the copy is large.
        return cls(tuple(results), codes.astype(np.float32))


def quantise(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors as int8, shape kept."""
    return np.clip(np.round(vectors * 127.0), -127, 127).astype(np.int8)
