"""Splits of the quality tasks are the published ones, and what trains never sees what is tested."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.quality import hazard_type, lab_lead
from benchmarks.quality.baselines import keyword_counts, nearest, tfidf
from benchmarks.quality.run import main
from benchmarks.quality.task import squeezed
from benchmarks.results_file import LOOKS, RESULTS


def recall(number: str, name: str, *makers: str) -> hazard_type.Recall:
    from datetime import date

    return hazard_type.Recall(number, name, frozenset(makers), "Toys", date(2009, 1, 1), (0,))


def test_unseen_means_new_number_new_maker_and_no_near_duplicate() -> None:
    train = [recall("1", "wooden rattle with painted beads", "acorn works")]
    test = [
        recall("2", "Wooden  Rattle with painted beads", "other"),
        recall("3", "steel ladder", "acorn works"),
        recall("1", "garden hose", "third"),
        recall("4", "folding stepladder of aluminium", "fourth"),
    ]
    assert hazard_type.unseen_rows(train, test).tolist() == [False, False, False, True]


def test_hazard_type_is_the_published_split(data_dir: Path) -> None:
    train, test = hazard_type.read_recalls(data_dir)
    assert (len(train), len(test)) == (2_087, 956)
    assert max(r.day for r in train).year == 2009
    assert min(r.day for r in test).year == 2010
    assert max(r.day for r in test).year == 2013
    truth = hazard_type.labels(data_dir)
    assert len(truth.classes) == 15
    assert (truth.Y.sum(axis=0) >= 5).all()
    assert (hazard_type.outcomes(train).sum(axis=0) >= 15).all()


def test_lab_lead_is_the_published_split(data_dir: Path) -> None:
    train, test = lab_lead.read_samples(data_dir)
    assert (len(train), len(test)) == (2_517, 1_622)
    truth = lab_lead.labels(data_dir)
    unseen = truth.parts["unseen_names"]
    assert (int(truth.Y.sum()), int(unseen.sum()), int(truth.Y[unseen].sum())) == (90, 913, 38)
    seen = {" ".join(sample.name.lower().split()) for sample in train}
    assert not seen & {
        " ".join(sample.name.lower().split()) for sample, new in zip(test, unseen, strict=True) if new
    }


def test_every_class_is_made_of_our_hazards() -> None:
    from features.taxonomy import load_taxonomy

    codes = set(load_taxonomy().codes)
    assert set(hazard_type.OURS_OF) == set(hazard_type.CLASSES)
    assert all(set(parts) <= codes for parts in hazard_type.OURS_OF.values())


def test_a_listing_lacks_what_a_sample_lacks() -> None:
    from datetime import date

    from features.schema import parse_listing

    sample = lab_lead.Sample("7", "lead", "Turmeric", "Food-Spice", "", "", date(2019, 1, 1), True)
    listing = lab_lead.listing_of(sample)
    assert listing == {"id": "7", "title": "Turmeric", "category": ["Food-Spice"]}
    assert parse_listing(listing).title == "Turmeric"


def test_keywords_count_at_the_beginning_of_words() -> None:
    counts = keyword_counts(["Toy Boat", "soy toyota"], ("choking", "fall"), {"choking": ("toy",)})
    assert counts.tolist() == [[1, 0], [1, 0]]


def test_neighbours_bring_their_labels() -> None:
    E = np.eye(3, dtype=np.float32)
    shares = nearest(E, np.array([[1.0], [0.0], [0.0]]), E, k=2)
    assert shares[0, 0] > 0.5 > shares[1, 0]


def test_tfidf_learns_from_the_first_part_alone() -> None:
    left, right = tfidf(["red lamp"], ["blue kettle"])
    assert left.shape[1] == right.shape[1]
    assert right.nnz == 0


def test_the_later_task_shares_nothing_with_its_training_rows(data_dir: Path) -> None:
    from benchmarks.quality import hazard_type_2013plus as task

    train, test = task.split(data_dir)
    assert (len(train), len(test)) == (3_392, 490)
    assert max(row.day for row in train) <= task.CUT < min(row.day for row in test)
    assert not {row.number for row in train} & {row.number for row in test}
    assert len({row.number for row in test}) == len(test)
    assert not {squeezed([row.name])[0] for row in train} & {squeezed([row.name])[0] for row in test}
    truth = task.labels(data_dir)
    assert (truth.Y.sum(axis=0) >= task.FEWEST).all()
    assert truth.Y.shape == (490, len(truth.classes))


def test_a_hundred_labels_of_the_rule_were_read_and_are_those_in_force(data_dir: Path) -> None:
    from benchmarks.quality import hazard_type_2013plus as task

    with (Path(task.__file__).parent / "hazard_type_2013plus_audit.csv").open(encoding="utf-8") as stream:
        audit = list(csv.DictReader(stream))
    names = tuple(hazard_type.CLASSES)
    now = {
        f"{row.table}:{row.number}": "|".join(names[k] for k in row.classes)
        for row in task.split(data_dir)[1]
    }
    assert len(audit) == 100
    assert sum(row["verdict"] == "right" for row in audit) == 92
    assert all(now[row["item"]] == row["classes"] for row in audit), "the rule changed after the audit"


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        ("Toys Recalled Due to Choking Hazard", {"choking"}),
        ("posing fire and burn hazards", {"fire"}),
        ("Violation of Lead Paint Standard", {"lead"}),
        ("Lead Poisoning Hazard", {"lead"}),
        ("the pedal can fall off, which can lead to loss of control", {"crash"}),
        ("Fire Truck Toys Recalled", set()),
        ("sold in fall 2012", set()),
    ],
)
def test_the_rule_reads_hazard_sentences(words: str, classes: set[str]) -> None:
    from benchmarks.quality.recall_tables import classes_in

    names = tuple(hazard_type.CLASSES)
    assert {names[k] for k in classes_in(words)} == classes


def test_metals_are_the_published_rows(data_dir: Path) -> None:
    from benchmarks.quality import lab_metals

    train, test = lab_metals.read_samples(data_dir)
    assert (len(train), len(test)) == (560, 290)
    truth = lab_metals.labels(data_dir)
    assert int(truth.Y.sum()) == 33
    assert int(truth.Y[truth.parts["metal_mercury"]].sum()) == 16


def test_rounds_are_predicted_from_other_rounds(data_dir: Path) -> None:
    from benchmarks.quality import inspection_groups as task

    groups = task.read_groups(data_dir)
    asked: list[tuple[set[str], set[str]]] = []

    def answer(others: Sequence[task.Group], held: Sequence[task.Group]) -> np.ndarray:
        asked.append(({g.round for g in others}, {g.round for g in held}))
        return np.ones((len(held), 2))

    task._left_out(answer)(data_dir)
    assert all(len(held) == 1 and not held & others for others, held in asked)
    assert set().union(*(held for _, held in asked)) == {g.round for g in groups}


def test_log_score_and_coverage_are_those_of_the_beta_binomial() -> None:
    from scipy.stats import betabinom

    from benchmarks.quality.inspection_groups import covered, log_scores

    Y, S = np.array([[20.0, 3.0], [50.0, 50.0]]), np.array([[2.0, 8.0], [1.0, 30.0]])
    assert log_scores(Y, S) == pytest.approx([betabinom.logpmf(3, 20, 2, 8), betabinom.logpmf(50, 50, 1, 30)])
    assert covered(Y, S).tolist() == [1.0, 0.0]


def test_the_food_score_is_the_one_of_the_task() -> None:
    from sklearn.metrics import f1_score

    from benchmarks.quality.food_hazard import task_score_draws

    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 5, (80, 4)).astype(float), rng.integers(0, 5, (80, 4)).astype(float)
    found[:50] = truth[:50]
    right = truth[:, 0] == found[:, 0]
    hazards = f1_score(truth[:, 0], found[:, 0], average="macro")
    products = f1_score(truth[right, 1], found[right, 1], average="macro")
    assert task_score_draws(truth, found, np.ones((1, 80)), 0, 1)[0] == pytest.approx(
        (hazards + products) / 2
    )


def test_customs_rankings_see_nothing_of_the_outcome(data_dir: Path) -> None:
    from benchmarks.quality import customs

    train, test = customs.read_part(data_dir, customs.TRAIN), customs.read_part(data_dir, customs.TEST)
    assert (len(train.fraud), len(test.fraud), int(test.critical.sum())) == (37_385, 8_134, 78)
    assert not {"Fraud", "Critical Fraud", "Date", "Declaration ID"} & set(train.table.columns)
    rows = np.arange(600)
    small, other = train.take(rows), test.take(rows[:50])
    left, right = customs.with_histories(small, other, small.fraud)
    flipped = customs.Declarations(other.table, 1 - other.fraud, 1 - other.critical, other.days)
    assert customs.with_histories(small, flipped, small.fraud)[1].equals(right)
    assert len(left) == 600


def test_thresholds_are_chosen_on_rows_that_are_not_measured(data_dir: Path) -> None:
    from benchmarks.quality import lead_risk_control as task

    learned, later = task.split(data_dir)
    truth = task.labels(data_dir)
    assert max(s.day for s in learned) <= task.LEARNED < min(s.day for s in later)
    assert not (truth.parts["chosen_on"] & truth.parts["measured_on"]).any()
    assert int(truth.Y[truth.parts["measured_on"], 0].sum()) == 90


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        pytest.param("hazard_type", marks=pytest.mark.long),
        pytest.param("lab_lead", marks=pytest.mark.long),
        "inspection_groups",
        "food_hazard",
        "customs",
    ],
)
def test_quick_runs_everything_and_writes_nothing(task: str, data_dir: Path) -> None:
    before = {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()}
    done = CliRunner().invoke(main, [task, "--quick", "--data", str(data_dir)])
    assert done.exit_code == 0, done.output
    assert "ours" in done.output
    assert {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()} == before
    assert LOOKS not in before or before[LOOKS] == (RESULTS / LOOKS).read_bytes()
