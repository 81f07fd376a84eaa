"""Cells of foreign tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import cells


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("₹32,999", 32_999, "INR"),
        ("USD 12.90", 12.9, "USD"),
        ("19.99 USD", 19.99, "USD"),
        ("13,530원", 13_530, "KRW"),
        ("₩13,530", 13_530, "KRW"),
        ("1만 3천원", 13_000, "KRW"),
        ("2.5만원", 25_000, "KRW"),
        ("1.299,00 €", 1_299, "EUR"),
        ("US $1.20 - 3.40", 1.2, "USD"),
        ("Rp16.499.000", 16_499_000, "IDR"),
        ("MX$405.00", 405, "MXN"),
        ("12元", 12, "CNY"),
        ("$99.95", 99.95, None),
        ("¥ 12.5", 12.5, None),
        ("46490", 46_490, None),
        (12_900, 12_900, None),
    ],
)
def test_prices(text, amount, currency):
    assert cells.money(text) == (amount, currency)


@pytest.mark.parametrize("text", ["무료", "", "Get", None, True, "-₹5"])
def test_what_is_no_price_is_none(text):
    assert cells.money(text) is None


def test_a_negative_number_stays_negative_for_the_schema_to_refuse():
    assert cells.money("-5") == (-5.0, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2k sold", 1_200),
        ("5万+人付款", 50_000),
        ("已售3.5万+件", 35_000),
        ("판매 1,234개", 1_234),
        ("1.5만개 구매", 15_000),
        ("3천개 이상", 3_000),
        ("10K+ bought in past month", 10_000),
        ("1,2rb terjual", 1_200),
        ("2,948", 2_948),
        ("1.234.567 vendidos", 1_234_567),
        ("8122.0", 8_122),
        (17, 17),
        ("none yet", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_units_sold_inside_text(text, expected):
    assert cells.count(text) == expected


@given(st.text(max_size=60))
def test_readers_never_fail_on_text(text):
    cells.money(text)
    cells.count(text)
    cells.number(text)
    cells.texts(text)
    cells.texts(text, urls=True)
    cells.category(text)
    cells.pairs(text)
    cells.certificates(text)
    cells.variants(text)
    cells.moment(text)


def test_lists():
    assert cells.texts("['CE', 'RoHS']") == ["CE", "RoHS"]
    assert cells.texts('["a","b"]') == ["a", "b"]
    assert cells.texts("https://a/1.jpg,https://a/2,3.jpg;https://a/4.jpg", urls=True) == [
        "https://a/1.jpg",
        "https://a/2,3.jpg",
        "https://a/4.jpg",
    ]
    assert cells.category('[{"name":"Home","url":"u"},{"name":"Bath"}]') == ["Home", "Bath"]
    assert cells.category("Toys & Games | Science Kits") == ["Toys & Games", "Science Kits"]


def test_attributes_keep_repeated_names_and_nameless_text():
    value = '[{"name":"Style","value":"A"},{"name":"Style","value":"B"},{"name":"Style","value":"A"}]'
    assert cells.pairs(value) == {"Style": "A; B"}
    assert cells.pairs("Weight: 4 pounds |made of wood") == {"Weight": "4 pounds", "": "made of wood"}


def test_certificates_with_numbers_under_foreign_names():
    value = [{"certificationType": "KC", "certificationCode": "CB123A123-1234"}, "CE"]
    assert cells.certificates(value) == [{"kind": "KC", "number": "CB123A123-1234"}, {"kind": "CE"}]
