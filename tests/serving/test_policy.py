from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.policy.binding import bind
from serving.policy.document import PolicyError, load_policy, parse_policy
from serving.policy.evaluation import ACTIONS, RISK_LEVELS, MatchFact, PolicyFacts, evaluate, strictest

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WHY = "why: {ko: 이유, en: why, zh: 原因}"


def policy(rules: str) -> str:
    return f'version: "t1"\non_expiry: review\nrules:\n{rules}'


def rule(when: str, action: str = "review", more: str = "", name: str = "r1") -> str:
    return f"  - {{id: {name}, action: {action}, when: {when}, {WHY}{more}}}\n"


@pytest.fixture(scope="module")
def taxonomy(stub):
    return stub.small_taxonomy()


@pytest.fixture(scope="module")
def bound(stub, taxonomy):
    def make(text: str):
        return bind(parse_policy(text, "p.yaml"), stub.operating_points(taxonomy), taxonomy)

    return make


@pytest.fixture(scope="module")
def default(stub, taxonomy):
    return bind(load_policy(), stub.operating_points(taxonomy), taxonomy)


def facts(taxonomy, **more):
    p = dict.fromkeys(taxonomy.codes, 0.0) | more.pop("p", {})
    return PolicyFacts(p=p, p_noncompliant=more.pop("p_noncompliant", 0.0), **more)


# ---- evaluation ------------------------------------------------------------------------------------------------


def test_nothing_fires_means_allow_and_live(default, taxonomy):
    verdict = evaluate(default, facts(taxonomy), NOW)
    assert (verdict.action, verdict.state, verdict.held_until, verdict.fired) == ("allow", "live", None, ())


def test_strictest_action_and_longest_hold_win_and_all_rules_are_told(bound, taxonomy):
    made = bound(
        policy(
            rule("{market: [KR]}", "monitor", ", hold: {hours: 100}", "long")
            + rule("{audience: [general]}", "block", ", hold: {hours: 2, on_expiry: lab_test}", "short")
            + rule("{market: [US]}", "review", "", "other")
        )
    )
    verdict = evaluate(made, facts(taxonomy), NOW)
    assert verdict.action == "block" and verdict.state == "held"
    assert verdict.held_until == NOW + timedelta(hours=100)
    assert verdict.on_expiry == "lab_test", "the strictest of what the holds fall to"
    assert [fired.id for fired in verdict.fired] == ["long", "short"]
    assert verdict.fired[0].why["zh"] == "原因"


def test_a_cause_names_hazard_value_and_operating_point(bound, taxonomy):
    made = bound(policy(rule("{hazard: {codes: [lead, cadmium], at_least: review}}")))
    verdict = evaluate(made, facts(taxonomy, p={"lead": 0.25, "cadmium": 0.01}), NOW)
    [cause] = verdict.fired[0].causes
    assert (cause.hazard, cause.got, cause.wanted) == ("lead", 0.25, ">= review (0.1)")


