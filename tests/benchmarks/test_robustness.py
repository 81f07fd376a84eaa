"""Attacks know nothing of what they attack; locked halves are as they were; figures follow from the stored scores."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.task import Labels, scores_of
from benchmarks.results_file import OURS, RESULTS, Row, read_looks, read_results, read_scores
from benchmarks.robustness import (
    attacks,
    attacks_late,
    attacks_second,
    evasion,
    items,
    reasons,
    style_probe,
    words,
)
from benchmarks.robustness.run import TASKS, main

ALL = evasion.attacks()
TITLES = {
    "en": "Hidden Camera Alarm Clock with Battery 1080P",
    "ko": "유아 자석 장난감 목걸이 세트",
    "zh": "儿童磁力玩具 摄像头 项链 电池",
}
MEASURED = [task for task in TASKS if (RESULTS / f"{task}.json").is_file()]


@pytest.mark.parametrize("module", [attacks, attacks_second, attacks_late, words])
def test_attacks_import_nothing_of_what_they_attack(module: object) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert names
    assert not [name for name in names if name.split(".")[0] in ("features", "training", "serving")]


def test_there_are_enough_attacks_and_a_third_came_late() -> None:
    assert len(attacks.ATTACKS) >= 15
    assert 3 * len(attacks_late.LATE_ATTACKS) >= len(ALL)
    assert len(attacks_late.FROZEN) == len(attacks_second.FROZEN) == 40
    assert evasion.late(ALL) == frozenset(attacks_late.LATE_ATTACKS)
    assert len(ALL) == sum(
        map(len, (attacks.ATTACKS, attacks_second.SECOND_ATTACKS, attacks_late.LATE_ATTACKS))
    )


@pytest.mark.parametrize("name", ALL)
def test_every_attack_changes_a_title_of_some_language_and_always_alike(name: str) -> None:
    rows = [{"id": code, "title": title} for code, title in TITLES.items()]
    changed = [attacks.attacked(name, row, ALL) for row in rows]
    assert any(changed)
    assert changed == [attacks.attacked(name, row, ALL) for row in rows]
    for row, other in zip(rows, changed, strict=True):
        assert other is None or (other["id"] == f"{name}/{row['id']}" and other["title"].strip())


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60), st.sampled_from(sorted(ALL)))
def test_no_title_breaks_an_attack(title: str, name: str) -> None:
    row = {"id": "1", "title": title}
    changed = ALL[name](row, Random(0))
    assert row == {"id": "1", "title": title}
    assert changed is None or isinstance(changed["title"], str)


def test_the_locked_titles_are_as_they_were() -> None:
    lines = items.TITLES.read_text(encoding="utf-8").splitlines()
    test = "".join(f"{line}\n" for line in lines if line.startswith("test\t"))
    lock = items.TITLES.with_name("covert_titles_test.sha256").read_text(encoding="utf-8").strip()
    assert hashlib.sha256(test.encode()).hexdigest() == lock


def test_the_second_locked_titles_are_as_they_were() -> None:
    lines = items.SECOND_TITLES.read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    lock = items.SECOND_TITLES.with_suffix(".sha256").read_text(encoding="utf-8").strip()
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == lock
    assert not {row["title"] for row in items.covert_titles(items.SECOND)} & {
        row["title"] for half in ("tuning", "test") for row in items.covert_titles(half)
    }


def test_half_of_the_covert_titles_name_nothing() -> None:
    telling = (
        "hidden",
        "spy",
        "nanny",
        "covert",
        "secret",
        "pinhole",
        "stealth",
        "몰래",
        "몰카",
        "스파이",
        "위장",
        "히든",
        "隐",
        "间谍",
    )
    for half in ("tuning", "test", items.SECOND):
        rows = [row for row in items.covert_titles(half) if row["label"] == "covert"]
        unnamed = [row for row in rows if row["kind"] == "unnamed"]
        assert 2 * len(unnamed) == len(rows)
        assert {row["language"] for row in unnamed} == {"en", "ko", "zh"}
        assert not [row for row in unnamed if any(word in row["title"].lower() for word in telling)]


def test_no_title_is_in_both_halves() -> None:
    halves = [{row["title"] for row in items.covert_titles(half)} for half in ("tuning", "test")]
    assert not halves[0] & halves[1]


def _tiny(*, robust: bool) -> list[Row]:
    ids = ("clean/sample/1", "dots/sample/1", "clean/sample/2", "dots/sample/2")
    ids += ("clean/real/3", "dots/real/3", "clean/real/4", "dots/real/4", "phrase_for/covert/5")
    score = [3, 3 if robust else 0, 3, 3, 0, 0 if robust else 3, 2, 2, 0]
    return evasion.measure(evasion.labels_of(ids), {OURS: np.array(score, dtype=float)[:, None]})


def test_recall_kept_and_alarms_added_say_what_they_mean() -> None:
    for robust, kept, added in ((True, 1.0, 0.0), (False, 0.5, 1.0)):
        rows = {row.metric: row.value for row in _tiny(robust=robust)}
        assert rows["recall_kept"] == rows["recall_kept_dots"] == kept
        assert rows["false_alarms_added"] == added
        assert rows["flag_gone_for_cameras"] == 1.0


def test_taking_words_out() -> None:
    title = "Mini spy camera for home"
    assert reasons.merged([(5, 8), (7, 15)]) == ((5, 15),)
    assert reasons.without(title, ((5, 15),)) == "Mini for home"
    first, last = reasons.elsewhere(title, ((5, 8),), [16])[0]
    assert title[first:last] == "for"


def _of_stored(truth: Labels, stored: tuple[str, ...]) -> Labels:
    """Keep the items that were scored: titles written since the last measurement wait for the next."""
    kept = np.isin(truth.items, stored)
    parts = {name: part[kept] for name, part in truth.parts.items()}
    return Labels(tuple(np.array(truth.items)[kept]), truth.classes, truth.Y[kept], parts)


def _labels(task: str, data: Path) -> Labels:
    # What these tasks score depends on what was flagged or grouped, so their items are taken as they were stored.
    stored = tuple(dict.fromkeys(read_scores(task)["item"]))
    if task == "style_probe":
        return style_probe.labels_of(stored, data)
    makers = {"evasion": evasion.labels_of, "reasons": reasons.labels_of}
    if task == "covert_camera":
        return _of_stored(TASKS[task].labels(data), stored)
    return makers[task](stored) if task in makers else TASKS[task].labels(data)


@pytest.mark.parametrize("task", MEASURED)
def test_every_figure_follows_from_the_stored_scores(task: str, data_dir: Path) -> None:
    results, truth = read_results(RESULTS / f"{task}.json"), _labels(task, data_dir)
    again = TASKS[task].measure(truth, scores_of(read_scores(task), truth))
    found = {(row.system, row.metric): (row.value, row.low, row.high) for row in again}
    for row in results.rows:
        assert found.pop((row.system, row.metric)) == pytest.approx((row.value, row.low, row.high), abs=2e-6)
    assert not found


@pytest.mark.parametrize("task", MEASURED)
def test_every_look_is_noted(task: str) -> None:
    systems = {row.system for row in read_results(RESULTS / f"{task}.json").rows} - {"labels"}
    looks = [look for look in read_looks() if look.task == task]
    assert looks
    assert systems <= set(looks[-1].systems)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        "cross_language",
        pytest.param("covert_camera", marks=pytest.mark.long),
        pytest.param("evasion", marks=pytest.mark.long),
    ],
)
def test_quick_runs_everything_and_writes_nothing(task: str, data_dir: Path) -> None:
    before = {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()}
    done = CliRunner().invoke(main, [task, "--quick", "--data", str(data_dir)])
    assert done.exit_code == 0, done.output
    assert "ours" in done.output
    assert {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()} == before
