"""The sample catalogue: readable, current, complete, and its halves apart."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import features.sample
from features.sample.build import as_jsonl, build, halves, lock, past_results, read_sources
from features.sample.disguise import KINDS, disguise
from features.schema import parse_listing
from training.records import InspectionRound, LabResult, Recall
from training.sources import SOURCES

FOLDER = Path(features.sample.__file__).parent
HAZARDS = """lead cadmium nickel phthalates formaldehyde azo_dyes biocides chemical_other
choking magnet_ingestion battery_ingestion strangulation suffocation entrapment drowning fall laceration
impact_protection projectile crash hearing fire burn electric_shock explosion carbon_monoxide optical_radiation
microbiological covert_camera other""".split()  # noqa: SIM905
GROUPS = """toys toy_soft_plastic toy_plush toy_magnetic toy_water toy_liquid toy_vehicle toy_figure_doll
toy_building toy_musical toy_gun_projectile toy_ride_on toy_costume toy_infant toy_seasonal toy_balloon
children_jewellery children_clothing infant_clothing children_shoes children_bags children_umbrella_raincoat
stationery children_furniture cribs_beds strollers infant_carriers car_seats high_chairs baby_walkers
baby_feeding bath_baby playground swimming_aids roller_skates_scooters protective_gear helmets_bicycle
helmets_motorcycle helmets_riding bicycles tricycles e_mobility jewellery cosmetics_colour cosmetics_care
nails_lashes eyelash_curler clothing shoes bags charger_power_supply batteries_power_bank lighting
lights_seasonal plugs_cords heating_appliance electric_blanket_pad cooking_appliance kitchen_ware tableware
hair_appliance home_appliance tools_power garden_machinery atv_offroad gas_appliance candles lighters
air_fresheners cleaning_products blinds furniture mattresses_bedding ladders sports_equipment exercise_machines
water_sports camping hunting_guns bb_guns lasers cameras covert_devices audio_video computers_phones masks food
spices supplements religious_powder paint_supplies hot_packs pet_supplies car_accessories office_decor
other""".split()  # noqa: SIM905

# Words that name the hazard itself; a product noun such as "magnet" or "laser" is not one.
NAMING = {
    "lead": r"\blead\b|납|铅",
    "cadmium": r"cadmium|카드뮴|镉",
    "nickel": r"nickel|니켈|镍",
    "phthalates": r"phthalate|plasticizer|프탈레이트|가소제|邻苯|增塑剂",
    "formaldehyde": r"formaldehyde|formalin|포름알데히드|폼알데하이드|포르말린|甲醛",
    "azo_dyes": r"\bazo\b|aromatic amine|아조|아릴아민|偶氮|芳香胺",
    "biocides": r"biocide|preservative|\bc?mit\b|살생물|방부제|살균제|防腐剂|杀菌剂",
    "chemical_other": r"toxic|poison|mercury|boron|benzene|arsenic|독성|중독|수은|붕소|벤젠|비소|有毒|中毒|汞|硼|苯|砷",
    "choking": r"chok|small part|질식|목막힘|작은 ?부품|窒息|噎|小零件",
    "magnet_ingestion": r"ingest|swallow|삼킴|삼킬|误吞|吞食",
    "battery_ingestion": r"ingest|swallow|삼킴|삼킬|误吞|吞食",
    "strangulation": r"strang|목졸림|목조름|교살|勒|绞",
    "suffocation": r"suffocat|질식|窒息",
    "entrapment": r"entrap|trapped|끼임|갇힘|夹伤|卡住",
    "drowning": r"drown|익사|溺",
    "fall": r"\bfall(s|ing)?\b|낙상|추락|跌|摔",
    "laceration": r"lacerat|\bsharp|\bcuts?\b|베임|날카|割伤|锋利",
    "impact_protection": r"impact|충격|冲击",
    "projectile": r"projectile|발사체|抛射",
    "crash": r"crash|collision|충돌|碰撞",
    "hearing": r"\bhearing|noise|decibel|청력|听力|分贝",
    "fire": r"\bfires?\b|flame|flammab|화재|불꽃|火灾|起火|易燃",
    "burn": r"\bburns?\b|scald|화상|烫伤|灼",
    "electric_shock": r"electric shock|electrocut|감전|触电|漏电",
    "explosion": r"explo|폭발|爆炸",
    "carbon_monoxide": r"carbon monoxide|일산화탄소|一氧化碳",
    "optical_radiation": r"radiation|eye damage|광방사|실명|辐射|伤眼",
    "microbiological": r"bacteria|microb(e|ial|io)|\bgerms?\b|세균|미생물|细菌|微生物|霉",
    "covert_camera": (
        r"\bspy|hidden|covert|secret|undercover|disguis|pinhole|nanny|invisible|conceal|stealth|"
        r"몰카|몰래|불법|스파이|히든|위장|비밀|숨겨|숨은|핀홀|초소형|은밀|"
        r"偷拍|偷录|隐藏|隐形|隐蔽|针孔|间谍|暗访|伪装|藏|微型"
    ),
}


def _lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def sources():
    return read_sources()


@pytest.fixture(scope="module")
def built(sources):
    return build(sources)


@pytest.fixture(scope="module")
def listings() -> list[dict]:
    return _lines("catalogue.jsonl")


@pytest.fixture(scope="module")
def truth() -> list[dict]:
    return _lines("truth.jsonl")


def test_files_are_current(sources, built):
    rows, facts = built
    for name, expected in (
        ("catalogue.jsonl", as_jsonl(rows)),
        ("truth.jsonl", as_jsonl(facts)),
        ("past_results.jsonl", as_jsonl(past_results(sources.past))),
    ):
        current = (FOLDER / name).read_text(encoding="utf-8") == expected
        assert current, f"{name} is stale: run python -m features.sample.build"


def test_test_half_is_as_locked(listings, truth):
    assert lock(truth, listings) == (FOLDER / "test_half.sha256").read_text(encoding="utf-8").strip()


def test_lock_sees_a_changed_title_of_the_test_half_only(listings, truth):
    before = lock(truth, listings)
    for half, same in (("dev", True), ("test", False)):
        changed = [dict(row) for row in listings]
        place = next(i for i, fact in enumerate(truth) if fact["half"] == half)
        changed[place]["title"] += " x"
        assert (lock(truth, changed) == before) is same


def test_every_listing_parses_and_has_one_truth(listings, truth):
    for row in listings:
        parsed = parse_listing(row)
        assert parsed.created_at is not None and parsed.created_at.year == 2026
        assert parsed.price and parsed.seller and parsed.seller.history and parsed.category
        history = parsed.seller.history
        assert history.as_of is not None and history.as_of <= parsed.created_at
    assert [row["id"] for row in listings] == [fact["id"] for fact in truth]
    assert len({row["id"] for row in listings}) == len(listings)


def test_no_label_stands_in_a_listing(listings):
    labels = {"hazards", "half", "product", "group", "audience", "evasion", "lookalike", "names_itself"}
    assert not labels & {name for row in listings for name in row}


def test_codes_are_known(truth):
    for fact in truth:
        assert set(fact["hazards"]) <= set(HAZARDS)
        assert len(set(fact["hazards"])) == len(fact["hazards"])
        assert fact["group"] in GROUPS
        assert fact["audience"] in {"under_3", "under_14", "general"}


def test_counts(truth):
    products = {fact["product"]: fact for fact in truth}.values()
    assert sum(1 for fact in products if fact["hazards"]) >= 170
    assert sum(1 for fact in products if not fact["hazards"]) >= 50
    assert sum(1 for fact in truth if fact["evasion"]) >= 60
    per_hazard = Counter(hazard for fact in products for hazard in fact["hazards"])
    assert set(per_hazard) == set(HAZARDS)
    assert min(per_hazard.values()) >= 4
    many = (
        "lead cadmium phthalates choking magnet_ingestion battery_ingestion strangulation "
        "fire electric_shock impact_protection covert_camera"
    )
    assert all(per_hazard[hazard] >= 8 for hazard in many.split()), per_hazard


def test_covert_cameras_and_their_look_alikes(sources):
    covert = [item["is"] for item in sources.products if "covert_camera" in item["is"]["hazards"]]
    assert len(covert) >= 16
    assert sum(not facts["names_itself"] for facts in covert) >= len(covert) / 2
    assert sum(item["is"].get("kind") == "camera_negative" for item in sources.products) >= 16


def test_three_languages_for_each_product(truth):
    languages = defaultdict(list)
    for fact in truth:
        if fact["evasion"] is None:
            languages[fact["product"]].append(fact["language"])
    assert {tuple(sorted(found)) for found in languages.values()} == {("en", "ko", "zh")}


def test_halves_share_no_product_and_both_hold_every_hazard(truth):
    sides = defaultdict(set)
    hazards = defaultdict(set)
    for fact in truth:
        sides[fact["product"]].add(fact["half"])
        hazards[fact["half"]] |= set(fact["hazards"])
    assert {len(side) for side in sides.values()} == {1}
    assert set(hazards) == {"dev", "test"}
    assert hazards["dev"] == hazards["test"] == set(HAZARDS)
    size = Counter(next(iter(side)) for side in sides.values())
    assert abs(size["dev"] - size["test"]) <= 3


def test_halves_hold_both_kinds_of_covert_camera_and_of_evasion(truth):
    for half in ("dev", "test"):
        covert = [f for f in truth if f["half"] == half and "covert_camera" in f["hazards"]]
        assert {fact["names_itself"] for fact in covert} == {True, False}
        assert sum(1 for f in truth if f["half"] == half and f["evasion"]) >= 15


def test_halves_do_not_depend_on_the_order_of_products(sources):
    assert halves(sources.products) == halves(tuple(reversed(sources.products)))


def test_no_title_names_its_hazard(listings, truth):
    named = [
        (row["id"], hazard)
        for row, fact in zip(listings, truth, strict=True)
        if not fact["names_itself"]
        for hazard in fact["hazards"]
        if hazard in NAMING and re.search(NAMING[hazard], row["title"].lower())
    ]
    assert not named


def test_a_covert_camera_that_does_not_name_itself_does_so_nowhere(listings, truth):
    for row, fact in zip(listings, truth, strict=True):
        if "covert_camera" in fact["hazards"] and not fact["names_itself"]:
            found = re.search(NAMING["covert_camera"], json.dumps(row, ensure_ascii=False).lower())
            assert found is None, (row["id"], found)


def test_titles_are_all_different(listings):
    titles = Counter(row["title"] for row in listings)
    assert titles.most_common(1)[0][1] == 1


def test_past_results_are_read_by_their_source_and_marked_made_up():
    lines = _lines("past_results.jsonl")
    assert len(lines) >= 60
    assert all(line["made_up"] is True and line["source"] == "sample" for line in lines)
    records = list(SOURCES["sample"].read(FOLDER / "past_results.jsonl"))
    assert Counter(type(record) for record in records).keys() == {LabResult, Recall, InspectionRound}
    assert len(records) == len(lines)
    assert all(2024 <= record.date.year <= 2026 for record in records)


def test_past_laboratory_results_pass_and_fail_in_all_five_laboratories():
    judged = [line for line in _lines("past_results.jsonl") if line["record"] == "lab_result"]
    assert {line["failed"] for line in judged} == {True, False}
    assert {line["laboratory"] for line in judged} == {"KTR", "KCL", "KOTITI", "FITI", "KATRI"}
    assert {line["hazard"] for line in judged} <= set(HAZARDS)


def test_past_results_are_about_other_products(sources):
    sold = {item[language]["t"] for item in sources.products for language in ("ko", "en", "zh")}
    names = {row.get("product_name") for row in _lines("past_results.jsonl")}
    assert not sold & names


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_disguise_changes_the_words_in_braces_only(kind):
    marked = "1반a" if kind == "mixed_script" else "몰카1a"
    result = disguise(f"Left {{{marked}}} right", kind)
    assert result.startswith("Left ") and result.endswith(" right")
    assert marked not in result


def test_disguise_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="unknown"):
        disguise("{a}", "rot13")
    with pytest.raises(ValueError, match="changes nothing"):
        disguise("no braces", "spaced")


def test_split_jamo_is_typed_letter_by_letter():
    assert disguise("{몰카} 1", "split_jamo") == "ㅁㅗㄹㅋㅏ 1"
