"""For whom goods are: age claims, words, and the escape by a claim of 14 and over."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.age_claims import age_claims
from features.audience import audience, audience_of, of_months
from features.groups import GroupMatcher, load_groups
from features.normalize import normalize
from features.schema import parse_listing

GROUPS = load_groups()


@cache
def matcher() -> GroupMatcher:
    """Made when it is needed: every process of a run collects this file, and one runs it."""
    return GroupMatcher(GROUPS)


def claimed(text: str) -> list[tuple[float, float | None]]:
    return [(claim.low, claim.high) for claim in age_claims(normalize(text).text)]


def read(title: str, **fields: object):
    text = normalize(title).text
    return audience(text, group=GROUPS.get(matcher().match(text).code), **fields)  # type: ignore[arg-type]


class TestAgeClaims:
    @pytest.mark.parametrize(
        ("text", "low", "high"),
        [
            ("만 3세 이상 사용", 36, None),
            ("36개월 이상", 36, None),
            ("14세이상", 168, None),
            ("8세~13세", 96, 167),
            ("6~12개월 아기용", 6, 12),
            ("for ages 6-12", 72, 155),
            ("3+ years", 36, None),
            ("8 years and up", 96, None),
            ("5 to 9 years", 60, 119),
            ("18m+", 18, None),
            ("romper 0-12m", 0, 12),
            ("3岁以上", 36, None),
            ("6-12个月宝宝", 6, 12),
            ("gift for 1-year-old", 12, 12),
            ("not suitable for children under 3", 36, None),
            ("3岁以下儿童禁用", 36, None),
        ],
    )
    def test_read(self, text: str, low: float, high: float | None) -> None:
        assert claimed(text) == [(low, high)]

    @pytest.mark.parametrize(
        "text",
        [
            "블록 3세트 구성",
            "5세대 이어폰",
            "2 year warranty",
            "5 years warranty included",
            "무이자 12개월 할부",
            "3个月质保",
            "케이블 1m 2m",
            "수신 거리 10m-50m",
            "spf50+ pa++++",
            "12개월분 영양제",
            "1:64 스케일",
            "",
        ],
    )
    def test_no_age(self, text: str) -> None:
        assert claimed(text) == []

    @settings(deadline=None)
    @given(st.text(max_size=200))
    def test_any_text_gives_ranges_within_it(self, text: str) -> None:
        for claim in age_claims(text):
            assert 0 <= claim.start < claim.end <= len(text)
            assert claim.high is None or claim.low <= claim.high

    @settings(deadline=None)
    @given(st.integers(0, 400), st.one_of(st.none(), st.integers(0, 1200)))
    def test_older_is_never_stricter(self, low: int, high: int | None) -> None:
        order = ["under_3", "under_14", "general"]
        if low:
            assert order.index(of_months(low, high)) <= order.index(of_months(low + 12, high))


class TestAudience:
    @pytest.mark.parametrize(
        ("title", "expected"),
        [
            ("아기 실리콘 턱받이 방수", "under_3"),
            ("신생아 배냇저고리 세트", "under_3"),
            ("baby teether ring", "under_3"),
            ("婴儿连体衣纯棉", "under_3"),
            ("어린이 우산 투명", "under_14"),
            ("kids rain boots dinosaur", "under_14"),
            ("儿童书包小学生", "under_14"),
            ("점토 놀이 세트", "under_14"),
            ("유아동 수영 조끼", "under_14"),
            ("幼儿园书包", "under_14"),
            ("여성 니트 카디건", "general"),
            ("bluetooth speaker portable", "general"),
            ("男士商务手表", "general"),
        ],
    )
    def test_words_and_kind_of_goods(self, title: str, expected: str) -> None:
        assert read(title).audience == expected

    @pytest.mark.parametrize(
        "title",
        [
            "베이비파우더 향 바디워시",
            "baby blue maxi dress women",
            "청소년 스포츠 유니폼",
            "동남아 여행 상품권",
            "강아지 유모차 접이식",
            "유모차 컵홀더 2개",
            "stroller cup holder universal",
            "책가방 키링 인형 장식",
            "젖병 세척솔 세트",
            "bracelet for girls and women",
            "대학생 노트북 백팩",
        ],
    )
    def test_a_childs_word_that_says_nothing_of_a_child(self, title: str) -> None:
        assert read(title).audience == "general"

    def test_claim_of_36_months_lifts_the_word_infant(self) -> None:
        assert read("유아 장난감 트럭 36개월 이상").audience == "under_14"

    def test_claim_for_the_young_is_believed(self) -> None:
        assert read("소프트 블록 12개월 이상").audience == "under_3"

    @pytest.mark.parametrize(
        "title",
        ["봉제 토끼 인형 14세 이상", "slime kit for fun, ages 14 and up", "儿童发夹套装 14岁以上"],
    )
    def test_fourteen_and_over_is_no_escape(self, title: str) -> None:
        found = read(title)
        assert found.claimed == "general"
        assert found.apparent == "under_14"
        assert found.escape
        assert found.audience == "under_14"

    def test_grown_goods_with_the_same_claim_are_no_escape(self) -> None:
        found = read("여성 실버 목걸이 14세 이상")
        assert found.claimed == "general"
        assert not found.escape
        assert found.audience == "general"

    def test_target_age_field_may_leave_the_unit_out(self) -> None:
        assert read("퍼즐", target_age="3-5").audience == "under_14"
        assert read("puzzle", target_age="14+").escape

    def test_category_and_attributes_speak_where_the_title_is_silent(self) -> None:
        assert read("cotton t-shirt", category=("Kids' Clothing",)).audience == "under_14"
        assert read("cotton t-shirt", attributes={"Target audience": "Children"}).audience == "under_14"
        assert read("cotton t-shirt", attributes={"Material": "baby alpaca"}).audience == "general"

    def test_signs_point_into_the_title(self) -> None:
        title = normalize("가을 신상 어린이 장갑").text
        signs = [sign for sign in audience(title).signs if sign.field == "title"]
        assert signs
        assert all(title[sign.start : sign.end] == sign.words for sign in signs)

    def test_of_a_listing(self) -> None:
        listing = parse_listing({"id": "a", "title": "원목 블록", "target_age": "만 3세 이상"})
        assert audience_of(listing).claimed == "under_14"

    @settings(deadline=None)
    @given(st.text(max_size=300), st.text(max_size=40))
    def test_any_text_is_read(self, title: str, age: str) -> None:
        found = audience(normalize(title).text, target_age=normalize(age).text)
        assert found.audience in ("under_3", "under_14", "general")
        assert not (found.escape and found.audience == "general")

    def test_hand_labelled_korean_titles(self, data_dir: Path) -> None:
        """The words were chosen with these titles in sight, so this holds the level, it does not measure it."""
        path = data_dir / "kr-recalls" / "child_product_labels.tsv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        clear = [row for row in rows if row["label"] != "D"]
        right = sum(
            (row["label"] in ("A", "A+")) == (read(row["title"]).audience != "general") for row in clear
        )
        assert len(clear) > 70
        assert right / len(clear) >= 0.9
