"""Adapters over files: small files of the publishers' shape, and the real ones where they are present."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rows import ReadError
from training.records import InspectionRound, LabResult, Recall, Reject
from training.sources import SOURCES, OutsideError, Source, SourceError
from training.sources.hazards import hazards_in
from training.sources.inspections import mark_leaves
from training.sources.jsonl import RecordFile, to_line
from training.sources.lab_generic import OPTIONAL, REQUIRED, hazard_of

FILES = Path(__file__).parents[1] / "files" / "sources"


def read(name: str, file: str | Path) -> tuple[list, list[Reject]]:
    items = list(SOURCES[name].read(FILES / file))
    return [i for i in items if not isinstance(i, Reject)], [i for i in items if isinstance(i, Reject)]


def test_every_source_is_one_and_has_its_own_name():
    assert all(isinstance(source, Source) and source.name == name for name, source in SOURCES.items())


def test_cpsc_table():
    records, rejects = read("cpsc", "cpsc.csv")
    first, undated, empty = records
    assert first.product_names == ("Example rag doll", "Example bath doll")
    assert first.hazards == {"choking", "lead"}
    assert first.product_types == ("Toys", "Dolls")
    assert first.date == date(2009, 5, 4)
    assert (undated.native_id, undated.date, undated.hazards) == ("90002", None, {"fire", "choking"})
    assert empty.hazards == frozenset()
    assert [(r.line, r.reason.split(",")[0]) for r in rejects] == [
        (4, "no product name"),
        (5, "got date '2010-13-02': month must be in 1..12"),
        (6, "got cpsc term 'Bad Luck'"),
    ]
    assert "90005" in rejects[2].raw


def test_cpsc_toys_and_sports_read_the_hazard_from_the_words():
    toys, rejects = read("cpsc_toys", "cpsc_toys.csv")
    assert [t.hazards for t in toys] == [{"choking"}, {"lead"}, {"choking"}]
    assert [t.native_id for t in toys] == ["15991", "00991", "11991a"]
    assert "25/1/2011" in rejects[0].reason
    sports, rejects = read("cpsc_sports", "cpsc_sports.csv")
    assert [s.hazards for s in sports] == [{"fall", "crash"}, {"impact_protection"}]
    assert rejects[0].reason == "no recall number"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Bicycles Recalled; a crack can lead to a fall", {"fall"}),
        ("Recalled Due to Violation of Lead Paint Standard", {"lead"}),
        ("Excessive levels of lead in the surface coating", {"lead"}),
        ("Magnets can be swallowed", {"magnet_ingestion"}),
        ("Fall 2009 collection recalled", set()),
        ("Recalled Due to Lead Poisoning Hazard", {"lead"}),
        ("The fluid can cause poisoning", {"chemical_other"}),
        ("It violates the Federal Hazardous Substances Act; for the hearing impaired call", set()),
        ("프탈레이트계 가소제 기준치 초과", {"phthalates"}),
        ("총 납 함유량이 기준치를 초과", {"lead"}),
    ],
)
def test_hazards_in_regulators_sentences(text, codes):
    assert hazards_in(text)[0] == codes


def test_new_york_keeps_units_apart_and_not_detected_from_missing():
    records, rejects = read("nyc", "nyc.csv")
    assert [(r.native_id, r.value, r.unit, r.comparator) for r in records] == [
        ("1", 2.9, "mg/kg", "="),
        ("2", None, "mg/kg", "nd"),
        ("3", 12.0, "mg/cm2", "="),
        ("4", 0.4, "mg/L", "="),
        ("6", 1200.0, "mg/kg", "="),
    ]
    assert [r.date for r in records[:3]] == [date(2011, 1, 4), date(2011, 1, 13), date(2012, 3, 5)]
    assert records[0].maker == ""
    assert records[4].hazard == "chemical_other"
    reasons = [r.reason for r in rejects]
    assert len(reasons) == 5
    for reason, words in zip(
        reasons,
        ("not the same as not detected", "metal 'Thallium'", "unit 'furlongs'", "quality-control", "3 or so"),
        strict=True,
    ):
        assert words in reason


def test_inspection_leaves_hold_every_item_once():
    records, rejects = read("inspections", "inspections.csv")
    leaves = {r.native_id: (r.group_name, r.n_tested, r.n_failed) for r in records if r.leaf}
    assert leaves == {
        "EX-1#2": ("lamps", 20, 4),
        "EX-1#3": ("bath toys", 10, 6),
        "EX-1#1#rest": ("toys", 30, 4),
        "EX-2#0": ("jewelry", 30, 9),
        "EX-3#0": ("masks", 7, 0),
    }
    days = {r.native_id: r.date for r in records}
    assert days["EX-1#0"] == date(2024, 8, 31)
    assert days["EX-3#0"] is None
    assert days["EX-4#0"] == date(2024, 12, 31)
    assert "9 failed of 5 tested" in rejects[0].reason


counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(st.lists(counts, min_size=2, max_size=5))
def test_leaves_of_a_batch_with_a_total_sum_to_it(parts):
    def row(name: str, tested: int, failed: int) -> InspectionRound:
        return InspectionRound("x", name, "A", None, "p", name, "", tested, failed, True)

    rows = [row(f"group {i}", *part) for i, part in enumerate(parts)]
    total = row("all", sum(n for n, _ in parts), sum(k for _, k in parts))
    marked = mark_leaves([total, *rows], [""] * (len(rows) + 1))
    leaves = [r for r in marked if r.leaf]
    assert sum(r.n_tested for r in leaves) == total.n_tested
    assert sum(r.n_failed for r in leaves) == total.n_failed


def test_cpsc_service_answer():
    records, rejects = read("cpsc_api", "cpsc_api.json")
    rattle, charger = records
    assert (rattle.native_id, rattle.date) == ("26991", date(2026, 3, 5))
    assert rattle.product_names == ("Rattles", "Ring rattles")
    assert rattle.hazards == {"choking"}
    assert rattle.description == "Example rattles & rings, model XR."
    assert rattle.manufacturers == ("Example Toys Inc.",)
    assert charger.product_names == ("Phone Chargers",)
    assert charger.hazards == {"fire", "electric_shock"}
    assert [r.reason for r in rejects] == ["no RecallNumber"]


def test_safety_gate_report():
    records, rejects = read("safety_gate", "safety_gate.xml")
    bunny, charger = records
    assert (bunny.native_id, bunny.kind, bunny.date) == ("SR/09991/26", "recall", date(2026, 9, 25))
    assert bunny.hazards == {"choking", "phthalates"}, (
        "chemical is filled in from the text; the fire brigade is not"
    )
    assert bunny.manufacturers == ()
    assert bunny.images == ("https://img.example/1", "https://img.example/2")
    assert (charger.kind, charger.manufacturers, charger.hazards) == (
        "warning",
        ("Volt",),
        {"electric_shock"},
    )
    assert charger.product_names == ("USB charger",)
    assert "Bad luck" in rejects[0].reason


def test_xml_that_attacks_is_refused(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text(
        '<!DOCTYPE a [<!ENTITY b "c">]><notifications><caseNumber>&b;</caseNumber></notifications>'
    )
    with pytest.raises(SourceError, match="EntitiesForbidden"):
        list(SOURCES["safety_gate"].read(path))


def test_korean_recalls():
    records, rejects = read("kats", "kats.json")
    toy, charger = records
    assert toy.product_names == ("완구", "EX-100", "EX-101")
    assert toy.hazards == {"phthalates", "lead"}
    assert toy.certificates == ("CB061R9999-0001",)
    assert (toy.date, toy.countries) == (date(2026, 1, 15), ("중국",))
    assert charger.hazards == frozenset()
    assert [r.reason[:9] for r in rejects] == ["no produc", "got date "]
    register, rejects = read("kr_register", "kr_register.tsv")
    assert register[0].product_names == ('예시 "말랑이 슬라임',)
    assert register[0].certificates == ("CB064R9999-1002",)
    assert register[1].certificates == ("CB061R9998-2001", "CB061R9998-2002")
    assert register[1].product_names == ("운동완구(완구)",)
    assert len(rejects) == 1


@pytest.mark.parametrize(("code", "rows"), [("2004", "null"), ("2004", "[]")])
def test_an_answer_without_rows_is_no_fault(tmp_path, code, rows):
    path = tmp_path / "x.json"
    path.write_text(f'{{"resultCode":"{code}","resultData":{rows}}}')
    assert list(SOURCES["kats"].read(path)) == []


def test_own_laboratory_results():
    records, rejects = read("lab_results", "lab_results.csv")
    assert [(r.native_id, r.hazard, r.value, r.comparator, r.unit, r.failed) for r in records] == [
        ("r1", "phthalates", 12_000.0, "=", "mg/kg", True),
        ("r2", "lead", 5.0, "<", "mg/kg", False),
        ("r3", "cadmium", None, "nd", "mg/kg", None),
        ("s2/smallparts", "choking", None, "=", "", True),
    ]
    assert {r.date for r in records} == {date(2026, 5, 2), date(2026, 5, 3)}
    reasons = [r.reason for r in rejects]
    for reason, words in zip(
        reasons, ("not a pass", "without a unit", "analyte 'Wobble'", "verdict 'maybe'"), strict=True
    ):
        assert words in reason


def test_own_laboratory_results_with_a_wrong_column(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("product_name,analyte,valeu\nkite,lead,3\n")
    with pytest.raises(SourceError, match="unknown valeu; neither value nor verdict"):
        list(SOURCES["lab_results"].read(path))


def test_the_documented_format_is_the_one_that_is_read():
    schema = json.loads(
        (Path(__file__).parents[2] / "docs/formats/lab_results.schema.json").read_text("utf-8")
    )
    assert set(schema["properties"]) == {*REQUIRED, *OPTIONAL}
    assert schema["required"] == list(REQUIRED)
    assert all(hazard_of(example["analyte"]) for example in schema["examples"])


def test_records_survive_being_written_and_read(tmp_path):
    records = [
        r
        for name, file in (("cpsc", "cpsc.csv"), ("nyc", "nyc.csv"), ("inspections", "inspections.csv"))
        for r in read(name, file)[0]
    ]
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(map(to_line, records)), encoding="utf-8")
    assert list(RecordFile("records").read(path)) == records


def test_a_record_fetched_again_counts_once_as_it_was_last(tmp_path):
    old, new = (Recall("s", "1", None, (name,), frozenset()) for name in ("before", "after"))
    path = tmp_path / "records.jsonl"
    path.write_text(f"{to_line(old)}\n{to_line(new)}\n", encoding="utf-8")
    assert list(RecordFile("records").read(path)) == [new]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"record":"rumour"}', "got record 'rumour'"),
        ('{"record":"recall","colour":"red"}', "unknown field colour"),
        ('{"record":"lab_result","value":"3"}', "got value '3'"),
        ('{"record":"recall","source":"s"}', "missing"),
        ('{"record":"recall","product_names":"kite"}', "expected a list"),
        ("{", "not JSON"),
    ],
)
def test_wrong_records_are_rejected_with_a_reason(tmp_path, line, reason):
    path = tmp_path / "records.jsonl"
    path.write_text(line)
    (reject,) = RecordFile("sample").read(path)
    assert reason in reject.reason


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cpsc", b"", "the file is empty"),
        ("cpsc", b"number,when\n1,2\n", "missing column recall_number, recall_date"),
        (
            "cpsc",
            b"recall_number,recall_date,descriptions,hazards\n1,,\xff\xfe,\n",
            r"byte 0xff at offset 50 \(line 2\) is not utf-8",
        ),
        ("nyc", gzip.compress((FILES / "nyc.csv").read_bytes())[:-200], "cut short"),
        ("cpsc_api", b'[{"RecallID": 1, "Titel": "x"}]', "the source has changed: no field RecallNumber"),
        ("cpsc_api", b'[{"RecallID": 1, "Tit', "not JSON"),
        (
            "safety_gate",
            b"<a><notifications><caseNo>1</caseNo></notifications></a>",
            "the source has changed",
        ),
        ("kats", b'{"resultCode":"4000","resultMsg":"bad key"}', "refused"),
        (
            "kats",
            b'{"resultCode":"2000","resultData":[{"uid":"1"}]}',
            "the source has changed: no field recallUid",
        ),
    ],
)
def test_files_that_are_not_what_the_source_publishes(tmp_path, name, content, message):
    path = tmp_path / ("x.csv" if name in ("cpsc", "nyc") else "x.json")
    path.write_bytes(content)
    with pytest.raises((ReadError, OutsideError), match=message):
        list(SOURCES[name].read(path))


REAL = {
    "cpsc": ("cpsc-1973-2013/recalls.csv", 3_199, 2),
    "cpsc_toys": ("cpsc-toys/recalls.csv.gz", 845, 0),
    "cpsc_sports": ("cpsc-sports/recalls.csv.gz", 784, 0),
    "nyc": ("nyc-metals/lab_results.csv", 5_315, 1),
    "kr_register": ("kr-recalls/toys.tsv", 608, 0),
}


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_accounted_for(data_dir, name):
    file, records, rejects = REAL[name]
    kinds = Counter(isinstance(item, Reject) for item in SOURCES[name].read(data_dir / file))
    assert (kinds[False], kinds[True]) == (records, rejects)


@pytest.mark.data
def test_real_rounds_hold_their_totals_once(data_dir):
    records = list(SOURCES["inspections"].read(data_dir / "kr-inspections/inspection_rounds.csv"))
    assert not any(isinstance(r, Reject) for r in records)
    totals = {r.native_id.split("#")[0]: r for r in records if r.group_name.startswith("all")}
    assert len(totals) == 5
    for batch, total in totals.items():
        leaves = [r for r in records if r.leaf and r.native_id.startswith(f"{batch}#")]
        assert sum(r.n_tested for r in leaves) == total.n_tested
        assert sum(r.n_failed for r in leaves) == total.n_failed


@pytest.mark.data
def test_real_new_york_units_and_non_detects(data_dir):
    results = [
        r for r in SOURCES["nyc"].read(data_dir / "nyc-metals/lab_results.csv") if isinstance(r, LabResult)
    ]
    assert Counter(r.unit for r in results) == {"mg/kg": 5_085, "mg/cm2": 174, "mg/L": 56}
    assert sum(r.comparator == "nd" for r in results) == 2_834
    assert all(r.date for r in results)
