from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.certification import (
    Register,
    RegisterError,
    check,
    load_certification,
    parse_numbers,
    plain_number,
    requirement,
    standing_of,
)
from features.schema import Certificate
from features.taxonomy import load_taxonomy
from features.taxonomy_file import TaxonomyError

RULES = load_certification()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("CB061R0001-3018", ["CB061R0001-3018"]),
        ("cb061a0001-2004chC", ["CB061A0001-2004CHC"]),
        ("CB061R0001-3018 (인증모델 : 자동차-2000)", ["CB061R0001-3018"]),
        ("(온라인)CB061R0001-2001<br>(인증모델: VA-HD)", ["CB061R0001-2001"]),
        ("CB063H001-1 018, <br>CB067R001-9 001", ["CB063H001-1018", "CB067R001-9001"]),
        ("CB063R0001-8001, CB 061 H001-0010", ["CB063R0001-8001", "CB061H001-0010"]),
        ("CB063R0001 - 7001", ["CB063R0001-7001"]),
        ("CB061R0001-3018 2개 세트", ["CB061R0001-3018"]),
        ("B361N001-5001,B361N001-5002", ["B361N001-5001", "B361N001-5002"]),
        ("ＣＢ０６１Ｒ０００１－３０１８", ["CB061R0001-3018"]),
        ("CB061R0001–3018", ["CB061R0001-3018"]),
        ("충전기 SU10747-21001 정품", ["SU10747-21001"]),
        ("CN063R001-6002", ["CN063R001-6002"]),
        ("CB061R0001-3018 cb061r0001-3018", ["CB061R0001-3018"]),
        ("B3666R001-2001A", []),
        ("XCB061R0001-3018", []),
        ("CB061R0001-301899", []),
        ("공급자적합성", []),
        ("", []),
    ],
)
def test_numbers_as_people_write_them(text, numbers):
    assert [number.number for number in parse_numbers(text)] == numbers


def test_a_number_keeps_where_and_how_it_was_written():
    text = "인증: cb 061 r0001 - 3018 (모델)"
    (number,) = parse_numbers(text)
    assert text[number.start : number.end] == number.written == "cb 061 r0001 - 3018"
    assert number.family == "children"


@given(st.text())
def test_any_text_can_be_searched(text):
    for number in parse_numbers(text):
        assert text[number.start : number.end] == number.written
        assert plain_number(number.written) == number.number


@pytest.mark.parametrize("family", list(RULES.families))
@given(data=st.data())
def test_every_number_of_a_family_is_found_in_a_sentence(family, data):
    number = data.draw(
        st.from_regex(
            RULES.families[family].pattern, fullmatch=True, alphabet=st.characters(max_codepoint=127)
        )
    )
    found = parse_numbers(f"제품 {number.lower()} 입니다")
    assert [(item.number, item.family) for item in found] == [(number, family)]


@pytest.mark.parametrize(
    ("group", "audience", "kc_class", "required"),
    [
        ("toys", "under_14", "confirmation", True),
        ("toys", "general", "confirmation", True),  # "14 and over" is a known way round
        ("toy_soft_plastic", "under_14", "confirmation", True),
        ("playground", "under_14", "certification", True),
        ("children_jewellery", "under_14", "supplier_declaration", False),
        ("jewellery", "under_14", "supplier_declaration", False),
        ("jewellery", "general", "outside", False),
        ("infant_clothing", "under_3", "confirmation", True),
        ("clothing", "general", "safety_standard", False),
        ("charger_power_supply", "general", "certification", True),
        ("helmets_motorcycle", "general", "confirmation", True),
        ("cosmetics_colour", "under_14", "outside", False),
        ("office_decor", "general", "unknown", False),
        ("", "general", "unknown", False),
        ("", "under_14", "supplier_declaration", False),
    ],
)
def test_classes_of_groups(group, audience, kc_class, required):
    need = requirement(group, audience)
    assert (need.kc_class, need.number_required) == (kc_class, required)


def test_every_group_of_the_project_has_a_class():
    groups = load_taxonomy().groups
    assert set(RULES.groups) <= set(groups)
    for code in groups:
        parents = {name: group.parent for name, group in groups.items()}
        line = [code]
        while line[-1] not in RULES.groups and parents.get(line[-1]):
            line.append(parents[line[-1]])
        assert line[-1] in RULES.groups, code


def test_groups_and_rules_agree_on_who_needs_a_number():
    for code, group in load_taxonomy().groups.items():
        entry = RULES.groups.get(code)
        if entry is None or entry.mark != "read_secondary" or entry.kc_class == "unknown":
            continue
        needed = RULES.classes[entry.kc_class].number == "required"
        assert needed == (group.kc_class in {"certification", "confirmation"}), code


GOOD, CANCELLED, EXPIRED = "CB061R0001-3018", "CB061R0002-3018", "CB061R0003-3018"
REGISTER = Register.of([(GOOD, "적합"), (CANCELLED, "안전인증취소"), (EXPIRED, "기간만료")])


