"""The second factor where no recalls are at hand: it says nothing, and the prior of each product group rules."""

from __future__ import annotations

import numpy as np

from features.text import NgramVocabulary
from training.heads import HazardTypeHeads, TextHeads


def untaught_type_heads(n_hazards: int, n_dimensions: int) -> HazardTypeHeads:
    """Return heads without evidence: no n-grams, no kinds, no positives, so that only group priors count.

    Parameters
    ----------
    n_hazards
        Hazards of the taxonomy.
    n_dimensions
        Length of an embedding.
    """
    nothing = np.zeros((0, n_hazards), dtype=np.float32)
    level = np.full(
        n_hazards, -4.0, dtype=np.float32
    )  # about 2 %; not heard anyway, with no positives behind it
    return HazardTypeHeads(
        TextHeads(
            NgramVocabulary.fit([], min_documents=1),
            nothing,
            np.zeros((n_dimensions, n_hazards), dtype=np.float32),
            level,
        ),
        nothing,
        np.ones(n_hazards, dtype=np.float32),
        np.zeros(n_hazards, dtype=np.float32),
        np.zeros(n_hazards, dtype=np.int64),
    )
