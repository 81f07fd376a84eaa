"""Past results near a listing, by the embedding of their product names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from training.scores import PastResult

_FILE = "past_results.jsonl"


_SHORTLIST = 128
_BASIS = 96


@dataclass(frozen=True, slots=True)
class PastResults:
    """What was found before.

    Attributes
    ----------
    results
        n past results; ``similarity`` is filled when one is returned.
    codes
        ndarray of shape (n, n_dimensions), int8: unit vectors times 127.
    basis
        ndarray of shape (n_dimensions, n_basis), float32: directions in which the vectors differ most.
    coarse
        ndarray of shape (n, n_basis), float32: the vectors in that basis, for a shortlist that fits the cache.
    """

    results: tuple[PastResult, ...]
    codes: np.ndarray
    basis: np.ndarray
    coarse: np.ndarray

    def nearest(self, embedding: np.ndarray, limit: int, least: float = 0.45) -> tuple[PastResult, ...]:
        """Return up to ``limit`` different results with a cosine of at least ``least``, the nearest first."""
        if not self.results:
            return ()
        coarse = self.coarse @ (embedding @ self.basis)
        few = min(_SHORTLIST, len(coarse))
        short = np.argpartition(-coarse, few - 1)[:few]
        similarity = (self.codes[short].astype(np.float32) @ embedding) / 127.0
        order = np.argsort(-similarity, kind="stable")
        found: dict[tuple[str, str], PastResult] = {}
        for at, near in zip(short[order].tolist(), similarity[order].tolist(), strict=True):
            if near < least or len(found) == limit:
                break
            past = self.results[at]
            if (past.product, past.regulator) not in found:
                found[past.product, past.regulator] = replace(past, similarity=round(min(near, 1.0), 4))
        return tuple(found.values())

    def save(self, folder: Path) -> None:
        """Write the results beside the bundle's arrays."""
        with (folder / _FILE).open("w", encoding="utf-8") as stream:
            for result in self.results:
                stream.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path, codes: np.ndarray, basis: np.ndarray) -> PastResults:
        """Read what `save` wrote; the arrays come from the bundle."""
        results = []
        with (folder / _FILE).open(encoding="utf-8") as stream:
            for line in stream:
                raw = json.loads(line)
                results.append(PastResult(**(raw | {"hazards": tuple(raw["hazards"])})))
        return cls.of(tuple(results), codes, basis)

    @classmethod
    def of(cls, results: tuple[PastResult, ...], codes: np.ndarray, basis: np.ndarray) -> PastResults:
        """Put results and their vectors together."""
        return cls(results, codes, basis, (codes.astype(np.float32) @ basis) / 127.0)


def quantise(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors as int8, shape kept."""
    return np.clip(np.round(vectors * 127.0), -127, 127).astype(np.int8)


def principal_basis(vectors: np.ndarray, size: int = _BASIS) -> np.ndarray:
    """Return the directions that keep most of the vectors, shape (n_dimensions, at most ``size``), float32."""
    if not len(vectors):
        return np.zeros((vectors.shape[1], 1), np.float32)
    # Not centred: cosines are what the shortlist has to keep.
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    return np.ascontiguousarray(directions[:size].T, dtype=np.float32)
