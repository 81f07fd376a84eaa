"""Results files are in the form, follow from the stored scores, and are what the page shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import readme
from benchmarks.document import PAGE, number, page, ranked, read_text, sections
from benchmarks.quality.run import TASKS
from benchmarks.quality.task import frame_of, scores_of
from benchmarks.results_file import (
    OURS,
    RESULTS,
    Look,
    Results,
    ResultsError,
    Row,
    all_results,
    data_sha256,
    log_look,
    read_looks,
    read_results,
    read_scores,
    write_results,
    write_scores,
)

MEASURED = sorted(path.stem for path in RESULTS.glob("*.json") if not path.stem.startswith("tuning_"))
QUALITY = [task for task in MEASURED if task in TASKS]


def made(**changes: object) -> Results:
    rows = (
        Row(system=OURS, metric="macro_ap", value=0.5, low=0.4, high=0.6, n=9, unit="share"),
        Row(system="base_rate", metric="macro_ap", value=0.1, n=9, unit="share"),
    )
    parts = {
        "task": "made_up",
        "command": "python -m nothing",
        "commit": "a" * 40,
        "date": datetime(2026, 1, 2, tzinfo=UTC),
        "machine": "2 cores",
        "data_sha256": "",
        "rows": rows,
    }
    return Results(**(parts | changes))


def test_results_survive_writing_and_reading(tmp_path: Path) -> None:
    results = made()
    assert read_results(write_results(results, tmp_path)) == results
    assert set(json.loads((tmp_path / "made_up.json").read_text())) == set(Results.model_fields)
    assert all_results(tmp_path) == [results]
    assert results.value(OURS, "macro_ap") == 0.5
    with pytest.raises(KeyError, match="made_up has no"):
        results.value(OURS, "macro_auc")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": []}, "rows"),
        ({"commit": "yesterday"}, "commit"),
        ({"data_sha256": "abc"}, "data_sha256"),
        ({"surprise": 1}, "surprise"),
        ({"task": "another"}, "another"),
    ],
)
def test_wrong_results_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = write_results(made(), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ResultsError, match=said):
        read_results(path)


@pytest.mark.parametrize(
    ("low", "high", "value"), [(0.6, 0.4, 0.5), (0.4, None, 0.5), (None, None, float("nan"))]
)
def test_a_wrong_figure_is_refused(low: float | None, high: float | None, value: float) -> None:
    with pytest.raises(ValueError, match=r"interval|finite"):
        Row(system=OURS, metric="macro_ap", value=value, low=low, high=high, unit="share")


def test_a_figure_stands_once() -> None:
    row = Row(system=OURS, metric="macro_ap", value=0.5, unit="share")
    with pytest.raises(ValueError, match="twice"):
        made(rows=(row, row))


def test_scores_hold_no_text_and_come_back(tmp_path: Path) -> None:
    scores = pd.DataFrame({"item": ["b", "a"], "system": OURS, "class": "", "score": [0.25, 0.5]})
    write_scores("made_up", scores, tmp_path)
    assert read_scores("made_up", tmp_path).to_dict("list") == scores.to_dict("list")
    with pytest.raises(ResultsError, match="expected"):
        write_scores("made_up", scores.assign(title="a rattle"), tmp_path)


def test_looks_are_appended(tmp_path: Path) -> None:
    looks = [Look("made_up", "2026-01-02", "a" * 40, (OURS,), note) for note in ("first", "second")]
    assert read_looks(tmp_path) == []
    for look in looks:
        log_look(look, tmp_path)
    assert read_looks(tmp_path) == looks


def test_one_file_has_its_own_sha256(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("abc")
    (tmp_path / "b.csv").write_text("")
    assert data_sha256(tmp_path, ["a.csv"]).startswith("ba7816bf8f01cfea414140de5dae2223")
    both = data_sha256(tmp_path, ["b.csv", "a.csv"])
    assert both == data_sha256(tmp_path, ["a.csv", "b.csv"]) != data_sha256(tmp_path, ["b.csv"])


@pytest.mark.parametrize("task", MEASURED)
def test_committed_results_are_in_the_form(task: str) -> None:
    results = read_results(RESULTS / f"{task}.json")
    assert OURS in {row.system for row in results.rows}
    head, text = read_text(task)
    assert {row.metric for row in results.rows} >= set(head.metrics)
    assert len(text) > 200, "the page must say what is and what is not shown"


@pytest.mark.parametrize("task", QUALITY)
def test_every_quality_figure_follows_from_the_stored_scores(task: str, data_dir: Path) -> None:
    results, room = read_results(RESULTS / f"{task}.json"), TASKS[task]
    assert results.data_sha256 == data_sha256(data_dir, room.files), "measured on other data"
    truth = room.labels(data_dir)
    again = room.measure(truth, scores_of(read_scores(task), truth))
    assert [row.model_dump(exclude={"low", "high"}) for row in again] == [
        row.model_dump(exclude={"low", "high"}) for row in results.rows
    ]
    for new, old in zip(again, results.rows, strict=True):
        assert (new.low, new.high) == pytest.approx((old.low, old.high), abs=2e-6)


@pytest.mark.parametrize("task", QUALITY)
def test_every_reading_of_a_test_part_is_noted(task: str) -> None:
    results = read_results(RESULTS / f"{task}.json")
    looks = [look for look in read_looks() if look.task == task]
    assert looks, "a task was measured without a line in looks.jsonl"
    assert {row.system for row in results.rows} - {"labels"} <= set(looks[-1].systems)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(sections()), "run: python -m benchmarks.document"
    for section in sections():
        assert (PAGE.parent / "figures" / f"{section.results.task}.png").is_file()


@pytest.mark.parametrize("path", readme.PAGES, ids=lambda path: path.name)
def test_the_readme_shows_the_figures_of_the_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert readme.with_table(text, path.name, read_results(RESULTS / f"{readme.TASK}.json")) == text


def test_a_readme_without_the_table_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="0 tables"):
        readme.with_table("no table", "README.md", read_results(RESULTS / f"{readme.TASK}.json"))


def test_ours_stands_where_its_figure_puts_it() -> None:
    assert ranked(made(), "macro_ap") == [OURS, "base_rate"]
    assert ranked(made(), "macro_ap", lower_is_better=True) == ["base_rate", OURS]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            Row(system=OURS, metric="x", value=0.12345, low=0.1, high=0.2, unit="share"),
            "0.123 (0.100 to 0.200)",
        ),
        (Row(system=OURS, metric="x", value=0.05, unit="difference"), "+0.050"),
        (Row(system=OURS, metric="x", value=1234.5, unit="listings/s"), "1,234"),
        (None, ""),
    ],
)
def test_figures_are_written_with_as_many_places_as_they_deserve(row: Row | None, text: str) -> None:
    assert number(row) == text


def test_stored_scores_of_other_items_are_refused() -> None:
    from benchmarks.quality.task import Labels

    truth = Labels(("1", "2"), ("fire", "fall"), np.eye(2), {})
    frame = frame_of(truth, {OURS: np.array([[0.1, 0.2], [0.3, 0.4]])})
    assert scores_of(frame, truth)[OURS] == pytest.approx(np.array([[0.1, 0.2], [0.3, 0.4]]))
    with pytest.raises(ValueError, match="not of the 2 items"):
        scores_of(frame[frame["item"] == "1"], truth)
