"""Words of goods under a disguise: what is read back, what is left alone, and that the word files are as made."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import cjk_words, latin_words
from features.goods_words import chinese_goods, han_sounds, korean_goods, latin_goods, with_blanks
from features.normalize import normalize


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("c&#97;mera &#x73;py", "camera spy"),
        ("\u202earemac\u202c clock", "camera clock"),
        ("c[a]mera Bottl<e>s", "camera bottles"),
        ("cameeera", "camera"),
        ("Ca~mera ch arger", "camera charger"),
        ("bcycls hlmt", "bicycles helmet"),
        ("57r0113r$ 807713$", "strollers bottles"),
        ("micorwaves stollers", "microwaves strollers"),
        ("aremac", "camera"),
        ("sigyekamera", "시계카메라"),
        ("shexiangtou", "摄象头"),
        ("카~~메라 카[메]라", "카메라 카메라"),
        ("충전 기", "충전기"),
        ("玩 - 具", "玩具"),
        ("베터리", "배터리"),
        ("家热器 完具", "加热器 玩具"),
    ],
)
def test_reads_words_of_goods(written: str, read: str) -> None:
    assert normalize(written).text == read


@pytest.mark.parametrize(
    "text",
    [
        "lego anker 5v 2a usb-c (2 pack)",
        "air bag car seat for kids",
        "어린이 장난감 자동차 세트",
        "무드등 라이트 프린트",
        "世界 地图 拼图",
        "sizes s m l (w) x (h)",
        "tv & dvd player; r&d kit",
    ],
)
def test_leaves_honest_titles(text: str) -> None:
    assert normalize(text).text == text


def test_quotes_what_the_seller_wrote() -> None:
    title = "new \u202earemac\u202c &#99;lock"
    read = normalize(title)
    at = read.text.index("clock")
    assert read.quote(at, at + 5) == "&#99;lock"
    at = read.text.index("camera")
    assert "arema" in read.quote(at, at + 6)
    assert list(read.offsets) == sorted(read.offsets)


@settings(deadline=None)
@given(st.text(st.sampled_from("abcerms카메라충전기 玩具电池ㅊㅈㄱ~-[]()<>&#;0199\u202e\u202c"), max_size=40))
def test_is_settled_after_one_reading(text: str) -> None:
    read = normalize(text)
    assert normalize(read.text).text == read.text
    assert len(read.offsets) == len(read.text) + 1
    assert list(read.offsets) == sorted(read.offsets)


def test_words_that_are_words_stay() -> None:
    assert not any(latin_words.meant(word) for word in latin_goods())


def test_terms_that_are_written_right_stay() -> None:
    for term in (*korean_goods(), *with_blanks()):
        assert not [c for c in cjk_words.changes(term) if term[c[0] : c[1]] == c[2]], term


def test_every_common_character_has_one_sound() -> None:
    assert han_sounds()["摄"] == "she"
    assert all(sound.isascii() for sound in han_sounds().values())
    assert set("".join(chinese_goods())) & set(han_sounds())
