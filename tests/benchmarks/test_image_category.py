"""The check of photos beside words: its parts, and the committed figures made again from the committed scores."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from benchmarks.relisting.image_category import FOLDER, OURS, SYSTEMS, TASK, Goods, Told, figures, tell
from benchmarks.results_file import RESULTS, read_results, read_scores


def goods(n: int = 60) -> Goods:
    """Made-up listings of two categories: words and photos each tell them, with noise."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    sides = []
    for dim in (12, 8):
        side = rng.standard_normal((n, dim)).astype(np.float32) * 0.4
        side[:, 0] += 2.0 * label - 1
        sides.append(side / np.linalg.norm(side, axis=1, keepdims=True))
    views = [f"{'rattle' if one else 'charger'} {rng.integers(9)}" for one in label]
    return Goods([f"{i}.jpg" for i in range(n)], ("a", "b"), label, views, sides[0], sides[1], np.arange(n))


def test_every_system_tells_every_case():
    made = goods()
    told = tell(made, np.arange(40), np.arange(40, 60), 0)
    assert tuple(told) == SYSTEMS
    right = {
        name: [(part.argmax(1) == made.label[40:]).mean() for part in (t.both, t.no_photo, t.no_words)]
        for name, t in told.items()
    }
    assert min(right[OURS]) > 0.8 and right["text"][2] == right["majority"][0]
    np.testing.assert_array_equal(told[OURS].no_photo, told["text"].both)
    np.testing.assert_array_equal(told[OURS].no_words, told["image"].both)


def test_the_draw_of_what_is_missing_is_the_same_for_every_system():
    cases = Told(*(np.full((9, 2), float(kind)) for kind in range(3)))
    rows = np.arange(9)
    assert set(cases.one_missing(rows)[:, 0]) == {0.0, 1.0, 2.0}
    np.testing.assert_array_equal(cases.one_missing(rows[4:]), cases.one_missing(rows)[4:])


def test_every_figure_follows_from_the_committed_scores(data_dir):
    results = read_results(RESULTS / f"{TASK}.json")
    with (data_dir / FOLDER / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    categories = tuple(sorted({row["category"] for row in rows}))
    label = np.array([categories.index(row["category"]) for row in rows])
    again = figures(read_scores(TASK), [row["image"] for row in rows], categories, label)
    assert [(row.system, row.metric, row.value) for row in again] == [
        (row.system, row.metric, pytest.approx(row.value, abs=1e-9)) for row in results.rows
    ]
