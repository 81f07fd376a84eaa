"""Who the labels come from: one seller or maker whose results outweigh all others' teaches the model about itself.

Flooding is cheap where results are taken from sellers' own certificates or test reports: hundreds of passed samples of
goods that never failed pull a whole product group's rate down.
"""

from __future__ import annotations

from collections import defaultdict
from math import sqrt

import numpy as np

from features.taxonomy import Taxonomy
from training.findings import CheckData, Finding

_FEWEST = 30
_SHARE, _MOST = 0.15, 0.5
_Z = 5.0
_NOBODY = frozenset(
    {"", "-", "unknown", "unk", "n/a", "na", "none", "no brand", "not listed", "not available", "unbranded", "미상",
     "없음"}
)  # fmt: skip


def one_source(data: CheckData, taxonomy: Taxonomy) -> list[Finding]:
    """Find hazards whose laboratory results come to a large part from one seller or maker with another rate of fails.

    From 15 % of a hazard's results on it is told where the seller's rate of fails is far from all others' (z of 5);
    from half of them on in any case.
    """
    if not len(data.lab):
        return []
    of = _sources(data)
    findings: list[Finding] = []
    for k, code in enumerate(taxonomy.codes):
        rows = np.flatnonzero(data.lab.known[:, k])
        if len(rows) < 2 * _FEWEST:
            continue
        groups: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            if source := of.get(data.lab.items[int(row)].id, ""):
                groups[source].append(int(row))
        if groups:
            largest = max(groups.values(), key=len)
            findings += _told(code, data, k, rows, largest)
    return findings


def _sources(data: CheckData) -> dict[str, str]:
    """Item id -> its seller where listings are given, else its maker."""
    found: dict[str, str] = {}
    for result in data.raw_results:
        listing = data.listings.get(result.listing_id) if result.listing_id else None
        seller = listing.seller.id if listing is not None and listing.seller is not None else None
        name = " ".join((seller or result.maker).lower().split())
        if name not in _NOBODY:
            found[f"{result.source}:{result.native_id}"] = name
    return found


def _told(code: str, data: CheckData, k: int, rows: np.ndarray, largest: list[int]) -> list[Finding]:
    n, total = len(largest), len(rows)
    if n < _FEWEST or n < _SHARE * total:
        return []
    failed = float(data.lab.value[largest, k].sum())
    failed_all = float(data.lab.value[rows, k].sum())
    others = total - n
    rate, other_rate = failed / n, (failed_all - failed) / others if others else 0.0
    if n < _MOST * total and abs(_z(failed, n, failed_all - failed, others)) < _Z:
        return []
    return [
        Finding(
            "source.one_seller",
            "look",
            f"{n} of {total} results for {code} come from one seller or maker, of whose goods {rate:.0%} failed; of "
            f"all others' {other_rate:.0%} did.",
            "Somebody may have flooded the file with results of their own. Look where these came from; keep those that "
            "you had tested yourself, or give them less weight (column weight).",
            n,
            total,
            tuple(data.lab.items[row].id for row in largest[:5]),
        )
    ]


def _z(failed: float, n: int, failed_others: float, others: int) -> float:
    """How far two rates of fails are apart, in standard errors of their pooled rate."""
    if not others:
        return float("inf")
    pooled = (failed + failed_others) / (n + others)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / others))
    return 0.0 if error == 0 else (failed / n - failed_others / others) / error
