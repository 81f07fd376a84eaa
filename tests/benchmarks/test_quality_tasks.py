"""Splits of the quality tasks are the published ones, and what trains never sees what is tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.quality import hazard_type, lab_lead
from benchmarks.quality.baselines import keyword_counts, nearest, tfidf
from benchmarks.quality.run import main
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

    sample = lab_lead.Sample("7", "Turmeric", "Food-Spice", "", "", date(2019, 1, 1), True)
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


@pytest.mark.slow
@pytest.mark.parametrize("task", ["hazard_type", "lab_lead"])
def test_quick_runs_everything_and_writes_nothing(task: str, data_dir: Path) -> None:
    before = {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()}
    done = CliRunner().invoke(main, [task, "--quick", "--data", str(data_dir)])
    assert done.exit_code == 0, done.output
    assert "ours" in done.output
    assert {path.name: path.read_bytes() for path in RESULTS.iterdir() if path.is_file()} == before
    assert LOOKS not in before or before[LOOKS] == (RESULTS / LOOKS).read_bytes()
