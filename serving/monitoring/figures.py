"""Statistics over the counts of two windows, and over what came true. Pure.

Drift of a field: population stability index (PSI) with the chi-square test beside it, since the PSI of few rows is
never 0 and a test of many rows always says yes. Performance without labels: what calibrated probabilities promise
(confidence-based performance estimation, as in Guillory et al. 2021, ICCV, and the library NannyML).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from serving.monitoring.watch import OTHER, Window

_LEAST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a field moved.

    Attributes
    ----------
    psi
        Population stability index less what chance alone would give; 0.1 is usually taken for little, 0.25 for much.
    p_value
        Of the chi-square test that both windows are alike.
    most
        The values that moved most, with their share before and now.
    """

    field: str
    kind: str
    psi: float
    p_value: float
    before: int
    now: int
    most: tuple[tuple[str, float, float], ...] = ()


def drift(field: str, kind: str, before: np.ndarray, now: np.ndarray, labels: Sequence[str] = ()) -> Drift:
    """Compare two histograms over the same bins.

    Parameters
    ----------
    before, now
        ndarrays of shape (n_bins,): counts.
    labels
        Names of the bins, for what moved most.
    """
    n, m = float(before.sum()), float(now.sum())
    if not n or not m:
        return Drift(field, kind, 0.0, 1.0, int(n), int(m))
    a, b, names = _merged(before, now, labels)
    p, q = (a + 0.5) / (n + 0.5 * len(a)), (b + 0.5) / (m + 0.5 * len(b))
    raw = float(np.sum((q - p) * np.log(q / p)))
    chance = (len(a) - 1) * (1 / n + 1 / m)
    together = (a + b) / (n + m)
    statistic = float(
        np.sum((a - n * together) ** 2 / (n * together) + (b - m * together) ** 2 / (m * together))
    )
    p_value = float(chi2.sf(statistic, max(len(a) - 1, 1))) if len(a) > 1 else 1.0
    order = np.argsort(-np.abs(q - p))[:4]
    most = tuple((names[i], float(a[i] / n), float(b[i] / m)) for i in order) if names else ()
    return Drift(field, kind, max(raw - chance, 0.0), p_value, int(n), int(m), most)


