"""Evasive spelling changes neither what is read nor what is decided."""

import random
import unicodedata
from collections.abc import Callable

import pytest

from features.covert import CovertCameraDetector
from features.nameview import NameViewer
from features.normalize import normalize
from features.taxonomy import load_taxonomy

Disguise = Callable[[str], str]
_TWINS = str.maketrans("aceopsxyi", "асеорѕхуі")
_LEET = str.maketrans("aeio", "4310")
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"]


def _split_hangul(text: str) -> str:
    def letters(char: str) -> str:
        if not "가" <= char <= "힣":
            return char
        rest, tail = divmod(ord(char) - 0xAC00, 28)
        lead, vowel = divmod(rest, 21)
        return _INITIALS[lead] + _VOWELS[vowel] + _FINALS[tail]

    return "".join(map(letters, text))


def _styled(text: str) -> str:
    return "".join(chr(0x1D5EE + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in text)


def _words(change: Callable[[str], str]) -> Disguise:
    return lambda text: "  ".join(change(word) for word in text.split(" "))


ANY_SCRIPT: dict[str, Disguise] = {
    "zero_width": lambda text: "\u200b".join(text),
    "soft_hyphen": lambda text: "\u00ad".join(text),
    "dotted": _words(".".join),
    "starred": _words("*".join),
    "dashed": _words("-".join),
    "emoji": _words("😀".join),
    "spaced": _words(" ".join),
    "shouting": lambda text: text.upper() + "!!!!",
    "variation": lambda text: "".join(c + "\ufe0f" for c in text),
    "decorated": lambda text: f"🔥🔥{text}★★",
}
LATIN: dict[str, Disguise] = {
    "twins": lambda text: text.translate(_TWINS),
    "leet": lambda text: text.translate(_LEET),
    "fullwidth": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "styled": _styled,
    "accents": lambda text: "".join(c + "\u0301" if c in "aeiou" else c for c in text),
    "struck": lambda text: "".join(c + "\u0336" for c in text),
    "title_case": str.title,
}
HANGUL: dict[str, Disguise] = {
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "split": _split_hangul,
    "split_spaced": _words(lambda word: " ".join(_split_hangul(word))),
}

_LATIN_TEXTS = ["hidden camera", "baby necklace", "charger", "magnet balls", "spycam"]
_HANGUL_TEXTS = ["몰래카메라 만년필", "어린이 목걸이", "충전기"]
_HAN_TEXTS = ["隐形摄像头", "儿童玩具"]


@pytest.mark.parametrize("name", [*ANY_SCRIPT, *LATIN])
@pytest.mark.parametrize("text", _LATIN_TEXTS)
def test_latin_words_are_read(name: str, text: str) -> None:
    disguised = (ANY_SCRIPT | LATIN)[name](text)
    assert disguised != text
    assert normalize(disguised).text.rstrip("!") == text


@pytest.mark.parametrize("name", [*ANY_SCRIPT, *HANGUL])
@pytest.mark.parametrize("text", _HANGUL_TEXTS)
def test_korean_words_are_read(name: str, text: str) -> None:
    assert normalize((ANY_SCRIPT | HANGUL)[name](text)).text.rstrip("!") == text


@pytest.mark.parametrize("name", ANY_SCRIPT)
@pytest.mark.parametrize("text", _HAN_TEXTS)
def test_chinese_words_are_read(name: str, text: str) -> None:
    assert normalize(ANY_SCRIPT[name](text)).text.rstrip("!") == text


@pytest.mark.parametrize("name", [*ANY_SCRIPT, *LATIN])
def test_covert_cameras_are_found_in_any_spelling(name: str) -> None:
    detector = CovertCameraDetector()
    disguise = (ANY_SCRIPT | LATIN)[name]
    assert detector.score_text(disguise("hidden camera") + " wall clock 1080p").probability >= 0.5
    if name in ANY_SCRIPT:
        assert detector.score_text("탁상시계 " + disguise("몰래카메라")).probability >= 0.5
        assert detector.score_text("充电器 " + disguise("摄像头") + " 1080p 远程").probability >= 0.5


@pytest.mark.parametrize("name", [*ANY_SCRIPT, *HANGUL])
def test_hazard_words_are_masked_in_any_spelling(name: str) -> None:
    viewer = NameViewer(load_taxonomy())
    assert viewer.of_name((ANY_SCRIPT | HANGUL)[name]("카드뮴") + " 목걸이") == "목걸이"


def test_two_disguises_at_once() -> None:
    rng = random.Random(7)
    for _ in range(60):
        text = rng.choice(_LATIN_TEXTS)
        inner = rng.choice(["twins", "styled", "fullwidth", "accents"])
        outer = rng.choice(["zero_width", "dotted", "emoji", "decorated", "variation"])
        disguised = ANY_SCRIPT[outer](LATIN[inner](text))
        assert normalize(disguised).text == text, (inner, outer)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("8u8813 m@ch1n3", "bubble machine"),
        ("d373c70r", "detector"),
        ("7!$5u3 box", "tissue box"),
        ("infalr matress", "infalr mattress"),
        ("rechargable bluetoooth speakr", "rechargeable bluetooth speaker"),
        ("扌聂亻象头", "摄像头"),
        ("石兹力王求", "磁力球"),
        ("neckӏaϲe", "necklace"),
    ],
)
def test_words_with_hardly_a_letter_left_are_read(written: str, read: str) -> None:
    assert normalize(written).text == read


@pytest.mark.parametrize(
    "title",
    [
        "rtx3080 a30114 se315",
        "np-fw50 battery",
        "iphone 15 m4 5s",
        "graco evenflo fisher-price",
        "王元 日月潭 木瓜",
    ],
)
def test_models_makers_and_words_of_their_own_stay(title: str) -> None:
    assert normalize(title).text == title
