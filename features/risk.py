"""Risk level and expected harm: probability of INJURY over the product's life crossed with its severity.

The table is that of the EU risk-assessment guideline (Decision (EU) 2019/417); it comes from ``taxonomy.yaml``,
where its source and its mark (unverified) stand. Pure numpy over blocks of listings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.taxonomy import AUDIENCES, RiskMatrix, Taxonomy, load_taxonomy

RISK_LEVELS: tuple[str, ...] = ("low", "medium", "high", "serious")


def risk_level(p_injury: np.ndarray, severity: np.ndarray, matrix: RiskMatrix | None = None) -> np.ndarray:
    """Risk level per cell.

    Parameters
    ----------
    p_injury
        ndarray of any shape: probability of injury over the product's life, 0 to 1.
    severity
        ndarray of int, 1 to 4, broadcast against ``p_injury``, for instance of shape (n_hazards,).
    matrix
        The table; None for that of the packaged taxonomy.

    Returns
    -------
    ndarray of str, of the broadcast shape
        ``low``, ``medium``, ``high`` or ``serious``. A probability exactly on a bound belongs to the band below.

    Raises
    ------
    ValueError
        For a probability outside 0 to 1 (NaN included) or a severity outside 1 to 4.
    """
    matrix = matrix or load_taxonomy().risk_matrix
    p_injury, severity = np.asarray(p_injury, dtype=np.float64), np.asarray(severity)
    _check_probabilities(p_injury, "p_injury")
    if not set(severity.ravel().tolist()) <= {1, 2, 3, 4}:
        raise ValueError(f"got severities {np.unique(severity).tolist()[:10]}, expected 1, 2, 3 or 4")
    # side="left" counts the bounds strictly below p: "greater than 1/100" excludes 1/100 itself.
    band = np.searchsorted(matrix.bounds, p_injury, side="left")
    return matrix.levels[band, severity.astype(np.intp) - 1]


def injury_probability(p: np.ndarray, taxonomy: Taxonomy, audiences: Sequence[str]) -> np.ndarray:
    """P(injury) = P(fails for h) x P(injury | fails for h).

    Parameters
    ----------
    p
        ndarray of shape (n_listings, n_hazards), taxonomy order: P(listing fails for h).
    taxonomy
        Where P(injury | non-compliant) stands.
    audiences
        One per listing: ``under_3``, ``under_14`` or ``general``.

    Returns
    -------
    ndarray of shape (n_listings, n_hazards), float64

    Raises
    ------
    ValueError
        For a wrong shape, a probability outside 0 to 1, or an audience that does not exist.
    """
    p = np.asarray(p, dtype=np.float64)
    n_hazards = len(taxonomy.hazards)
    if p.ndim != 2 or p.shape[1] != n_hazards:
        raise ValueError(f"got probabilities of shape {p.shape}, expected (n_listings, {n_hazards})")
    if len(audiences) != len(p):
        raise ValueError(f"got {len(audiences)} audiences for {len(p)} listings, expected one each")
    _check_probabilities(p, "p")
    unknown = set(audiences) - set(AUDIENCES)
    if unknown:
        raise ValueError(f"got audiences {sorted(unknown)[:5]}, expected {', '.join(AUDIENCES)}")
    table = np.stack([taxonomy.p_injury(audience) for audience in AUDIENCES])
    rows = {audience: row for row, audience in enumerate(AUDIENCES)}
    return p * table[np.fromiter((rows[audience] for audience in audiences), np.intp, len(p))]


def hazard_risk_levels(p: np.ndarray, taxonomy: Taxonomy, audiences: Sequence[str]) -> np.ndarray:
    """Risk level per listing and hazard; parameters and errors as `injury_probability`.

    Returns
    -------
    ndarray of str of shape (n_listings, n_hazards)
    """
    return risk_level(injury_probability(p, taxonomy, audiences), taxonomy.severities, taxonomy.risk_matrix)


def listing_risk_level(p: np.ndarray, taxonomy: Taxonomy, audiences: Sequence[str]) -> np.ndarray:
    """Risk level per listing: that of its worst hazard; parameters and errors as `injury_probability`.

    Returns
    -------
    ndarray of str of shape (n_listings,)
    """
    return worst_level(hazard_risk_levels(p, taxonomy, audiences))


def worst_level(levels: np.ndarray) -> np.ndarray:
    """Worst of the levels along the last axis.

    Parameters
    ----------
    levels
        ndarray of str of shape (..., n), n of at least 1.

    Returns
    -------
    ndarray of str of shape (...,)
    """
    names = np.array(RISK_LEVELS)
    rank = np.zeros(levels.shape, dtype=np.int8)
    for position, name in enumerate(RISK_LEVELS):
        rank[levels == name] = position
    return names[rank.max(axis=-1)]


def exposure_of(units_sold: Sequence[int | float | None] | np.ndarray) -> np.ndarray:
    """Exposure from units sold.

    Parameters
    ----------
    units_sold
        One per listing; None or NaN where unknown.

    Returns
    -------
    ndarray of shape (n_listings,), float64
        Units sold, and 1 where unknown or none yet: an offer nobody has bought can still be bought.

    Raises
    ------
    ValueError
        For negative or infinite counts.
    """
    units = np.array([np.nan if value is None else value for value in units_sold], dtype=np.float64)
    if np.any(units < 0) or np.any(np.isinf(units)):
        raise ValueError("got units sold below 0 or infinite, expected counts of 0 or more, or None")
    return np.maximum(np.nan_to_num(units, nan=1.0), 1.0)


def expected_harm(
    p: np.ndarray,
    taxonomy: Taxonomy,
    audiences: Sequence[str],
    exposure: np.ndarray | None = None,
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Expected harm: sum over h of weight(severity of h) x P(injury by h) x exposure.

    Parameters
    ----------
    p, taxonomy, audiences
        As in `injury_probability`.
    exposure
        ndarray of shape (n_listings,), see `exposure_of`; None for 1 everywhere.
    weights
        Four weights for severity 1 to 4; None for those of the taxonomy (1, 10, 100, 1000).

    Returns
    -------
    ndarray of shape (n_listings,), float64
        In units of one first-aid injury.

    Raises
    ------
    ValueError
        As in `injury_probability`, and for exposure or weights of a wrong shape or below 0.
    """
    return harm_of(injury_probability(p, taxonomy, audiences), taxonomy, exposure, weights)


def harm_of(
    injuries: np.ndarray,
    taxonomy: Taxonomy,
    exposure: np.ndarray | None = None,
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Expected harm from what `injury_probability` gave; the rest as in `expected_harm`."""
    chosen = np.asarray(taxonomy.harm_weights if weights is None else weights, dtype=np.float64)
    if chosen.shape != (4,) or not np.all(np.isfinite(chosen)) or np.any(chosen < 0):
        raise ValueError(f"got weights {chosen.tolist()}, expected four numbers of 0 or more")
    # Not a matrix product, which rounds by the number of rows: a listing's harm does not depend on its neighbours.
    harm = (injuries * chosen[taxonomy.severities - 1]).sum(axis=1)
    if exposure is None:
        return harm
    exposure = np.asarray(exposure, dtype=np.float64)
    if exposure.shape != harm.shape or not np.all(np.isfinite(exposure)) or np.any(exposure < 0):
        raise ValueError(
            f"got exposure of shape {exposure.shape}, expected {harm.shape} with numbers of 0 or more"
        )
    return harm * exposure


def _check_probabilities(values: np.ndarray, name: str) -> None:
    # The comparison is False for NaN, so NaN is refused too.
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"got {name} outside 0 to 1 (or NaN), expected probabilities")
