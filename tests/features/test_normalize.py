"""Normalisation: what it undoes, what it leaves, and that the way back holds."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.normalize import language, normalize

_ANY = st.text(st.characters(), max_size=80)
_ODD = st.text(
    st.sampled_from(
        "abcdiLO sSpPyY134580@$!|._-*·•~+ 가몰카메라ㅁㅗㄹㅋㅏㅣᄀ"
        "ᅡᆨ偷拍摄像头асоеΩΣςİıéñß😀🔌★\u200b\u200d\u0301\u0336️🇰🇷ｓｐＹ①½ﬃำअา"
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Ch\u200bar\u2060ger", "charger"),
        ("c h a r g e r", "charger"),
        ("c.h.a.r.g.e.r 5V", "charger 5v"),
        ("몰 래 카 메 라 판매", "몰래카메라 판매"),
        ("몰.카", "몰카"),
        ("몰📷카", "몰카"),
        ("카메🔥라", "카메라"),
        ("s.p.y c-a-m", "spy cam"),
        ("s p y  c a m", "spy cam"),
        ("sp1 c4mera", "spy camera"),
        ("h1dden ch4rg3r", "hidden charger"),
        ("$py c@mera", "spy camera"),
        ("ㅁㅗㄹㅋㅏ 시계", "몰카 시계"),
        (unicodedata.normalize("NFD", "몰래카메라 볼펜"), "몰래카메라 볼펜"),
        ("모ㄹ카", "몰카"),
        ("ㅁ ㅗ ㄹ ㅋ ㅏ", "몰카"),
        ("Сhаrgеr", "charger"),
        ("САМЕRА", "camera"),
        ("ѕру сам wifi", "spy cam wifi"),
        ("ｓｐｙ　ｃａｍ", "spy cam"),
        ("𝓼𝓹𝔂 𝕔𝕒𝕞", "spy cam"),
        ("ⓢⓟⓨ 🅲🅰🅼", "spy cam"),
        ("s̶p̶y̶ ćàmęrâ", "spy camera"),
        ("c😀a😀m😀e😀r😀a", "camera"),
        ("char*ger", "charger"),
        ("SALE!!!!!", "sale!"),
        ("偷.拍 摄 像 头", "偷拍 摄像头"),
        ("free___shipping", "free shipping"),
    ],
)
def test_undoes_evasion(written: str, read: str) -> None:
    assert normalize(written).text == read


@pytest.mark.parametrize(
    "text",
    [
        "3d puzzle 5v iphone 14 usb3.0",
        "30x40cm 1080p 4k 2.4ghz",
        "wd-40 cr2032 18650 co2 mp3player",
        "gls18i3fwamc a1b2c3 s8plus",
        "s m l xl",
        "a b c d blocks",
        "5 in 1 a/c r/c t-shirt",
        "мягкая игрушка для детей",
        "παιδικό παιχνίδι",
        "ของเล่นเด็ก ำ",
        "لعبة أطفال",
        "صندوق‌ها",
        "खिलौना गाड़ी",
        "צעצוע לילדים",
        "おもちゃ カメラ",
        "ㄱ자 책상 ㅋㅋㅋ",
        "儿童玩具 塑料",
    ],
)
def test_leaves_honest_text(text: str) -> None:
    assert normalize(text).text == text


def test_foreign_words_beside_latin_ones_stay_foreign() -> None:
    assert normalize("iPhone чехол").text == "iphone чехол"
    assert normalize("Xbox геймпад, сам").text == "xbox геймпад, сам"


def test_a_word_of_two_scripts_follows_its_majority() -> None:
    assert normalize("кaмерa видео").text == "камера видео"


@pytest.mark.parametrize(
    ("title", "word", "quote"),
    [
        ("정품 c h a r g e r 5V", "charger", "c h a r g e r"),
        ("새 몰 래 카 메 라 팝니다", "몰래카메라", "몰 래 카 메 라"),
        ("mini ㅁㅗㄹㅋㅏ!", "몰카", "ㅁㅗㄹㅋㅏ"),
        ("Best C4MERA\u200b\u200b now", "c4mera".replace("4", "a"), "C4MERA"),
        ("ｓｐｙ　pen", "spy", "ｓｐｙ"),
        ("İyi Çocuk", "cocuk", "Çocuk"),
        ("5㎏ box", "kg", "㎏"),
    ],
)
def test_quotes_what_the_seller_wrote(title: str, word: str, quote: str) -> None:
    found = normalize(title)
    at = found.text.index(word)
    assert found.quote(at, at + len(word)) == quote


def test_a_plain_title_maps_to_itself() -> None:
    found = normalize("Wooden Rattle 딸랑이 摇铃")
    assert list(found.offsets) == list(range(len(found.original) + 1))
    assert found.quote(7, 13) == "Rattle"


@settings(max_examples=400, deadline=None)
@given(st.one_of(_ANY, _ODD))
@example("\ud800a\udfff")
@example("a\u0345\u0301")
@example("İ̇")
@example("ᄀᄀ가ㄱㅏㅣㅣ")
@example("ſ")
@example("\u1e9b\u0323")
def test_offsets_lead_back_and_text_is_settled(text: str) -> None:
    found = normalize(text)
    offsets = list(found.offsets)
    assert len(offsets) == len(found.text) + 1
    assert offsets[-1] == len(text)
    assert all(a <= b for a, b in pairwise(offsets))
    assert all(0 <= at < len(text) for at in offsets[:-1])
    assert normalize(found.text).text == found.text
    for at in range(len(found.text)):
        first, last = found.span(at, at + 1)
        assert 0 <= first < last <= len(text)


_SCRIPTS = {
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "thai": "กขคงจฉชซญดตถทนบปผพฟภมยรลวสหอฮ",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "devanagari": "कखगघचछजझटठडढतथदधनपफबमयरलवशसह",
    "tamil": "கஙசஞடணதநபமயரலவழளறன",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "greek": "αβγδεζηθικλμνξοπρστυφχψω",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "armenian": "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
    "kana": "あいうえおかきくけこアイウエオカキクケコ",
    "han": "玩具儿童塑料充电器摄像头",
    "hangul": "장난감어린이충전기시계",
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(_SCRIPTS)).flatmap(lambda name: st.text(_SCRIPTS[name] + " ", max_size=30)))
def test_no_letter_of_any_script_is_lost(text: str) -> None:
    assert normalize(text).text.replace(" ", "") == text.replace(" ", "")


def test_time_grows_with_length_only() -> None:
    """A hostile description of the longest length is read, not refused."""
    found = normalize("c.a.m 😀é4" * 10_000)
    assert len(found.offsets) == len(found.text) + 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Nintendo Switch OLED 닌텐도", "ko"),
        ("삼성 SAMSUNG Galaxy Buds Pro", "ko"),
        ("ㅁㅗㄹㅋㅏ", "ko"),
        ("CHANDO/自然堂 雪域", "zh"),
        ("夏季の女士连衣裙", "zh"),
        ("Kids toy set", "en"),
        ("Juguete para niños", "en"),
        ("カメラ 充電器", "other"),
        ("Фен для волос Philips", "other"),
        ("ของเล่นเด็ก", "other"),
        ("😀 123", "other"),
        ("", "other"),
    ],
)
def test_language_by_script(text: str, code: str) -> None:
    assert language(text) == code
