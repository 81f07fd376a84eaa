"""Speed of the photos' side of re-listing, on drawn pictures: nothing outside the package is read.

An index of many photos is filled with what was read off drawn pictures, put together anew for each entry: vectors lie
between those of two pictures, with noise; the words of local features are drawn from those of all pictures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.relisting.drawn import as_photo, branded, picture
from benchmarks.relisting.edits import edited
from benchmarks.results_file import Row
from features.image_encoder import EfficientNetEncoder
from features.image_features import PhotoFeatures, PhotoReader
from features.image_intake import Photo
from features.image_match import PhotoMatcher, load_matcher, photo_entry
from features.similarity import Entry, SimilarityIndex
from features.vector_codes import VectorCodes, encode

PICTURES = 120
FIRST_QUERY = 50_000
MILLION = 1_000_000
_BLOCK = 2_000
_ROUNDS = 50


@dataclass(frozen=True)
class Took:
    """Times of several runs in ms: median and the middle half."""

    middle: float
    low: float
    high: float

    def row(self, metric: str, n: int, *, seconds: bool = False) -> Row:
        """Give it as a row of ours."""
        scale, unit = (1e-3, "s") if seconds else (1.0, "ms")
        middle, low, high = (round(value * scale, 4) for value in (self.middle, self.low, self.high))
        return Row(system="ours", metric=metric, value=middle, low=low, high=high, n=n, unit=unit)


def timed(
    work: Callable[[], object], times: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Run several times; time of each in ms, of the processor by default: other work on the machine does not count."""
    took = []
    for _ in range(times):
        began = clock()
        work()
        took.append(1_000 * (clock() - began))
    return took


def middle(took: Sequence[float]) -> Took:
    """Sum several runs up."""
    low, half, high = statistics.quantiles(took, n=4)
    return Took(half, low, high)


def queries(count: int) -> list[Photo]:
    """Draw photos that are in no index, every other one edited."""
    made = []
    for n in range(FIRST_QUERY, FIRST_QUERY + count):
        image = branded(n) if n % 2 else picture(n)
        made.append(as_photo(edited(image, "crop_10", str(n)) if n % 4 < 2 else image))
    return made


class Filler:
    """Makes index entries from drawn pictures."""

    def __init__(self, reader: PhotoReader, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        drawn = [as_photo(branded(n) if n % 2 else picture(n)) for n in range(PICTURES)]
        self.features: list[PhotoFeatures] = reader.read(drawn)
        self.base = [photo_entry(str(n), one) for n, one in enumerate(self.features)]
        self.words = np.concatenate([one.words for one in self.base])
        self.vectors = np.concatenate([one.vectors for one in self.base])

    def entries(self, count: int, prefix: str) -> Iterator[list[Entry]]:
        """Yield blocks of entries, all different."""
        rng = self.rng
        for start in range(0, count, _BLOCK):
            n = min(_BLOCK, count - start)
            a, b = (self.vectors[rng.integers(len(self.vectors), size=2 * n)] for _ in range(2))
            mixed = 0.6 * (a + b) + 0.03 * rng.standard_normal(a.shape).astype(np.float32)
            mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
            hashes = rng.integers(2**63, size=(n, 2)).astype(np.uint64)
            yield [
                Entry(
                    f"{prefix}{start + i}",
                    mixed[2 * i : 2 * i + 2],
                    hashes[i],
                    self.words[rng.integers(len(self.words), size=200)],
                    self.base[(start + i) % len(self.base)].payload,
                )
                for i in range(n)
            ]

    def fill(self, path: Path, count: int, prefix: str, reader: PhotoReader) -> None:
        """Fill a new index."""
        with SimilarityIndex(path, reader.identity, write=True) as index:
            index.add(self.base)
            for block in self.entries(count - len(self.base), prefix):
                index.add(block)


def hits(matcher: PhotoMatcher, index: SimilarityIndex, photos: Sequence[PhotoFeatures]) -> set[str]:
    """Search as retroaction does: past what was found until nothing new is."""
    found: set[str] = set()
    for photo in photos:
        seen: frozenset[str] = frozenset()
        for _ in range(_ROUNDS):
            fresh = [one for one in matcher.match(photo, index, passing_over=seen) if one.tier != "none"]
            if not fresh:
                break
            seen |= {one.key for one in fresh}
        found |= seen
    return found


def encoding(reader: PhotoReader) -> list[Row]:
    """Time reading one photo on one core: all its features, and its two vectors alone."""
    photos = queries(40)
    reader.read(photos[:2])
    turn = iter(range(10**6))
    whole = timed(lambda: reader.read([photos[next(turn) % len(photos)]]), 80)
    pixels = [photo.pixels for photo in photos]
    vectors = timed(lambda: reader.encoder.encode([pixels[next(turn) % len(pixels)]] * 2), 80)
    return [middle(whole).row("encode_photo_ms", 80), middle(vectors).row("encode_vectors_ms", 80)]


def million(dim: int) -> list[Row]:
    """Bytes and time of a million vectors."""
    rng, codes = np.random.default_rng(0), VectorCodes(dim)
    for start in range(0, MILLION, MILLION // 20):
        rows = rng.standard_normal((MILLION // 20, dim), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        codes.add(encode(rows), np.arange(start, start + len(rows), dtype=np.int32))
    alive = np.ones(MILLION, bool)
    query = rng.standard_normal((1, dim), dtype=np.float32)
    query /= np.linalg.norm(query)
    took = timed(lambda: codes.search(query, alive, 10), 10)
    size = Row(
        system="ours", metric="bytes_per_vector", value=codes.nbytes / MILLION, n=MILLION, unit="bytes"
    )
    return [size, middle(took).row("search_million_vectors_ms", MILLION)]


def default_reader() -> PhotoReader:
    """The reader that the package has, on one thread."""
    return PhotoReader(EfficientNetEncoder(threads=1))


def default_matcher() -> PhotoMatcher:
    """The matcher that comes with the package."""
    return load_matcher()
