"""Is this photo a copy of that one? A calibrated probability and the evidence for it.

Three ways of finding bring a shortlist: shared local features, vectors, hashes. On the shortlist the query is laid over
the bank photo, by its local features or, where it has few, by what lies inside the borders of both, and compared
tile by tile: a shared banner or frame agrees in its own tiles only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from features import image_features, image_points, point_votes
from features.errors import UserError
from features.image_features import VIEWS, PhotoFeatures
from features.image_overlay import lay
from features.similarity import Entry, Near, SimilarityIndex
from features.vector_codes import decode, encode

Tier = Literal["exact", "near", "none"]
WORDS = 200
"""Local features of a photo that are looked up by word; the check itself uses all."""

_FEW = 300
_CHANCE = 15
_ALIKE, _ALIKE_BITS = 0.5, 12
_WAYS = (
    "plain",
    "turned 90",
    "turned 180",
    "turned 270",
    "mirrored",
    "mirrored 90",
    "mirrored 180",
    "mirrored 270",
)
FACTORS = (
    "points",
    "many_points",
    "spread",
    "tiles",
    "overlap",
    "correlation",
    "cosine",
    "hash",
    "tiles_and_points",
)
CONTRACT = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How many candidates each way of finding brings, and which of them are worth the exact check."""

    by_points: int = 3
    by_vectors: int = 3
    by_hashes: int = 1
    least_votes: float = 1.5
    least_cosine: float = 0.5
    most_bits: int = 10


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """What speaks for one photo being a copy of another.

    Attributes
    ----------
    inliers
        Local features at the same places after one affine map.
    spread
        Share of the bank photo's 25 cells that hold one of them.
    tiles
        Share of the bank photo's tiles with something in them that look the same where the photos overlap.
    overlap
        Share of the bank photo that the query covers.
    correlation
        Of the grey values where they overlap, -1 to 1.
    cosine
        Of the nearest pair of views.
    views
        Which views these are, query first.
    hash_distance
        Bits of 64 in which the nearest pair of perceptual hashes differs.
    position
        How the query was turned for that, such as ``mirrored``.
    same_bytes
        The files are the same.
    mirrored
        The query was mirrored before it was laid over the bank photo.
    matrix
        Places in the query to places in the bank photo, both in shares of width and height, row by row.
    """

    inliers: int
    spread: float
    tiles: float
    overlap: float
    correlation: float
    cosine: float
    views: tuple[str, str]
    hash_distance: int
    position: str
    same_bytes: bool = False
    mirrored: bool = False
    matrix: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoMatch:
    """A bank photo that a query may be a copy of.

    Attributes
    ----------
    key
        Of the bank photo in the index.
    probability
        Calibrated P(same picture).
    tier
        ``exact`` where the check vouches for it, ``near`` where it is only alike, else ``none``.
    evidence
        Why.
    """

    key: str
    probability: float
    tier: Tier
    evidence: PairEvidence


@dataclass(frozen=True, slots=True)
class PhotoMatcher:
    """Weighs evidence; numbers are fitted by `training.image_matching`, on photos of other products than it judges.

    Attributes
    ----------
    weights
        One per `FACTORS`, of the standardised factor.
    offset
        Of the log-odds.
    exact, near
        Least probabilities of the two tiers.
    fitted_on
        What the numbers were fitted on, in words.
    """

    weights: tuple[float, ...]
    offset: float
    exact: float
    near: float
    fitted_on: str = ""
    limits: Limits = field(default_factory=Limits)

    def probability(self, evidence: PairEvidence) -> float:
        """Give P(same picture)."""
        if evidence.same_bytes:
            return 1.0
        odds = float(np.dot(self.weights, factors(evidence))) + self.offset
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))

    def tier(self, probability: float) -> Tier:
        """Name what a probability is good for."""
        return "exact" if probability >= self.exact else "near" if probability >= self.near else "none"

    def match(
        self,
        query: PhotoFeatures,
        index: SimilarityIndex,
        k: int = 5,
        *,
        passing_over: Collection[str] = (),
    ) -> list[PhotoMatch]:
        """Find the bank photos that a photo may be a copy of.

        Parameters
        ----------
        query
            As `image_features.PhotoReader` reads it.
        index
            Of bank photos, filled with `photo_entry`.
        k
            At most so many; with 1 the search ends at the first exact match.
        passing_over
            Keys that are no candidates, such as the listing's own photos.

        Returns
        -------
        list of PhotoMatch
            Best first; with tier ``none`` too.
        """
        codes = _coded(query)
        found: list[PhotoMatch] = []
        for key, mirror in self.shortlist(query, index, passing_over).items():
            try:
                raw = index.payload(key)
            except KeyError:  # taken away a moment ago
                continue
            evidence = _evidence(query, codes, raw, mirror)
            probability = self.probability(evidence)
            found.append(PhotoMatch(key, probability, self.tier(probability), evidence))
            if k == 1 and probability >= self.exact:
                break
        return sorted(found, key=lambda one: -one.probability)[:k]

    def shortlist(
        self, query: PhotoFeatures, index: SimilarityIndex, passing_over: Collection[str] = ()
    ) -> dict[str, bool | None]:
        """Give the keys worth the exact check, each with whether to mirror the query (None: try both)."""
        limits, more = self.limits, len(passing_over)
        chosen: dict[str, bool | None] = {}

        def choose(found: list[Near], most: int, worth: Callable[[float], bool], told: bool) -> None:
            for near in [one for one in found if one.key not in passing_over][:most]:
                if worth(near.value):
                    chosen.setdefault(near.key, near.mirrored if told else None)

        if limits.by_points:
            found = index.sharing(query.points.first(WORDS), limits.by_points + more)
            choose(found, limits.by_points, lambda votes: votes >= limits.least_votes, True)
        found = index.nearest(query.vectors, limits.by_vectors + more)
        choose(found, limits.by_vectors, lambda cosine: cosine >= limits.least_cosine, False)
        found = index.nearest_hashes(query.hashes, limits.by_hashes + more)
        choose(found, limits.by_hashes, lambda bits: bits <= limits.most_bits, False)
        return chosen


