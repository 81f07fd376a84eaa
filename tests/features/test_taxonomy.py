from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import features.taxonomy as taxonomy_module
from features.taxonomy import (
    AUDIENCES,
    TaxonomyError,
    UnknownGroupError,
    UnknownHazardError,
    UnknownTermError,
    load_taxonomy,
)

PACKAGED = Path(taxonomy_module.__file__).parent
# The order is a contract: bundles, files and reports put hazards into columns by it.
ORDER = """
lead cadmium nickel phthalates formaldehyde azo_dyes biocides chemical_other
choking magnet_ingestion battery_ingestion strangulation suffocation entrapment drowning fall laceration
impact_protection projectile crash hearing
fire burn electric_shock explosion carbon_monoxide optical_radiation
microbiological covert_camera other
""".split()  # noqa: SIM905

CPSC_SPELLINGS = {
    "Fire & Fire-Related Burn": {"fire"},
    "Fire & Fire-related Burn": {"fire"},
    "Choking": {"choking"},
    "choking": {"choking"},
    "Aspiration": {"choking"},
    "Fall": {"fall"},
    "Collapse": {"fall"},
    "Laceration": {"laceration"},
    "laceration": {"laceration"},
    "Amputation": {"laceration"},
    "Electrocution/Electric Shock": {"electric_shock"},
    "Vehicle Accident": {"crash"},
    "Crash": {"crash"},
    "Lead": {"lead"},
    "Cadmium": {"cadmium"},
    "Phthalates": {"phthalates"},
    "Strangulation": {"strangulation"},
    "Entanglement": {"strangulation"},
    "Burn - Not Fire-Related": {"burn"},
    "Burn": {"burn"},
    "Entrapment": {"entrapment"},
    "Explosion/Projectiles": {"explosion"},
    "Poisoning": {"chemical_other"},
    "Ingestion": {"chemical_other"},
    "Drowning": {"drowning"},
    "Suffocation": {"suffocation"},
    "Carbon Monoxide (CO)": {"carbon_monoxide"},
    "Magnet Ingestion": {"magnet_ingestion"},
    "Safety Equipment Malfunction": {"other"},
    "Communications Failure": {"other"},
    "Internal Injury": set(),
    "Injury": set(),
    "injury": set(),
    "": set(),
}

SAFETY_GATE_KEYS = """
ASPHYXIATION BURNS CHEMICAL CHOKING CUTS DAMAGE_TO_HEARING DAMAGE_TO_SIGHT DROWNING ELECTRIC_SHOCK
ELECTROMAGNETIC_DISTURBANCE ENERGY_CONSUMPTION ENTRAPMENT ENVIRONMENT FIRE HEALTH_RISK_OTHER INJURIES
MEASUREMENT_INCORRECT MICROBIOLOGICAL SECURITY STRANGULATION SUFFOCATION OTHER
""".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def taxonomy():
    return load_taxonomy()


def test_codes_stand_in_the_order_of_the_contract(taxonomy):
    assert list(taxonomy.codes) == ORDER
    assert [taxonomy.index(code) for code in ORDER] == list(range(30))
    assert [hazard.code for hazard in taxonomy.hazards] == ORDER


