"""The matcher: are two offers the same product? Data and numpy only; `training.matcher_fit` makes it.

A matcher file is safetensors: arrays of decision trees, word weights and a header that says what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from features.errors import UserError
from features.offer import IDF_BITS, OfferView, TokenWeights
from features.offer_pairs import PAIR_FEATURES, WeightCache, pair_features
from training.tree_masks import TreeMasks

CONTRACT = 1
"""Raised whenever `PAIR_FEATURES` or the meaning of one of them changes."""
SHORTLIST = 12
"""Offers compared in full per way of finding them, in the service as in training."""
NEAR, EXACT = "near", "exact"
_WORTH = 0.5


class MatcherError(UserError):
    """A matcher file that cannot be used."""


class MatcherHeader(BaseModel):
    """What a matcher says of itself.

    Attributes
    ----------
    name
        Given in training.
    encoder, encoder_sha256
        Which encoder the cosines were made with.
    features
        Must equal `PAIR_FEATURES`.
    base_rate
        Share of same-product pairs that the probability is calibrated to: pairs as a search finds them, not
        pairs at random.
    points
        Operating points: probability from which a match is ``near`` and from which words alone make it ``exact``.
    trained_on
        Names of the pair sets with their numbers of pairs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    contract: int
    name: str = Field(max_length=100)
    encoder: str
    encoder_sha256: str
    features: tuple[str, ...]
    baseline: float
    slope: float = Field(gt=0)
    offset: float
    base_rate: float = Field(gt=0, lt=1)
    points: dict[str, float]
    trained_on: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted decision trees as arrays of shape (n_trees, n_nodes); a leaf points at itself.

    Attributes
    ----------
    feature
        int16, which number a node looks at.
    threshold
        float64; up to it (inclusive) goes left.
    missing_left
        bool; where an unknown number goes.
    left, right
        int16, position of the next node.
    value
        float64, what a leaf adds.
    depth
        Steps from the root to the deepest leaf.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    depth: int
    _masks: TreeMasks | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_masks", TreeMasks.of(self))

    def total(self, X: np.ndarray) -> np.ndarray:
        """Sum the leaves that each row of ``X`` (n, n_features) falls into; shape (n,), float64."""
        return self.walk(X) if self._masks is None else self._masks.total(X)

    def walk(self, X: np.ndarray) -> np.ndarray:
        """Do the same step by step from the roots, for trees of any form."""
        n_trees, n_nodes = self.feature.shape
        base = np.arange(n_trees) * n_nodes
        feature, threshold, missing = self.feature.ravel(), self.threshold.ravel(), self.missing_left.ravel()
        left, right = self.left.ravel(), self.right.ravel()
        rows = np.arange(len(X))[:, None]
        at = np.broadcast_to(base, (len(X), n_trees))
        for _ in range(self.depth):
            x = X[rows, feature[at]]
            # The comparison is False for NaN, so an unknown number goes left only where the tree says so.
            goes_left = (x <= threshold[at]) | (np.isnan(x) & missing[at])
            at = base + np.where(goes_left, left[at], right[at])
        return self.value.ravel()[at].sum(axis=1)


