"""Photos beside words: the join, when a view is missing, when photos say nothing, and all of it through a bundle."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from features import image_intake
from features.image_features import PhotoReader, main_vectors
from features.image_intake import Photo
from features.schema import parse_listing
from serving.predictor import load_predictor
from serving.settings import Settings
from training.bundle import Bundle
from training.config import Config
from training.heads import sigmoid
from training.image_fusion import Views, fit_image_heads, fit_joining, gains, log_loss
from training.image_heads import ImageHeads, Joining, listing_vector
from training.manifest import BundleError, read_manifest
from training.pipeline import train
from training.records import Recall
from training.sources.jsonl import to_line


def made(n: int, by_words: float, by_photos: float, seed: int = 0) -> Views:
    """Items of one hazard that both views see, each with noise of its own."""
    rng = np.random.default_rng(seed)
    value = (rng.random((n, 1)) < 0.4).astype(float)
    sign = 2 * value - 1
    words = by_words * sign + rng.standard_normal((n, 1))
    photos = by_photos * sign + rng.standard_normal((n, 1))
    return Views(words, photos, value, np.ones((n, 1), bool))


def test_two_views_know_more_than_one_and_a_missing_one_costs_what_it_knew():
    fitted = fit_joining(made(600, 1.0, 1.0))
    new = made(3_000, 1.0, 1.0, seed=1)
    loss = {
        "both": log_loss(fitted.of(new.words, new.photos), new.value).mean(),
        "photos": log_loss(fitted.of(None, new.photos), new.value).mean(),
        "nothing": -np.mean(new.value * np.log(0.4) + (1 - new.value) * np.log(0.6)),
    }
    assert loss["both"] < loss["photos"] - 0.05 < loss["nothing"] - 0.1
    for said in (fitted.of(new.words, new.photos), fitted.of(None, new.photos)):
        sure = np.abs(sigmoid(said) - 0.5) > 0.4
        assert abs((sigmoid(said)[sure] - new.value[sure]).mean()) < 0.05, "probabilities mean what they say"
    assert fitted.of(new.words, None) is new.words
    with pytest.raises(ValueError, match="expected at least one"):
        fitted.of(None, None)


def test_photos_that_mislead_are_worth_nothing_and_never_less():
    fitted = fit_joining(made(600, 1.0, -1.0))
    assert fitted.photos[0] == 0 and fitted.alone[0] == 0


def test_few_items_change_little():
    few = fit_joining(made(4, 1.0, 3.0))
    assert few.words[0] == pytest.approx(1, abs=0.5) and few.photos[0] < 1


def folds_of(n: int, count: int = 5) -> list[np.ndarray]:
    return [np.arange(n)[i::count] for i in range(count)]


def test_what_photos_gain_is_measured_on_items_that_taught_nothing():
    assert gains(made(500, 1.0, 1.0), folds_of(500)).mean() > 0.03
    blind = gains(made(500, 1.0, 0.0), folds_of(500))
    assert abs(blind.mean()) < 0.01
    partly = made(100, 1.0, 1.0)
    known = np.arange(100)[:, None] % 2 == 0
    found = gains(Views(partly.words, partly.photos, partly.value, known), folds_of(100))
    assert (np.isnan(found) == ~known).all()


def test_only_hazards_that_photos_help_get_them():
    rng = np.random.default_rng(3)
    n = 400
    value = (rng.random((n, 4)) < 0.3).astype(float)
    value[:, 3] = np.arange(n) < 5  # too few to learn from
    vectors = rng.standard_normal((n, 16)).astype(np.float32)
    vectors[:, 0] += 3 * value[:, 1]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = np.full((n, 4), 0.3)
    heads, figures = fit_image_heads(vectors, words, value, np.ones((n, 4), bool), folds_of(n), 10.0)
    assert heads is not None and heads.hazards.tolist() == [1]
    assert set(figures) == {0, 1, 2} and figures[1]["kept"] == 1 and figures[0]["kept"] == 0
    base = np.log([0.3 / 0.7] * 4)
    shown = heads.joined(base, vectors[value[:, 1] == 1][:1])
    assert shown[1] > base[1] and (shown[[0, 2, 3]] == base[[0, 2, 3]]).all()
    for nothing in (None, np.zeros((0, 16), np.float32)):
        assert heads.joined(base, nothing) is base
    none, _ = fit_image_heads(vectors, words[:, :1], value[:, :1], np.ones((n, 1), bool), folds_of(n), 10.0)
    assert none is None


def test_a_listing_of_several_photos_has_one_vector():
    vectors = np.eye(4, dtype=np.float32)[:2]
    assert listing_vector(vectors).tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0, 0])
    assert listing_vector(vectors[:1]).tolist() == vectors[0].tolist()
    assert np.isfinite(listing_vector(np.zeros((2, 4), np.float32))).all()


WORDS = (
    "Aurora",
    "Bento",
    "Cirrus",
    "Delta",
    "Ember",
    "Fjord",
    "Gala",
    "Halo",
    "Indigo",
    "Juno",
    "Koi",
    "Lumen",
)
RECALLS = 160


def drawn(number: int, fire: bool) -> Image.Image:
    """A drawn product: chargers are dark boxes, rattles bright rings; the names below do not tell them apart."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (160, 160), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    x, y, r = rng.uniform(50, 110), rng.uniform(50, 110), rng.uniform(30, 45)
    if fire:
        draw.rectangle((x - r, y - r * 0.7, x + r, y + r * 0.7), fill=tuple(rng.integers(10, 60, 3)))
    else:
        colour = tuple(int(v) for v in rng.integers(120, 255, 3))
        draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=int(rng.integers(6, 14)))
    return image


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Path:
    """Recalls as `fetch --photos` leaves them: every eighth without a photo, one photo broken."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    records, photos = [], []
    for n in range(RECALLS):
        fire = bool(rng.random() < 0.5)
        name = " ".join(rng.choice(WORDS, 2, replace=False)) + f" {rng.integers(100, 999)}"
        hazards = frozenset({"fire"} if fire else {"choking"})
        records.append(to_line(Recall("sample", str(n), date(2025, 1, 1 + n % 28), (name,), hazards)))
        if n % 8:
            drawn(n, fire).save(folder / "photos" / f"{n}.png")
            photos.append(
                {"item": f"sample:{n}", "address": f"https://x.example/{n}", "file": f"photos/{n}.png"}
            )
    (folder / "photos" / "1.png").write_bytes(b"no photo")
    photos.append({"item": "sample:0", "address": "https://x.example/0", "unusable": "http_error"})
    (folder / "recalls.jsonl").write_text("\n".join(records) + "\n")
    (folder / "recalls.photos.jsonl").write_text("".join(json.dumps(line) + "\n" for line in photos))
    return folder


def config(**more: object) -> Config:
    given = {
        "name": "pictured",
        "sources": [{"reader": "records", "path": "recalls.jsonl"}],
        "root_rate": 0.05,
        "root_rate_source": "made up for the test",
        "folds": 3,
    }
    return Config.model_validate(given | more)


@pytest.fixture(scope="module")
def pictured(past, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictured")
    train(config(images={"photos": ["recalls.photos.jsonl"]}), past, folder)
    return folder


@pytest.fixture(scope="module")
def bundle(pictured) -> Bundle:
    return Bundle.load(pictured)


def photos_of(*numbers: tuple[int, bool]) -> list[Photo]:
    import io

    found = []
    for number, fire in numbers:
        held = io.BytesIO()
        drawn(number, fire).save(held, "PNG")
        one = image_intake.from_bytes(held.getvalue())
        assert isinstance(one, Photo)
        found.append(one)
    return found


def test_the_bundle_carries_what_photos_taught(pictured, bundle):
    manifest = read_manifest(pictured)
    assert manifest.image_encoder is not None and manifest.image_encoder.spec == "efficientnet"
    images = manifest.metrics["images"]
    assert images["items"] == RECALLS - RECALLS // 8 - 1 and sum(images["unusable"].values()) == 1
    assert {code for code, gain in images["gain"].items() if gain["kept"]} == {"fire", "choking"}
    card = (pictured / "card.md").read_text(encoding="utf-8")
    assert f"Photos of {images['items']} past results; held out, they speak for choking, fire" in card
    assert isinstance(bundle.model.image, ImageHeads) and isinstance(bundle.model.image.joining, Joining)
    assert bundle.image_encoder is bundle.image_encoder is not None


def test_photos_move_the_hazards_that_they_were_seen_to_tell(bundle):
    encoder = bundle.image_encoder
    listing = parse_listing({"id": "1", "title": "Aurora Halo 777"})
    fire, choking = (bundle.manifest.hazards.index(code) for code in ("fire", "choking"))
    vectors = [main_vectors(photos_of((1_000 + n, n % 2 == 0)), encoder) for n in range(20)]
    q = bundle.score([listing] * 20, vectors).q
    dark, bright = q[::2], q[1::2]
    assert (dark[:, fire] > bright[:, fire].max()).mean() > 0.9
    assert (bright[:, choking] > dark[:, choking].max()).mean() > 0.9
    others = [k for k in range(q.shape[1]) if k not in (fire, choking)]
    assert (q[:, others] == q[:1, others]).all() or np.isnan(q[:, others]).any()
    plain = bundle.score([listing]).q[0]
    assert bright[:, fire].mean() < plain[fire] < dark[:, fire].mean()


def test_without_a_photo_the_words_decide_to_the_bit(bundle, past, tmp_path):
    listings = [
        parse_listing({"id": str(i), "title": title}) for i, title in enumerate(("Bento Koi 5", "😀"))
    ]
    alone = bundle.score(listings)
    for photos in ([None, None], [np.zeros((0, 256), np.float32)] * 2):
        assert bundle.score(listings, photos).p.tobytes() == alone.p.tobytes()
    wordy = Bundle.load(_trained(past, tmp_path))
    assert wordy.score(listings).p.tobytes() == alone.p.tobytes()
    vectors = main_vectors(photos_of((5, True)), bundle.image_encoder)
    assert wordy.image_encoder is None
    assert wordy.score(listings, [vectors, None]).p.tobytes() == alone.p.tobytes(), (
        "it never learnt from photos"
    )


def _trained(past: Path, folder: Path) -> Path:
    train(config(), past, folder)
    assert read_manifest(folder).image_encoder is None
    return folder


def test_without_words_photos_speak_alone(bundle):
    listing = parse_listing({"id": "1", "title": "😀"})
    fire = bundle.manifest.hazards.index("fire")
    pair = [main_vectors(photos_of((2_000, kind)), bundle.image_encoder) for kind in (True, False)]
    dark, bright = bundle.score([listing] * 2, pair).q[:, fire]
    assert dark > bright + 0.2


def test_a_listing_does_not_depend_on_its_neighbours(bundle):
    listings = [parse_listing({"id": str(i), "title": f"Ember {i}"}) for i in range(4)]
    vectors = [
        main_vectors(photos_of((i, i % 2 == 0)), bundle.image_encoder) if i else None for i in range(4)
    ]
    together = bundle.score(listings, vectors)
    for i in range(4):
        assert (
            bundle.score(listings[i : i + 1], vectors[i : i + 1]).p.tobytes()
            == together.p[i : i + 1].tobytes()
        )


def test_another_image_encoder_is_refused(pictured, tmp_path):
    import shutil

    copy = shutil.copytree(pictured, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["image_encoder"]["sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="efficientnet-lite0 000000000000; got efficientnet"):
        _ = Bundle.load(copy).image_encoder


def test_bundles_from_before_photos_keep_their_digest():
    manifest = read_manifest(Path(__file__).parents[2] / "serving" / "starter")
    assert manifest.image_encoder is None and '"image_encoder"' not in manifest.model_dump_json(
        exclude={"image_encoder"}
    )
    import hashlib

    raw = json.loads((Path(__file__).parents[2] / "serving" / "starter" / "manifest.json").read_text())
    later = {
        name for name in ("image_encoder", "reading_sha256", "code_sha256") if raw.pop(name, None) is None
    }
    before = manifest.model_dump_json(exclude=later)
    assert manifest.digest == hashlib.sha256(before.encode()).hexdigest()


def test_photos_are_seen_as_the_matcher_sees_them(bundle):
    reader = PhotoReader(bundle.image_encoder)
    photos = photos_of((1, True), (2, False))
    np.testing.assert_allclose(
        main_vectors(photos, bundle.image_encoder), [one.vectors[0] for one in reader.read(photos)], atol=1e-6
    )


def test_the_predictor_looks_at_the_photos_it_may_see(pictured, tmp_path):
    for name, fire in (("dark", True), ("bright", False)):
        drawn(3_000, fire).save(tmp_path / f"{name}.png")
    predictor = load_predictor(Settings(bundle=pictured, image_folder=tmp_path))
    images = (["dark.png"], ["bright.png"], ["../dark.png", "https://x.example/a.png"], [])
    listings = [
        parse_listing({"id": str(i), "title": "Halo Koi 12", "images": one}) for i, one in enumerate(images)
    ]
    decisions = predictor.decide(listings, explain="never")
    dark, bright, unseen, none = (
        next(one.p for one in decision.hazards if one.hazard == "fire") for decision in decisions
    )
    assert dark > none > bright and unseen == none