def _merged(
    before: np.ndarray, now: np.ndarray, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Put bins together that hold too little for the test."""
    share = (before + now) / (before.sum() + now.sum())
    enough = share * min(before.sum(), now.sum()) >= _LEAST_EXPECTED
    if enough.all():
        return before, now, list(labels)
    a = np.append(before[enough], before[~enough].sum())
    b = np.append(now[enough], now[~enough].sum())
    names = [label for label, kept in zip(labels, enough, strict=True) if kept] + [OTHER] if labels else []
    if a[-1] + b[-1] == 0:
        return a[:-1], b[:-1], names[:-1]
    return a, b, names


def window_drift(before: Window, now: Window, hazards: Sequence[str]) -> tuple[Drift, ...]:
    """Compare two windows field by field; kinds are ``input``, ``score`` and ``action``, the widest drift first."""
    found: list[Drift] = []
    for name in before.names.keys() | now.names.keys():
        old, new = before.names.get(name, {}), now.names.get(name, {})
        labels = sorted(old.keys() | new.keys())
        a = np.array([float(old.get(label, 0)) for label in labels])
        b = np.array([float(new.get(label, 0)) for label in labels])
        kind = "action" if name in ("action", "state") else "input"
        found.append(drift(name, kind, a, b, [label or "(none)" for label in labels]))
    shared = before.values.keys() & now.values.keys()
    found += [drift(name, "input", before.values[name], now.values[name]) for name in shared]
    found += [
        drift(name, "score", before.p_bins[k], now.p_bins[k])
        for k, name in enumerate((*hazards, "p_noncompliant"))
    ]
    return tuple(sorted(found, key=lambda one: (-one.psi, one.field)))


@dataclass(frozen=True, slots=True)
class Promised:
    """What the probabilities promise of a window, without a label.

    Attributes
    ----------
    rate
        Expected share of non-compliant listings.
    precision
        Action -> expected share of non-compliant ones among its listings.
    caught
        Expected share of all non-compliant listings that a review, a test or a block reaches.
    auc
        Expected area under the ROC curve of P(non-compliant).
    """

    rate: float
    precision: Mapping[str, float]
    caught: float
    auc: float


def promised(window: Window, acted: Sequence[str] = ("review", "lab_test", "block")) -> Promised:
    """Say what the probabilities of a window promise, if they are calibrated."""
    counts, sums = window.p_bins[-1], window.p_sums[-1]
    total = float(sums.sum())
    precision = {action: s / n for action, (n, s) in sorted(window.by_action.items()) if n}
    reached = sum(s for action, (_, s) in window.by_action.items() if action in acted)
    negatives = counts - sums
    below = np.cumsum(negatives) - negatives
    pairs = float(np.sum(sums * (below + negatives / 2)))
    space = total * float(negatives.sum())
    return Promised(
        total / max(window.n, 1),
        precision,
        reached / total if total else 0.0,
        pairs / space if space else 0.5,
    )


def embedding_drift(
    before: np.ndarray, now: np.ndarray, *, ridge: float = 1.0, folds: int = 5
) -> tuple[float, float]:
    """Ask how well a linear classifier tells two samples of embeddings apart, on rows it has not seen.

    Parameters
    ----------
    before, now
        ndarrays of shape (n, n_dimensions), (m, n_dimensions).

    Returns
    -------
    auc : float
        0.5 where they cannot be told apart.
    z : float
        How many standard errors above 0.5 (Mann-Whitney, no ties).
    """
    n, m = len(before), len(now)
    if min(n, m) < 50:
        return 0.5, 0.0
    X = np.vstack([before, now]).astype(np.float64)
    y = np.concatenate([-np.ones(n), np.ones(m)])
    X = np.column_stack([X - X.mean(axis=0), np.ones(n + m)])
    scale = float(np.mean(np.sum(X * X, axis=1)))
    at = np.random.default_rng(0).permutation(n + m)
    score = np.empty(n + m)
    for part in np.array_split(at, folds):
        train = np.setdiff1d(at, part)
        weight = np.where(y[train] > 0, (n + m) / (2 * m), (n + m) / (2 * n))
        gram = (X[train] * weight[:, None]).T @ X[train]
        gram[np.diag_indices_from(gram)] += ridge * scale
        score[part] = X[part] @ np.linalg.solve(gram, X[train].T @ (weight * y[train]))
    order = np.argsort(np.argsort(score)) + 1.0
    auc = float((order[y > 0].sum() - m * (m + 1) / 2) / (n * m))
    error = float(np.sqrt((n + m + 1) / (12.0 * n * m)))
    return auc, (auc - 0.5) / error


@dataclass(frozen=True, slots=True)
class Matured:
    """Labels that came back, as columns.

    Attributes
    ----------
    hazard, language, group, action
        One text a row.
    p, failed
        ndarrays of shape (n,): what was said, what came true.
    delay_days
        ndarray of shape (n,): from the decision to the label.
    age_days
        ndarray of shape (n,): from the decision to now.
    """

    hazard: np.ndarray
    language: np.ndarray
    group: np.ndarray
    action: np.ndarray
    p: np.ndarray
    failed: np.ndarray
    delay_days: np.ndarray
    age_days: np.ndarray


@dataclass(frozen=True, slots=True)
class Kept:
    """Expected over observed fails of a slice of matured labels, with a 95 % interval."""

    slice: str
    label: str
    n: int
    expected: float
    observed: int
    ratio: float
    low: float
    high: float
    brier: float


@dataclass(frozen=True, slots=True)
class Performance:
    """What came true of decisions old enough for their labels to be in.

    Attributes
    ----------
    matured_after_days
        Nine tenths of all labels are in by then; younger decisions are not judged, since the early labels are not a
        fair sample of all.
    labels, judged, waiting
        All labels; those of decisions old enough; those of younger ones.
    precision
        Action -> (n, share that failed) of judged labels.
    """

    matured_after_days: float
    labels: int
    judged: int
    waiting: int
    median_delay_days: float
    precision: Mapping[str, tuple[int, float]]
    calibration: tuple[Kept, ...]


def performance(labels: Matured, *, matured_after_days: float | None = None, fewest: int = 20) -> Performance:
    """Judge matured labels: calibration over all, per hazard, language and product group, and precision per action.

    Parameters
    ----------
    matured_after_days
        Decisions younger than this are left out; None for nine tenths of the delays seen so far.
    fewest
        Slices with fewer labels are not judged.
    """
    delays = labels.delay_days
    after = matured_after_days if matured_after_days is not None else 0.0
    if matured_after_days is None and len(delays):
        after = float(np.quantile(delays, 0.9))
    old = labels.age_days >= after
    found: list[Kept] = []
    for name in ("all", "hazard", "language", "group"):
        column = np.full(len(old), "all") if name == "all" else getattr(labels, name)
        for label in sorted({str(x) for x in column[old]}):
            rows = old & (column == label)
            if rows.sum() >= fewest:
                found.append(_kept(name, label, labels.p[rows], labels.failed[rows]))
    precision = {
        str(action): (int(rows.sum()), float(labels.failed[rows].mean()))
        for action in sorted({str(x) for x in labels.action[old]})
        if (rows := old & (labels.action == action)).sum()
    }
    return Performance(
        after,
        len(old),
        int(old.sum()),
        int((~old).sum()),
        float(np.median(delays)) if len(delays) else 0.0,
        precision,
        tuple(found),
    )


def _kept(name: str, label: str, p: np.ndarray, failed: np.ndarray) -> Kept:
    from scipy.special import betaincinv

    n, observed, expected = len(p), int(failed.sum()), float(p.sum())
    low = 0.0 if not observed else float(betaincinv(observed, n - observed + 1, 0.025))
    high = 1.0 if observed == n else float(betaincinv(observed + 1, n - observed, 0.975))
    return Kept(
        name,
        label or "(none)",
        n,
        expected,
        observed,
        expected / max(observed, 0.5),
        expected / (high * n),
        expected / max(low * n, 1e-9),
        float(np.mean((p - failed) ** 2)),
    )
