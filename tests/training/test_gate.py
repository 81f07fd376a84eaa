"""The gate: rules over paired evidence; a worse challenger is stopped with the reason, an equal one is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from features.schema import Listing
from serving.settings import STARTER
from training.bundle import Bundle
from training.gate import (
    Calibration,
    GateError,
    GateEvidence,
    OffPolicyFigure,
    Paired,
    judge,
    load_rules,
)
from training.gate_history import compare_off_policy, read_history
from training.manifest import read_manifest
from training.quick_figures import quick_average_precision, quick_roc_auc
from training.weights import read_model, save_bundle


def paired(gain=0.0, half=0.01, over="all", figure="average_precision", label="all"):
    return Paired("laboratory", over, label, figure, 300, 60, 0.6, 0.6 + gain, gain, gain - half, gain + half)


def evidence(*pairs, **more):
    usual = GateEvidence(
        champion="old+1", challenger="new+2", after="2026-06-30", until="", results=300, positives=60,
        pairs=pairs or (paired(), paired(over="hazards", label="lead")),
        calibration=(Calibration("lead", 60.0, 60, 1.0, 0.8, 1.2),),
        milliseconds=(2.0, 2.1), megabytes=1.0, off_policy=(), data={},
    )  # fmt: skip
    return replace(usual, **more)


RULES = load_rules()


def test_an_equal_challenger_passes():
    verdict = judge(evidence(), RULES)
    assert verdict.passed
    assert verdict.reasons == ()
    assert {o.rule for o in verdict.outcomes if o.status == "no_evidence"} >= {"no fewer finds off policy"}


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (evidence(paired(-0.08)), "not worse over all"),
        (evidence(paired(-0.15, half=0.3)), "no clear loss over all"),
        (evidence(paired(), paired(-0.2, over="hazards", label="lead")), "no hazard worse"),
        (evidence(paired(), paired(-0.2, over="language", label="zh")), "no language worse"),
        (
            evidence(paired(), paired(-0.1, over="hazards", figure="brier", label="lead")),
            "probabilities not worse",
        ),
        (evidence(calibration=(Calibration("lead", 30.0, 120, 0.25, 0.2, 0.3),)), "calibrated"),
        (evidence(milliseconds=(3.0, 40.0)), "fast enough"),
        (evidence(megabytes=900.0), "small enough"),
        (evidence(results=3), "enough later results"),
        (evidence(off_policy=(OffPolicyFigure(0.05, -0.3, -0.4, -0.2),)), "no fewer finds off policy"),
    ],
)
def test_a_worse_challenger_is_stopped_with_the_reason(found, rule):
    verdict = judge(found, RULES)
    assert not verdict.passed
    assert [reason.split(":")[0] for reason in verdict.reasons] == [rule]
    assert verdict.to_json()["reasons"] == list(verdict.reasons)


def test_a_loss_that_may_be_chance_stops_nothing():
    assert judge(evidence(paired(-0.05, half=0.2)), RULES).passed
    assert judge(evidence(milliseconds=(0.5, 3.0)), RULES).passed  # few milliseconds are never too slow


@given(st.floats(-0.5, 0.5), st.floats(0, 0.4), st.floats(0, 0.3))
def test_more_gain_never_turns_a_pass_into_a_fail(gain, half, more):
    before = judge(evidence(paired(gain, half)), RULES)
    after = judge(evidence(paired(gain + more, half)), RULES)
    assert after.passed or not before.passed


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_quick_figures_are_scikit_learns_ties_included(rows):
    y = np.array([float(a) for a, _ in rows])
    score = np.array([b / 5 for _, b in rows])
    if y.sum():
        assert quick_average_precision(y, score) == pytest.approx(average_precision_score(y, score))
    if 0 < y.sum() < len(y):
        assert quick_roc_auc(y, score) == pytest.approx(roc_auc_score(y, score))


def test_wrong_rules_are_named(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("version: 1\nrules: [{id: x, kind: worse, figure: luck, over: all, by: 0.1}]")
    with pytest.raises(GateError, match=r"rules\.0.*figure"):
        load_rules(file)


def test_history_without_propensities_gives_no_estimate(tmp_path):
    file = tmp_path / "history.csv"
    rows = [f"t{i},rattle {i},{i % 2 if i < 10 else ''}," for i in range(20)]
    file.write_text("id,title,failed,propensity\n" + "\n".join(rows))
    listings, history = read_history(file)
    assert len(listings) == 20
    assert int(np.isnan(history.failed).sum()) == 10
    found = compare_off_policy(STARTER, STARTER, file, 0.2)
    assert found.gain is None
    assert found.problem
    assert judge(evidence(off_policy=(found,)), RULES).passed
    file.write_text("id,title,failed,propensity\na,rattle,maybe,0.5\n")
    with pytest.raises(GateError, match="line 2: got failed 'maybe'"):
        read_history(file)


@pytest.fixture(scope="module")
def upside_down(tmp_path_factory):
    """The starter bundle with the rates of product groups turned round: it would test the wrong goods."""
    folder = tmp_path_factory.mktemp("bundles") / "worse"
    manifest = read_manifest(STARTER)
    model, past = read_model(STARTER, manifest.hazards)
    rate = model.group_rate
    turned = replace(model, group_rate=rate.max() + rate.min() - rate, lab=None)
    save_bundle(folder, manifest.model_copy(update={"name": "worse"}), turned, past)
    return folder


def test_selectively_tested_history_with_propensities_tells_bundles_apart(tmp_path, upside_down):
    """Goods that the old policy mostly did not test, with fails that follow the better bundle's own probabilities."""
    random = np.random.default_rng(4)
    nouns = (
        "도금 귀걸이",
        "비닐 인형",
        "충전기 어댑터",
        "자석 블럭",
        "원목 딸랑이",
        "면 티셔츠",
        "그림책",
        "수저 세트",
    )
    titles = [f"{random.choice(nouns)} {chr(44032 + 7 * i)}무늬" for i in range(400)]
    better = Bundle.load(STARTER).score([Listing(id=str(i), title=t) for i, t in enumerate(titles)])
    risk = np.argsort(np.argsort(better.p_noncompliant)) / len(titles)
    propensity = np.where(random.random(len(titles)) < 0.3, 0.8, 0.4)
    tested = random.random(len(titles)) < propensity
    failed = random.random(len(titles)) < risk**2
    rows = [
        f"g{i},{title},{int(failed[i]) if tested[i] else ''},{propensity[i]}"
        for i, title in enumerate(titles)
    ]
    file = tmp_path / "history.csv"
    file.write_text("id,title,failed,propensity\n" + "\n".join(rows), "utf-8")
    gain = compare_off_policy(upside_down, STARTER, file, 0.2)
    assert gain.low is not None and gain.low > 0
    assert judge(evidence(off_policy=(gain,)), RULES).passed
    loss = compare_off_policy(STARTER, upside_down, file, 0.2)
    assert loss.gain == pytest.approx(-gain.gain)
    verdict = judge(evidence(off_policy=(loss,)), RULES)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["no fewer finds off policy"]
    assert "finds a test" in verdict.reasons[0]
