from datetime import date, timedelta

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from features.taxonomy import load_taxonomy
from serving.plans.config import PlanConfig, PlanConfigError, read_plan_config
from serving.plans.planning import Candidates, PlanError, plan

TODAY = date(2026, 11, 20)
TAXONOMY = load_taxonomy()
PANELS = (("lead", "phthalates", "choking", "fire"), ("formaldehyde", "azo_dyes"), ("impact_protection",))
CATEGORIES = ("완구", "의류", "헬멧")


def catalogue(n=300, seed=0, **changes):
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, n)
    panel = np.zeros((n, len(TAXONOMY.codes)), dtype=bool)
    for code, hazards in enumerate(PANELS):
        panel[np.ix_(kind == code, [TAXONOMY.index(h) for h in hazards])] = True
    p = np.where(panel, np.clip(random.gamma(0.4, 0.2, panel.shape), 0, 0.9), 0.0)
    sold = random.lognormal(2, 1.5, n).astype(int)
    parts = {
        "ids": tuple(f"l{i}" for i in range(n)),
        "clusters": tuple(f"c{i // 2 if i < n // 4 else i}" for i in range(n)),
        "sellers": tuple(f"s{i}" if i else "" for i in random.integers(0, 20, n)),
        "categories": tuple(CATEGORIES[k] for k in kind),
        "platforms": tuple(np.array(["hanbada", "oceanstall"])[random.integers(0, 2, n)].tolist()),
        "groups": tuple(str(k) for k in kind),
        "units_sold": sold,
        "p": p,
        "harm": p * np.maximum(sold, 1)[:, None],
        "panel": panel,
        "ordered": np.arange(n) % 97 == 5,
        "last_tested": tuple(TODAY - timedelta(days=10) if i % 50 == 3 else None for i in range(n)),
        "group_tested": np.zeros(n),
    }
    return Candidates(**(parts | changes))


def config(**changes):
    raw = read_plan_config().model_dump()
    raw |= {"budget": {"money": 12_000_000, "items": 50}, "seller_cap": 4}
    raw["laboratories"] = {
        code: terms | {"capacity": 6 + 3 * place}
        for place, (code, terms) in enumerate(raw["laboratories"].items())
    }
    return PlanConfig.model_validate(raw | changes)


def make(candidates, settings_, seed=1):
    return plan(candidates, settings_, TAXONOMY, period="2026-12", today=TODAY, seed=seed)


def check(made, candidates, settings_):
    """What holds of every plan."""
    assert made.spent() <= settings_.budget.money
    assert len(made.items) <= settings_.budget.items
    for code, terms in settings_.laboratories.items():
        assert sum(item.laboratory == code for item in made.items) <= terms.capacity
    place = {listing: row for row, listing in enumerate(candidates.ids)}
    for item in made.items:
        able = settings_.laboratories[item.laboratory].hazards
        assert set(item.hazards) <= set(
            TAXONOMY.laboratories[item.laboratory].hazards if able is None else able
        )
        assert item.hazards
        assert 0 < item.propensity <= 1
    once = [item.cluster for item in made.items if item.role != "overlap"]
    assert len(once) == len(set(once))
    sellers = [
        candidates.sellers[place[i.listing_id]] for i in made.items if i.role in ("ordered", "certainty")
    ]
    if settings_.seller_cap:
        assert all(sellers.count(s) <= settings_.seller_cap for s in set(sellers) - {""})
    drawn = [item for item in made.items if item.role == "exploration"]
    strata = {row.stratum for row in made.frame} - {"certainty"}
    for stratum in strata:
        total = sum(row.propensity for row in made.frame if row.stratum == stratum)
        assert total == pytest.approx(sum(item.stratum == stratum for item in drawn), abs=1e-6)
    # Every cluster is in the frame with a chance, or stands outside with a reason.
    framed = {row.cluster for row in made.frame}
    out = {candidates.clusters[place[listing]] for listing, _ in made.outside}
    assert framed | out == set(candidates.clusters)
    assert not framed & out
    assert all(row.propensity > 0 for row in made.frame)


@pytest.fixture(scope="module")
def made():
    return make(catalogue(), config())


def test_a_plan_keeps_every_limit(made):
    check(made, catalogue(), config())
    assert made.gap < 0.01
    assert made.objective <= made.bound * (1 + 1e-9)