@pytest.mark.parametrize(
    ("claimed", "group", "kind"),
    [
        ([], "toys", "missing"),
        (["해당없음"], "toys", "missing"),
        (["상세페이지 참조"], "toys", "missing"),
        (["KC 인증 완료"], "toys", "missing"),
        (["B3666R001-2001A"], "toys", "malformed"),
        ([GOOD], "toys", "ok"),
        ([GOOD.lower()], "toys", "ok"),
        ([CANCELLED], "toys", "cancelled"),
        ([f"{GOOD}, {CANCELLED}"], "toys", "cancelled"),
        ([GOOD, EXPIRED], "toys", "invalid"),
        (["CB061R0009-3018"], "toys", "unregistered"),
        (["SU10747-21001"], "toys", "mismatch"),
        ([GOOD], "charger_power_supply", "mismatch"),
        ([], "clothing", "not_needed"),
        (["123-456"], "clothing", "not_needed"),
        ([CANCELLED], "clothing", "cancelled"),
        ([], "office_decor", "unknown"),
        ([], "", "unknown"),
    ],
)
def test_findings_with_a_register(claimed, group, kind):
    assert check(claimed, group, REGISTER).kind == kind


def test_without_a_register_a_good_form_is_ok_but_not_verified():
    finding = check([GOOD], "toys")
    assert (finding.kind, finding.verified) == ("ok", False)
    assert check([GOOD], "toys", REGISTER).verified
    assert finding.kc_class == "confirmation"
    assert finding.mark == "read_secondary"
    assert check([CANCELLED], "toys", REGISTER).numbers[0].state == "안전인증취소"


def test_certificates_of_other_kinds_are_not_malformed_kc_numbers():
    european = Certificate(kind="CE", number="EN71-2024-00012")
    assert check([european], "toys").kind == "missing"
    assert check([Certificate(kind="CHILD_CERTIFICATION", number="EN71-2024")], "toys").kind == "malformed"
    assert check([Certificate(kind="CE", number=GOOD)], "toys").kind == "ok"
    assert check([Certificate(kind="KC")], "toys").kind == "missing"


@pytest.mark.parametrize(
    ("state", "standing"),
    {
        "적합": "valid", " 적합 ": "valid", "부적합": "invalid", "기간만료": "invalid", "반납": "invalid",
        "안전인증취소": "cancelled",
        "취소": "cancelled", "표시 사용금지 2개월": "invalid", "never heard of": "invalid",
    }.items(),
)  # fmt: skip
def test_only_the_valid_state_is_valid(state, standing):
    assert standing_of(state) == standing


@pytest.mark.parametrize("name", ["register.csv", "register.csv.gz", "register.jsonl", "register.jsonl.gz"])
def test_a_register_is_read_from_each_kind_of_file(tmp_path: Path, name):
    rows = [("cb061r0001-3018", "적합"), (CANCELLED, "취소"), ("", "적합"), (EXPIRED, "")]
    if "jsonl" in name:
        text = (
            "\n".join(json.dumps({"certNum": number, "certState": state}) for number, state in rows)
            + "\n{oops\n[1]\n"
        )
    else:
        text = "\ufeffnumber, state,body\r\n" + "".join(
            f'"{number}",{state},KTR\r\n' for number, state in rows
        )
    raw = text.encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    register = Register.read(path)
    assert register.state(GOOD) == "적합"
    assert register.state(CANCELLED.lower()) == "취소"
    assert register.state("CB999R0001-0001") is None
    assert len(register.rejected) == (4 if "jsonl" in name else 2)
    assert register.rejected[0][1] == "got no number, expected both"


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.csv", "번호,상태\n1,2\n".encode(), "got columns 번호, 상태, expected one of number"),
        ("a.csv", b"", "got columns none"),
        ("a.csv", "number,state\nCB1,적합\n".encode("cp949"), "try encoding='cp949'"),
        ("a.xlsx", b"PK", "expected .csv or .jsonl"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
    ],
)
def test_a_register_that_cannot_be_read_says_why(tmp_path: Path, name, raw, message):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(RegisterError, match=message.replace("(", r"\(")):
        Register.read(tmp_path / name)
    with pytest.raises(RegisterError, match="cannot be read"):
        Register.read(tmp_path / "absent.csv")


def test_korean_spreadsheets_are_read_in_their_encoding(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("인증번호,인증상태\nCB061R0001-3018,적합\n".encode("cp949"))
    assert Register.read(tmp_path / "a.csv", encoding="cp949").state(GOOD) == "적합"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("toys: {class: confirmation", "toys: {class: confirmed", "groups.toys: got class 'confirmed'"),
        ("pattern: 'CB", "pattern: '(CB", "families.children.pattern"),
        ("child_default: supplier_declaration", "child_default: nobody", "child_default: got 'nobody'"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, old, new, message):
    source = Path(load_certification.__code__.co_filename).parent / "certification.yaml"
    text = source.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "certification.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TaxonomyError, match=message):
        load_certification(tmp_path)


def test_numbers_of_the_real_recall_register_are_read(data_dir):
    lines = (data_dir / "kr-recalls" / "toys.tsv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split("\t").index("certNum")
    fields = [line.split("\t")[column] for line in lines[1:]]
    parsed = [parse_numbers(field) for field in fields]
    # Of 608 fields 24 are empty, two are remarks, one names the class and one number is malformed.
    assert sum(bool(numbers) for numbers in parsed) == 581
    assert sum(map(len, parsed)) == 616
    families = Counter(number.family for numbers in parsed for number in numbers)
    assert families["children"] > 0.75 * families.total()
    assert families["electrical"] == 0
    unread = [field for field, numbers in zip(fields, parsed, strict=True) if field.strip() and not numbers]
    assert Counter(check([field], "toys").kind for field in unread) == {"missing": 3, "malformed": 1}
