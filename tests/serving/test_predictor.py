from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from features.schema import parse_listing
from serving.decisions import Earlier
from serving.judging import Checks, ScoringError
from serving.policy.document import load_policy
from serving.predictor import Predictor


def listing(**fields):
    return parse_listing({"id": "a", "title": "폭신한 곰 인형", "market": "KR"} | fields)


def scored(**p):
    return {f"p:{name}": str(value) for name, value in p.items()}


def test_nothing_in_nothing_out(predictor):
    assert predictor.decide([]) == []


def test_a_harmless_listing_is_allowed_and_not_explained(predictor):
    [decision] = predictor.decide([listing()])
    assert (decision.action, decision.state, decision.held_until) == ("allow", "live", None)
    assert decision.reasons == () and decision.past_results == () and decision.rules == ()
    assert predictor.bundle.explained == 0


def test_reasons_when_acted_on_or_asked(predictor):
    [acted] = predictor.decide([listing(attributes=scored(lead=0.2))])
    assert acted.action == "review"
    assert acted.reasons[0].text == "폭신한 " and acted.past_results
    [asked] = predictor.decide([listing()], explain="always")
    assert asked.action == "allow" and asked.reasons
    [refused] = predictor.decide([listing(attributes=scored(lead=0.9))], explain="never")
    assert refused.action == "lab_test" and refused.reasons == ()


def test_only_hazards_that_fired_are_explained(predictor):
    [decision] = predictor.decide([listing(attributes=scored(fire=0.2, lead=0.01))])
    assert {phrase.hazard for phrase in decision.reasons} == {"fire"}


def test_a_covert_camera_is_blocked_and_held(predictor):
    [decision] = predictor.decide([listing(attributes=scored(covert_camera=0.95))])
    assert (decision.action, decision.state, decision.on_expiry) == ("block", "held", "block")
    assert decision.held_until - decision.decided_at == timedelta(hours=168)
    assert decision.p_noncompliant < 0.01, "what policy bans is no laboratory matter"
    camera = next(h for h in decision.hazards if h.hazard == "covert_camera")
    assert camera.q is None and camera.basis == "policy"


def test_laboratory_hazards_are_never_blocked_by_score(predictor, stub):
    everything = {f"p:{code}": "1.0" for code in predictor.taxonomy.codes if code != "covert_camera"}
    [decision] = predictor.decide(
        [listing(attributes=everything | {"audience": "under_3"}, units_sold=10**9)]
    )
    assert decision.action == "lab_test"


def test_risk_level_is_that_of_injury_not_of_failing(predictor):
    taxonomy = predictor.taxonomy
    [decision] = predictor.decide([listing(attributes=scored(lead=0.5) | {"audience": "under_3"})])
    lead = next(h for h in decision.hazards if h.hazard == "lead")
    assert lead.p_injury == pytest.approx(0.5 * taxonomy.p_injury("under_3")[taxonomy.index("lead")])


def test_harm_grows_with_units_sold(predictor):
    few, many = predictor.decide([listing(units_sold=1), listing(units_sold=1000)])
    assert many.expected_harm == pytest.approx(1000 * few.expected_harm)


def test_a_block_gives_the_same_as_one_by_one(predictor):
    many = [listing(id=str(i), attributes=scored(lead=i / 10)) for i in range(8)]
    together = [(d.listing_id, d.action, d.p_noncompliant, d.rules) for d in predictor.decide(many)]
    alone = [predictor.decide([one])[0] for one in many]
    assert together == [(d.listing_id, d.action, d.p_noncompliant, d.rules) for d in alone]


def test_parents_of_the_group_count(stub):
    text = load_policy().content.version  # the default must load too
    assert text
    from serving.policy.document import parse_policy

    policy = parse_policy(
        "version: t\non_expiry: allow\nrules:\n"
        "  - {id: a, action: monitor, when: {group: [children]}, why: {ko: a, en: a, zh: a}}\n"
    )
    predictor = Predictor(stub.StubBundle(), policy)
    toys, chargers = predictor.decide(
        [listing(attributes={"group": "toys"}), listing(attributes={"group": "chargers"})]
    )
    assert (toys.action, chargers.action) == ("monitor", "allow")


def test_findings_on_certificates_reach_the_policy(stub):
    checks = Checks(certificates=lambda listing, group, audience: frozenset({"cancelled"}))
    predictor = Predictor(stub.StubBundle(), load_policy(), checks=checks)
    [decision] = predictor.decide([listing()])
    assert decision.action == "block" and [r.id for r in decision.rules] == ["certificate-cancelled"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_probability_is_refused(stub, bad):
    class Broken(stub.StubBundle):
        def score(self, listings):
            scores = super().score(listings)
            scores.p[:, 0] = bad
            return scores

    with pytest.raises(ScoringError, match="probability"):
        Predictor(Broken(), load_policy()).decide([listing()])


def test_an_edit_is_compared_with_what_was_allowed(predictor):
    [first] = predictor.decide([listing(price=1000, brand="달토끼")])
    earlier = Earlier(first.decision_id, first.revision, first.action, first.fields)
    edited = listing(title="폭신한 곰 인형 (자석 내장)", price=1000, revision=2)
    [second] = predictor.decide([edited], previous=[earlier])
    assert second.previous.changed == ("brand", "title")
    assert second.previous.decision_id == first.decision_id and second.previous.revision == 1
