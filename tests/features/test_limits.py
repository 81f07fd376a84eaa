from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.taxonomy import AUDIENCES, Limit, load_taxonomy

TODAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def taxonomy():
    return load_taxonomy()


def _values(limits: tuple[Limit, ...], substance: str) -> set[float | None]:
    return {limit.value for limit in limits if limit.substance == substance}


def test_all_source_rows_are_carried_over(taxonomy):
    rows = {limit.ref[:3] for limit in taxonomy.law.limits if not limit.ref.startswith("x")}
    assert rows == {f"{row:03d}" for row in range(1, 231)}


def test_what_was_unverified_stays_marked(taxonomy):
    unverified = {limit.ref[:3] for limit in taxonomy.law.limits if limit.mark == "unverified"}
    # The rows that were written from memory.
    assert unverified == {
        "136",
        "147",
        "151",
        "158",
        "159",
        "162",
        "190",
        "191",
        "192",
        "211",
        "212",
        "213",
        "224",
    }
    for limit in taxonomy.law.limits:
        assert limit.source or limit.mark == "unverified", limit.ref


def test_unknown_dates_say_so(taxonomy):
    for limit in taxonomy.law.limits:
        if limit.valid_from is None and limit.valid_to is None:
            assert limit.dates == "unknown", limit.ref
        if limit.dates in {"seen", "announced", "month", "inferred", "recalled", "edition", "notice"}:
            assert limit.note, limit.ref


def test_children_of_korea_have_the_common_standard(taxonomy):
    lead = taxonomy.limits("lead", "children_products", "KR", TODAY, "under_14")
    assert {90.0, 100.0} <= _values(lead, "lead, total")
    assert _values(
        taxonomy.limits("cadmium", "children_products", "KR", TODAY, "under_14"), "cadmium, total"
    ) == {75.0}
    phthalates = taxonomy.limits("phthalates", "toy_soft_plastic", "KR", TODAY, "under_14")
    assert {(limit.value, limit.unit) for limit in phthalates} == {(0.1, "% w/w")}


def test_a_limit_changes_with_the_day(taxonomy):
    def substances(on: date) -> set[str]:
        limits = taxonomy.limits("phthalates", "children_products", "KR", on, "under_14")
        return {limit.substance.split(" (")[0] for limit in limits}

    assert substances(date(2023, 3, 31)) == {"phthalates, sum of 6"}
    assert substances(date(2023, 4, 1)) == {"phthalates, sum of 7"}
    old = taxonomy.limits("lead", "jewellery", "KR", date(2024, 5, 1), "general")
    new = taxonomy.limits("lead", "jewellery", "KR", TODAY, "general")
    assert [limit.value for limit in old] == [0.06]
    assert [limit.value for limit in new] == [0.009]
    assert taxonomy.limits("lead", "toys", "EU", date(2018, 10, 27), "under_14") != taxonomy.limits(
        "lead", "toys", "EU", date(2018, 10, 28), "under_14"
    )


def test_the_audience_decides_between_child_and_adult_jewellery(taxonomy):
    child = taxonomy.limits("lead", "jewellery", "KR", TODAY, "under_14")
    adult = taxonomy.limits("lead", "jewellery", "KR", TODAY, "general")
    assert 100.0 in {limit.value for limit in child}
    assert {limit.value for limit in adult} == {0.009}


def test_a_toy_for_14_and_over_stays_a_toy(taxonomy):
    assert taxonomy.limits("lead", "toy_soft_plastic", "KR", TODAY, "general")


def test_goods_left_to_other_laws_are_not_reached_by_the_childrens_act(taxonomy):
    chargers = taxonomy.limits("lead", "charger_power_supply", "KR", TODAY, "under_14")
    cosmetics = taxonomy.limits("lead", "cosmetics_colour", "KR", TODAY, "under_14")
    assert any("children_products" in limit.groups for limit in chargers)
    assert not any("children_products" in limit.groups for limit in cosmetics)


def test_a_state_brings_its_country_with_it(taxonomy):
    spice = taxonomy.limits("lead", "spices", "US-NY", TODAY, "general")
    assert {limit.value for limit in spice} == {25.0, 0.21}
    assert taxonomy.limits("lead", "spices", "US", TODAY, "general") == ()
    assert taxonomy.limits("lead", "children_products", "US-NY", TODAY, "under_14") == taxonomy.limits(
        "lead", "children_products", "US", TODAY, "under_14"
    )


