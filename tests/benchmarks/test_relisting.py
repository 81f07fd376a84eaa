"""The re-listing benchmark: its edits, its figures, and the committed result made again from its scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.relisting import drawn, measure
from benchmarks.relisting.collect import BASELINES, PLAIN, Answer, edits_of, is_asked
from benchmarks.relisting.edits import EDITS, PAIRS, SEEN, UNSEEN, edited
from benchmarks.relisting.photos import Original, originals
from benchmarks.results_file import OURS, RESULTS, read_results, read_scores
from features.image_match import FACTORS, PairEvidence, PhotoMatcher


def test_there_are_enough_edits_and_what_is_unseen_is_not_seen():
    assert len(EDITS) >= 25 and len(UNSEEN) == 6 and not set(UNSEEN) & set(SEEN)
    assert set(EDITS) == {*SEEN, *UNSEEN, *(f"{a}+{b}" for a, b in PAIRS)}


@pytest.mark.parametrize("name", sorted(EDITS))
def test_an_edit_changes_the_photo_and_is_the_same_everywhere(name):
    image = drawn.picture(3)
    once, again = (edited(image, name, "a photo") for _ in range(2))
    assert once.mode == "RGB" and min(once.size) >= 16
    np.testing.assert_array_equal(np.asarray(once), np.asarray(again))
    assert once.size != image.size or (np.asarray(once) != np.asarray(image)).any()
    strip = edited(Image.new("RGB", (400, 40), (9, 90, 200)), name, "a strip")
    assert min(strip.size) >= 8


def original(number: int, product: int, several: bool = True) -> Original:
    return Original(f"photo-{number}.jpg", Path(f"{number}.jpg"), f"product-{product}", several)


def evidence(strength: float) -> PairEvidence:
    return PairEvidence(
        int(60 * strength), strength, strength, 1.0, strength, strength, ("trimmed", "trimmed"), 4, "plain"
    )


def answer(photo: str, edit: str, own: float, others: dict[str, float], sibling: float | None) -> Answer:
    pairs = [(photo, evidence(own))] if own and edit != PLAIN else []
    pairs += [(name, evidence(value)) for name, value in others.items()]
    top = tuple(sorted(others.items(), key=lambda one: -one[1])) or (("photo-0.jpg", 0.0),)
    return Answer(
        photo,
        edit,
        tuple(pairs),
        tuple((name, evidence(value)) for name, value in others.items()),
        dict.fromkeys(BASELINES, own),
        dict.fromkeys(BASELINES, top),
        dict.fromkeys(BASELINES, sibling),
    )


@pytest.fixture
def half() -> measure.Half:
    """Ten photos of five products, two each; one wrong pair is stronger than some copies."""
    photos = {one.name: one for one in (original(n, n // 2) for n in range(10))}
    answers = []
    for n in range(10):
        name, other = f"photo-{n}.jpg", f"photo-{(n + 4) % 10}.jpg"
        answers.append(answer(name, PLAIN, 0.0, {other: 0.1}, 0.4))
        for k, edit in enumerate(("crop_5", "mirror", "collage")):
            wrong = 0.6 if (n, k) == (0, 0) else 0.1
            answers.append(answer(name, edit, 0.5 if (n, k) == (1, 0) else 0.9, {other: wrong}, None))
    return measure.Half(answers, photos)


EXACT = {OURS: 0.8, measure.STARTER: 0.5}
MATCHER = PhotoMatcher(weights=(1.0,) * len(FACTORS), offset=-4.0, exact=0.8, near=0.5)


def test_pairs_of_one_product_are_never_negatives(half):
    assert half.negative_pairs == 30 * 8
    frame = measure.scores(half, MATCHER)
    wrong = frame[frame["kind"] == "other_product"]
    assert not any(half.same(a, b) for a, b in zip(wrong["photo"], wrong["other"], strict=True))
    assert (frame["kind"] == "copy").sum() == 5 * 30


def test_figures_by_hand(half):
    frame = measure.scores(half, MATCHER)
    at = {system: measure.threshold_at(frame, system, half.negative_pairs) for system in measure.SYSTEMS}
    assert at["phash"] == 0.6  # 240 pairs allow no false match at all
    low = {**at, "phash": 0.2}
    judged = [measure.Judged(frame, half.negative_pairs, low, at, EXACT)]
    rows = {(row.system, row.metric): row for row in measure.figures(judged)}
    recall = rows["phash", "recall_at_fmr_1e-4"]
    assert (
        recall.value == pytest.approx(29 / 30) and recall.n == 30 and recall.low < recall.value <= recall.high
    )
    assert rows["phash", "fmr"].value == 0
    assert rows["phash", "recall_at_fitted_threshold"].value == 1.0
    assert rows["phash", "fmr_at_fitted_threshold"].value == pytest.approx(1 / 240)
    assert rows["phash", "recall_at_fmr_1e-4/crop_5"].value == pytest.approx(0.9)
    assert rows["phash", "recall_at_fmr_1e-4/all_unseen"].n == 10
    assert rows["phash", "other_photo_recall"].value == 0.0
    assert rows["phash", "false_query_rate"].value == 0.0 and rows["phash", "false_query_rate"].high < 0.3
    p = MATCHER.probability(evidence(0.6))
    assert rows[OURS, "exact_tier_fmr"].value == pytest.approx((p >= 0.8) / 240)


def test_what_is_stored_gives_the_figures_back(half):
    frame = measure.scores(half, MATCHER)
    at = {system: measure.threshold_at(frame, system, half.negative_pairs) for system in measure.SYSTEMS}
    judged = [measure.Judged(frame, half.negative_pairs, at, at, EXACT)] * 2
    kept = measure.stored(judged)
    assert list(kept.columns) == ["item", "system", "class", "score"]
    again = measure.judged_of(kept.astype({"score": "float32"}))
    assert [one.pairs for one in again] == [240, 240]
    assert measure.figures(again) == measure.figures(measure.judged_of(kept))


def test_draws_are_the_same_everywhere():
    photos = [original(n, n) for n in range(400)]
    assert 0.55 < np.mean([is_asked(one, 0.65) for one in photos]) < 0.75
    assert edits_of(photos[5], 7) == edits_of(photos[5], 7) and len(set(edits_of(photos[5], 7))) == 7
    assert edits_of(photos[5], 99) == list(EDITS)


def test_products_of_the_real_sets_do_not_cross_the_halves(data_dir):
    photos = originals(data_dir)
    assert len(photos) > 500 and len({one.name for one in photos}) == len(photos)
    folds = pd.DataFrame([(one.product, one.fold) for one in photos]).groupby(0)[1].nunique()
    assert folds.max() == 1


@pytest.mark.skipif(not (RESULTS / "relisting.json").is_file(), reason="not measured yet")
def test_every_figure_follows_from_the_committed_scores():
    results = read_results(RESULTS / "relisting.json")
    again = {
        (row.system, row.metric): row for row in measure.figures(measure.judged_of(read_scores("relisting")))
    }
    assert {(row.system, row.metric) for row in results.rows} == set(again)
    for row in results.rows:
        assert math.isclose(row.value, again[row.system, row.metric].value, abs_tol=1e-9), row.metric
    total = next(row.n for row in results.rows if row.metric == "fmr" and row.system == OURS)
    assert total is not None and total >= 1_000_000
