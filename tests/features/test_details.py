"""Goods that are named outside the title."""

from features.covert import CovertCameraDetector
from features.details import LONGEST, MOST_PIECES, pieces
from features.schema import Listing
from features.taxonomy import load_taxonomy
from training.reading import Reader


def test_attributes_come_first_and_a_description_from_its_end() -> None:
    listing = Listing(
        id="1",
        title="Nice thing",
        attributes={"Type": "Baby rattle"},
        bullets=["Soft"],
        description="One. Two 1.5 m! 셋。",
    )
    found = [(piece.field, piece.text.strip()) for piece in pieces(listing)]
    assert found == [
        ("attributes.Type", "Baby rattle"),
        ("bullets.0", "Soft"),
        ("description", "Two 1.5 m"),
        ("description", "One"),
    ]


def test_pieces_are_few_and_short_and_say_where_they_stand() -> None:
    text = "word " * 2_000 + ". " + "a b. " * 500
    found = list(pieces(Listing(id="1", title="x", description=text)))
    assert len(found) == MOST_PIECES
    assert all(len(piece.text) <= LONGEST for piece in found)
    assert all(text[piece.start :].startswith(piece.text) for piece in found)


def test_goods_are_read_where_the_title_names_none() -> None:
    reader = Reader(load_taxonomy())
    bland = Listing(id="1", title="New season popular choice")
    assert reader.read(bland).group == ""
    named = reader.read(Listing(id="2", title="Bicycle helmet"))
    for told in (
        bland.model_copy(update={"attributes": {"Type": "Bicycle helmet"}}),
        bland.model_copy(update={"description": "Welcome to our shop. We pack with care. Bicycle helmet"}),
    ):
        reading = reader.read(told)
        assert reading.group == named.group
        assert "helmet" in reading.view.text.split()
        assert reading.group_spans == ()


def test_a_title_that_names_goods_is_read_alone() -> None:
    reader = Reader(load_taxonomy())
    alone = Listing(id="1", title="Bicycle helmet")
    told = alone.model_copy(update={"description": "Goes well with our wooden rattle for babies."})
    assert reader.read(told).view.text == reader.read(alone).view.text
    assert reader.read(told).group == reader.read(alone).group


def test_a_covert_camera_under_a_bland_title_is_found_and_quoted() -> None:
    detector = CovertCameraDetector()
    text = "We pack with care. Ships fast. Desk clock with 1080P camera, app live view"
    score = detector.score_listing(Listing(id="1", title="New season item", description=text))
    assert score.probability >= 0.5
    assert {one.field for one in score.evidence} == {"description"}
    assert all(text[one.start : one.end] == one.text for one in score.evidence)


def test_an_ordinary_camera_is_not_accused_by_its_description() -> None:
    detector = CovertCameraDetector()
    drone = Listing(
        id="1", title="Foldable drone", description="Camera function: 4K HD wifi live view. Charger camera."
    )
    assert detector.score_listing(drone).probability < 0.35
