"""Fit the matcher: gradient boosting over pair features, calibrated out of fold, compiled to arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from features.encoding import Encoder
from features.offer import OfferView, TokenWeights
from features.offer_pairs import PAIR_FEATURES
from training.matcher import CONTRACT, EXACT, NEAR, Matcher, MatcherHeader, Trees

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier


@dataclass(frozen=True, slots=True)
class PairSet:
    """Labelled pairs of offers.

    Attributes
    ----------
    name
        Of the source.
    left, right
        The offers.
    same
        ndarray of shape (n_pairs,), bool.
    groups
        Pairs of one group never fall into different folds; for example the product on the left.
    """

    name: str
    left: tuple[OfferView, ...]
    right: tuple[OfferView, ...]
    same: np.ndarray
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How the matcher is fitted.

    ``near_error`` and ``exact_error`` are the shares of different products, among pairs as a search finds them,
    that may reach the operating points.
    """

    trees: int = 200
    leaves: int = 15
    learning_rate: float = 0.06
    folds: int = 5
    seed: int = 0
    near_error: float = 2e-3
    exact_error: float = 2e-4
    name: str = "matcher"
    settings: Mapping[str, Any] = field(default_factory=dict)


def embed(encoder: Encoder, offers: Iterable[OfferView]) -> dict[str, np.ndarray]:
    """Encode each different title once; title -> ndarray of shape (n_dimensions,)."""
    titles = list(dict.fromkeys(offer.title for offer in offers))
    return dict(zip(titles, encoder.encode(titles), strict=True))


