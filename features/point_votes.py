"""Which photos share local features with a query: an inverted file of short codes, for the shortlist.

Each descriptor becomes a 28-bit word by the signs of fixed random projections, so nothing has to be fitted. A query
also looks under the words that differ in its two least certain bits, and for the mirrored photo. Photos that share
words are then weighed by how many agree on one turn and one scale (Jegou, Douze and Schmid, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from features.image_points import DIM, Points

WORD = np.dtype([("word", "<u4"), ("turn", "u1"), ("scale", "u1")])
_BITS = 28
_FLIPS = 2
_CROWDED = 400
_GEOMETRY = 96
_LEAST = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Photos that share local features with a query, best first.

    Attributes
    ----------
    slots
        ndarray of shape (n,), int64: places in the index.
    votes
        ndarray of shape (n,), float64: shared features that agree on one turn and scale, each counted the less the
        more photos have it.
    mirrored
        ndarray of shape (n,), bool: they agree with the mirrored query.
    """

    slots: np.ndarray
    votes: np.ndarray
    mirrored: np.ndarray


def words(points: Points, limit: int) -> np.ndarray:
    """Give the words of the ``limit`` most distinct points, dtype `WORD`."""
    points = points.first(limit)
    rows = np.zeros(len(points), WORD)
    rows["word"] = _code(points.descriptors @ _planes() > 0)
    rows["turn"], rows["scale"] = _geometry(points)
    return rows


class PointVotes:
    """The inverted file, in memory; 10 bytes a word."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._fresh: list[tuple[int, np.ndarray]] = []

    def add(self, slot: int, rows: np.ndarray) -> None:
        """Add a photo's words under its place in the index."""
        if len(rows):
            self._fresh.append((slot, rows))

    def search(self, query: Points, alive: np.ndarray, k: int) -> Votes:
        """Find the ``k`` photos that share most.

        Parameters
        ----------
        query
            Local features of the query.
        alive
            ndarray of bool by slot; the others are passed over.
        k
            At most so many.
        """
        self._merge()
        found = [self._count(one, alive, k) for one in (query, query.mirrored())]
        slots = np.concatenate([one[0] for one in found])
        votes = np.concatenate([one[1] for one in found])
        mirrored = np.repeat([False, True], [len(one[0]) for one in found])
        order = np.lexsort((slots, -votes))
        _, first = np.unique(slots[order], return_index=True)
        keep = order[np.sort(first)][:k]
        return Votes(slots[keep], votes[keep], mirrored[keep])

    def _count(self, query: Points, alive: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        asked, whose = _probes(query)
        crowd = max(_CROWDED, len(alive) // 20)
        found = [part.find(asked, whose, crowd) for part in self._parts]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0)
        slots, turn, scale, whose, weight = (np.concatenate(column) for column in zip(*found, strict=True))
        counts = np.bincount(slots, weight, minlength=len(alive)) * alive
        several = np.flatnonzero(counts >= _LEAST)
        top = several[np.argsort(-counts[several], kind="stable")[:_GEOMETRY]]
        among = np.full(len(alive), -1, np.int64)
        among[top] = np.arange(len(top))
        photo = among[slots]
        inside = photo >= 0
        agreed = _agreement(
            query, whose[inside], turn[inside], scale[inside], photo[inside], weight[inside], len(top)
        )
        order = np.argsort(-agreed, kind="stable")[:k]
        return top[order], agreed[order]

    def _merge(self) -> None:
        """Sort what is new into a part of its own; parts of like size become one, so few remain."""
        if not self._fresh:
            return
        slots = np.repeat([slot for slot, _ in self._fresh], [len(rows) for _, rows in self._fresh])
        part = _Part.of(np.concatenate([rows for _, rows in self._fresh]), slots.astype(np.int32))
        self._fresh = []
        while self._parts and len(self._parts[-1].slots) < 4 * len(part.slots):
            part = part.joined(self._parts.pop())
        self._parts.append(part)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Words in order; the columns lie apart, since looking up a word goes through the words only."""

    words: np.ndarray
    turn: np.ndarray
    scale: np.ndarray
    slots: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, slots: np.ndarray) -> _Part:
        order = np.argsort(rows["word"], kind="stable")
        return cls(rows["word"][order], rows["turn"][order], rows["scale"][order], slots[order])

    def joined(self, other: _Part) -> _Part:
        names = ("words", "turn", "scale", "slots")
        columns = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in names]
        order = np.argsort(columns[0], kind="stable")
        return _Part(*(column[order] for column in columns))

    def find(
        self, asked: np.ndarray, whose: np.ndarray, crowd: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Entries under the words: photo, turn, scale, which point of the query asked, and what the entry counts.

        The more entries a word has the less each of them says: corners of letters and boxes are alike in all photos.
        """
        low = np.searchsorted(self.words, asked, "left")
        lengths = np.searchsorted(self.words, asked, "right") - low
        lengths[lengths > crowd] = 0  # a word of everyone tells nothing
        place = _ranges(low, lengths)
        weight = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
        return self.slots[place], self.turn[place], self.scale[place], np.repeat(whose, lengths), weight


def _agreement(
    query: Points,
    whose: np.ndarray,
    turn: np.ndarray,
    scale: np.ndarray,
    photo: np.ndarray,
    weight: np.ndarray,
    n: int,
) -> np.ndarray:
    """Votes of each photo in its best cell of turn and scale; cells overlap by half."""
    own_turn, own_scale = _geometry(query)
    turned = (turn.astype(np.int64) - own_turn[whose]) % 256 // 16
    scaled = np.clip((scale.astype(np.int64) - own_scale[whose] + 128) // 8, 0, 31)
    flat = np.bincount((photo * 16 + turned) * 33 + scaled, weight, minlength=n * 16 * 33)
    table = flat.reshape(n, 16, 33)
    table = table + np.roll(table, -1, axis=1)
    table[:, :, :-1] += table[:, :, 1:]
    return table.max(axis=(1, 2))


def _probes(query: Points) -> tuple[np.ndarray, np.ndarray]:
    """Words to look under, and the point that each comes from."""
    if not len(query):
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    values = query.descriptors @ _planes()
    bits = values > 0
    unsure = np.argsort(np.abs(values), axis=1)[:, :_FLIPS]
    plain = _code(bits)
    flips = np.uint32(1) << unsure.astype(np.uint32)
    asked = [plain]
    for one in range(_FLIPS):
        asked += [word ^ flips[:, one] for word in asked]
    words_asked, whose = np.concatenate(asked), np.tile(np.arange(len(query)), len(asked))
    order = np.argsort(words_asked)  # neighbours are looked up one after the other: four times as fast
    return words_asked[order], whose[order]


def _ranges(low: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions low[i] .. low[i] + lengths[i] - 1 of all i, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(low - (ends - lengths), lengths)


def _code(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << np.arange(_BITS, dtype=np.uint32)).sum(1, dtype=np.uint32)


def _geometry(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Turn in 256ths of a circle and scale in 16ths of an octave."""
    turn = np.round(points.angle * (128 / np.pi)).astype(np.int64) % 256
    scale = np.clip(np.round(np.log2(np.maximum(points.scale, 0.1)) * 16) + 64, 0, 255).astype(np.int64)
    return turn, scale


@lru_cache(maxsize=1)
def _planes() -> np.ndarray:
    """Fixed projections whose numbers add up to nothing: what all descriptors share does not decide."""
    planes = np.random.default_rng(20_240_612).standard_normal((DIM, _BITS))
    return (planes - planes.mean(0)).astype(np.float32)
