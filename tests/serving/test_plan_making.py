"""From a catalogue to a plan: clusters, what is left out, sheets, page, what changed."""

from __future__ import annotations

import csv
import io
from datetime import date

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import parse_listing
from serving.bans.office import load_reader
from serving.plans.candidates import PastTests, score_catalogue
from serving.plans.changes import changes
from serving.plans.clusters import cluster_listings
from serving.plans.config import PlanConfig, read_plan_config
from serving.plans.file import (
    frame_bytes,
    harm_of_frame,
    matrix_of,
    plan_body,
    read_frame,
    read_listings_bytes,
)
from serving.plans.file import listings_bytes as pack_listings
from serving.plans.making import make_plan, usual_seed
from serving.plans.page import plan_page
from serving.plans.sheets import harmless, order_csv, order_workbook, sheet_files
from serving.plans.types import PlanError

TODAY = date(2026, 11, 20)
HOSTILE = '=HYPERLINK("http://evil.example","장난감") <script>alert(1)</script>'


def listing(number: int, title: str, **changes):
    raw = {
        "id": f"l{number}",
        "title": title,
        "price": 9900,
        "currency": "KRW",
        "marketplace": "hanbada",
        "seller": {"id": f"s{number % 4}"},
        "units_sold": 100 * number + 1,
        "category": ["완구"],
    }
    return parse_listing(raw | changes)


TITLES = """유아 목욕놀이 말랑말랑 비닐 오리 장난감
어린이 유니콘 목걸이 팔찌 세트
말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 장난감
아동 겨울 후드 티셔츠 끈 조절
어린이 자전거 헬멧 초경량
LED 무드등 충전식 캠핑 랜턴
슬라임 만들기 세트 대용량
유아용 원목 딸랑이
나무 블록 쌓기 100피스
여아 헤어핀 리본 10종
물총 여름 물놀이 장난감
비눗방울 자동 버블건""".splitlines()
CATALOGUE = [listing(number, title) for number, title in enumerate(TITLES)]
CATALOGUE.append(listing(90, f"무료배송 {TITLES[2]}", seller={"id": "other"}))
CATALOGUE.append(listing(91, HOSTILE, images=["=cmd|' /C calc'!A0"]))


@pytest.fixture(scope="module")
def reader():
    return load_reader()


@pytest.fixture(scope="module")
def predictor():
    from serving.predictor import load_predictor
    from serving.settings import Settings

    return load_predictor(Settings())


@pytest.fixture(scope="module")
def config():
    raw = read_plan_config().model_dump()
    raw |= {"budget": {"money": 6_000_000, "items": 12}, "overlap": 1, "category_by": "group"}
    raw["exploration"] = {"share": 0.3}
    raw["solver"] = {"seconds": 3}
    return PlanConfig.model_validate(raw)


@pytest.fixture(scope="module")
def made(predictor, reader, config):
    past = PastTests(ordered=frozenset({("hanbada", "l7")}), off_sale=frozenset({("hanbada", "l0")}))
    return make_plan(CATALOGUE, predictor, reader, config, past, period="2026-12", today=TODAY, seed=3)


def test_the_same_goods_under_another_title_are_one_cluster(reader):
    found = cluster_listings(CATALOGUE, reader)
    by_id = dict(zip([one.id for one in CATALOGUE], found, strict=True))
    assert by_id["l90"] == by_id["l2"]
    assert len(set(found)) == len(CATALOGUE) - 1


def test_clusters_of_an_empty_catalogue(reader):
    assert cluster_listings([], reader) == ()


def test_what_is_off_sale_is_left_out_and_orders_come_first(made):
    assert made.scored.left_out == ("l0",)
    assert "l0" not in {row.listing_id for row in made.plan.frame}
    assert [i.listing_id for i in made.plan.items if i.role == "ordered"] == ["l7"]


def test_every_item_has_a_propensity_a_stratum_and_a_reason(made):
    body = plan_body(made.plan, "plan-2026-12", made.scored)
    assert body["items"]
    for item in body["items"]:
        assert 0 < item["propensity"] <= 1
        assert item["stratum"] and item["reason"]
        assert item["marketplace"] == "hanbada"


def test_a_catalogue_with_an_id_twice_is_refused(predictor):
    twice = [CATALOGUE[0], CATALOGUE[0]]
    with pytest.raises(PlanError, match="more than once"):
        score_catalogue(twice, ("a", "a"), predictor, PastTests(), TODAY)


def test_a_catalogue_with_nothing_on_sale_is_refused(predictor):
    past = PastTests(off_sale=frozenset({("hanbada", "l0")}))
    with pytest.raises(PlanError, match="nothing is on sale"):
        score_catalogue(CATALOGUE[:1], ("a",), predictor, past, TODAY)


def test_the_frame_comes_back_as_it_was(made):
    table, hazards = read_frame(frame_bytes(made.plan))
    assert hazards == made.plan.hazards
    assert table.column("propensity").to_pylist() == [row.propensity for row in made.plan.frame]
    assert np.array_equal(matrix_of(table, "covered"), np.array([row.covered for row in made.plan.frame]))
    assert harm_of_frame(frame_bytes(made.plan)) == pytest.approx(made.harm, rel=1e-5)