class Matcher:
    """Compares offers.

    Parameters
    ----------
    header, trees, weights
        As read from a file or made by training.
    """

    def __init__(self, header: MatcherHeader, trees: Trees, weights: TokenWeights) -> None:
        self.header = header
        self.trees = trees
        self.weights = weights
        self.cache = WeightCache(weights)

    @property
    def near(self) -> float:
        """Probability from which a person should look."""
        return self.header.points[NEAR]

    @property
    def exact(self) -> float:
        """Probability from which words alone are as good as a verified match."""
        return self.header.points[EXACT]

    def features(self, pairs: Sequence[tuple[OfferView, OfferView]], cosines: Sequence[float]) -> np.ndarray:
        """Numbers of each pair, shape (n_pairs, n_features), float64."""
        rows = [pair_features(a, b, float(c), self.cache) for (a, b), c in zip(pairs, cosines, strict=True)]
        return np.array(rows, np.float64).reshape(-1, len(PAIR_FEATURES))

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of each row of `features`, shape (n,)."""
        header = self.header
        return header.slope * (self.trees.total(X) + header.baseline) + header.offset

    def compare(self, pairs: Sequence[tuple[OfferView, OfferView]], cosines: Sequence[float]) -> np.ndarray:
        """P(same product) of each pair, shape (n_pairs,), float64."""
        if not pairs:
            return np.zeros(0)
        return 1 / (1 + np.exp(-self.logits(self.features(pairs, cosines))))

    def save(self, path: Path) -> None:
        """Write the matcher file."""
        arrays = {
            "feature": self.trees.feature.astype(np.int16),
            "threshold": self.trees.threshold.astype(np.float64),
            "missing_left": self.trees.missing_left.astype(np.uint8),
            "left": self.trees.left.astype(np.int16),
            "right": self.trees.right.astype(np.int16),
            "value": self.trees.value.astype(np.float64),
            "idf": self.weights.idf.astype(np.float16),
        }
        save_file(arrays, path, metadata={"matcher": self.header.model_dump_json()})

    @classmethod
    def load(cls, path: Path) -> Matcher:
        """Read a matcher file.

        Raises
        ------
        MatcherError
            When it is missing, damaged, or made for another version of this code.
        """
        try:
            with safe_open(path, framework="numpy") as stream:
                metadata = stream.metadata() or {}
                arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            header = MatcherHeader.model_validate_json(metadata.get("matcher", "{}"))
        except (OSError, SafetensorError, ValidationError, json.JSONDecodeError) as error:
            raise MatcherError(
                f"{path} is no matcher ({type(error).__name__}): make it again with training.matcher_fit"
            ) from None
        if header.contract != CONTRACT or header.features != PAIR_FEATURES:
            raise MatcherError(
                f"{path} was made for contract {header.contract}, expected {CONTRACT}: make it again"
            )
        if not {NEAR, EXACT} <= header.points.keys():
            raise MatcherError(
                f"{path} has the operating points {sorted(header.points)}, expected near and exact"
            )
        return cls(header, _trees_of(arrays, path), TokenWeights(arrays["idf"].astype(np.float32)))


def worth_comparing(cosine: float, words: float) -> bool:
    """Whether an offer that a search found may be the same product at all, so that it is compared in full.

    Most of a shortlist is there because a shortlist is always filled. The bound was set on the sample put up again
    under other words and on real listings of the training halves: of 4,511 copies that a full comparison takes for the
    banned item it passes over 5, all with titles that share next to nothing; of 601 real pairs none; and it spares
    innocent listings 63 in 100 comparisons.

    Parameters
    ----------
    cosine
        Of the two titles.
    words
        About which weighted share of the words the offer has, `features.offer_index.Near`.
    """
    return cosine + max(words, 0.0) >= _WORTH


def _trees_of(arrays: Mapping[str, np.ndarray], path: Path) -> Trees:
    """Check what indexes memory or ends a loop before anything is built on it."""
    names = ("feature", "threshold", "missing_left", "left", "right", "value")
    missing = {*names, "idf"} - arrays.keys()
    if missing:
        raise MatcherError(f"{path} lacks {', '.join(sorted(missing))}: make it again")
    shape = arrays["feature"].shape
    if len(shape) != 2 or 0 in shape or any(arrays[name].shape != shape for name in names):
        raise MatcherError(f"{path} has trees of unequal shapes: make it again")
    if arrays["idf"].shape != (1 << IDF_BITS,):
        raise MatcherError(f"{path} has word weights of shape {arrays['idf'].shape}: make it again")
    inside = (arrays["feature"] >= 0) & (arrays["feature"] < len(PAIR_FEATURES))
    for side in ("left", "right"):
        inside &= (arrays[side] >= 0) & (arrays[side] < shape[1])
    finite = np.isfinite(arrays["value"]).all() and np.isfinite(arrays["idf"].astype(np.float32)).all()
    if not inside.all() or not finite or np.isnan(arrays["threshold"]).any():
        raise MatcherError(f"{path} has trees that point outside themselves: make it again")
    depth = _depth(arrays["left"].astype(np.int64), arrays["right"].astype(np.int64))
    return Trees(
        arrays["feature"].astype(np.int64),
        arrays["threshold"],
        arrays["missing_left"].astype(bool),
        arrays["left"].astype(np.int64),
        arrays["right"].astype(np.int64),
        arrays["value"],
        depth,
    )


def _depth(left: np.ndarray, right: np.ndarray) -> int:
    """Steps after which every path has come to a leaf, bounded by the number of nodes."""
    n_trees, n_nodes = left.shape
    reached = np.zeros((n_trees, n_nodes), bool)
    reached[:, 0] = True
    inner = (left != np.arange(n_nodes)) | (right != np.arange(n_nodes))
    for depth in range(n_nodes):
        at = reached & inner
        if not at.any():
            return depth
        after = reached & ~inner
        trees, nodes = np.nonzero(at)
        after[trees, left[trees, nodes]] = True
        after[trees, right[trees, nodes]] = True
        reached = after
    return n_nodes