def test_arrays_are_in_taxonomy_order_and_cannot_be_changed(taxonomy):
    assert taxonomy.severities.shape == (30,)
    assert set(taxonomy.severities) <= {1, 2, 3, 4}
    assert taxonomy.severities[taxonomy.index("choking")] == 4
    assert [code for code, mask in zip(ORDER, taxonomy.laboratory_mask, strict=True) if not mask] == [
        "covert_camera"
    ]
    for array in (taxonomy.severities, taxonomy.laboratory_mask, taxonomy.p_injury("under_3")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_every_hazard_is_named_and_masked_in_three_languages(taxonomy):
    for hazard in taxonomy.hazards:
        for language in ("ko", "en", "zh"):
            assert hazard.names[language]
            assert hazard.mask_terms[language], (hazard.code, language)
        assert hazard.severity_why
        assert hazard.severity_mark == "assumption"
        assert hazard.test_method
        assert hazard.policy == (not hazard.laboratories), hazard.code


def test_mask_terms_hide_names_and_verdicts_but_not_products(taxonomy):
    hidden = {term.casefold() for terms in taxonomy.mask_terms.values() for term in terms}
    assert {"lead", "choking", "납", "铅", "recalled", "리콜", "召回", "부적합"} <= hidden
    assert hidden.isdisjoint(
        {"magnet", "helmet", "fire", "battery", "자석", "헬멧", "toy", "led", "laser", "수납"}
    )


def test_injury_probabilities_say_where_they_come_from(taxonomy):
    for audience in AUDIENCES:
        probabilities = taxonomy.p_injury(audience)
        assert probabilities.shape == (30,)
        assert np.all((probabilities > 0) & (probabilities <= 0.1))
    for hazard in taxonomy.hazards:
        for injury in hazard.injury.values():
            assert injury.mark in {"assumption", "read", "read_secondary"}
            assert injury.why
    young, old = taxonomy.p_injury("under_3"), taxonomy.p_injury("general")
    assert young[taxonomy.index("choking")] > 10 * old[taxonomy.index("choking")]
    assert "Pediatrics" in taxonomy.hazard("magnet_ingestion").injury["under_14"].source


def test_unknown_codes_are_named(taxonomy):
    with pytest.raises(UnknownHazardError, match="got hazard 'leed', expected one of lead, cadmium"):
        taxonomy.index("leed")
    with pytest.raises(ValueError, match="got audience 'adult', expected one of under_3"):
        taxonomy.p_injury("adult")
    with pytest.raises(UnknownTermError, match="'Radiation'"):
        taxonomy.crosswalk("cpsc", "Radiation")
    with pytest.raises(UnknownTermError, match="got scheme 'oecd'"):
        taxonomy.crosswalk("oecd", "Fire")
    assert issubclass(UnknownTermError, KeyError)


@pytest.mark.parametrize(("term", "codes"), CPSC_SPELLINGS.items())
def test_every_spelling_of_cpsc_is_known(taxonomy, term, codes):
    assert taxonomy.crosswalk("cpsc", term) == codes


def test_no_category_of_the_real_recalls_is_missing(taxonomy, data_dir):
    with (data_dir / "cpsc-1973-2013" / "recalls.csv").open(encoding="utf-8", newline="") as file:
        terms = {term for row in csv.DictReader(file) for term in row["hazards"].split("|")}
    assert terms == set(CPSC_SPELLINGS)


@pytest.mark.parametrize("key", SAFETY_GATE_KEYS)
def test_safety_gate_keys_and_words_agree(taxonomy, key):
    words = key.replace("_", " ").capitalize()
    assert taxonomy.crosswalk("safety_gate", key) == taxonomy.crosswalk("safety_gate", words)
    assert taxonomy.possible("safety_gate", key) == taxonomy.possible("safety_gate", words)
    # A key says something: either it asserts a hazard or it leaves some open.
    assert taxonomy.crosswalk("safety_gate", key) or taxonomy.possible("safety_gate", key)


def test_a_vague_term_leaves_hazards_open_instead_of_asserting_one(taxonomy):
    assert taxonomy.crosswalk("safety_gate", "Chemical") == frozenset()
    assert {"lead", "phthalates", "biocides"} <= taxonomy.possible("safety_gate", "Chemical")
    assert taxonomy.possible("cpsc", "Explosion/Projectiles") == {"projectile"}


def test_what_a_scheme_has_no_word_for_is_not_covered(taxonomy):
    covered = taxonomy.covers("cpsc")
    assert {"lead", "fire", "magnet_ingestion"} <= covered
    assert covered.isdisjoint({"nickel", "impact_protection", "covert_camera"})
    assert "impact_protection" in taxonomy.possible("cpsc", "Vehicle Accident")
    assert "impact_protection" in taxonomy.covers("korean")
    with pytest.raises(UnknownTermError, match="got scheme 'oecd'"):
        taxonomy.covers("oecd")


@pytest.mark.parametrize(
    ("term", "code"),
    {
        "카드뮴": "cadmium", "납": "lead", "프탈레이트": "phthalates", "작은 부품": "choking", "끼임": "entrapment",
        "화상": "burn", "감전": "electric_shock", "충격흡수성": "impact_protection", "CMIT": "biocides",
        "폼알데하이드": "formaldehyde", "자속지수": "magnet_ingestion", "레이저 출력": "optical_radiation",
        "익사": "drowning",
        "조임끈": "strangulation", "세균": "microbiological", "일산화탄소": "carbon_monoxide", "붕소": "chemical_other",
    }.items(),
)  # fmt: skip
def test_korean_inspection_terms(taxonomy, term, code):
    assert code in taxonomy.crosswalk("korean", term)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("프탈레이트계 가소제가 기준치를 초과하고 납이 검출됨", {"phthalates", "lead"}),
        ("수납함에서 문제 없음", set()),
        ("납작한 상자, 납품 지연", set()),
        ("충격흡수성 시험 부적합", {"impact_protection"}),
        ("Small parts can come loose, posing a choking hazard", {"choking"}),
        ("The beam can dazzle; damage to sight is likely", {"optical_radiation"}),
        ("misleading label on a dog lead", set()),
        ("邻苯二甲酸酯超标", {"phthalates"}),
        ("铅笔外壳良好", set()),
        ("", set()),
        ("🎈🎈", set()),
    ],
)
def test_sentences_of_authorities_are_read(taxonomy, text, codes):
    assert taxonomy.named_in(text).hazards == codes


def test_a_reading_keeps_the_words_and_what_stays_open(taxonomy):
    reading = taxonomy.named_in("중금속 기준 초과, 작은 부품")
    assert reading.hazards == {"choking"}
    assert {"lead", "cadmium"} <= reading.possible
    assert reading.terms == ("중금속", "작은 부품")


