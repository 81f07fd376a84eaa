"""What a user's files are taken for, and what the checks find: planted faults are found, clean data raises nothing."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from features.schema import Listing
from features.taxonomy import load_taxonomy
from training.checks import check_data
from training.checks_columns import guess_headers
from training.config import Config
from training.dataset import DataError, load_dataset
from training.own_config import NothingFoundError, draft_config
from training.reading import Reader

TODAY = date(2026, 11, 22)
TAXONOMY = load_taxonomy()
READER = cache(lambda: Reader(TAXONOMY))


@pytest.fixture(scope="module")
def own():
    path = Path(__file__).parents[1] / "files" / "own_data.py"
    spec = importlib.util.spec_from_file_location("own_data", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def look(own, folder, rows, **more):
    own.write(folder / "검사결과.csv", rows, "cp949")
    draft = draft_config(folder, TAXONOMY, name="mine", today=TODAY)
    return check_data(draft.config, folder, TAXONOMY, today=TODAY, reader=READER(), **more)


def names(report):
    return {finding.check for finding in report.findings if finding.level != "note"}


@pytest.mark.parametrize("seed", [0, 4])
def test_clean_data_raises_nothing_and_says_what_can_be_trained(own, tmp_path, seed):
    report = look(own, tmp_path, own.results(seed=seed))
    assert report.findings == ()
    assert [(t.hazard, t.way) for t in report.trainable] == [("lead", "lab")]
    assert report.languages == {"ko": 320}
    assert report.counts["lab"] == 320


def test_words_of_the_outcome_in_failed_goods_only(own, tmp_path):
    rows = own.results()
    failed = [row for row in rows if row["판정"] == "부적합"]
    for row in failed[: len(failed) // 3]:
        row["상품명"] += " 판매중지"
    report = look(own, tmp_path, rows)
    found = next(f for f in report.findings if f.check == "leakage.hazard_words")
    assert found.count == len(failed) // 3
    assert "passed ones 0" in found.message
    assert all(own.THEMES[0] not in example for example in found.examples)  # ids, never a seller's text


def test_a_mark_of_any_kind_in_failed_goods_only(own, tmp_path):
    rows = own.results()
    for row in rows:
        row["상품명"] += " qcx" if row["판정"] == "부적합" else ""
    assert "leakage.mark" in names(look(own, tmp_path, rows))


def test_the_same_product_before_and_after(own, tmp_path):
    rows = own.results()
    for late, early in zip(rows[-40:], rows[:40], strict=True):
        late["상품명"] = early["상품명"]
    found = next(f for f in look(own, tmp_path, rows).findings if f.check == "leakage.same_product")
    assert found.count >= 35


def test_a_text_that_was_changed_after_its_result(own, tmp_path):
    rows = own.results()
    late = datetime(2026, 11, 1, tzinfo=UTC)
    listings = {row["상품번호"]: Listing(id=row["상품번호"], title="x", updated_at=late) for row in rows[:50]}
    found = look(own, tmp_path, rows, listings=listings)
    assert "leakage.text_after_result" in names(found)
    early = {
        key: one.model_copy(update={"updated_at": late - timedelta(days=900)})
        for key, one in listings.items()
    }
    assert look(own, tmp_path, rows, listings=early).findings == ()


def test_flipped_labels_are_doubted(own, tmp_path):
    import random

    rng, rows = random.Random(2), own.results()
    bad = set(own.BAD)
    for row in rows:  # names decide here, so that a flipped label can be told from an unlucky product
        is_bad = any(product in row["상품명"] for product in bad)
        flipped = rng.random() < 0.08
        row["판정"] = "부적합" if is_bad != flipped else "적합"
        row["결과값(mg/kg)"] = ""
    found = next(f for f in look(own, tmp_path, rows).findings if f.check == "noise.doubtful")
    assert 10 <= found.count <= 40


def test_verdicts_against_values_and_samples_that_contradict_themselves(own, tmp_path):
    rows = own.results()
    for row in rows[:12]:
        row["결과값(mg/kg)"], row["판정"] = "500", "적합"
    assert "noise.verdict" in names(look(own, tmp_path, rows))
    rows = own.results()
    again = [
        row | {"판정": "적합" if row["판정"] == "부적합" else "부적합", "결과값(mg/kg)": ""}
        for row in rows[:12]
    ]
    assert "noise.contradiction" in names(look(own, tmp_path, rows + again))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda row: {"검사일": ""}, "times.undated"),
        (lambda row: {"검사일": "2031-01-02"}, "times.future"),
        (lambda row: {"검사일": "2026-05-05"}, "times.same_day"),
        (lambda row: {"판정": "부적합", "결과값(mg/kg)": "500"}, "coverage.one_sided"),
    ],
)
def test_times_and_coverage(own, tmp_path, change, check):
    rows = [row | change(row) for row in own.results(120)]
    assert check in names(look(own, tmp_path, rows))


def test_a_newcomers_files_are_recognised(own, tmp_path):
    own.newcomer(tmp_path)
    draft = draft_config(tmp_path, TAXONOMY, name="mine", today=TODAY)
    assert {guess.path.name: guess.kind for guess in draft.files} == {
        "검사결과.csv": "lab_results",
        "召回.csv": "own_recalls",
        "상품목록.csv": "listings",
    }
    assert draft.config.cuts["lead"].value == 100
    assert draft.listing_columns == "price=판매가,title=상품명,updated_at=수정일,id=상품코드"
    dataset = load_dataset(draft.config, tmp_path, TAXONOMY)
    assert (len(dataset.lab), len(dataset.recalls)) == (320, 60)
    assert int(dataset.recalls.value[:, TAXONOMY.index("magnet_ingestion")].sum()) == 15


def test_a_folder_without_results_says_what_each_file_lacks(own, tmp_path):
    own.write(tmp_path / "x.csv", [{"foo": "1", "bar": "2"}])
    with pytest.raises(
        NothingFoundError, match=r"x\.csv: lacks a title.*laboratory results need product_name"
    ):
        draft_config(tmp_path, TAXONOMY, name="mine", today=TODAY)


def test_a_unit_in_brackets_and_a_unit_of_its_own():
    found = guess_headers(Path("x.csv"), ["Product name", "Test", "Result (ppm)", "Unit"])
    assert found.columns["value"] == '"Result (ppm)"'
    assert found.columns["unit"] == "Unit"
    assert guess_headers(Path("x.csv"), ["제품명", "항목", "함량(%)"]).columns["unit"] == "'%'"


def test_columns_are_for_own_files_only_and_must_exist(own, tmp_path):
    own.write(tmp_path / "r.csv", own.results(5))
    base = {"name": "m", "root_rate": 0.1, "root_rate_source": "made up"}

    def config(**source):
        return Config.model_validate(base | {"sources": [{"path": "r.csv"} | source]})

    with pytest.raises(DataError, match="publisher's own form"):
        load_dataset(config(reader="cpsc", columns={"a": "b"}), tmp_path, TAXONOMY)
    wrong = config(
        reader="lab_results", columns={"product_name": "상품이름", "analyte": "검사항목", "verdict": "판정"}
    )
    with pytest.raises(Exception, match=r"no column '상품이름' for product_name"):
        load_dataset(wrong, tmp_path, TAXONOMY)


@pytest.mark.parametrize("by", ["maker", "listing"])
def test_one_seller_who_floods_the_file_with_passed_goods_is_noticed(own, tmp_path, by):
    """Goods of a kind that fails often, all passed, all of one seller: by the maker's column, or by the listings."""
    rows, flood = own.results(), own.results(120, seed=9)
    for row in rows:
        row["제조사"] = f"공장 {int(row['시료번호'][2:]) % 40}"
    for number, row in enumerate(flood):
        row |= {"판정": "적합", "결과값(mg/kg)": "3.0", "시료번호": f"F-{number}", "상품번호": f"F-{number}"}
        row["제조사"] = "한결같은 공방" if by == "maker" else ""
    listings = {
        row["상품번호"]: Listing(id=row["상품번호"], title=row["상품명"], seller={"id": "s-1"})
        for row in flood
    }
    report = look(own, tmp_path, rows + flood, listings=listings if by == "listing" else None)
    found = next(f for f in report.findings if f.check == "source.one_seller")
    assert (found.level, found.count, found.total) == ("look", 120, 440)
    assert "one seller or maker" in found.message and "0% failed" in found.message
    assert "한결같은" not in found.message + found.advice, "a finding names ids, not sellers"


def test_a_large_maker_who_fails_as_often_as_others_is_not_accused(own, tmp_path):
    rows = own.results()
    for number, row in enumerate(rows):
        row["제조사"] = "큰 공장" if number % 3 == 0 else f"공장 {number % 40}"
    assert "source.one_seller" not in names(look(own, tmp_path, rows))
