"""Product groups: the data file, the look-ups from others' names, and the matcher."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import group_file
from features.group_file import KC_CLASSES, ProductGroupError, read_group_file
from features.groups import GroupMatcher, ancestors, load_groups, of_cpsc, of_inspection, of_nyc, refine
from features.normalize import normalize
from features.taxonomy import load_taxonomy

GROUPS = load_groups()


@cache
def matcher() -> GroupMatcher:
    """Made when it is needed: every process of a run collects this file, and one runs it."""
    return GroupMatcher(GROUPS)


def match(title: str, *category: str) -> str:
    return matcher().match(normalize(title).text, category).code


class TestFile:
    def test_every_prior_names_hazards_of_the_taxonomy(self) -> None:
        codes = set(load_taxonomy().codes)
        for code, group in GROUPS.items():
            assert set(group.hazard_prior) <= codes, code
            assert group.hazard_marks.keys() == group.hazard_prior.keys()
            assert group.source

    def test_shares_can_cover_every_failure(self) -> None:
        # A good that fails must fail for something: shares that add up to less than one would lose failures.
        low = {
            code: sum(g.hazard_prior.values())
            for code, g in GROUPS.items()
            if sum(g.hazard_prior.values()) < 0.9
        }
        assert low == {}

    def test_every_group_has_names_and_a_known_class(self) -> None:
        for group in GROUPS.values():
            assert all(group.names[language] for language in ("ko", "en", "zh"))
            assert group.kc_class in KC_CLASSES

    def test_every_group_but_the_top_leads_to_the_top(self) -> None:
        for code in GROUPS:
            assert code == "all" or ancestors(code)[-1] == "all"

    @pytest.mark.parametrize(
        ("code", "first"),
        [
            ("toy_soft_plastic", {"phthalates", "cadmium", "lead"}),
            ("children_jewellery", {"cadmium", "lead", "phthalates"}),
        ],
    )
    def test_first_three_hazards(self, code: str, first: set[str]) -> None:
        prior = GROUPS[code].hazard_prior
        assert set(sorted(prior, key=prior.__getitem__, reverse=True)[:3]) == first

    @pytest.mark.parametrize(
        ("code", "first"),
        [
            ("helmets_motorcycle", "impact_protection"),
            ("helmets_riding", "impact_protection"),
            ("toy_magnetic", "magnet_ingestion"),
            ("charger_power_supply", "electric_shock"),
            ("lasers", "optical_radiation"),
            ("blinds", "strangulation"),
            ("covert_devices", "covert_camera"),
        ],
    )
    def test_first_hazard(self, code: str, first: str) -> None:
        prior = GROUPS[code].hazard_prior
        assert max(prior, key=prior.__getitem__) == first

    @pytest.mark.parametrize(
        ("find", "put", "says"),
        [
            ("phthalates .25 stated", "phtalate", "expected 'hazard share mark'"),
            ("phthalates .25 stated", "phthalates 7 stated", "share in (0, 1]"),
            ("parent: children_products", "parent: toyz", "'toyz'"),
            ("kc: mixed", "kc: maybe", "'maybe'"),
            ("audience: general", "audience: everyone", "audience"),
        ],
    )
    def test_wrong_entry_is_named(self, tmp_path: Path, find: str, put: str, says: str) -> None:
        text = (Path(group_file.__file__).parent / "product_groups.yaml").read_text("utf-8")
        assert find in text
        (tmp_path / "product_groups.yaml").write_text(text.replace(find, put, 1), "utf-8")
        with pytest.raises(ProductGroupError) as error:
            read_group_file(tmp_path)
        assert says in str(error.value)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ProductGroupError, match=r"product_groups\.yaml"):
            read_group_file(tmp_path / "nothing")


class TestLookUps:
    def test_every_cpsc_type_of_the_real_recalls_has_a_group(self, data_dir: Path) -> None:
        with (data_dir / "cpsc-1973-2013" / "recalls.csv").open(encoding="utf-8", newline="") as file:
            types = {part.strip() for row in csv.DictReader(file) for part in row["product_types"].split("|")}
        types.discard("")
        assert len(types) > 200
        assert {name for name in types if not of_cpsc(name)} == set()

    def test_every_inspection_name_has_a_group(self, data_dir: Path) -> None:
        with (data_dir / "kr-inspections" / "inspection_rounds.csv").open(
            encoding="utf-8", newline=""
        ) as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > 40
        missing = {
            (row["product_group"], row["product_group_ko"])
            for row in rows
            if not of_inspection(row["product_group"])
            or (row["product_group_ko"] and not of_inspection("", row["product_group_ko"]))
        }
        assert missing == set()

    def test_every_new_york_type_has_a_group(self, data_dir: Path) -> None:
        with (data_dir / "nyc-metals" / "lab_results.csv").open(encoding="utf-8", newline="") as file:
            types = {row["PRODUCT_TYPE"] for row in csv.DictReader(file)}
        assert {name for name in types if not of_nyc(name)} == set()

    def test_several_types_keep_their_order(self) -> None:
        assert of_cpsc("Toy Cars|toy  dolls & accessories|Toy Trucks") == ("toy_vehicle", "toy_figure_doll")

    def test_unknown_names(self) -> None:
        assert of_cpsc("Nothing Known") == ()
        assert of_inspection("nothing known") == ""
        assert of_nyc("") == ""


class TestRefine:
    def test_children_take_over(self) -> None:
        assert refine("clothing", "under_14") == "children_clothing"
        assert refine("clothing", "under_3") == "infant_clothing"
        assert refine("jewellery", "under_14") == "children_jewellery"

    def test_nothing_is_widened(self) -> None:
        assert refine("children_clothing", "general") == "children_clothing"
        assert refine("clothing", "general") == "clothing"

    def test_no_group_stays_none(self) -> None:
        assert refine("", "under_3") == ""


class TestMatcher:
    @pytest.mark.parametrize(
        ("title", "code"),
        [
            ("아이가 좋아하는 장난감 자동차 세트", "toy_vehicle"),
            ("말랑말랑 복숭아 스퀴시 3개", "toy_soft_plastic"),
            ("자석 블록 장난감 64피스", "toy_magnetic"),
            ("오토바이 풀페이스 헬멧 무광 블랙", "helmets_motorcycle"),
            ("65W GaN 고속 충전기 C타입", "charger_power_supply"),
            ("하트 실버 목걸이", "jewellery"),
            ("여성 니트 카디건 가을 신상", "clothing"),
            ("LED 무드등 침실 조명", "lighting"),
            ("kids bicycle helmet with rear light", "helmets_bicycle"),
            ("rechargeable lithium battery pack 5000mah", "batteries_power_bank"),
            ("silicone teething toy for babies", "toy_infant"),
            ("women's floral maxi dress with pockets", "clothing"),
            ("green laser pointer 532nm", "lasers"),
            ("女童公主项链手链套装 儿童首饰", "children_jewellery"),
            ("新款软胶捏捏乐解压玩具", "toy_soft_plastic"),
            ("高腰提臀健身瑜伽裤女", "clothing"),
            ("20w快充充电器套装", "charger_power_supply"),
        ],
    )
    def test_head_noun(self, title: str, code: str) -> None:
        assert match(title) == code

    @pytest.mark.parametrize(
        ("title", "not_code"),
        [
            ("헬멧 거치대 벽걸이", "helmets_riding"),
            ("helmet hair clip claw", "helmets_riding"),
            ("toy camera for toddlers", "cameras"),
            ("어린이 장난감 카메라", "cameras"),
            ("camera bag waterproof", "cameras"),
            ("강아지 옷 겨울 패딩", "clothing"),
            ("dog toy squeaky ball", "toys"),
            ("자전거 헬멧 가방", "helmets_bicycle"),
            ("커피 테이블 원목", "food"),
            ("pencil skirt high waist", "stationery"),
            ("장난감 정리함 5단", "toys"),
            ("usb charger cable protector case", "charger_power_supply"),
        ],
    )
    def test_what_only_describes_is_not_the_product(self, title: str, not_code: str) -> None:
        found = match(title)
        assert found != not_code
        assert not_code not in ancestors(found)

    @pytest.mark.parametrize(
        ("title", "category", "family"),
        [
            ("신선한 방울토마토 1kg", ("식품",), "food_products"),
            ("바다 전망 리조트 2박", ("해외여행",), "out_of_scope"),
            ("하루 한 장 초등 수학 문제집", ("도서/음반/DVD",), "out_of_scope"),
            ("green tea 100 bags", ("grocery & gourmet foods", "Coffee, Tea & Beverages"), "food_products"),
        ],
    )
    def test_what_is_no_consumer_good(self, title: str, category: tuple[str, ...], family: str) -> None:
        assert family in ancestors(match(title, *category))

    def test_category_decides_where_the_title_says_nothing(self) -> None:
        assert match("xk-2040 blue") == ""
        assert match("xk-2040 blue", "Toys & Games") == "toys"

    def test_evidence_points_into_the_text(self) -> None:
        text = normalize("아이 장난감 자동차").text
        found = matcher().match(text)
        assert found.matched
        assert all(text[start:end] == term for term, start, end in found.matched)

    def test_shares_leave_room_for_no_group(self) -> None:
        ranked = matcher().match_all(normalize("자석 블록 장난감").text)
        shares = [share for _, share in ranked]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) < 1
        assert len(ranked) > 1

    def test_empty_and_very_long_text(self) -> None:
        assert matcher().match("").code == ""
        assert matcher().match("장난감 " * 100_000).code == "toys"

    @settings(deadline=None)
    @given(st.text(max_size=300), st.lists(st.text(max_size=30), max_size=3))
    def test_any_text_and_category(self, title: str, category: list[str]) -> None:
        text = normalize(title).text
        found = matcher().match(text, category)
        assert found.code == "" or found.code in GROUPS
        assert 0 <= found.score <= 1
        assert all(start == -1 or text[start:end] == term for term, start, end in found.matched)

    @settings(max_examples=5, deadline=None)  # each example builds a matcher
    @given(st.sampled_from(["장난감", "helmet", "耳环"]), st.text(alphabet="abc가나다 ,", max_size=20))
    def test_same_title_same_answer(self, word: str, rest: str) -> None:
        text = normalize(f"{rest} {word}").text
        assert GroupMatcher(GROUPS).match(text) == matcher().match(text)

    def test_too_wide_groups_are_never_an_answer(self) -> None:
        for category in ("생활용품", "home & living", "household"):
            found = match("무선 다용도 세트 신상", category)
            assert found == "" or not GROUPS[found].abstract
