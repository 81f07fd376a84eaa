"""Laboratory results: reading, units, verdicts, intake whole or not at all, what counts, cases."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.taxonomy import load_taxonomy
from serving.labs.book import LabBook, LabError
from serving.labs.cases import check_step, failing, view_of
from serving.labs.columns import ColumnsError, load_columns
from serving.labs.files import FileError, read_table
from serving.labs.intake import ResultsRefusedError, check_file
from serving.labs.loop import LabOffice
from serving.labs.orders import OrdersError, summarise_orders
from serving.labs.results import Result, read_results
from serving.labs.units import UnitError, convert, unit_of
from serving.labs.verdicts import Goods, judge
from serving.store import Store
from serving.store.laboratory import lab_record, read_file, read_laboratory

TAXONOMY = load_taxonomy()
MAPS = load_columns()
TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOY = Goods("toys", "under_14")
HEAD = "sample_id,analyte,value,unit,lod,verdict,kind,result_id,replaces\n"


@dataclass(frozen=True)
class Row:
    seq: int
    kind: str
    subject: str
    body: dict[str, Any] = field(default_factory=dict)
    actor: str = "a"
    at: datetime = NOON


def item(sample_id: str, listing_id: str, laboratory: str = "KTR", **changes: Any) -> dict[str, Any]:
    base = {
        "sample_id": sample_id,
        "listing_id": listing_id,
        "marketplace": "hanbada",
        "seller_id": "s1",
        "cluster": listing_id,
        "role": "certainty",
        "laboratory": laboratory,
        "hazards": ["lead", "cadmium", "phthalates", "choking"],
        "propensity": 1.0,
        "stratum": "certainty",
        "group": "toys",
        "audience": "under_14",
        "market": "KR",
        "category": "toys",
        "harm": 10.0,
        "p": 0.2,
        "reason": "harm",
        "cost": 100,
    }
    return base | changes


def plan_body(*items: dict[str, Any]) -> dict[str, Any]:
    return {
        "made": "2026-11-01",
        "items": list(items),
        "outside": {},
        "config": {"laboratories": {"KTR": {}}},
    }


def book_with(*items: dict[str, Any]) -> LabBook:
    book = LabBook()
    book.apply([Row(1, "plan", "plan-1", plan_body(*(items or (item("S1", "a"), item("S2", "b")))))])
    return book


def take(book: LabBook, text: str, laboratory: str = "KTR", seq: int | None = None) -> Any:
    content = text.encode()
    results, problems = read_results("r.csv", content, laboratory, MAPS)
    intake = check_file("r.csv", content, laboratory, results, problems, book, TAXONOMY, TODAY)
    book.apply([Row(seq or book.seq + 1, "results", intake.file_id, json.loads(json.dumps(intake.body())))])
    return intake


def refused(book: LabBook, text: str, laboratory: str = "KTR") -> list[str]:
    with pytest.raises(ResultsRefusedError) as caught:
        take(book, text, laboratory)
    assert not book.results  # nothing of the file counts
    return [problem.code for problem in caught.value.problems]


# --- units ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        (0.1, "%", "mg/kg", 1000.0),
        (250, "㎎/㎏", "ppm", 250.0),
        (5, "µg/mL", "mg/L", 5.0),
        (1, "mg/dm²", "㎍/㎠", 10.0),
        (0.5, "ug/cm2/week", "㎍/㎠/week", 0.5),
        (1472, "m/s2", "g", 1472 / 9.80665),
    ],
)
def test_units_are_converted_within_a_quantity(value, unit, wanted, expected):
    assert convert(value, unit_of(unit), unit_of(wanted)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other"), [("mg/L", "ppm"), ("% v/v", "%"), ("ug/cm2", "ug/cm2/week"), ("mg/kg-dry", "mg/kg")]
)
def test_quantities_that_differ_are_never_mixed(one, other):
    with pytest.raises(UnitError, match="different quantities"):
        convert(1.0, unit_of(one), unit_of(other))


def test_an_unknown_unit_is_named():
    with pytest.raises(UnitError, match="furlong"):
        unit_of("furlong")


@given(st.floats(1e-6, 1e6))
def test_converting_there_and_back_changes_nothing(value):
    there = convert(value, unit_of("%"), unit_of("ppb"))
    assert convert(there, unit_of("ppb"), unit_of("%")) == pytest.approx(value)


# --- files and column maps --------------------------------------------------------------------------------------


def test_a_workbook_with_a_letterhead_is_read_from_its_header():
    book = openpyxl.Workbook()
    for row in (
        ["시험 성적서"],
        [],
        ["의뢰시료번호", "시험항목", "측정치", "단위", "적합여부"],
        ["S1", "납", 312.5, "mg/kg", "부적합"],
    ):
        book.worksheets[0].append(row)
    sink = io.BytesIO()
    book.save(sink)
    results, problems = read_results("ktr.xlsx", sink.getvalue(), "KTR", MAPS)
    assert not problems
    assert [(r.sample_id, r.hazard, r.value, r.judged, r.line) for r in results] == [
        ("S1", "lead", 312.5, "fail", 4)
    ]


def test_a_korean_windows_csv_and_json_are_read_alike():
    rows = "접수번호,항목명,결과치,단위,완료일\nS1,카드뮴,<5,mg/kg,2026.11.03\n".encode("cp949")
    csv_found = read_results("k.csv", rows, "KOTITI", MAPS)[0][0]
    raw = {
        "results": [
            {
                "샘플번호": "S1",
                "시험항목": "카드뮴",
                "분석결과": "<5",
                "단위": "mg/kg",
                "시험일": "2026-11-03",
            }
        ]
    }
    json_found = read_results("k.json", json.dumps(raw).encode(), "KATRI", MAPS)[0][0]
    assert (csv_found.value, csv_found.comparator, csv_found.tested_on) == (5.0, "<", "2026-11-03")
    assert csv_found.measured == json_found.measured


def test_a_laboratory_may_leave_out_its_one_unit():
    raw = {"results": [{"샘플번호": "S1", "시험항목": "납", "분석결과": 7}]}
    assert read_results("k.json", json.dumps(raw).encode(), "KATRI", MAPS)[0][0].unit == "mg/kg"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.pdf", b"%PDF", "ends in"),
        ("r.csv", b"", "empty"),
        ("r.csv", b"\x00\x01", "NUL"),
        ("r.xlsx", b"PK\x03\x04 broken", "cannot be opened"),
        ("r.json", b"[1, 2]", "list of objects"),
        ("r.csv", b"a,b\n1,2\n", "no header row"),
    ],
)
def test_files_that_are_no_results_are_refused(name, content, message):
    with pytest.raises(FileError, match=message):
        read_results(name, content, "KTR", MAPS)


def test_a_workbook_that_unpacks_to_too_much_is_refused():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 210_000_000)
    with pytest.raises(FileError, match="unpacks to"):
        read_table("bomb.xlsx", sink.getvalue(), frozenset())


def test_a_missing_column_and_one_claimed_twice_are_named():
    with pytest.raises(ColumnsError, match="value or verdict"):
        read_results("r.csv", b"sample_id,analyte\nS1,lead\n", "KTR", MAPS)
    with pytest.raises(ColumnsError, match="both for value"):
        read_results("r.csv", b"sample_id,analyte,value,result\nS1,lead,1,2\n", "KTR", MAPS)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("S1,lead,abc,ppm,,,,,", "value"),
        ("S1,lead,5,,,,,,", "unit"),
        ("S1,lead,5,cubits,,,,,", "unit"),
        ("S1,moonlight,5,ppm,,,,,", "analyte"),
        ("S1,lead,,,,,,,", "missing"),
        (",lead,5,ppm,,,,,", "missing"),
        ("S1,lead,5,ppm,,perhaps,,,", "verdict"),
        ("S1,lead,5,ppm,,,third,,", "kind"),
        ("S1,lead,5,ppm,many,,,,", "value"),
        ("S1,lead,1e99,ppm,,,,,", "value"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(row, code):
    results, problems = read_results("r.csv", (HEAD + row + "\n").encode(), "KTR", MAPS)
    assert not results
    assert [problem.code for problem in problems] == [code]


# --- verdicts ---------------------------------------------------------------------------------------------------


def result(analyte: str, **changes: Any) -> Result:
    parts = {
        "line": 2,
        "sample_id": "S1",
        "analyte": analyte,
        "hazard": "lead",
        "value": None,
        "comparator": "",
        "unit": "",
    }
    return Result(**(parts | changes))


@pytest.mark.parametrize(
    ("found", "outcome", "source"),
    [
        (result("납", value=312, comparator="=", unit="mg/kg"), "fail", "limit"),
        (result("납", value=12, comparator="=", unit="mg/kg"), "pass", "limit"),
        (result("납", value=0.0312, comparator="=", unit="%"), "fail", "limit"),
        (result("납", value=5, comparator="<", unit="mg/kg"), "pass", "limit"),
        (result("납", comparator="nd", unit="mg/kg"), "pass", "limit"),
        (result("납", comparator="nd", unit="mg/kg", lod=500), "unclear", "limit"),
        (result("납", value=1000, comparator="<", unit="mg/kg"), "unclear", "limit"),
        (result("납", value=1000, comparator=">", unit="mg/kg"), "fail", "limit"),
        (result("작은 부품", hazard="choking", judged="fail"), "fail", "laboratory"),
        (result("DEHP", hazard="phthalates", value=0.05, comparator="=", unit="%"), "unclear", "limit"),
        (result("DEHP", hazard="phthalates", value=0.5, comparator="=", unit="%"), "fail", "limit"),
        (
            result("프탈레이트 총합", hazard="phthalates", value=0.05, comparator="=", unit="%"),
            "pass",
            "limit",
        ),
    ],
)
def test_a_value_is_judged_by_the_limit_in_force(found, outcome, source):
    verdict = judge(found, TOY, TODAY, TAXONOMY)
    assert (verdict.outcome, verdict.source) == (outcome, source)


def test_between_the_limits_of_two_parts_the_laboratory_decides():
    between = result("납", value=95, comparator="=", unit="mg/kg")
    assert judge(between, TOY, TODAY, TAXONOMY).outcome == "unclear"
    said = result("납", value=95, comparator="=", unit="mg/kg", judged="fail")
    assert judge(said, TOY, TODAY, TAXONOMY).source == "laboratory"
    named = result("납", value=95, comparator="=", unit="mg/kg", part="paint coating")
    assert judge(named, TOY, TODAY, TAXONOMY).outcome == "fail"


def test_a_laboratory_that_contradicts_the_limit_is_shown():
    verdict = judge(
        result("납", value=312, comparator="=", unit="mg/kg", judged="pass"), TOY, TODAY, TAXONOMY
    )
    assert verdict.outcome == "fail"
    assert verdict.conflict
    assert "laboratory says pass" in verdict.reason


def test_a_result_in_another_quantity_than_the_limit_is_refused():
    with pytest.raises(UnitError, match="mg/L"):
        judge(result("납", value=5, comparator="=", unit="mg/L"), TOY, TODAY, TAXONOMY)


# --- intake -----------------------------------------------------------------------------------------------------


def test_a_file_is_taken_whole():
    book = book_with()
    intake = take(book, HEAD + "S1,lead,312,ppm,,,,,\nS1,cadmium,ND,mg/kg,,,,,\nS2,lead,<5,mg/kg,,,,,\n")
    assert book.outcomes() == {"S1": {"lead": "fail", "cadmium": "pass"}, "S2": {"lead": "pass"}}
    assert [note.code for note in intake.notes] == ["censored", "censored"]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("S9,lead,5,ppm,,,,,\n", "sample"),
        ("S1,lead,5,mg/L,,,,,\n", "wrong_unit"),
        ("S1,lead,5,ppm,,,,,\nS1,lead,6,ppm,,,,,\n", "twice"),
        ("S1,lead,5,ppm,,,correction,,\n", "nothing_to_replace"),
        ("S1,lead,abc,ppm,,,,,\n", "value"),
    ],
)
def test_one_wrong_row_refuses_the_whole_file(rows, code):
    assert refused(book_with(), HEAD + "S2,lead,12,ppm,,,,,\n" + rows) == [code]


def test_a_sample_of_another_laboratory_is_refused():
    assert refused(book_with(item("S1", "a", "FITI")), HEAD + "S1,lead,5,ppm,,,,,\n") == ["laboratory"]


def test_a_row_that_repeats_another_counts_once():
    book = book_with()
    intake = take(book, HEAD + "S1,lead,5,ppm,,,,,\nS1,lead,5,ppm,,,,,\n")
    assert len(intake.entries) == 1
    assert [note.code for note in intake.notes] == ["repeated_row"]


def test_the_same_file_is_not_taken_twice():
    book = book_with()
    take(book, HEAD + "S1,lead,5,ppm,,,,,\n")
    with pytest.raises(ResultsRefusedError, match="this very file"):
        take(book, HEAD + "S1,lead,5,ppm,,,,,\n")


def test_a_changed_result_must_say_that_it_is_one():
    book = book_with()
    take(book, HEAD + "S1,lead,312,ppm,,,,,\n")
    with pytest.raises(ResultsRefusedError) as caught:
        take(book, HEAD + "S1,lead,12,ppm,,,,,\n")
    assert caught.value.problems[0].code == "unmarked_change"


def test_a_correction_takes_the_place_of_what_was_reported_and_both_stay():
    book = book_with()
    take(book, HEAD + "S1,lead,312,ppm,,,,r1,\n")
    take(book, HEAD + "S1,lead,31.2,ppm,,,정정,r2,r1\n")
    filed = book.results["S1", "lead", ""]
    assert [(one.outcome, one.superseded_by) for one in filed] == [("fail", 3), ("pass", 0)]
    assert book.outcomes()["S1"]["lead"] == "pass"
    with pytest.raises(ResultsRefusedError, match="which is not known"):
        take(book, HEAD + "S1,lead,9,ppm,,,correction,r3,r77\n")


@given(st.lists(st.tuples(st.sampled_from(["S1", "S2"]), st.integers(1, 400)), min_size=1, max_size=12))
def test_superseded_results_never_count_twice(sent):
    """However often a result is corrected, one of it counts: the last."""
    book = book_with()
    last: dict[str, int] = {}
    for number, (sample, value) in enumerate(sent):
        kind = "correction" if sample in last else ""
        take(book, f"{HEAD}{sample},lead,{value},ppm,,,{kind},r{number},\n")
        last[sample] = value
    current = list(book.current())
    assert {one.result.sample_id: one.result.value for one in current} == last
    assert len(current) == len(last)
    assert sum(one.superseded_by == 0 for filed in book.results.values() for one in filed) == len(last)
    assert sum(len(filed) for filed in book.results.values()) == len(sent)


def test_unclear_is_never_a_pass():
    book = book_with()
    take(book, HEAD + "S1,phthalates,ND,%,5,,,,\nS2,DEHP,0.01,%,,,,,\n")
    assert book.outcomes() == {"S1": {"phthalates": "unclear"}, "S2": {"phthalates": "unclear"}}
    assert failing(book) == []


# --- cases and orders -------------------------------------------------------------------------------------------


def with_case(done: tuple[str, ...] = ()) -> LabBook:
    book = book_with()
    take(book, HEAD + "S1,lead,312,ppm,,,,,\n")
    assert [sample.sample_id for sample in failing(book)] == ["S1"]
    book.apply([Row(book.seq + 1, "case", "case-S1", {"sample_id": "S1", "found": []})])
    for step in done:
        note = {"listings": [{"marketplace": "hanbada", "listing_id": "a2"}]} if step == "relistings" else {}
        at = NOON + timedelta(seconds=4)
        book.apply([Row(book.seq + 1, "step", "case-S1", {"step": step, "note": note}, at=at)])
    return book


def test_a_case_stays_open_until_every_step_is_confirmed():
    book = with_case(("banned", "relistings", "blocked", "strike", "off_sale", "consumer_notice"))
    view = view_of(book.cases["case-S1"], book)
    assert view.open_steps == ("refunds",)
    assert view.seconds_to_block == 4.0
    assert failing(book) == []
    with pytest.raises(LabError, match="no orders file"):
        check_step(view, "refunds")
    rows = "listing_id,amount,state,buyer\na,9000,환불완료,kim\na2,5000,waiting,lee\nz,1,,park\n"
    found = summarise_orders(rows.encode(), dict.fromkeys(view.listings, "case-S1"))
    assert found.others == 1
    assert "kim" not in json.dumps(found.listings)
    book.apply([Row(book.seq + 1, "orders", "orders", {"listings": list(found.listings)})])
    with pytest.raises(LabError, match="1 of 2 orders"):
        check_step(view_of(book.cases["case-S1"], book), "refunds")
    book.apply([Row(book.seq + 1, "step", "case-S1", {"step": "refunds"})])
    assert view_of(book.cases["case-S1"], book).closed


def test_a_later_pass_asks_a_person_about_the_ban():
    book = with_case(("banned", "relistings", "blocked", "strike"))
    take(book, HEAD + "S1,lead,2,ppm,,,correction,,\n")
    view = view_of(book.cases["case-S1"], book)
    assert view.hazards == ()
    assert "review_of_ban" in view.open_steps
    with pytest.raises(LabError, match="done by the program"):
        check_step(view_of(with_case().cases["case-S1"], with_case()), "banned")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "found no column"),
        ("listing_id,amount\na,much\n", "no number"),
        ("listing_id,amount\na,-5\n", "out of range"),
    ],
)
def test_an_orders_file_that_cannot_be_used_is_refused(text, message):
    with pytest.raises(OrdersError, match=message):
        summarise_orders(text.encode(), {("", "a"): "c"})


# --- the store, on SQLite and PostgreSQL ------------------------------------------------------------------------


def test_what_is_taken_is_on_disk_with_its_labels_and_the_file(store_url):
    content = (HEAD + "S1,lead,312,ppm,,,,,\nS2,lead,ND,ppm,,,,,\n").encode()
    with Store(store_url) as store:
        store.change(lab_record("plan", "plan-1", "me", plan_body(item("S1", "a"), item("S2", "b"))))
        office = LabOffice(store, clock=lambda: NOON)
        taken = office.take("r.csv", content, "KTR", "me")
        assert taken.settled is None
        bad = (HEAD + "S1,cadmium,3,ppm,,,,,\nS1,lead,5,mg/L,,,correction,,\n").encode()
        head = store.head()
        with pytest.raises(ResultsRefusedError):
            office.take("bad.csv", bad, "KTR", "me")
        assert store.head() == head  # nothing at all was written
        rows = read_laboratory(store)
        assert [row.kind for row in rows] == ["plan", "results"]
        assert read_file(store, rows[1].seq, "original") == content
    with Store(store_url) as store:
        from serving.audit.verification import verify
        from serving.store import schema
        from serving.store.engine import reading

        with reading(store.engine) as connection:
            labels = connection.execute(schema.labels.select().order_by(schema.labels.c.seq)).mappings().all()
        assert [(row["listing_id"], row["hazard"], row["value"]) for row in labels] == [
            ("a", "lead", True),
            ("b", "lead", False),
        ]
        assert LabOffice(store).book.outcomes() == {"S1": {"lead": "fail"}, "S2": {"lead": "pass"}}
        assert verify(store).intact


def test_rows_of_the_loop_cannot_be_changed(store_url):
    import sqlalchemy as sa

    from serving.store import StoreError
    from serving.store.engine import writing

    with Store(store_url) as store:
        store.change(lab_record("plan", "plan-1", "me", plan_body(item("S1", "a"))))
        with pytest.raises((sa.exc.DBAPIError, StoreError)), writing(store.engine) as connection:
            connection.execute(sa.text("UPDATE laboratory SET body = '{}'"))