@pytest.mark.parametrize(
    ("when", "fact", "holds"),
    [
        ("{group: [toys]}", {"group_line": ("toys", "children")}, True),
        ("{group: [children]}", {"group_line": ("toys", "children")}, True),
        ("{group: [toys]}", {}, False),
        ("{audience: [under_3]}", {"audience": "under_3"}, True),
        ("{certificate: [missing, cancelled]}", {"certificates": frozenset({"missing"})}, True),
        ("{certificate: [cancelled]}", {"certificates": frozenset({"missing"})}, False),
        ("{match: [exact]}", {"matches": (MatchFact("exact", "b1"),)}, True),
        ("{match: [exact]}", {"matches": (MatchFact("near", "b1"),)}, False),
        ("{seller: {strikes_at_least: 2}}", {"seller_strikes": 2}, True),
        ("{seller: {strikes_at_least: 2}}", {"seller_strikes": 1}, False),
        ("{seller: {strikes_at_least: 2}}", {}, False),
        ("{seller: {failed_at_least: 1, removed_at_least: 1}}", {"seller_failed": 3}, False),
        ("{language: [zh]}", {"language": "zh"}, True),
        ("{market: [kr]}", {"market": "KR"}, True),
        ("{marketplace: [AliExpress]}", {"marketplace": "aliexpress"}, True),
        ("{origin: [CN]}", {"origin": ""}, False),
        ("{price: {below: 5000, currency: KRW}}", {"price": 4999.0, "currency": "KRW"}, True),
        ("{price: {below: 5000, currency: KRW}}", {"price": 5000.0, "currency": "KRW"}, False),
        ("{price: {below: 5000, currency: KRW}}", {"price": 10.0, "currency": "USD"}, False),
        ("{price: {below: 5000, currency: KRW}}", {"currency": "KRW"}, False),
        ("{units_sold: {at_least: 10, below: 20}}", {"units_sold": 10}, True),
        ("{units_sold: {at_least: 10, below: 20}}", {"units_sold": 20}, False),
        ("{expected_harm_at_least: 5}", {"expected_harm": 5.0}, True),
        ("{risk_level_at_least: high}", {"risk_level": "serious"}, True),
        ("{risk_level_at_least: high}", {"risk_level": "medium"}, False),
        ("{noncompliant: {at_least: review}}", {"p_noncompliant": 0.1}, True),
        ("{noncompliant: {at_least: review}}", {"p_noncompliant": 0.09}, False),
        ("{hazard: {family: [chemical], at_least: review}}", {"p": {"lead": 0.2}}, True),
        ("{hazard: {family: [chemical], at_least: review}}", {"p": {"fall": 0.2}}, False),
        ("{hazard: {severity_at_least: 4, at_least: review}}", {"p": {"nickel": 0.9}}, False),
        ("{hazard: {at_least: review}}", {"p": {"covert_camera": 0.9}}, False),
        ("{hazard: {codes: [covert_camera], at_least: review}}", {"p": {"covert_camera": 0.9}}, True),
        (
            "{hazard: {codes: [lead], at_least: review, basis: [lab]}}",
            {"p": {"lead": 0.9}, "basis": {"lead": "recall"}},
            False,
        ),
        (
            "{hazard: {at_least: review, risk_level_at_least: high}}",
            {"p": {"lead": 0.9, "fall": 0.9}, "hazard_risk": {"lead": "medium", "fall": "high"}},
            True,
        ),
        ("{not: {market: [US]}}", {}, True),
        ("{not: {market: [KR]}}", {}, False),
        ("{any: [{market: [US]}, {audience: [general]}]}", {}, True),
        ("{any: [{market: [US]}, {audience: [under_3]}]}", {}, False),
        ("{all: [{market: [KR]}, {audience: [general]}], language: [other]}", {}, True),
        ("{all: [{market: [KR]}, {audience: [under_3]}]}", {}, False),
    ],
)
def test_conditions(bound, taxonomy, when, fact, holds):
    verdict = evaluate(bound(policy(rule(when))), facts(taxonomy, **fact), NOW)
    assert (verdict.action == "review") is holds


def test_strictest_of_nothing_is_allow():
    assert strictest([]) == "allow"
    assert strictest(["review", "block", "monitor"]) == "block"


# ---- what must hold for every listing ------------------------------------------------------------------------------

PROBABILITY = st.floats(0, 1)


@st.composite
def two_listings(draw):
    """Attributes, and two sets of probabilities of which the second is nowhere lower."""
    n = 30
    low = draw(st.lists(PROBABILITY, min_size=n, max_size=n))
    high = [draw(st.floats(p, 1)) if draw(st.booleans()) else p for p in low]
    ranks = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    raised = [draw(st.integers(r, 3)) for r in ranks]
    whole = draw(PROBABILITY)
    harm = draw(st.floats(0, 1e6))
    attributes = {
        "group_line": draw(st.sampled_from([(), ("toys", "children"), ("chargers",)])),
        "audience": draw(st.sampled_from(["under_3", "under_14", "general"])),
        "market": draw(st.sampled_from(["KR", "US"])),
        "units_sold": draw(st.none() | st.integers(0, 10**6)),
        "seller_strikes": draw(st.none() | st.integers(0, 5)),
        "certificates": frozenset(draw(st.lists(st.sampled_from(["missing", "malformed", "cancelled"])))),
        "matches": draw(st.sampled_from([(), (MatchFact("near", "b"),), (MatchFact("exact", "b"),)])),
    }
    return (
        attributes,
        (low, ranks, whole, harm),
        (high, raised, draw(st.floats(whole, 1)), draw(st.floats(harm, 1e7))),
    )