def cosines(pairs: PairSet, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Cosine of the two titles of each pair, shape (n_pairs,)."""
    return np.array(
        [float(vectors[a.title] @ vectors[b.title]) for a, b in zip(pairs.left, pairs.right, strict=True)]
    )


def fit_matcher(sets: Sequence[PairSet], encoder: Encoder, options: FitOptions | None = None) -> Matcher:
    """Fit one matcher on all pair sets.

    Each set has the same weight, however many pairs it has. The calibrator and the operating points come from
    out-of-fold scores.

    Raises
    ------
    ValueError
        When a set has no pair of one of the two kinds.
    """
    options = options or FitOptions()
    for one in sets:
        if not 0 < int(one.same.sum()) < len(one.same):
            raise ValueError(
                f"got {one.name} with {int(one.same.sum())} of {len(one.same)} the same; both are needed"
            )
    offers = [offer for one in sets for offer in (*one.left, *one.right)]
    weights = TokenWeights.fit(list({id(o): o for o in offers}.values()))
    vectors = embed(encoder, offers)
    blank = Matcher(_header(encoder, sets, options, 0.5), _no_trees(), weights)
    X = np.vstack(
        [
            blank.features(list(zip(one.left, one.right, strict=True)), list(cosines(one, vectors)))
            for one in sets
        ]
    )
    y = np.concatenate([one.same for one in sets]).astype(bool)
    w = np.concatenate([np.full(len(one.same), len(y) / len(sets) / len(one.same)) for one in sets])
    groups = np.array([f"{one.name}/{group}" for one in sets for group in one.groups])
    return _fit(X, y, w, groups, weights, encoder, sets, options)


def _fit(
    X: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    groups: np.ndarray,
    weights: TokenWeights,
    encoder: Encoder,
    sets: Sequence[PairSet],
    options: FitOptions,
) -> Matcher:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    X = np.where(np.isnan(X).all(axis=0), 0.0, X)  # the binning refuses a column without any number
    held_out = np.empty(len(y))
    for fit, rest in GroupKFold(min(options.folds, len(set(groups)))).split(X, y, groups):
        held_out[rest] = _raw(_boost(options).fit(X[fit], y[fit], w[fit]), X[rest])
    platt = LogisticRegression(C=1e3).fit(held_out[:, None], y, sample_weight=w)
    slope, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    model = _boost(options).fit(X, y, w)
    trees, baseline = compile_trees(model)
    p = 1 / (1 + np.exp(-(slope * held_out + offset)))
    header = _header(encoder, sets, options, float(np.average(y, weights=w))).model_copy(
        update={
            "baseline": baseline,
            "slope": slope,
            "offset": offset,
            "points": operating_points(p[~y], options),
        }
    )
    return Matcher(header, trees, weights)


def operating_points(p_different: np.ndarray, options: FitOptions) -> dict[str, float]:
    """Probabilities that no more than the given shares of different products reach.

    Where there are too few pairs to see so small a share, the point lies half-way between the highest score of
    different products and 1, in log-odds.
    """
    ranked = np.sort(p_different)[::-1]
    points: dict[str, float] = {}
    for name, error in ((NEAR, options.near_error), (EXACT, options.exact_error)):
        allowed = int(error * len(ranked))
        top = float(ranked[allowed])
        points[name] = min(max(top if allowed else top + (1 - top) / 2, 0.5), 0.9999)
    points[EXACT] = max(points[EXACT], points[NEAR])
    return points


def _boost(options: FitOptions) -> HistGradientBoostingClassifier:
    from sklearn.ensemble import HistGradientBoostingClassifier

    settings: dict[str, Any] = {
        "max_iter": options.trees,
        "learning_rate": options.learning_rate,
        "max_leaf_nodes": options.leaves,
        "min_samples_leaf": 10,
        "l2_regularization": 1.0,
        "max_features": 0.5,
        "early_stopping": False,
        "random_state": options.seed,
    } | dict(options.settings)
    return HistGradientBoostingClassifier(**settings)


def _raw(model: HistGradientBoostingClassifier, X: np.ndarray) -> np.ndarray:
    return np.asarray(model.decision_function(X), np.float64)


def _header(
    encoder: Encoder, sets: Sequence[PairSet], options: FitOptions, base_rate: float
) -> MatcherHeader:
    identity = encoder.identity
    return MatcherHeader(
        contract=CONTRACT,
        name=options.name,
        encoder=identity.name,
        encoder_sha256=identity.sha256,
        features=PAIR_FEATURES,
        baseline=0.0,
        slope=1.0,
        offset=0.0,
        base_rate=base_rate,
        points={NEAR: 0.5, EXACT: 0.5},
        trained_on={one.name: len(one.same) for one in sets},
    )


def _no_trees() -> Trees:
    zero = np.zeros((1, 1), np.int64)
    return Trees(zero, zero.astype(float), zero.astype(bool), zero, zero, zero.astype(float), 0)


def compile_trees(model: HistGradientBoostingClassifier) -> tuple[Trees, float]:
    """Turn a fitted model into arrays; the scores are the same to rounding.

    Returns
    -------
    Trees, float
        And the score before the first tree.
    """
    inner: Any = model
    nodes = [predictors[0].nodes for predictors in inner._predictors]
    shape = len(nodes), max(len(tree) for tree in nodes)
    itself = np.broadcast_to(np.arange(shape[1]), shape)
    feature, left, right = np.zeros(shape, np.int64), itself.copy(), itself.copy()
    threshold, value = np.zeros(shape), np.zeros(shape)
    missing = np.zeros(shape, bool)
    for row, tree in enumerate(nodes):
        n = len(tree)
        branch = tree["is_leaf"] == 0
        at = np.flatnonzero(branch)
        feature[row, at] = tree["feature_idx"][branch]
        threshold[row, at] = tree["num_threshold"][branch]
        missing[row, at] = tree["missing_go_to_left"][branch] != 0
        left[row, at], right[row, at] = tree["left"][branch], tree["right"][branch]
        value[row, :n] = np.where(branch, 0.0, tree["value"])
    depth = max(int(tree["depth"].max()) for tree in nodes)
    trees = Trees(feature, threshold, missing, left, right, value, depth)
    return trees, float(np.asarray(inner._baseline_prediction).ravel()[0])
