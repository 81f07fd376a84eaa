"""What is taken to hold of a product group before any of its listings is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.taxonomy import Taxonomy
from training.prepare import Prepared
from training.rates import GroupRate


def group_priors(
    taxonomy: Taxonomy, recalls: Prepared, rates: Mapping[str, GroupRate], smoothing: float = 10.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return P(h | non-compliant, group) and P(non-compliant | group), the last row for no group.

    The first is the group's test prior from the taxonomy; for hazards that it does not name, the share of recalls in
    the group, drawn toward their share of all recalls.
    """
    codes = tuple(taxonomy.groups)
    Y = recalls.labels.value * recalls.labels.known
    overall = Y.mean(axis=0) if len(Y) else _mean_stated(taxonomy)
    prior = np.zeros((len(codes) + 1, len(taxonomy.codes)), dtype=np.float32)
    prior[-1] = overall
    found = np.array([reading.group for reading in recalls.readings])
    for i, code in enumerate(codes):
        rows = found == code
        prior[i] = (Y[rows].sum(axis=0) + smoothing * overall) / (rows.sum() + smoothing)
        for hazard, weight in _stated_prior(taxonomy, code).items():
            prior[i, taxonomy.index(hazard)] = weight
    rate = np.array([*(rates[code].rate for code in codes), rates[""].rate], dtype=np.float32)
    return prior, rate


def _mean_stated(taxonomy: Taxonomy) -> np.ndarray:
    """Return the mean test prior over the product groups that have one, for training without recalls."""
    stated = [group.hazard_prior for group in taxonomy.groups.values() if group.hazard_prior]
    mean = np.zeros(len(taxonomy.codes))
    for prior in stated:
        for hazard, weight in prior.items():
            mean[taxonomy.index(hazard)] += weight / len(stated)
    return mean


def _stated_prior(taxonomy: Taxonomy, code: str) -> Mapping[str, float]:
    """Return the nearest test prior on the way from a group to its root."""
    at: str | None = code
    while at is not None:
        group = taxonomy.groups[at]
        if group.hazard_prior:
            return group.hazard_prior
        at = group.parent
    return {}
