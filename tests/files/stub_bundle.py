"""A bundle whose scores the listing itself dictates: attribute ``p:lead`` = ``0.9`` gives p_lead 0.9."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from features.schema import Listing
from features.taxonomy import Taxonomy, load_taxonomy
from training.scores import BASES, PastResult, Phrase, Scores

MONITOR, REVIEW, LAB_TEST, BLOCK = 0.05, 0.1, 0.3, 0.8


def small_taxonomy() -> Taxonomy:
    """The packaged hazards with three product groups, so that these tests do not move with the groups' file."""
    taxonomy = dataclasses.replace(load_taxonomy())
    taxonomy.__dict__["groups"] = {
        "children": SimpleNamespace(parent=None),
        "toys": SimpleNamespace(parent="children"),
        "chargers": SimpleNamespace(parent=None),
    }
    return taxonomy


def operating_points(taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    every = (*taxonomy.codes, "p_noncompliant")
    return {
        "monitor": dict.fromkeys(every, MONITOR),
        "review": dict.fromkeys(every, REVIEW),
        "lab_test": dict.fromkeys(every, LAB_TEST),
        "block": {"covert_camera": BLOCK},
    }


@dataclass
class StubManifest:
    operating_points: dict[str, dict[str, float]]


class StubBundle:
    version = "stub-1+00000000"

    def __init__(self, busy_ms: float = 0.0) -> None:
        self.taxonomy = small_taxonomy()
        self.manifest = StubManifest(operating_points(self.taxonomy))
        self.busy_ms = busy_ms
        self.explained = 0

    def score(self, listings: Sequence[Listing]) -> Scores:
        if self.busy_ms:
            end = time.perf_counter() + self.busy_ms * len(listings) / 1000
            while time.perf_counter() < end:
                pass
        codes = self.taxonomy.codes
        for listing in listings:
            if "explode" in listing.attributes:
                raise ValueError(f"cannot read {listing.title}")
        p = np.array([[float(one.attributes.get(f"p:{code}", 0.001)) for code in codes] for one in listings])
        mask = self.taxonomy.laboratory_mask
        q = np.where(mask, 1 / mask.sum(), np.nan) * np.ones_like(p)
        basis = np.where(mask, BASES.index("recall"), BASES.index("policy")).astype(np.int8)
        whole = np.array([float(one.attributes.get("p", 0.0)) for one in listings])
        return Scores(
            listing_ids=tuple(one.id for one in listings),
            p_noncompliant=np.maximum(whole, (p * mask).max(axis=1)),
            p=p,
            q=q,
            basis=np.broadcast_to(basis, p.shape),
            base_rate=np.full(len(codes), 0.01),
            groups=tuple(one.attributes.get("group", "") for one in listings),
            audiences=tuple(one.attributes.get("audience", "general") for one in listings),
            languages=("ko",) * len(listings),
        )

    def explain(self, listing: Listing, hazards: Sequence[str], limit: int = 5) -> tuple[Phrase, ...]:
        self.explained += 1
        words = listing.title[:4]
        return tuple(Phrase("title", 0, len(words), words, 1.5, hazard) for hazard in hazards)[:limit]

    def nearest(self, listing: Listing, limit: int = 3) -> tuple[PastResult, ...]:
        return (PastResult("made up", "X-1", "2026-01-02", "a made-up thing", ("lead",), 0.9),)[:limit]