def test_a_long_text_of_near_misses_is_read_to_its_end(taxonomy):
    assert taxonomy.named_in("납작한 lead-like 铅笔 " * 5_000 + "작은 부품").hazards >= {"choking"}


def test_laboratories_are_configured_by_one_file(taxonomy, tmp_path):
    assert set(taxonomy.laboratories) == {"KTR", "KCL", "KOTITI", "FITI", "KATRI"}
    assert all(laboratory.mark == "assumption" for laboratory in taxonomy.laboratories.values())
    (tmp_path / "laboratories.yaml").write_text(
        "version: 1\nlaboratories:\n  OWN: {names: {ko: 우리, en: Own, zh: 自}, tests: [chemical], mark: read}\n",
        encoding="utf-8",
    )
    own = load_taxonomy(tmp_path)
    assert own.hazard("lead").laboratories == ("OWN",)
    assert own.hazard("fire").laboratories == ()
    assert own.codes == taxonomy.codes


def _edited(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (PACKAGED / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("taxonomy.yaml", "severity: {level: 4", "severity: {level: 7", r"hazards\.lead\.severity\.level"),
        ("taxonomy.yaml", "p: 0.001", "p: 1.5", r"hazards\.lead\.injury\.under_3\.p"),
        ("taxonomy.yaml", "ko: 납,", "kr: 납,", r"hazards\.lead\.names\.ko"),
        ("taxonomy.yaml", "      fire: [\"Fire & Fire", "      fier: [\"Fire & Fire", r"cpsc: got hazard 'fier'"),
        ("taxonomy.yaml", "  cadmium:\n    names", "  lead:\n    names", r"the key 'lead' twice"),
        ("taxonomy.yaml", "{above: 0.1,", "{above: 0.9,", r"risk_matrix.*falling bounds"),
        ("taxonomy.yaml", "version: 1", "version: [", r"expected YAML"),
        ("laboratories.yaml", "tests: [chemical,", "tests: [chemistry,", r"laboratories\.KTR\.tests: got 'chemistry'"),
        ("limits.csv", "products,,lead,", "products,,leed,", r"row '001': hazard: got 'leed'"),
        ("limits.csv", "<=,90,", "<=,ninety,", r"row '001'.*value"),
        ("limits.csv", "002,KR", "001,KR", r"ref '001' twice"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(tmp_path, name, old, new, message):
    with pytest.raises(TaxonomyError, match=f"(?s){name}.*{message}"):
        load_taxonomy(_edited(tmp_path, name, old, new))


def test_a_new_hazard_is_data_not_code(tmp_path):
    text = (PACKAGED / "taxonomy.yaml").read_text(encoding="utf-8")
    start, end = text.index("  nickel:\n"), text.index("  phthalates:\n")
    (tmp_path / "taxonomy.yaml").write_text(
        text[:end] + text[start:end].replace("nickel:", "static_charge:", 1) + text[end:], encoding="utf-8"
    )
    grown = load_taxonomy(tmp_path)
    assert len(grown.codes) == 31
    assert grown.index("static_charge") == 3
    assert grown.p_injury("general").shape == (31,)
    assert grown.hazard("static_charge").laboratories


def test_no_module_of_the_taxonomy_names_a_hazard():
    for module in ("taxonomy", "taxonomy_file", "hazards", "hazard_words", "limits", "risk", "certification"):
        text = (PACKAGED / f"{module}.py").read_text(encoding="utf-8")
        quoted = [code for code in ORDER if f'"{code}"' in text or f"'{code}'" in text]
        assert quoted == [], module


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TaxonomyError, match="expected one that exists"):
        load_taxonomy(tmp_path / "nowhere")


def test_the_packaged_taxonomy_is_read_once():
    assert load_taxonomy() is load_taxonomy()


def test_groups_named_by_limits_exist(taxonomy):
    named = {group for limit in taxonomy.law.limits for group in limit.groups} - {"all"}
    assert named <= set(taxonomy.groups)


def test_an_unknown_group_is_named(taxonomy):
    with pytest.raises(UnknownGroupError, match="'gizmos'"):
        taxonomy.limits("lead", "gizmos", "KR", date(2026, 1, 1), "general")


@pytest.mark.parametrize(
    ("line", "said"),
    [("japanese: 鉛", "ISO 639"), ("ja: ''", "expected a name"), ("ja: 3", "ja: got 3, expected a name")],
)
def test_a_further_languages_name_that_cannot_be_used_is_named(tmp_path, line, said):
    text = (PACKAGED / "taxonomy.yaml").read_text("utf-8")
    (tmp_path / "taxonomy.yaml").write_text(text.replace("ko: 납,", f"ko: 납, {line},", 1), "utf-8")
    with pytest.raises(TaxonomyError, match=said):
        load_taxonomy(tmp_path)
