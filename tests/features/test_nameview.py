"""The name-only view: what it drops, what it keeps, and the way back to the title."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.lexicon import TermFinder
from features.nameview import NameViewer, NameViewOptions, name_view
from features.schema import Listing
from features.taxonomy import load_taxonomy

TERMS = ["lead", "choking", "납", "카드뮴", "铅", "含铅", "nickel"]


@pytest.fixture(scope="module")
def viewer() -> NameViewer:
    return NameViewer(TERMS)


@pytest.mark.parametrize(
    ("title", "view"),
    [
        ("2024 NEW Wooden Rattle 3pcs for Baby FREE SHIPPING!!", "wooden rattle for baby"),
        ("Wooden Rattle", "wooden rattle"),
        ("[무료배송] 정품 원목 딸랑이 3개 세트 신상", "원목 딸랑이 세트"),
        ("现货 包邮 跨境 木制摇铃 10个装 2024新款", "木制摇铃 装"),
        ("Desk Fans, model number FT-120B", "desk fans"),
        ("Charger 5V/2A USB3.0 20W", "charger usb"),
        ("3D puzzle 500 pieces", "3d puzzle"),
        ("Toy Watch with LR44 cells, 2-in-1", "toy watch with lr44 cells"),
        ("Children's Jewelry Set S M L", "children jewelry set"),
        ("newborn New Balance shoes NEW", "newborn new balance shoes"),
        ("water gun toy, water gun", "water gun toy"),
    ],
)
def test_a_seller_title_becomes_a_product_name(viewer: NameViewer, title: str, view: str) -> None:
    assert viewer.of_name(title) == view


@pytest.mark.parametrize(
    ("title", "view"),
    [
        ("Lead-free pendant", "pendant"),
        ("LED lamp", "led lamp"),
        ("leads to fun puzzle", "to fun puzzle"),
        ("수납장 납 장식", "수납장 장식"),
        ("铅笔 含铅 玩具", "铅笔 玩具"),
        ("nickel free earrings", "earrings"),
    ],
)
def test_words_that_name_a_hazard_are_masked(viewer: NameViewer, title: str, view: str) -> None:
    assert viewer.of_name(title) == view


def test_the_taxonomy_gives_the_masked_words() -> None:
    viewer = NameViewer(load_taxonomy())
    assert viewer.of_name("cadmium pendant 카드뮴 镉") == "pendant"
    for hazard in load_taxonomy().hazards:
        for term in hazard.mask_terms["en"]:
            assert viewer.of_name(f"wooden {term} rattle").startswith("wooden")
            assert term.lower() not in viewer.of_name(f"wooden {term} rattle").split()


def test_evasive_spelling_gives_the_same_view(viewer: NameViewer) -> None:
    assert viewer.of_name("W o o d e n r.a.t.t.l.e") == viewer.of_name("wooden rattle")


def test_brand_is_dropped_only_when_something_is_left(viewer: NameViewer) -> None:
    assert viewer.of_name("Acmetoys wooden rattle", brand="Acmetoys") == "wooden rattle"
    assert viewer.of_name("Rattle", brand="Rattle") == "rattle"
    assert (
        NameViewer(TERMS, NameViewOptions(drop_brand=False)).of_name("Acmetoys bib", "Acmetoys")
        == "acmetoys bib"
    )


def test_praise_alone_is_kept_rather_than_nothing(viewer: NameViewer) -> None:
    assert viewer.of_name("FREE SHIPPING") == "free shipping"
    assert viewer.of_name("2024") == "2024"


def test_a_listing_adds_category_and_material_once() -> None:
    viewer = NameViewer(TERMS, NameViewOptions(category=True))
    listing = Listing(
        id="1",
        title="Gold heart pendant 925",
        category=["Fashion", "Children's Jewelry"],
        attributes={"Material": "Zinc alloy", "Colour": "red"},
        brand="generic",
    )
    view = viewer.view_listing(listing)
    assert view.text == "gold heart pendant children jewelry zinc alloy"
    assert viewer.of_listing(listing) == view.text
    assert view.quote(0, 4) == "Gold"
    start = view.text.index("zinc")
    assert view.span_in_title(start, start + 4) is None
    assert view.quote(5, len(view.text)) == "heart pendant"


def test_a_name_and_the_same_bare_listing_have_one_view(viewer: NameViewer) -> None:
    title = "Kids' Magnetic Blocks 64pcs"
    assert viewer.of_listing(Listing(id="1", title=title)) == viewer.of_name(title) == "kids magnetic blocks"


def test_quotes_lead_back_to_the_seller(viewer: NameViewer) -> None:
    view = viewer.view("정품 C h a r g e r 5V 무료배송")
    assert view.text == "charger"
    assert view.quote(0, 7) == "C h a r g e r"


def test_words_can_be_bounded_too() -> None:
    assert NameViewer(TERMS, NameViewOptions(max_words=2)).of_name("red wooden rattle") == "red wooden"


def test_length_is_bounded_at_a_word(viewer: NameViewer) -> None:
    text = viewer.of_name(" ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)))
    assert len(text) <= 300
    assert all(len(word) == 6 for word in text.split())
    assert len(viewer.of_name("가" * 999)) == 300


def test_of_one_title(viewer: NameViewer) -> None:
    assert name_view("Lead toy 3pcs", masker=TERMS) == viewer.of_name("Lead toy 3pcs") == "toy"


@settings(max_examples=200, deadline=None)
@given(title=st.text(max_size=60), brand=st.text(max_size=8))
def test_any_text_has_a_view_with_a_way_back(title: str, brand: str) -> None:
    viewer = NameViewer(TERMS)
    view = viewer.view(title, brand=brand)
    assert len(view.text) <= 300
    assert view.text == " ".join(view.text.split(" "))
    for start, origin in zip(view.starts, view.origins, strict=True):
        assert origin >= 0
        first, last = view.span_in_title(start, start + 1) or (0, 0)
        assert 0 <= first < last <= len(title)


def test_finder_holds_short_terms_to_words_of_their_own() -> None:
    finder = TermFinder(["납", "铅", "lead", "작은 부품"])
    assert finder.search("수납장 납작 铅笔 mislead") is None
    assert [m[0] for m in finder.finditer("납 함유 lead leads 작은부품")] == [
        "lead",
        "leads",
        "납",
        "작은부품",
    ]
    assert not TermFinder([])
    assert TermFinder([]).search("anything") is None
