"""A banned photo comes back edited: is it seen, by what, and is an innocent photo let through?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.relisting.edits import edited
from features.errors import UserError
from features.image_features import StoredPhoto, stored, unpacked
from features.image_match import (
    FACTORS,
    PairEvidence,
    best_of,
    compare,
    factors,
    load_matcher,
    matcher_of,
    matcher_values,
    photo_entry,
)
from features.similarity import SimilarityIndex

BANNED = 24


@pytest.fixture(scope="module")
def matcher():
    return load_matcher()


@pytest.fixture(scope="module")
def bank(tmp_path_factory, pictures, photo_reader):
    """An index of drawn pictures, opened for reading as the service does; every second one has its shop's band."""
    path = tmp_path_factory.mktemp("bank") / "bank.index"
    draw = [pictures.branded if n % 2 else pictures.picture for n in range(BANNED)]
    features = photo_reader.read([pictures.as_photo(draw[n](n)) for n in range(BANNED)])
    with SimilarityIndex(path, photo_reader.identity, write=True) as index:
        index.add(photo_entry(f"ban {n}", one) for n, one in enumerate(features))
    with SimilarityIndex(path, photo_reader.identity) as index:
        yield index, features


def asked(pictures, photo_reader, image: Image.Image):
    return photo_reader.read([pictures.as_photo(image)])[0]


@pytest.mark.parametrize(
    "edit",
    ["jpeg_30", "crop_10", "border_white", "mirror", "rotate_5", "rotate_90", "banner", "watermark", "resize_160",
     "screenshot", "collage", "crop_10+banner", "mirror+border_coloured"],
)  # fmt: skip
def test_an_edited_copy_is_seen_for_what_it_is(bank, pictures, photo_reader, matcher, edit):
    index, _ = bank
    exact = 0
    for n in range(5):
        draw = pictures.branded if n % 2 else pictures.picture
        query = asked(pictures, photo_reader, edited(draw(n), edit, f"photo {n}"))
        found = matcher.match(query, index)
        exact += bool(found) and found[0].key == f"ban {n}" and found[0].tier == "exact"
    assert exact >= 4


def test_innocent_pictures_are_let_through_also_those_of_the_same_shop(bank, pictures, photo_reader, matcher):
    index, _ = bank
    for n in [*range(200, 212), 25, 27]:  # 21, 23 and 25 bear one band, and so do 27 and none of the banned
        draw = pictures.branded if n % 2 else pictures.picture
        found = matcher.match(asked(pictures, photo_reader, draw(n)), index)
        assert all(one.tier != "exact" for one in found), (n, found[0])


def test_the_same_file_is_certain(bank, pictures, photo_reader, matcher):
    index, _ = bank
    found = matcher.match(asked(pictures, photo_reader, pictures.picture(4)), index)
    assert found[0].key == "ban 4" and found[0].probability == 1.0 and found[0].evidence.same_bytes


def test_evidence_says_how_the_copy_was_made(bank, pictures, photo_reader, matcher):
    index, _ = bank
    query = asked(pictures, photo_reader, edited(pictures.picture(6), "mirror", "x"))
    evidence = matcher.match(query, index)[0].evidence
    assert evidence.mirrored and evidence.position == "mirrored" and evidence.hash_distance <= 4
    assert (
        evidence.inliers > 30 and evidence.overlap > 0.95 and evidence.tiles > 0.8 and not evidence.same_bytes
    )
    plain = asked(pictures, photo_reader, edited(pictures.picture(6), "crop_20", "x"))
    evidence = matcher.match(plain, index)[0].evidence
    assert not evidence.mirrored and 0.5 < evidence.overlap < 0.8
    across = np.array(evidence.matrix).reshape(2, 3)
    assert across[0, 0] == pytest.approx(0.8, abs=0.03) and across[1, 1] == pytest.approx(0.8, abs=0.03)


def test_keys_to_pass_over_leave_room_for_others(bank, pictures, photo_reader, matcher):
    index, _ = bank
    query = asked(pictures, photo_reader, edited(pictures.picture(8), "crop_5", "x"))
    assert matcher.match(query, index)[0].key == "ban 8"
    assert "ban 8" not in {one.key for one in matcher.match(query, index, passing_over={"ban 8"})}


def test_a_photo_with_nothing_on_it_matches_nothing(bank, pictures, photo_reader, matcher):
    index, _ = bank
    query = asked(pictures, photo_reader, Image.new("RGB", (300, 300), (255, 255, 255)))
    assert all(one.tier == "none" for one in matcher.match(query, index))
    assert compare(query, query).same_bytes


def test_a_listing_is_judged_by_its_worst_photo(bank, pictures, photo_reader, matcher):
    index, _ = bank
    images = [pictures.picture(300), edited(pictures.picture(2), "crop_5", "x"), pictures.picture(301)]
    found = [
        matcher.match(one, index) for one in photo_reader.read([pictures.as_photo(image) for image in images])
    ]
    best = best_of(found)
    assert best is not None and best[0] == 1 and best[1].key == "ban 2"
    assert best_of([[], []]) is None


def test_stored_features_are_those_that_were_read(bank):
    _, features = bank
    for one in features[:3]:
        again = unpacked(stored(one))
        assert isinstance(again, StoredPhoto) and len(again.points) == len(one.points)
        np.testing.assert_array_equal(again.thumb, one.thumb)
        assert again.box.left == pytest.approx(one.box.left, abs=1e-6)
    with pytest.raises(ValueError, match="index the photos anew"):
        unpacked(b"\x63" + stored(features[0])[1:])
    with pytest.raises(ValueError, match="index the photos anew"):
        unpacked(b"")


def test_more_evidence_never_lowers_the_probability(matcher):
    evidence = PairEvidence(8, 0.2, 0.4, 0.5, 0.3, 0.5, ("trimmed", "middle"), 16, "plain")
    before = matcher.probability(evidence)
    for change in ({"inliers": 60}, {"spread": 0.8}, {"tiles": 0.9}, {"correlation": 0.9}, {"cosine": 0.9},
                   {"hash_distance": 2}):  # fmt: skip
        assert matcher.probability(dataclasses.replace(evidence, **change)) >= before
    assert len(factors(evidence)) == len(FACTORS)


def test_a_matcher_survives_being_kept(matcher, tmp_path):
    assert matcher_of(json.loads(json.dumps(matcher_values(matcher)))) == matcher
    assert "drawn pictures" in matcher.fitted_on
    assert 0 < matcher.near <= matcher.exact <= 1


@pytest.mark.parametrize(
    "change",
    [{"contract": 0}, {"factors": ["points"]}, {"weights": [1.0]}, {"offset": "nan"}, {"limits": {"x": 1}}],
)
def test_a_matcher_of_another_kind_is_refused(matcher, tmp_path: Path, change):
    path = tmp_path / "matcher.json"
    path.write_text(json.dumps({**matcher_values(matcher), **change}))
    with pytest.raises(UserError, match="expected a photo matcher of contract 1"):
        load_matcher(path)
    with pytest.raises(UserError, match="expected a photo matcher"):
        load_matcher(tmp_path / "absent.json")
