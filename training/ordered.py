"""Past results per key, each described by those before it in a random order, drawn toward the mean.

A result must not describe itself: with its own result in its rate a model learns to read the result off the rate, and
leaving out the row itself leaks it just as well, the other way round. So results are put in a random order and each is
described by those before it (ordered target statistics; Prokhorenkova and others 2018, "CatBoost: unbiased boosting
with categorical features"). `training.histories` has the crosses, and rates for uses that fit no model on them.
"""

from __future__ import annotations

import numpy as np

# Imaginary results at the mean rate.
STRENGTH = 2.0


def ordered_rates(
    keys: np.ndarray, outcome: np.ndarray, random: np.random.Generator, strength: float = STRENGTH
) -> np.ndarray:
    """Rate and count per key, of the results before each one in a random order.

    Parameters
    ----------
    keys
        ndarray of shape (n, n_keys), int: of rows with results.
    outcome
        ndarray of shape (n,), 0 or 1.
    random
        Gives the order.
    strength
        Imaginary results at the mean rate.

    Returns
    -------
    ndarray of shape (n, 2 * n_keys), float64
        Rates and counts, key by key.
    """
    n = len(outcome)
    order = random.permutation(n)
    mean = float(outcome.mean()) if n else 0.5
    found = np.empty((n, 2 * keys.shape[1]))
    for column in range(keys.shape[1]):
        kind, result = keys[order, column], outcome[order]
        by_kind = np.argsort(kind, kind="stable")
        sorted_kind, sorted_result = kind[by_kind], result[by_kind]
        starts = np.r_[True, sorted_kind[1:] != sorted_kind[:-1]] if n else np.zeros(0, dtype=bool)
        first = np.maximum.accumulate(np.where(starts, np.arange(n), 0)) if n else np.zeros(0, dtype=np.int64)
        before = np.cumsum(sorted_result) - sorted_result
        tests, fails = np.arange(n) - first, before - before[first]
        where = order[by_kind]
        found[where, 2 * column] = (fails + strength * mean) / (tests + strength)
        found[where, 2 * column + 1] = tests
    return found


def rates_of(keys: np.ndarray, outcome: np.ndarray, of: np.ndarray, strength: float = STRENGTH) -> np.ndarray:
    """Rate and count per key of all results, for rows without one.

    Parameters
    ----------
    keys, outcome
        Of rows with results, as in `ordered_rates`.
    of
        ndarray of shape (m, n_keys): keys of the rows to describe.

    Returns
    -------
    ndarray of shape (m, 2 * n_keys), float64
    """
    mean = float(outcome.mean()) if len(outcome) else 0.5
    found = np.empty((len(of), 2 * of.shape[1]))
    for column in range(of.shape[1]):
        size = int(max(keys[:, column].max(initial=0), of[:, column].max(initial=0))) + 1
        tests = np.bincount(keys[:, column], minlength=size)[of[:, column]].astype(float)
        fails = np.bincount(keys[:, column], outcome, minlength=size)[of[:, column]]
        found[:, 2 * column] = (fails + strength * mean) / (tests + strength)
        found[:, 2 * column + 1] = tests
    return found
