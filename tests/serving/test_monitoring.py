"""Planted drift, miscalibration and falls are found; quiet weeks raise no alarm, however few or many listings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.taxonomy import load_taxonomy
from serving.monitoring.figures import Matured, drift, embedding_drift, performance, promised
from serving.monitoring.rules import MonitorRulesError, alarms, load_monitor_rules
from serving.monitoring.run import figures_of, record, usual_spans, watch
from serving.monitoring.watch import MOST_NAMES, SAMPLE, Block, Window, listing_columns, unpack_block
from serving.store import LabelRecord, Store
from serving.store.engine import reading
from serving.store.watching import last_report

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CODES = load_taxonomy().codes
N = len(CODES)


def block(rng, n, *, korean=0.7, price=9.0, shift=0.0, lab_test=0.1):
    """Invented decisions; the arguments move what they name."""
    p = 1 / (1 + np.exp(-(rng.normal(-4 + shift, 1, (n, N)))))
    whole = np.minimum(p.max(axis=1) * 1.2, 1.0)
    draw = rng.random(n)
    return Block(
        {
            "language": np.where(rng.random(n) < korean, "ko", "zh").tolist(),
            "action": np.where(draw < lab_test, "lab_test", "allow").tolist(),
        },
        {"price": np.exp(rng.normal(price, 1, n))},
        p,
        whole,
        [f"title {i}" for i in range(n)],
    )


def window(seed, n, **moved):
    made = Window(N)
    rng = np.random.default_rng(seed)
    for start in range(0, n, 1000):
        made.add(block(rng, min(1000, n - start), **moved), rng)
    return made


def raised(before, now, **more):
    return {a.rule: a for a in alarms(figures_of(before, now, CODES, (28, 7), **more), load_monitor_rules())}


@pytest.mark.parametrize("n", [100, 3_000, 40_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_quiet_weeks_raise_no_alarm(n, seed):
    assert raised(window(seed, 4 * n), window(seed + 100, n)) == {}


@pytest.mark.parametrize(
    ("moved", "rule"),
    [
        ({"korean": 0.3}, "input drift"),
        ({"price": 7.0}, "input drift"),
        ({"shift": 1.0}, "score drift"),
        ({"lab_test": 0.35}, "action drift"),
        ({"shift": 1.0}, "expected rate"),
    ],
)
def test_planted_drift_is_found(moved, rule):
    found = raised(window(1, 8_000), window(2, 2_000, **moved))
    assert rule in found
    if "korean" in moved:
        assert found[rule].subject == "language"
        assert "ko 70% -> 30%" in found[rule].message


def test_a_stream_that_dries_up_is_found():
    assert "volume" in raised(window(1, 8_000), window(2, 120))


def test_drift_in_embedding_space():
    rng = np.random.default_rng(0)
    same = rng.normal(size=(600, 64))
    assert abs(embedding_drift(same[:300], same[300:])[1]) < 4
    auc, z = embedding_drift(same[:300], same[300:] + 0.35)
    assert auc > 0.8
    assert z > 5
    assert embedding_drift(same[:10], same[10:]) == (0.5, 0.0)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_a_field_does_not_drift_from_itself(counts):
    bins = np.array(counts, dtype=float)
    found = drift("x", "input", bins, bins)
    assert found.psi == 0
    assert found.p_value > 0.99


def test_promises_are_what_the_probabilities_say():
    made = Window(N)
    p = np.full((4, N), 0.01)
    whole = np.array([0.1, 0.2, 0.9, 0.8])
    names = {"action": ["allow", "allow", "block", "lab_test"]}
    made.add(Block(names, {}, p, whole, [""] * 4), np.random.default_rng(0))
    said = promised(made)
    assert said.rate == pytest.approx(0.5)
    assert said.precision == pytest.approx({"allow": 0.15, "block": 0.9, "lab_test": 0.8})
    assert said.caught == pytest.approx(1.7 / 2.0)
    assert 0.8 < said.auc < 1


def labels(rng, n, *, true_over_said=1.0, delay=20.0):
    p = rng.uniform(0.05, 0.4, n)
    age = rng.uniform(0, 200, n)
    texts = [np.array([value] * n, dtype=object) for value in ("lead", "ko", "toys", "lab_test")]
    failed = (rng.random(n) < np.minimum(p * true_over_said, 1)).astype(float)
    return Matured(*texts, p, failed, np.full(n, delay), age)


def test_labels_of_young_decisions_wait():
    found = performance(labels(np.random.default_rng(0), 1000, delay=50.0))
    assert found.matured_after_days == 50
    assert found.judged + found.waiting == 1000
    assert 650 < found.judged < 850


def test_kept_and_broken_promises():
    rng = np.random.default_rng(3)
    quiet = raised(window(1, 500), window(2, 500), labels=labels(rng, 600))
    assert not any(name.startswith("calibration") for name in quiet)
    found = raised(window(1, 500), window(2, 500), labels=labels(rng, 600, true_over_said=2.4))
    assert {"calibration", "calibration of a hazard", "calibration of a language"} <= found.keys()
    assert "lead: expected" in found["calibration of a hazard"].message


def test_memory_does_not_grow_with_what_is_seen():
    made, rng = Window(N), np.random.default_rng(0)
    for start in range(0, 20_000, 2_000):
        names = {"origin": [f"place {start + i}" for i in range(2_000)]}
        p = np.full((2_000, N), 0.01)
        made.add(Block(names, {}, p, p[:, 0], [f"t{start + i}" for i in range(2_000)]), rng)
    assert made.n == 20_000
    assert len(made.names["origin"]) == MOST_NAMES + 1
    assert len(made.titles) == SAMPLE
    late = sum(int(title[1:]) >= 10_000 for title in made.titles)
    assert 0.42 < late / SAMPLE < 0.58  # a fair sample of early and late


def test_listings_as_columns():
    names, values = listing_columns(
        [{"title": "나무 블록", "price": 3.5, "category": ["완구", "블록"], "images": ["a", "b"]}, None]
    )
    assert names["language"] == ["ko", ""]
    assert names["category"] == ["완구", ""]
    assert names["filled"] == ["cpi", ""]
    assert values["price"][0] == 3.5
    assert np.isnan(values["price"][1])


def test_packed_scores_of_another_taxonomy_are_missing():
    assert np.isnan(unpack_block([b"", bytes(25)], N)).all()


def test_wrong_rules_are_named(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text("version: 1\nrules: [{id: x, watch: drift, of: weather, over: 0.1}]")
    with pytest.raises(MonitorRulesError, match=r"rules\.0.*of"):
        load_monitor_rules(file)


def test_a_store_is_watched_and_the_report_recorded(store_url, new_record):
    """Decisions, labels and a planted change of language in a real store, SQLite and PostgreSQL."""
    scores = np.zeros(N, np.dtype([("p", "<f8"), ("q", "<f8"), ("i", "<f8"), ("b", "i1")]))
    scores["p"] = 0.2
    titles = {True: "나무 딸랑이", False: "wooden rattle"}
    with Store(store_url) as store:
        made = []
        for number in range(600):
            day = NOW - timedelta(days=20 - number * 20 / 600)
            late = day >= NOW - timedelta(days=7)
            made.append(
                new_record(
                    number,
                    title=titles[not late or number % 10 == 0],
                    decided_at=day,
                    received_at=day,
                    scores=scores.tobytes(),
                    p_noncompliant=0.2,
                    body={"action": "review", "group": "toys", "audience": "general"},
                )
            )
        store.record(made)
        store.together(
            [
                LabelRecord("", f"listing-{number}", "lead", number % 5 == 0, "laboratory", "kim")
                for number in range(60)
            ]
        )
        spans = usual_spans(NOW, 7, 13)
        report = watch(store, CODES, load_monitor_rules(), now=NOW, spans=spans)
        assert report.figures.before + report.figures.now == 600
        assert {a.subject for a in report.alarms if a.rule == "input drift"} >= {"language"}
        assert report.versions == {"starter+1": report.figures.now}
        seen = report.figures.performance
        assert seen is not None
        assert seen.labels == 60
        record(store, report, "kim")
        with reading(store.engine) as connection:
            found = last_report(connection, "monitor")
        assert found is not None
        assert found[1]["alarms"] == report.to_json()["alarms"]
        # Nothing was planted before the last week: the weeks before are quiet among themselves.
        spans = usual_spans(NOW - timedelta(days=7), 5, 8)
        assert (
            watch(store, CODES, load_monitor_rules(), now=NOW - timedelta(days=7), spans=spans).alarms == ()
        )
