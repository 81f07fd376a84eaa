"""Photos against the persisted index: what every system says of every query. Slow; each photo's answers are kept."""

from __future__ import annotations

import multiprocessing
import pickle
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.relisting.edits import EDITS, edited
from benchmarks.relisting.photos import Original
from features import image_intake
from features.image_encoder import EfficientNetEncoder
from features.image_features import SIDE, PhotoFeatures, PhotoReader
from features.image_intake import Photo, Unusable
from features.image_match import PairEvidence, PhotoMatcher, photo_entry
from features.image_views import phash
from features.similarity import SimilarityIndex
from features.vector_codes import decode, encode

BASELINES = ("pdq", "phash", "embedding")
TOP = 40
PLAIN = "unedited"
_INNOCENT_EDITS = 6


@dataclass(frozen=True)
class Answer:
    """What all systems say of one query.

    Attributes
    ----------
    photo, edit
        The query: which photo, after which edit.
    pairs
        Of our own system: each candidate of the shortlist with its evidence.
    innocent
        The same, searched while the photo's own product is not banned; None where that was not asked.
    own, others
        Per baseline: similarity to its own original, and the `TOP` highest to photos of other products with their
        names.
    siblings
        Per baseline: highest similarity to another photo of the same product; None without one.
    innocent_top
        Per baseline, the highest similarity to other products (the same figure as ``others[0]``).
    """

    photo: str
    edit: str
    pairs: tuple[tuple[str, PairEvidence], ...]
    innocent: tuple[tuple[str, PairEvidence], ...] | None
    own: dict[str, float]
    others: dict[str, tuple[tuple[str, float], ...]]
    siblings: dict[str, float | None]


@dataclass(frozen=True)
class Bank:
    """One half's photos as the baselines see them."""

    names: list[str]
    products: list[str]
    tables: dict[str, np.ndarray]


def edits_of(one: Original, wanted: int) -> list[str]:
    """Edits that a photo goes through: all, or a draw of its own."""
    if wanted >= len(EDITS):
        return list(EDITS)
    seed = int.from_bytes(one.name.encode()[-8:], "little")
    chosen = np.random.default_rng(seed).choice(len(EDITS), wanted, replace=False)
    return [name for i, name in enumerate(EDITS) if i in chosen]


def open_photo(one: Original) -> Photo:
    """Decode a photo of the set through the product's own intake."""
    found = image_intake.from_file(one.path)
    if isinstance(found, Unusable):
        raise ValueError(f"{one.name}: {found.detail}")
    return image_intake.small(found, SIDE)


def as_photo(image: Image.Image) -> Photo:
    """Give a picture as a photo that came as a file."""
    import io

    held = io.BytesIO()
    image.save(held, "JPEG", quality=90)
    found = image_intake.from_bytes(held.getvalue())
    if isinstance(found, Unusable):
        raise ValueError(found.detail)
    return found


def baselines(photo: Photo, reader: PhotoReader) -> dict[str, np.ndarray]:
    """What the other systems keep of a photo."""
    import pdqhash

    vector, _ = pdqhash.compute(np.ascontiguousarray(photo.pixels))
    plain = reader.encoder.encode([photo.pixels])
    return {
        "pdq": np.packbits(vector.astype(bool)).view(np.uint64),
        "phash": np.array([phash(photo.pixels)], np.uint64),
        "embedding": decode(encode(plain))[0],
    }


def similarities(query: dict[str, np.ndarray], bank: Bank) -> dict[str, np.ndarray]:
    """Similarity to each bank photo per baseline: cosine, or share of equal bits."""
    found = {"embedding": bank.tables["embedding"] @ query["embedding"]}
    for name, bits in (("pdq", 256), ("phash", 64)):
        distance = np.bitwise_count(bank.tables[name] ^ query[name][None]).sum(1)
        found[name] = 1 - distance / bits
    return found


_STATE: dict[str, object] = {}


def _reader() -> PhotoReader:
    if "reader" not in _STATE:
        _STATE["reader"] = PhotoReader(EfficientNetEncoder(threads=1))
    return _STATE["reader"]  # type: ignore[return-value]


def _bank_row(one: Original) -> tuple[Original, PhotoFeatures, dict[str, np.ndarray]]:
    photo = open_photo(one)
    return one, _reader().read([photo])[0], baselines(photo, _reader())


def _start(path: Path, bank: Bank, matcher: PhotoMatcher, wanted: int) -> None:
    _STATE.clear()
    _STATE.update(index=SimilarityIndex(path, _reader().identity), bank=bank, matcher=matcher, wanted=wanted)