@settings(max_examples=25)
@given(
    money=st.integers(0, 30_000_000),
    items=st.integers(1, 120),
    capacity=st.lists(st.integers(0, 30), min_size=5, max_size=5),
    share=st.floats(0.02, 0.9),
    cap=st.one_of(st.none(), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_no_plan_exceeds_a_budget_a_capacity_or_an_accreditation(money, items, capacity, share, cap, seed):
    raw = config().model_dump()
    for terms, room in zip(raw["laboratories"].values(), capacity, strict=True):
        terms["capacity"] = room
    raw |= {
        "budget": {"money": money, "items": items},
        "seller_cap": cap,
        "exploration": {"share": share},
        "overlap": 3,
        "categories": [{"name": "완구", "min": 3, "max": 9, "best_sellers": {"among": 5, "at_least": 2}}],
    }
    wanted = PlanConfig.model_validate(raw)
    goods = catalogue(120, seed)
    found = make(goods, wanted, seed)
    check(found, goods, wanted)
    certain = [i for i in found.items if i.role in ("ordered", "certainty")]
    place = {listing: row for row, listing in enumerate(goods.ids)}
    assert sum(goods.categories[place[i.listing_id]] == "완구" for i in certain) <= 9


def test_open_orders_enter_first(made):
    goods = catalogue()
    ordered = {goods.clusters[row] for row in np.flatnonzero(goods.ordered)}
    recent = {goods.clusters[row] for row, day in enumerate(goods.last_tested) if day}
    assert {item.cluster for item in made.items if item.role == "ordered"} == ordered - recent
    assert not made.unplaced


def test_orders_that_do_not_fit_are_named():
    tight = config(budget={"money": 700_000, "items": 3})
    found = make(catalogue(), tight)
    assert found.unplaced
    placed = {item.listing_id for item in found.items}
    assert not placed & set(found.unplaced)


def test_goods_tested_lately_stay_outside_with_all_their_offers(made):
    goods = catalogue()
    recent = {goods.clusters[row] for row, day in enumerate(goods.last_tested) if day}
    expected = {goods.ids[row] for row, cluster in enumerate(goods.clusters) if cluster in recent}
    assert {listing for listing, reason in made.outside if reason == "tested_recently"} == expected


def test_quotas_are_met_or_reported():
    rules = [
        {"name": "완구", "min": 8, "best_sellers": {"among": 6, "at_least": 3}},
        {"name": "없음", "min": 2},
    ]
    goods, wanted = catalogue(), config(categories=rules)
    found = make(goods, wanted)
    place = {listing: row for row, listing in enumerate(goods.ids)}
    toys = [
        i for i in found.items if i.role != "exploration" and goods.categories[place[i.listing_id]] == "완구"
    ]
    assert len(toys) >= 8
    assert found.shortfalls == {"category 없음": 2}


def test_the_optimiser_beats_taking_the_best_items_one_by_one(made):
    """The certainty set is worth no less than a greedy choice under the same limits."""
    goods, wanted = catalogue(), config()
    certain = [i for i in made.items if i.role in ("ordered", "certainty")]
    assert sum(i.harm for i in certain) > 0
    # An even draw of as many items finds far less.
    drawn = np.random.default_rng(0).choice(goods.harm.sum(axis=1), (200, len(certain))).sum(axis=1).mean()
    assert sum(i.harm for i in certain) > 2 * drawn
    assert wanted.budget.money * 0.8 < made.spent()


def test_the_draw_has_the_probabilities_it_states(long):
    goods = catalogue(60, ordered=np.zeros(60, dtype=bool))
    wanted = config(
        budget={"money": 6_000_000, "items": 20},
        exploration={"share": 0.5},
        solver={"seconds": 5, "gap": 0.01},
    )
    base = make(goods, wanted)
    again = make(goods, wanted)
    assert [i.listing_id for i in base.items] == [i.listing_id for i in again.items]
    seeds = 60 if long else 20
    total, spread = {}, {}
    for seed in range(seeds):
        found = make(goods, wanted, seed)
        for row in found.frame:
            if row.stratum != "certainty":
                total[row.cluster] = total.get(row.cluster, 0.0) + row.chosen - row.propensity
                spread[row.cluster] = spread.get(row.cluster, 0.0) + row.propensity * (1 - row.propensity)
    deviation = [total[c] / np.sqrt(spread[c]) for c in total]
    assert max(map(abs, deviation)) < 4.5


def test_laboratories_that_take_too_long_get_nothing():
    found = make(catalogue(), config(needed_within_days=10))
    assert {item.laboratory for item in found.items} == {"KOTITI", "FITI"}
    assert any(reason == "no_laboratory" for _, reason in found.outside)


def test_overlap_sends_the_same_item_and_panel_to_a_second_laboratory():
    found = make(catalogue(), config(overlap=3, budget={"money": 60_000_000, "items": 50}))
    twice = [item for item in found.items if item.role == "overlap"]
    assert twice
    for item in twice:
        other = next(i for i in found.items if i.cluster == item.cluster and i.role != "overlap")
        assert other.laboratory != item.laboratory
        assert other.hazards == item.hazards


def test_an_empty_catalogue_makes_an_empty_plan():
    goods = catalogue(3)
    none = Candidates(*(getattr(goods, name)[:0] for name in goods.__dataclass_fields__))
    assert make(none, config()).items == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("l0",) * 300}, "twice"),
        ({"sellers": ("s",)}, "sellers"),
        ({"p": np.full((300, 30), 1.5)}, "outside 0 to 1"),
    ],
)
def test_candidates_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(PlanError, match=message):
        catalogue(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": {"money": -1, "items": 1}}, "budget.money"),
        ({"budgets": {}}, "budgets"),
        ({"exploration": {"share": 0}}, "exploration.share"),
        ({"categories": [{"name": "x", "min": 3, "max": 1}]}, "above max"),
        ({"laboratories": {"KTR": {"capacity": 1, "turnaround_days": 1, "prices": {"nope": 1}}}}, "nope"),
    ],
)
def test_a_wrong_configuration_says_where(tmp_path, change, message):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(read_plan_config().model_dump(mode="json") | change), encoding="utf-8")
    with pytest.raises(PlanConfigError, match=message):
        read_plan_config(path)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "plan.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(PlanConfigError, match="YAML"):
        read_plan_config(tmp_path / "plan.yaml")


def test_unknown_hazards_and_laboratories_are_refused():
    tests = read_plan_config().model_dump()["tests"] | {"t": {"hazards": ["radon"], "price": 1}}
    wrong = config(tests=tests)
    with pytest.raises(PlanConfigError, match="radon"):
        make(catalogue(), wrong)
    stranger = config(laboratories={"MINE": {"capacity": 3, "turnaround_days": 3}})
    with pytest.raises(PlanConfigError, match="MINE"):
        make(catalogue(), stranger)


def test_the_example_says_that_its_figures_are_made_up():
    assert read_plan_config().made_up
    assert set(read_plan_config().laboratories) == {"KTR", "KCL", "KOTITI", "FITI", "KATRI"}