def photo_entry(key: str, features: PhotoFeatures) -> Entry:
    """Make the index entry of a bank photo."""
    sha256 = bytes.fromhex(features.sha256)
    payload = (
        sha256
        + features.hashes[:, 0].tobytes()
        + _coded(features).tobytes()
        + image_features.stored(features)
    )
    return Entry(
        key, features.vectors, features.hashes[:, 0], point_votes.words(features.points, WORDS), payload
    )


def compare(query: PhotoFeatures, bank: PhotoFeatures) -> PairEvidence:
    """Compare two photos as the index would: the bank photo in its stored form."""
    return _evidence(query, _coded(query), photo_entry("", bank).payload, None)


def factors(evidence: PairEvidence) -> np.ndarray:
    """Give the numbers that are weighed, in order of `FACTORS`, each roughly within 0 to 1."""
    points = min(1.0, math.log1p(evidence.inliers) / math.log1p(100))
    tiles = evidence.tiles * min(1.0, evidence.overlap / 0.3)
    return np.array(
        [
            points,
            min(1.0, max(0.0, (evidence.inliers - _CHANCE) / _CHANCE)),
            evidence.spread,
            tiles,
            evidence.overlap,
            max(0.0, evidence.correlation),
            max(0.0, evidence.cosine),
            max(0.0, 1 - evidence.hash_distance / 24),
            tiles * points,
        ]
    )


def load_matcher(path: Path | None = None) -> PhotoMatcher:
    """Read a matcher's numbers.

    Parameters
    ----------
    path
        JSON file; the one that comes with the package where None.

    Raises
    ------
    UserError
        When the file does not hold a matcher of this contract.
    """
    path = path or Path(__file__).with_name("image_matcher.json")
    try:
        return matcher_of(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"got {path}, {type(error).__name__}; expected a photo matcher of contract {CONTRACT}: fit it anew"
        ) from error


def matcher_of(found: Mapping[str, object]) -> PhotoMatcher:
    """Make a matcher of plain values, as `matcher_values` gives them."""
    if found["contract"] != CONTRACT or tuple(found["factors"]) != FACTORS:  # type: ignore[arg-type]
        raise ValueError("another contract")
    numbers = {name: float(found[name]) for name in ("offset", "exact", "near")}  # type: ignore[arg-type]
    weights = tuple(float(one) for one in found["weights"])  # type: ignore[union-attr]
    if len(weights) != len(FACTORS) or not all(map(math.isfinite, (*weights, *numbers.values()))):
        raise ValueError("numbers that are not finite")
    limits = Limits(**found["limits"])  # type: ignore[arg-type]
    return PhotoMatcher(weights=weights, **numbers, fitted_on=str(found["fitted_on"]), limits=limits)


def matcher_values(matcher: PhotoMatcher) -> dict[str, object]:
    """Give a matcher as plain values, to be kept as JSON."""
    limits = {name: getattr(matcher.limits, name) for name in Limits.__slots__}
    return {
        "contract": CONTRACT,
        "factors": list(FACTORS),
        "weights": list(matcher.weights),
        "offset": matcher.offset,
        "exact": matcher.exact,
        "near": matcher.near,
        "fitted_on": matcher.fitted_on,
        "limits": limits,
    }


def _coded(features: PhotoFeatures) -> np.ndarray:
    return encode(features.vectors)


def _evidence(query: PhotoFeatures, codes: np.ndarray, raw: bytes, mirror: bool | None) -> PairEvidence:
    sha256, hashes = raw[:32], np.frombuffer(raw, np.uint64, 2, 32)
    own = np.frombuffer(raw, np.int8, codes.size, 48).reshape(codes.shape)
    bank = image_features.unpacked(raw[48 + codes.size :])
    cosines = decode(codes) @ decode(own).T
    best = np.unravel_index(int(cosines.argmax()), cosines.shape)
    bits = np.bitwise_count(query.hashes[:, :, None] ^ hashes[None, None])
    nearest = np.unravel_index(int(bits.argmin()), bits.shape)
    if mirror is None:  # no shared words: if they agree at all, then by their most distinct points
        agreement = image_points.agree(query.points.first(_FEW), bank.points.first(_FEW))
    else:
        agreement = image_points.agree(query.points, bank.points, mirror=mirror)
    alike = cosines[best] >= _ALIKE or bits[nearest] <= _ALIKE_BITS
    laid = lay(query, bank, agreement, int(nearest[1]) if alike else None)
    return PairEvidence(
        inliers=agreement.inliers,
        spread=agreement.spread,
        tiles=laid.tiles,
        overlap=laid.overlap,
        correlation=laid.correlation,
        cosine=float(cosines[best]),
        views=(VIEWS[best[0]], VIEWS[best[1]]),
        hash_distance=int(bits[nearest]),
        position=_WAYS[nearest[1]],
        same_bytes=sha256 == bytes.fromhex(query.sha256),
        mirrored=laid.mirrored,
        matrix=tuple(float(one) for one in laid.matrix.ravel()),
    )


def best_of(matches: Sequence[Sequence[PhotoMatch]]) -> tuple[int, PhotoMatch] | None:
    """Give, of a listing's photos and their matches, the photo's number and the match that is most probable."""
    pairs = [(number, one) for number, found in enumerate(matches) for one in found[:1]]
    return max(pairs, key=lambda pair: pair[1].probability, default=None)
