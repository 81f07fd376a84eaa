"""What a listing is read as when its title offers an accessory, or hides the goods elsewhere or among other goods."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.schema import Listing
from features.taxonomy import load_taxonomy
from serving.settings import STARTER
from training.bundle import Bundle
from training.reading import Reader


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_taxonomy())


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(Path(STARTER))


@pytest.mark.parametrize(
    "title",
    [
        "Storage case for hoverboard scooter",
        "Spare screws for air fryer oven",
        "전동 킥보드용 보관 케이스",
        "电动滑板车 专用收纳包",
    ],
)
def test_an_accessory_is_not_the_goods_it_is_for(reader: Reader, title: str) -> None:
    reading = reader.read(Listing(id="1", title=title, category=["Scooters"]))
    assert reading.accessory
    assert "scooter" not in reading.view.text
    assert "fryer" not in reading.view.text
    assert not reader.others(Listing(id="1", title=title, description="An air fryer of 5 litres"), reading)


@pytest.mark.parametrize(
    "title", ["Backpack for kids", "USB charger for phone", "Air fryer with rack", "캠핑용 의자"]
)
def test_goods_for_somebody_or_something_stay(reader: Reader, title: str) -> None:
    reading = reader.read(Listing(id="1", title=title))
    assert not reading.accessory or "charger" in reading.view.text


def test_goods_under_a_bland_title_are_read_where_they_are_named(reader: Reader, bundle: Bundle) -> None:
    listing = Listing(
        id="1",
        title="Simple Office Desk Item Gift Idea",
        attributes={"Type": "Air fryer oven 1500W oil free"},
    )
    first = reader.read(listing)
    (other,) = reader.others(listing, first)
    assert other.group == reader.read(Listing(id="2", title="Air fryer oven 1500W oil free")).group
    honest = Listing(id="3", title="Air fryer oven", attributes={"Type": "Air fryer oven 1500W oil free"})
    assert not reader.others(honest, reader.read(honest))
    plain = bundle.score([Listing(id="4", title=listing.title)])
    assert bundle.score([listing]).p_noncompliant[0] > plain.p_noncompliant[0]


def test_goods_among_others_are_read_in_parts(reader: Reader, bundle: Bundle) -> None:
    stuffed = Listing(
        id="1",
        title="towel notebook cushion postcard hoverboard electric scooter curtain basket ribbon bookmark kitchen",
    )
    others = reader.others(stuffed, reader.read(stuffed))
    assert any("hoverboard" in other.view.text and "bookmark" not in other.view.text for other in others)
    goods = bundle.score([Listing(id="2", title="hoverboard electric scooter")])
    found = bundle.score([stuffed])
    assert found.groups == goods.groups
    reasons = bundle.explain(stuffed, ["fire"])
    assert all(stuffed.title[one.start : one.end] == one.text for one in reasons if one.field == "title")


def test_a_score_does_not_depend_on_neighbours(bundle: Bundle) -> None:
    stuffed = Listing(
        id="1", title="towel notebook cushion postcard hoverboard scooter curtain basket ribbon"
    )
    plain = Listing(id="2", title="Wooden rattle for baby")
    together = bundle.score([plain, stuffed])
    assert (together.p[1] == bundle.score([stuffed]).p[0]).all()
    assert (together.p[0] == bundle.score([plain]).p[0]).all()