def test_a_product_of_no_known_group_still_has_what_holds_for_all(taxonomy):
    assert taxonomy.limits("choking", "", "US", TODAY, "under_3")
    assert taxonomy.limits("choking", "", "US", TODAY, "general") == ()


def test_an_old_rule_never_counts_as_in_force(taxonomy):
    assert taxonomy.limits("hearing", "toys", "KR", TODAY, "under_14") == ()
    assert taxonomy.limits("hearing", "toys", "KR", date(1995, 1, 1), "under_14") == ()
    assert any(limit.dates == "historical" for limit in taxonomy.law.limits)


def test_what_the_law_tests_in_a_group(taxonomy):
    toys = taxonomy.tested_hazards("toys", "KR", TODAY, "under_14")
    assert {"lead", "cadmium", "phthalates", "nickel", "choking", "magnet_ingestion"} <= toys
    assert "impact_protection" in taxonomy.tested_hazards("helmets_motorcycle", "KR", TODAY, "general")
    assert "phthalates" not in taxonomy.tested_hazards("helmets_motorcycle", "KR", TODAY, "general")
    assert "biocides" in taxonomy.tested_hazards("toy_liquid", "KR", TODAY, "under_14")


@pytest.mark.parametrize(
    ("value", "unit", "complies"),
    [
        (100, "ppm", True),
        (100.1, "mg/kg", False),
        (0.009, "% w/w", True),
        (0.02, "% w/w", False),
        (99_000, "ppb", True),
        (1, "mg/cm^2", None),
        (1, "furlong", None),
    ],
)
def test_a_measured_value_is_held_against_a_limit(taxonomy, value, unit, complies):
    limit = next(row for row in taxonomy.law.limits if row.ref == "009")
    assert (limit.value, limit.unit) == (100, "mg/kg")
    assert taxonomy.complies(limit, value, unit) is complies


def test_ranges_strict_bounds_and_rules_without_numbers(taxonomy):
    ph = next(row for row in taxonomy.law.limits if row.comparator == "range")
    assert [ph.met_by(value) for value in (3.9, 4.0, 7.5, 7.6)] == [False, True, True, False]
    strict = next(row for row in taxonomy.law.limits if row.comparator == "<")
    assert strict.met_by(strict.value) is False
    stable = next(row for row in taxonomy.law.limits if row.comparator == ">=")
    assert [stable.met_by(value) for value in (24, 25)] == [False, True]
    ban = next(row for row in taxonomy.law.limits if row.comparator == "prohibited")
    assert ban.met_by(0.0) is None


@given(
    start=st.none() | st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    end=st.none() | st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    on=st.dates(date(1990, 1, 1), date(2040, 1, 1)),
)
def test_a_limit_is_in_force_from_its_first_to_its_last_day(start, end, on):
    limit = replace(load_taxonomy().law.limits[0], valid_from=start, valid_to=end, dates="stated")
    assert limit.in_force(on) == ((start or date.min) <= on <= (end or date.max))


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_limit_that_is_returned_is_in_force_and_for_the_audience(taxonomy, audience):
    for group in ("toys", "jewellery", "clothing", "cosmetics_colour", ""):
        for code in taxonomy.codes:
            for limit in taxonomy.limits(code, group, "KR", TODAY, audience):
                assert limit.hazard == code
                assert limit.jurisdiction == "KR"
                assert limit.in_force(TODAY)
                assert not limit.audiences or audience in limit.audiences


def test_no_two_rows_contradict_each_other(taxonomy):
    """Same rule, same part, same day: two values would mean that a superseded row was left open."""
    seen: dict[tuple, Limit] = {}
    for limit in taxonomy.law.limits:
        if limit.value is None or not limit.in_force(TODAY):
            continue
        for group in limit.groups:
            key = (
                limit.jurisdiction,
                group,
                limit.audiences,
                limit.substance,
                limit.scope,
                limit.unit,
                limit.regulation,
            )
            other = seen.setdefault(key, limit)
            assert other.value == limit.value, (other.ref, limit.ref)


def test_the_file_has_one_row_a_line_and_the_columns_of_the_form(taxonomy):
    from features import limits

    path = Path(limits.__file__).with_name("limits.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(taxonomy.law.limits)
    assert not any(None in row.values() for row in rows)