def test_the_listings_of_a_plan_are_kept_as_they_stood(made):
    kept = read_listings_bytes(pack_listings(made.plan, made.listings))
    assert kept.keys() == {item.listing_id for item in made.plan.items}


@given(st.text(max_size=40))
def test_no_cell_starts_like_a_formula(text):
    cell = harmless(text)
    assert not cell.lstrip(" \u00a0\u200b\ufeff").startswith(("=", "+", "-", "@", "\t", "\r", "|", "＝"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\u200b=1", "%0A=1"])
def test_formulas_are_neutralised(text):
    assert harmless(text).startswith("'")


def test_order_sheets_show_what_to_test_and_nothing_of_what_is_expected(made):
    taxonomy = made_taxonomy()
    files = sheet_files(made.plan, made.listings, taxonomy)
    used = {item.laboratory for item in made.plan.items}
    assert len(files) == 3 * len(used)
    laboratory = next(iter(used))
    mine = [item for item in made.plan.items if item.laboratory == laboratory]
    for language in ("ko", "en"):
        rows = list(
            csv.reader(
                io.StringIO(
                    order_csv(made.plan, laboratory, made.listings, taxonomy, language).decode("utf-8-sig")
                )
            )
        )
        assert [row[0] for row in rows[1:]] == [item.sample_id for item in mine]
        assert len(rows[0]) == 7
    text = order_csv(made.plan, laboratory, made.listings, taxonomy, "en").decode("utf-8-sig")
    for item in mine:
        assert f"{item.harm:.4f}" not in text
        assert item.role not in text


def test_a_sellers_formula_is_text_in_the_workbook(made):
    taxonomy = made_taxonomy()
    item = (
        next(i for i in made.plan.items if i.listing_id == "l91")
        if any(i.listing_id == "l91" for i in made.plan.items)
        else made.plan.items[0]
    )
    listings = made.listings | {item.listing_id: CATALOGUE[-1].model_copy(update={"id": item.listing_id})}
    content = order_workbook(made.plan, item.laboratory, listings, taxonomy)
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["의뢰 ko", "order en", "results"]
    cells = [
        cell
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    ]
    assert all(cell.data_type != "f" for cell in cells)
    assert any("HYPERLINK" in str(cell.value) for cell in cells)
    assert not any(str(cell.value).startswith("=") for cell in cells)


def test_a_sheet_that_comes_back_filled_in_is_read(made):
    from serving.labs.columns import load_columns
    from serving.labs.results import read_results

    taxonomy = made_taxonomy()
    laboratory = made.plan.items[0].laboratory
    book = openpyxl.load_workbook(io.BytesIO(order_workbook(made.plan, laboratory, made.listings, taxonomy)))
    for row in book["results"].iter_rows(min_row=2):
        row[5].value = "pass"
    sink = io.BytesIO()
    book.save(sink)
    results, problems = read_results("back.xlsx", sink.getvalue(), laboratory, load_columns())
    assert not problems
    mine = [(i.sample_id, h) for i in made.plan.items if i.laboratory == laboratory for h in i.hazards]
    assert [(r.sample_id, r.hazard) for r in results] == mine


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_explains_the_plan_and_runs_nothing(made, language):
    body = plan_body(made.plan, "plan-2026-12", made.scored)
    titles = {one: listing.title for one, listing in made.listings.items()} | {
        made.plan.items[0].listing_id: HOSTILE
    }
    changed = [{"listing_id": "l1", "entered": False, "reason": "banned", "before": 3.0, "after": None}]
    page = plan_page(body, made_taxonomy(), titles, language, changed)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 3
    for item in made.plan.items:
        assert item.sample_id in page


def plan_of(*items):
    return {"items": [{"listing_id": one, "role": role} for one, role in items]}


def test_every_change_has_a_reason():
    old = plan_of(
        ("a", "certainty"), ("b", "certainty"), ("c", "exploration"), ("d", "certainty"), ("e", "certainty")
    )
    new = plan_of(
        ("f", "ordered"), ("g", "certainty"), ("h", "exploration"), ("i", "certainty"), ("e", "certainty")
    )
    found = changes(
        old, new, old_harm={"g": 1.0, "i": 5.0, "d": 9.0}, new_harm={"g": 2.0, "i": 5.0, "d": 1.0},
        tested={"a", "b"}, banned={"a"}, on_sale={"c", "d", "f", "g", "h", "i"},
    )  # fmt: skip
    assert {change.listing_id: change.reason for change in found} == {
        "a": "banned", "b": "tested", "c": "not_drawn", "d": "harm_down",
        "f": "open_order", "g": "harm_up", "h": "drawn", "i": "freed",
    }  # fmt: skip


def test_the_usual_seed_follows_from_the_period():
    assert usual_seed("2026-12", made_taxonomy()) == usual_seed("2026-12", made_taxonomy())
    assert usual_seed("2026-12", made_taxonomy()) != usual_seed("2027-01", made_taxonomy())


def made_taxonomy():
    from features.taxonomy import load_taxonomy

    return load_taxonomy()
