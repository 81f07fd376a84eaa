"""Lay a photo over another and compare them tile by tile: a shared banner or frame agrees in its own tiles only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import image_features, image_points
from features.image_features import PhotoFeatures, StoredPhoto
from features.image_points import Agreement
from features.image_views import WHOLE, Box

_GRID = 48
_TILE = 6
_FLAT = 3.0
_SURE = 20


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A query laid over a bank photo.

    Attributes
    ----------
    tiles
        Share of the bank photo's tiles with something in them that look the same, of those that are covered.
    overlap
        Share of the bank photo that is covered.
    correlation
        Of the grey values where they overlap.
    mirrored
        The query was mirrored first.
    matrix
        ndarray of shape (2, 3): places in the query to places in the bank photo, in shares of width and height.
    """

    tiles: float
    overlap: float
    correlation: float
    mirrored: bool
    matrix: np.ndarray


_NOT_LAID = Laid(0.0, 0.0, 0.0, False, np.zeros((0, 3)))


def lay(query: PhotoFeatures, bank: StoredPhoto, agreement: Agreement, way: int | None) -> Laid:
    """Lay the query over the bank photo in each plausible way; keep the way that agrees best."""
    ways: list[tuple[np.ndarray, bool]] = []
    if agreement.matrix is not None:
        scale = np.array(query.points.size, float), np.array(bank.points.size, float)
        matrix = agreement.matrix.astype(float) * np.array([*scale[0], 1.0])[None] / scale[1][:, None]
        ways.append((matrix, agreement.mirrored))
    if way is not None and agreement.inliers < _SURE:
        ways += [(_placed(query.box, bank.box, turn), turn >= 4) for turn in {way, 0}]
        if query.box != bank.box:
            ways.append((_placed(WHOLE, WHOLE, way), way >= 4))
    found = [_overlay(query.thumb, bank.thumb, matrix, mirrored) for matrix, mirrored in ways]
    return max(
        found, key=lambda one: (one.tiles * min(1.0, one.overlap / 0.3), one.correlation), default=_NOT_LAID
    )


def _placed(query: Box, bank: Box, way: int) -> np.ndarray:
    """Map of one box onto another after turning; a mirrored way is for the mirrored query."""
    if way >= 4:
        query = Box(1 - query.right, query.top, 1 - query.left, query.bottom)
    into = np.array(
        [[1 / (query.right - query.left), 0, 0], [0, 1 / (query.bottom - query.top), 0], [0, 0, 1]]
    )
    into = into @ np.array([[1, 0, -query.left], [0, 1, -query.top], [0, 0, 1]])
    turned = np.eye(3)
    for _ in range(way % 4):  # as numpy.rot90 turns: what was right is on top
        turned = np.array([[0, 1, 0], [-1, 0, 1], [0, 0, 1]]) @ turned
    out = np.array([[bank.right - bank.left, 0, bank.left], [0, bank.bottom - bank.top, bank.top], [0, 0, 1]])
    return (out @ turned @ into)[:2]


def _overlay(query: np.ndarray, bank: np.ndarray, matrix: np.ndarray, mirrored: bool) -> Laid:
    cv2 = image_points.opencv()
    if mirrored:
        query = query[:, ::-1]
    full = matrix.copy()  # shares to places on the grids: the query's has THUMB sides, the bank's _GRID
    full[:, :2] *= _GRID / image_features.THUMB
    full[:, 2] *= _GRID
    full[:, 2] += full[:, :2] @ np.array([0.5, 0.5]) - 0.5
    shrunk = cv2.resize(bank, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    query = np.ascontiguousarray(query)
    shape = (_GRID, _GRID)
    moved = cv2.warpAffine(query, full, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ones = np.full_like(query, 255)
    inside = cv2.warpAffine(ones, full, shape, flags=cv2.INTER_NEAREST, borderValue=0) > 0
    overlap = float(inside.mean())
    if overlap < 0.04:
        return Laid(0.0, overlap, 0.0, mirrored, matrix)
    a, b = moved.astype(np.float32), shrunk
    correlation = _correlation(a[inside], b[inside])
    return Laid(_tiles(a, b, inside), overlap, correlation, mirrored, matrix)


def _tiles(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> float:
    """Share of the tiles with something in them that look alike; half of a tile must be covered to count."""
    cut = [_cut(one) for one in (a, b, inside.astype(np.float32))]
    cover = cut[2].mean(1)
    weight = cut[2] / np.maximum(cut[2].sum(1, keepdims=True), 1e-6)
    za, zb = (one - (one * weight).sum(1, keepdims=True) for one in cut[:2])
    va, vb = ((one**2 * weight).sum(1) for one in (za, zb))
    something = (vb > _FLAT**2) & (
        cover > 0.5
    )  # the bank photo's: what was put on its empty ground says nothing
    if something.sum() < 3:
        return 0.0
    correlation = (za * zb * weight).sum(1) / np.sqrt(np.maximum(va, 1.0) * np.maximum(vb, 1.0))
    return float(np.clip((correlation[something] - 0.3) / 0.5, 0, 1).mean())


def _cut(grid: np.ndarray) -> np.ndarray:
    n = _GRID // _TILE
    return grid.reshape(n, _TILE, n, _TILE).transpose(0, 2, 1, 3).reshape(n * n, _TILE * _TILE)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    za, zb = a - a.mean(), b - b.mean()
    size = float(np.sqrt((za**2).sum() * (zb**2).sum()))
    return float((za * zb).sum() / size) if size > 1e-3 else 0.0
