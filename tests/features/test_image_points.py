from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from features import image_points, image_views, point_votes
from features.image_points import Points, agree, detect, from_bytes, to_bytes
from features.point_votes import PointVotes, words


def points_of(image: Image.Image) -> Points:
    return detect(np.asarray(image))


@pytest.fixture(scope="module")
def drawings(pictures) -> list[Image.Image]:
    return [pictures.picture(n) for n in range(30)]


@pytest.fixture(scope="module")
def bank(drawings) -> list[Points]:
    return [points_of(image) for image in drawings]


@pytest.fixture(scope="module")
def edits():
    from benchmarks.relisting.edits import edited

    return edited


def test_stored_points_are_the_same_but_for_rounding(bank):
    for points in bank[:5]:
        raw = to_bytes(points)
        again = from_bytes(raw)
        assert len(raw) == 6 + 71 * len(points) and len(points) >= 60
        assert np.abs(again.xy - points.xy).max() <= 1 / 64
        assert np.abs(again.scale / points.scale - 1).max() < 0.01
        np.testing.assert_allclose(
            again.descriptors, points.descriptors, atol=1e-6
        )  # detected in four bits already
        assert to_bytes(again) == raw


def test_points_cut_short_are_refused(bank):
    with pytest.raises(ValueError, match="buffer"):
        from_bytes(to_bytes(bank[0])[:-1])


def test_a_mirrored_photo_has_the_mirrored_points(drawings, bank):
    there = points_of(drawings[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    ours = bank[0].mirrored()
    distance = np.linalg.norm(there.xy[:, None] - ours.xy[None], axis=2)
    near = distance.min(1) < 1
    assert near.mean() > 0.8
    cosine = (there.descriptors * ours.descriptors[distance.argmin(1)]).sum(1)[near]
    assert np.median(cosine) > 0.98
    back = ours.mirrored()
    np.testing.assert_allclose(back.xy, bank[0].xy, atol=1e-3)
    np.testing.assert_array_equal(back.descriptors, bank[0].descriptors)


@pytest.mark.parametrize(
    ("edit", "mirrored"),
    [
        ("jpeg_30", False),
        ("crop_20", False),
        ("border_coloured", False),
        ("mirror", True),
        ("rotate_5", False),
        ("rotate_90", False),
        ("banner", False),
        ("stretch", False),
        ("perspective", False),
        ("collage", False),
        ("screenshot", False),
    ],
)
def test_an_edited_copy_lies_on_its_original_and_on_no_other(drawings, bank, edits, edit, mirrored):
    seen = 0
    for n in range(6):
        query = points_of(edits(drawings[n], edit, f"photo {n}"))
        own = agree(query, bank[n])
        others = max(agree(query, bank[m]).inliers for m in range(10, 14))
        seen += own.inliers >= 12 and own.mirrored is mirrored and own.inliers > 2 * others
    assert seen >= 5


def test_the_map_says_where_the_copy_lies(drawings, bank):
    image = drawings[2]
    shifted = Image.new("RGB", (image.width + 90, image.height + 60), (255, 255, 255))
    shifted.paste(image, (70, 50))
    query = points_of(shifted)
    found = agree(query, bank[2])
    assert found.matrix is not None
    scale = np.array(query.size) / shifted.size
    corner = found.matrix @ [70 * scale[0], 50 * scale[1], 1]
    assert np.abs(corner).max() < 4


def test_few_points_and_none_at_all():
    plain = detect(np.full((200, 300, 3), 255, np.uint8))
    assert len(plain) == 0 and len(from_bytes(to_bytes(plain))) == 0
    assert agree(plain, plain).inliers == 0
    tiny = detect(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8))
    assert agree(tiny, plain).matrix is None


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 2**31))
def test_any_picture_can_be_read(width, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    points = detect(pixels)
    assert len(points) <= image_points.KEPT
    assert np.isfinite(points.descriptors).all()
    assert agree(points, points).inliers <= len(points)
    box = image_views.trimmed(pixels)
    assert 0 <= box.left < box.right <= 1 and min(box.cut(pixels).shape[:2]) >= 8


def test_votes_find_the_copies_among_many(drawings, bank, edits):
    votes = PointVotes()
    for slot, points in enumerate(bank):
        votes.add(slot, words(points, 200))
    alive = np.ones(len(bank), bool)
    first = 0
    for n in range(12):
        for edit in ("crop_20", "mirror", "collage", "rotate_90"):
            found = votes.search(points_of(edits(drawings[n], edit, str(n))), alive, 3)
            first += (
                len(found.slots) > 0 and found.slots[0] == n and bool(found.mirrored[0]) == (edit == "mirror")
            )
    assert first >= 45


def test_votes_pass_over_what_is_gone_and_see_what_comes(bank):
    votes = PointVotes()
    alive = np.ones(len(bank), bool)
    assert not len(votes.search(bank[0], alive, 3).slots)
    for slot, points in enumerate(bank):  # one by one, so that parts are merged
        votes.add(slot, words(points, 200))
        assert votes.search(points, alive, 1).slots[0] == slot
    assert len(votes._parts) < 8
    alive[4] = False
    assert 4 not in votes.search(bank[4], alive, 30).slots


def test_words_are_few_bytes(bank):
    rows = words(bank[0], 50)
    assert len(rows) == 50 and rows.dtype == point_votes.WORD and rows.dtype.itemsize == 6
    assert rows["word"].max() < 2**28


def test_trimming_undoes_borders(pictures):
    image = pictures.picture(7)
    inner = image_views.trimmed(np.asarray(image))
    for frames in ([(255, 255, 255)], [(250, 200, 20)], [(255, 255, 255), (10, 10, 10)]):
        framed = image
        for colour in frames:
            ground = Image.new("RGB", (framed.width + 60, framed.height + 44), colour)
            ground.paste(framed, (30, 22))
            framed = ground
        got = image_views.trimmed(np.asarray(framed)).cut(np.asarray(framed))
        wanted = inner.cut(np.asarray(image))
        assert np.abs(np.array(got.shape) - wanted.shape).max() <= 8
        assert np.bitwise_count(image_views.phashes(got)[0] ^ image_views.phashes(wanted)[0]) <= 10
    flat = np.full((50, 60, 3), 90, np.uint8)
    assert image_views.trimmed(flat) == image_views.WHOLE


def test_hashes_of_eight_positions(pictures):
    pixels = np.asarray(pictures.picture(3))
    own = image_views.phashes(pixels)
    assert own.shape == (8,) and own[0] == image_views.phash(pixels) and len(set(own.tolist())) == 8
    for turn in range(4):
        for mirrored in (False, True):
            moved = np.rot90(pixels[:, ::-1] if mirrored else pixels, turn)
            there = image_views.phash(np.ascontiguousarray(moved))
            assert np.bitwise_count(own[turn + 4 * mirrored] ^ np.uint64(there)) <= 4
    other = image_views.phash(np.asarray(pictures.picture(4)))
    assert np.bitwise_count(own[0] ^ np.uint64(other)) >= 12