def _candidates(features: PhotoFeatures, over: Sequence[str]) -> tuple[tuple[str, PairEvidence], ...]:
    matcher: PhotoMatcher = _STATE["matcher"]  # type: ignore[assignment]
    index: SimilarityIndex = _STATE["index"]  # type: ignore[assignment]
    return tuple((m.key, m.evidence) for m in matcher.match(features, index, 99, passing_over=over))


def _ask(one: Original) -> list[Answer]:
    """All queries made of one photo."""
    bank: Bank = _STATE["bank"]  # type: ignore[assignment]
    names = edits_of(one, _STATE["wanted"])  # type: ignore[arg-type]
    original = open_photo(one)
    image = Image.fromarray(original.pixels)
    own_product = [
        name for name, product in zip(bank.names, bank.products, strict=True) if product == one.product
    ]
    answers: list[Answer] = []
    for edit in (PLAIN, *names):
        photo = original if edit == PLAIN else as_photo(edited(image, edit, one.name))
        features = _reader().read([photo])[0]
        scores = similarities(baselines(photo, _reader()), bank)
        asked = edit == PLAIN or names.index(edit) % (len(names) // _INNOCENT_EDITS + 1) == 0
        answers.append(
            Answer(
                one.name,
                edit,
                _candidates(features, [one.name] if edit == PLAIN else ()),
                _candidates(features, own_product) if asked else None,
                *_judged(scores, one, bank),
            )
        )
    return answers


def _judged(
    scores: dict[str, np.ndarray], one: Original, bank: Bank
) -> tuple[dict[str, float], dict[str, tuple[tuple[str, float], ...]], dict[str, float | None]]:
    own, others, siblings = {}, {}, {}
    same = np.array([product == one.product for product in bank.products])
    itself = np.array([name == one.name for name in bank.names])
    for system, row in scores.items():
        own[system] = float(row[itself][0])
        top = np.argsort(-np.where(same, -9, row))[:TOP]
        others[system] = tuple((bank.names[i], float(row[i])) for i in top)
        siblings[system] = float(row[same & ~itself].max()) if (same & ~itself).any() else None
    return own, others, siblings


def collect(
    photos: Sequence[Original],
    fold: int,
    folder: Path,
    matcher: PhotoMatcher,
    wanted: int,
    workers: int,
    share: float = 1.0,
) -> Iterator[tuple[int, int]]:
    """Ask queries of one half against its own bank; yields (done, of) and leaves a file of answers for each photo.

    All photos of the half are in the bank; ``share`` of them, drawn by name, are asked for.
    """
    mine = [one for one in photos if one.fold == fold]
    asked = [one for one in mine if is_asked(one, share)]
    kept = folder / f"parts-{fold}"
    kept.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    index_path = folder / f"bank-{fold}.index"
    with context.Pool(workers) as pool:
        rows = pool.map(_bank_row, mine, chunksize=8)
    for path in folder.glob(f"bank-{fold}.index*"):
        path.unlink()
    with SimilarityIndex(index_path, EfficientNetEncoder().identity, write=True) as index:
        index.add(photo_entry(one.name, features) for one, features, _ in rows)
    names, products = [one.name for one, _, _ in rows], [one.product for one, _, _ in rows]
    tables = {system: np.stack([row[system] for _, _, row in rows]) for system in BASELINES}
    arguments = (index_path, Bank(names, products, tables), matcher, wanted)
    left = [one for one in asked if not (kept / f"{one.name}.pkl").is_file()]
    with context.Pool(workers, _start, arguments) as pool:
        done = len(asked) - len(left)
        for answers in pool.imap_unordered(_ask, left):
            (kept / f"{answers[0].photo}.pkl").write_bytes(pickle.dumps(answers))
            done += 1
            yield done, len(asked)


def is_asked(one: Original, share: float) -> bool:
    """Draw photos by name, the same ones everywhere."""
    return zlib.crc32(f"asked|{one.name}".encode()) / 2**32 < share


def answers_of(photos: Sequence[Original], fold: int, folder: Path, share: float = 1.0) -> list[Answer]:
    """Read what `collect` left (own files of this run; nothing else is unpickled)."""
    found: list[Answer] = []
    for one in photos:
        if one.fold == fold and is_asked(one, share):
            found += pickle.loads((folder / f"parts-{fold}" / f"{one.name}.pkl").read_bytes())
    return found
