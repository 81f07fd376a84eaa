"""Local features of a photo and the geometric check that two photos show the same picture.

SIFT (Lowe, 2004) with the square-root normalisation of Arandjelovic and Zisserman (2012), four bits a number. The
check follows Philbin et al. (2007): every single correspondence proposes a similarity, by place, scale and direction
of its two points; the best proposals are refined to an affine map. No random numbers: the same pair gives the same
answer everywhere.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from features import weights

SIDE = 360
"""Photos are brought to this longer side first; places are in its pixels."""

KEPT = 300
DIM = 128
_DETECTED = 600
_CELLS = 5
_TOP = 0.5
"""Square-rooted numbers above it are rare; 15 levels lie below."""

_RATIO = 0.88
_ROUGH, _FINE = 18.0, 7.0
_PROPOSALS = 4
_RECORD = np.dtype([("x", "<u2"), ("y", "<u2"), ("scale", "<u2"), ("angle", "u1"), ("d", "u1", (DIM // 2,))])
_PLACE = 64.0
_SCALE = 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Local features of one photo, most distinct first.

    Attributes
    ----------
    xy
        ndarray of shape (n, 2), float32, pixels of the reduced photo.
    scale
        ndarray of shape (n,), float32, pixels.
    angle
        ndarray of shape (n,), float32, radians.
    descriptors
        ndarray of shape (n, 128), float32, rows of length about 1.
    size
        Width and height of the reduced photo.
    """

    xy: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    descriptors: np.ndarray
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.xy)

    def mirrored(self) -> Points:
        """Give the features that the mirrored photo would have, without looking at it again."""
        xy = np.column_stack([self.size[0] - 1 - self.xy[:, 0], self.xy[:, 1]]).astype(np.float32)
        return Points(xy, self.scale, np.pi - self.angle, self.descriptors[:, _flip()], self.size)

    def first(self, n: int) -> Points:
        """Give the ``n`` most distinct."""
        return Points(self.xy[:n], self.scale[:n], self.angle[:n], self.descriptors[:n], self.size)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one photo lies on another.

    Attributes
    ----------
    inliers
        Correspondences that follow one affine map.
    tentative
        Correspondences before the geometric check.
    spread
        Share of the bank photo's 5 x 5 cells that hold an inlier.
    matrix
        ndarray of shape (2, 3): places in the query to places in the bank photo, both in reduced pixels; None
        without a map.
    mirrored
        The query was mirrored first.
    """

    inliers: int = 0
    tentative: int = 0
    spread: float = 0.0
    matrix: np.ndarray | None = None
    mirrored: bool = False


def detect(pixels: np.ndarray, kept: int = KEPT) -> Points:
    """Find the local features of a photo.

    Parameters
    ----------
    pixels
        ndarray of shape (height, width, 3), uint8.
    kept
        At most so many, spread over the photo: a printed line would otherwise take them all.

    Returns
    -------
    Points

    Raises
    ------
    weights.MissingExtraError
        When OpenCV is not installed.
    """
    cv2 = opencv()
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    size = (max(16, round(width * factor)), max(16, round(height * factor)))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    found, rows = cv2.SIFT_create(
        nfeatures=_DETECTED, contrastThreshold=0.015, edgeThreshold=12
    ).detectAndCompute(grey, None)
    if not found:
        return _none(size)
    table = np.array([(*k.pt, k.size, k.angle, k.response) for k in found], np.float32)
    chosen = _spread(table, size, kept)
    table, rows = table[chosen], np.asarray(rows, np.float32)[chosen]
    roots = np.sqrt(rows / np.maximum(rows.sum(1, keepdims=True), 1e-6))
    levels = np.clip(np.round(roots / _TOP * 15), 0, 15)
    return _points(table[:, :2], table[:, 2], np.deg2rad(table[:, 3]), levels, size)


def to_bytes(points: Points) -> bytes:
    """Pack: 71 bytes a feature."""
    rows = np.zeros(len(points), _RECORD)
    rows["x"], rows["y"] = (np.clip(np.round(points.xy * _PLACE), 0, 65_535)).T
    rows["scale"] = np.clip(np.round(points.scale * _SCALE), 1, 65_535)
    rows["angle"] = np.round(points.angle * (128 / np.pi)).astype(np.int64) % 256
    lengths = np.linalg.norm(points.descriptors, axis=1, keepdims=True)
    top = np.round(points.descriptors / np.maximum(lengths, 1e-6) / _TOP * 15)
    levels = np.clip(top, 0, 15).astype(np.uint8)
    rows["d"] = levels[:, ::2] << 4 | levels[:, 1::2]
    return struct.pack("<HHH", len(points), *points.size) + rows.tobytes()


def from_bytes(raw: bytes) -> Points:
    """Unpack what `to_bytes` gave.

    Raises
    ------
    ValueError
        When the length does not fit.
    """
    n, width, height = struct.unpack_from("<HHH", raw)
    rows = np.frombuffer(raw, _RECORD, n, 6)
    levels = np.empty((n, DIM), np.float32)
    levels[:, ::2], levels[:, 1::2] = rows["d"] >> 4, rows["d"] & 15
    xy = np.column_stack([rows["x"], rows["y"]]).astype(np.float32) / _PLACE
    scale = rows["scale"].astype(np.float32) / _SCALE
    return _points(xy, scale, rows["angle"].astype(np.float32) * (np.pi / 128), levels, (width, height))


def agree(query: Points, bank: Points, *, mirror: bool | None = None) -> Agreement:
    """Lay a query photo on a bank photo.

    Parameters
    ----------
    query, bank
        Features of the two.
    mirror
        Whether to mirror the query; both ways are tried where None.
    """
    if mirror is None:
        straight = agree(query, bank, mirror=False)
        other = agree(query, bank, mirror=True)
        return other if other.inliers > straight.inliers else straight
    if min(len(query), len(bank)) < 3:
        return Agreement(mirrored=mirror)
    if mirror:
        query = query.mirrored()
    left, right = _tentative(query.descriptors, bank.descriptors)
    if len(left) < 3:
        return Agreement(tentative=len(left), mirrored=mirror)
    matrix, inside = _best_map(query, bank, left, right)
    if matrix is None:
        return Agreement(tentative=len(left), mirrored=mirror)
    places = bank.xy[right[inside]] / np.array(bank.size, np.float32) * _CELLS
    cells = np.unique(np.clip(places.astype(np.int64), 0, _CELLS - 1) @ np.array([1, _CELLS]))
    n = _distinct(query.xy[left[inside]], bank.xy[right[inside]])
    return Agreement(n, len(left), len(cells) / _CELLS**2, matrix, mirror)


def _distinct(a: np.ndarray, b: np.ndarray) -> int:
    """Count correspondences of different places: one place with two directions is one witness."""
    both = [len(np.unique(np.round(p).astype(np.int64) @ np.array([1, 4_096]))) for p in (a, b)]
    return min(both)


def _tentative(query: np.ndarray, bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are each other's nearest and clearly nearer than the next one."""
    cosine = query @ bank.T
    best = cosine.argmax(1)
    rows = np.arange(len(query))
    first = cosine[rows, best]
    mutual = cosine.argmax(0)[best] == rows
    cosine[rows, best] = -1
    second = cosine.max(1)
    near = (2 - 2 * first) < _RATIO**2 * (2 - 2 * second)
    left = np.flatnonzero(mutual & near)
    return left, best[left]


