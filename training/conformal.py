"""A bound on what slips through: the threshold below which goods may be let pass, from past failing goods.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2022) with the loss "a failing item scores below
the threshold": if past and future FAILING goods are exchangeable, the expected share of future failing goods that are
let through is at most the level asked for, whatever the model is worth. A shift in time breaks that; it has to be
measured, not assumed away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class LetThrough:
    """A threshold and what it promises.

    Attributes
    ----------
    level
        Highest expected share of failing goods that score below the threshold.
    threshold
        Goods below may be let through; 0 where nothing may be.
    failing
        Failing goods it was chosen on.
    possible
        False where there are too few of them: level ``a`` needs at least ``1 / a - 1``.
    """

    level: float
    threshold: float
    failing: int
    possible: bool


def let_through(failing_scores: np.ndarray, level: float) -> LetThrough:
    """Choose the highest threshold that keeps the bound.

    Parameters
    ----------
    failing_scores
        ndarray of shape (n,): scores of goods that failed, from a model that did not learn from them.
    level
        Between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        For a level outside that range, or scores that are not finite.
    """
    if not 0 < level < 1:
        raise ValueError(f"Got level={level}; expected a share between 0 and 1, both excluded.")
    scores = np.sort(np.asarray(failing_scores, dtype=np.float64))
    if not np.isfinite(scores).all():
        raise ValueError("Got scores of failing goods that are not finite; leave unscored goods out.")
    n = len(scores)
    # At most `missed` of the n may score below the threshold: (missed + 1) / (n + 1) <= level.
    missed = int(np.floor(level * (n + 1) + 1e-9)) - 1
    if missed < 0:
        return LetThrough(level, 0.0, n, False)
    return LetThrough(level, float(scores[missed]) if missed < n else float("inf"), n, True)


def share_let_through(scores: np.ndarray, bound: LetThrough) -> float:
    """Return the share of goods that score below the threshold; NaN without goods."""
    return float(np.mean(np.asarray(scores) < bound.threshold)) if len(scores) else float("nan")


def next_level(current: float, asked: float, seen: float, step: float) -> float:
    """Return the level to choose the next threshold at, after a period that let ``seen`` of the failing goods through.

    Adaptive conformal inference (Gibbs and Candes 2021): where more slipped through than was asked for, the next
    threshold is chosen more strictly, whatever the shift that caused it; in the long run the mean meets what was asked.

    Parameters
    ----------
    current, asked
        Level of the period that ended, and the one that is wanted in the long run.
    seen
        Share of failing goods that scored below the threshold; NaN where none failed leaves the level as it is.
    step
        How much of the difference counts at once, in (0, 1].
    """
    if np.isnan(seen):
        return current
    return float(np.clip(current + step * (asked - seen), 0.2 * asked, 2.0 * asked))