def made_of(taxonomy, attributes, numbers):
    p, ranks, whole, harm = numbers
    return PolicyFacts(
        p=dict(zip(taxonomy.codes, p, strict=True)),
        p_noncompliant=whole,
        hazard_risk={code: RISK_LEVELS[r] for code, r in zip(taxonomy.codes, ranks, strict=True)},
        risk_level=RISK_LEVELS[max(ranks)],
        expected_harm=harm,
        **attributes,
    )


@settings(max_examples=150, deadline=None)
@given(pair=two_listings())
def test_more_probability_never_means_less_action(default, taxonomy, pair):
    attributes, low, high = pair
    before = evaluate(default, made_of(taxonomy, attributes, low), NOW)
    after = evaluate(default, made_of(taxonomy, attributes, high), NOW)
    assert ACTIONS.index(after.action) >= ACTIONS.index(before.action)
    assert {f.id for f in after.fired} >= {f.id for f in before.fired}
    if before.held_until is not None:
        assert after.held_until is not None and after.held_until >= before.held_until


CONDITION = st.recursive(
    st.sampled_from(
        [
            "{market: [KR]}",
            "{audience: [under_3]}",
            "{hazard: {at_least: review}}",
            "{hazard: {severity_at_least: 3, at_least: lab_test, risk_level_at_least: high}}",
            "{noncompliant: {at_least: monitor}}",
            "{risk_level_at_least: high}",
            "{expected_harm_at_least: 100}",
            "{not: {group: [toys]}}",
        ]
    ),
    lambda inner: st.builds(
        lambda kind, parts: f"{{{kind}: [{', '.join(parts)}]}}",
        st.sampled_from(["all", "any"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(pair=two_listings(), whens=st.lists(CONDITION, min_size=1, max_size=4), data=st.data())
def test_any_policy_that_binds_is_monotone(bound, taxonomy, pair, whens, data):
    actions = st.sampled_from([a for a in ACTIONS if a != "block"])
    rules = "".join(rule(when, data.draw(actions), "", f"r{i}") for i, when in enumerate(whens))
    made = bound(policy(rules))
    attributes, low, high = pair
    before = evaluate(made, made_of(taxonomy, attributes, low), NOW)
    after = evaluate(made, made_of(taxonomy, attributes, high), NOW)
    assert ACTIONS.index(after.action) >= ACTIONS.index(before.action)


@settings(max_examples=100, deadline=None)
@given(pair=two_listings())
def test_model_risk_alone_never_blocks(default, taxonomy, pair):
    attributes, (p, *rest), _ = pair
    camera = taxonomy.index("covert_camera")
    p = [0.0 if i == camera else value for i, value in enumerate(p)]
    clean = attributes | {"certificates": frozenset(), "matches": ()}
    assert evaluate(default, made_of(taxonomy, clean, (p, *rest)), NOW).action != "block"


# ---- files that are wrong --------------------------------------------------------------------------------------


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.yaml")
    return str(caught.value).splitlines()


def test_the_default_is_well_formed_and_covers_everything(default):
    assert default.uncovered == ()
    assert default.version.startswith("2026.11.1+") and len(default.version.split("+")[1]) == 8
    assert all(set(rule.why) == {"ko", "en", "zh"} for rule in default.rules)


def test_an_unknown_key_is_named_with_its_line():
    text = 'version: "t"\non_expiry: review\nrules:\n  - id: a\n    action: review\n    when: {markt: [KR]}\n'
    found = problems(text + "    why: {ko: a, en: a, zh: a}\n    colour: red\n")
    assert any(line.startswith("p.yaml:6: rules.0.when.markt: unknown key") for line in found)
    assert any(line.startswith("p.yaml:8: rules.0.colour: unknown key") for line in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "valid dictionary"),
        ("- a\n", "valid dictionary"),
        ("version: [\n", "cannot be read"),
        ('version: "t"\nversion: "u"\n', "p.yaml:2: version: this key is given twice"),
        (
            'version: "t"\n? [a, b]\n: c\n',
            "p.yaml:2: .policy.: got a list or a mapping as a key, expected a word",
        ),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("a: !!python/object:os.system {}\n", "cannot be read"),
        ("[" * 3000, "cannot be read|nested too deeply"),
        (policy(rule("{}")), "says nothing"),
        (policy(rule("{market: []}")), "at least 1 item"),
        (policy(rule("{market: [NO]}")), "valid string"),  # YAML reads NO as false
        (policy(rule("{market: [KR]}", "forbid")), "'allow', 'monitor', 'review', 'lab_test' or 'block'"),
        (policy(rule("{market: [KR]}", "block")), "blocks without a hold"),
        (policy(rule("{price: {currency: KRW}}")), "no bound"),
        (policy(rule("{hazard: {at_least: 0.3}}")), "p.yaml:4: rules.0.when.hazard.at_least: .*valid string"),
        (policy(rule("{market: [KR]}") * 2), "two rules are called 'r1'"),
        (
            policy("  - {id: a, action: review, when: {market: [KR]}, why: {ko: a}}\n"),
            "why.en: Field required",
        ),
    ],
)
def test_what_is_wrong_is_said(text, expected):
    import re

    assert re.search(expected, "\n".join(problems(text)))


@pytest.mark.parametrize(
    ("when", "action", "expected"),
    [
        ("{hazard: {codes: [leed], at_least: review}}", "review", "'leed', which is no hazard code"),
        ("{hazard: {family: [chem], at_least: review}}", "review", "'chem', which is no hazard family"),
        ("{hazard: {at_least: reveiw}}", "review", "no operating point 'reveiw'; it names block, lab_test"),
        ("{hazard: {codes: [lead], at_least: block}}", "review", "no operating point 'block' for lead"),
        ("{noncompliant: {at_least: block}}", "review", "no operating point 'block' for p_noncompliant"),
        ("{group: [toyz]}", "review", "'toyz', which is no product group"),
        ("{certificate: [canceled]}", "review", "'canceled', which is no certificate finding"),
        ("{not: {risk_level_at_least: high}}", "review", "may not stand under not"),
        ("{not: {any: [{market: [KR]}, {hazard: {at_least: review}}]}}", "review", "may not stand under not"),
        ("{hazard: {at_least: lab_test}}", "block", "model risk of a laboratory-type hazard alone"),
        ("{risk_level_at_least: serious, market: [KR]}", "block", "model risk"),
        ("{certificate: [missing], noncompliant: {at_least: review}}", "block", "model risk"),
        ("{any: [{match: [exact]}, {noncompliant: {at_least: review}}]}", "block", "model risk"),
        ("{hazard: {codes: [covert_camera], severity_at_least: 4, family: [chemical], at_least: block}}", "review",
         "chooses no hazard"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_bundle_is_said_with_its_line(bound, when, action, expected):
    with pytest.raises(PolicyError, match=expected) as caught:
        bound(policy(rule(when, action, ", hold: {hours: 1}")))
    assert str(caught.value).startswith("p.yaml:4: rules.0")


@pytest.mark.parametrize(
    "when",
    [
        "{hazard: {codes: [covert_camera], at_least: block}}",
        "{certificate: [cancelled], noncompliant: {at_least: monitor}}",
        "{match: [exact]}",
        "{group: [chargers], seller: {strikes_at_least: 3}}",
    ],
)
def test_a_block_with_evidence_binds(bound, when):
    assert bound(policy(rule(when, "block", ", hold: {hours: 1}"))).rules[0].action == "block"


def test_hazards_without_an_operating_point_are_reported_not_guessed(stub, taxonomy):
    points = stub.operating_points(taxonomy)
    del points["review"]["nickel"]
    made = bind(parse_policy(policy(rule("{hazard: {at_least: review}}"))), points, taxonomy)
    assert made.uncovered == (("r1", "review", ("nickel",)),)
    assert evaluate(made, facts(taxonomy, p={"nickel": 1.0}), NOW).action == "allow"


def test_a_missing_file_and_a_wrong_encoding_are_said(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")
    (tmp_path / "p.yaml").write_bytes("버전".encode("cp949"))
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_policy(tmp_path / "p.yaml")
    (tmp_path / "big.yaml").write_text("#" * 1_000_001)
    with pytest.raises(PolicyError, match="larger than"):
        load_policy(tmp_path / "big.yaml")
