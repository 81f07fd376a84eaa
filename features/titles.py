"""One normalisation of a title for all who read it: the name view, the search for banned items, the reasons."""

from __future__ import annotations

from functools import lru_cache

from features.normalize import Normalized, normalize

KEPT = 2_048
"""Titles kept, about 2 kB each: a block of listings passes several readers before the next comes."""
_LONGEST = 300


def title_of(title: str) -> Normalized:
    """Return a title normalised; the latest are kept, long ones apart."""
    return _kept(title) if len(title) <= _LONGEST else normalize(title)


@lru_cache(maxsize=KEPT)
def _kept(title: str) -> Normalized:
    return normalize(title)