def _best_map(
    query: Points, bank: Points, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    a, b = query.xy[left], bank.xy[right]
    ratio = bank.scale[right] / query.scale[left]
    turn = bank.angle[right] - query.angle[left]
    proposals = _similarities(a, b, ratio, turn)
    moved = a @ proposals[:, :, :2].transpose(0, 2, 1) + proposals[:, None, :, 2]
    close = ((moved - b) ** 2).sum(2) < _ROUGH**2
    close &= np.abs(np.log(ratio)[:, None] - np.log(ratio)[None]) < 0.7
    first = np.argsort(-close.sum(1), kind="stable")[:_PROPOSALS]
    return _refine(a, b, close[first])


def _similarities(a: np.ndarray, b: np.ndarray, ratio: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Turn, scale and shift that each correspondence proposes by itself; shape (n, 2, 3)."""
    cos, sin = ratio * np.cos(turn), ratio * np.sin(turn)
    maps = np.empty((len(a), 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 1] = cos, -sin
    maps[:, 1, 0], maps[:, 1, 1] = sin, cos
    maps[:, :, 2] = b - np.einsum("nij,nj->ni", maps[:, :, :2], a)
    return maps


def _refine(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Fit an affine map to the inliers of each proposal, shape (p, n), and gather anew, three times, ever closer.

    All proposals at once: each is a handful of small sums, and calling for each would cost more than the sums do.
    """
    ones = np.column_stack([a, np.ones(len(a), np.float32)])
    ridge = np.diag([1.0, 1.0, 1e-3]) * 2e3
    matrix = np.zeros((len(inside), 2, 3))
    enough = np.ones(len(inside), bool)
    for reach in (_ROUGH * 0.75, _FINE * 1.3, _FINE):
        enough &= inside.sum(1) >= 4
        if not enough.any():
            return None, np.zeros(0, np.int64)
        share = inside.astype(np.float32)
        about = _similar(a, b, share)  # the ridge draws toward a similarity, so few points cannot shear
        residual = (b - ones @ about.transpose(0, 2, 1)) * share[:, :, None]
        square = (share[:, None] * ones.T) @ ones
        matrix = about + np.linalg.solve(square + ridge, ones.T @ residual).transpose(0, 2, 1)
        inside = ((ones @ matrix.transpose(0, 2, 1) - b) ** 2).sum(2) < reach**2
    counts = inside.sum(1) * (enough & _plausible(matrix[:, :, :2]))
    best = int(counts.argmax())
    if counts[best] < 4:
        return None, np.zeros(0, np.int64)
    return matrix[best], np.flatnonzero(inside[best])


def _plausible(linear: np.ndarray) -> np.ndarray:
    """Whether maps of shape (p, 2, 2) are ones that a photo goes through: little shear, no mirroring."""
    stretch = np.linalg.svd(linear, compute_uv=False)
    kept = (stretch[:, 0] <= 1.8 * stretch[:, 1]) & (stretch[:, 1] > 0.08) & (stretch[:, 0] <= 12)
    return kept & (np.linalg.det(linear) >= 0)


def _similar(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Least-squares similarities (Umeyama, 1991, without reflection) under weights (p, n); shape (p, 2, 3)."""
    total = np.maximum(share.sum(1, keepdims=True), 1.0)
    ca, cb = (share @ a) / total, (share @ b) / total
    za, zb = (a - ca[:, None]) @ np.array([1, 1j]), (b - cb[:, None]) @ np.array([1, 1j])
    size = (share * np.abs(za) ** 2).sum(1)
    factor = (share * zb * za.conj()).sum(1) / np.maximum(size, 1e-6)
    maps = np.empty((len(share), 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = factor.real
    maps[:, 0, 1], maps[:, 1, 0] = -factor.imag, factor.imag
    maps[:, :, 2] = cb - np.einsum("pij,pj->pi", maps[:, :, :2], ca)
    return maps


def _spread(table: np.ndarray, size: tuple[int, int], kept: int) -> np.ndarray:
    """Strongest first, but no cell more than two and a half times its fair share while others have some left."""
    order = np.argsort(-table[:, 4], kind="stable")
    cell = np.clip((table[:, :2] / np.array(size) * _CELLS).astype(np.int64), 0, _CELLS - 1) @ np.array(
        [1, _CELLS]
    )
    rank = np.empty(len(table), np.int64)
    for one in np.unique(cell):
        members = order[cell[order] == one]
        rank[members] = np.arange(len(members))
    late = rank >= 2.5 * kept / _CELLS**2
    return np.lexsort((-table[:, 4], late))[:kept]


def _points(
    xy: np.ndarray, scale: np.ndarray, angle: np.ndarray, levels: np.ndarray, size: tuple[int, int]
) -> Points:
    rows = levels.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return Points(xy.astype(np.float32), scale.astype(np.float32), angle.astype(np.float32), rows, size)


def _none(size: tuple[int, int]) -> Points:
    empty = np.zeros(0, np.float32)
    return Points(np.zeros((0, 2), np.float32), empty, empty, np.zeros((0, DIM), np.float32), size)


@lru_cache(maxsize=1)
def _flip() -> np.ndarray:
    """Where each number of a mirrored descriptor comes from: rows of cells swap, directions run the other way."""
    index = np.arange(DIM).reshape(4, 4, 8)
    return index[::-1][:, :, (-np.arange(8)) % 8].reshape(-1)


def opencv() -> Any:
    """Give OpenCV, one thread a call: the service has its own workers."""
    try:
        import cv2
    except ImportError as error:
        raise weights.missing("opencv-python-headless", "images") from error
    cv2.setNumThreads(1)
    return cv2
