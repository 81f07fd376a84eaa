"""The sampling plan: what to test this month, where and for what, and with which probability each item was chosen.

Open orders enter first. An optimiser then picks the certainty set, and the reserved rest is drawn by a fixed-size
design with exact inclusion probabilities from ALL other clusters of re-listings. Pure: clock and chance are arguments.
"""

from __future__ import annotations

import time
from datetime import date, timedelta

import numpy as np

from features.taxonomy import Taxonomy
from serving.plans.config import PlanConfig, check_hazards
from serving.plans.exploration import Exploration, explore
from serving.plans.options import Options, build_options
from serving.plans.problem import Problem, Rule, Solution, without
from serving.plans.solver import solve
from serving.plans.types import (
    OUT_NO_TEST,
    OUT_RECENT,
    Candidates,
    FrameRow,
    Plan,
    PlanError,
    PlannedItem,
    Role,
)

__all__ = ["Candidates", "FrameRow", "Plan", "PlanError", "PlannedItem", "plan"]


def plan(
    candidates: Candidates, config: PlanConfig, taxonomy: Taxonomy, *, period: str, today: date, seed: int
) -> Plan:
    """Plan what to test.

    Parameters
    ----------
    candidates
        A scored catalogue.
    config
        Budget, laboratories and rules.
    taxonomy
        For accreditation and the order of hazards.
    period
        Such as ``2026-12``.
    today
        The day of planning.
    seed
        Of the draw; stored, so that the draw can be repeated by anyone.

    Raises
    ------
    PlanError, PlanConfigError
        For candidates or a configuration that cannot be used.
    """
    started = time.monotonic()
    check_hazards(config, taxonomy)
    units, outside = _units(candidates, config, today)
    options = build_options(candidates.p, candidates.harm, candidates.panel, units, config, taxonomy)
    value = options.harm + config.information * options.information(candidates.group_tested[units])
    whole = _problem(candidates, units, options, value, config)
    ordered = candidates.ordered[units]
    first = solve(_only(whole, ordered, bonus=float(value.max(initial=0.0))), config.solver.seconds / 4)
    second = solve(without(whole, first), config.solver.seconds, config.solver.gap)
    chosen_units = np.concatenate([first.items, second.items])
    chosen_options = np.concatenate([first.options, second.options])
    drawn = explore(candidates, units, options, chosen_units, config, np.random.default_rng(seed))
    unfit = [(candidates.ids[units[unit]], OUT_NO_TEST) for unit in drawn.outside]
    items = _items(candidates, units, options, (first, second), drawn, config, taxonomy, period, seed)
    placed = set(first.items.tolist()) | set(chosen_units.tolist())
    unplaced = tuple(candidates.ids[units[u]] for u in np.flatnonzero(ordered) if int(u) not in placed)
    # Ordered items are given; the gap is that of the whole plan.
    given = float(value[first.items, first.options].sum())
    whole_gap = (
        max(second.bound - second.value, 0.0) / max(given + second.bound, 1e-12) if second.gap else 0.0
    )
    return Plan(
        period, today, seed, config, taxonomy.codes, items,
        _frame(candidates, units, options, chosen_units, chosen_options, drawn),
        (*outside, *unfit),
        given + second.value, given + second.bound, whole_gap, second.shortfalls, unplaced,
        time.monotonic() - started,
    )  # fmt: skip


def _units(
    candidates: Candidates, config: PlanConfig, today: date
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return one listing per cluster (ordered first, then the best seller), and what stays outside.

    Goods tested lately stay outside with their whole cluster: it is the goods that are not tested again.
    """
    since = today - timedelta(days=config.repeat_after_days)
    recent = {
        cluster
        for cluster, day in zip(candidates.clusters, candidates.last_tested, strict=True)
        if day is not None and day > since
    }
    best: dict[str, int] = {}
    rank = np.lexsort((np.arange(len(candidates.ids)), -candidates.units_sold, ~candidates.ordered))
    for row in rank.tolist():
        best.setdefault(candidates.clusters[row], row)
    outside = [
        (listing, OUT_RECENT)
        for listing, cluster in zip(candidates.ids, candidates.clusters, strict=True)
        if cluster in recent
    ]
    rows = sorted(row for cluster, row in best.items() if cluster not in recent)
    return np.array(rows, dtype=np.intp), outside


def _codes(texts: list[str]) -> tuple[np.ndarray, int]:
    """Number texts, -1 for the empty one."""
    names = {text: place for place, text in enumerate(dict.fromkeys(text for text in texts if text))}
    return np.array([names.get(text, -1) for text in texts], dtype=np.int64), len(names)


def _problem(
    candidates: Candidates, units: np.ndarray, options: Options, value: np.ndarray, config: PlanConfig
) -> Problem:
    keep = 1 - config.exploration.share
    sellers, count = _codes([candidates.sellers[u] for u in units])
    capacity = np.array([terms.capacity for terms in config.laboratories.values()], dtype=np.int64)
    money, items = int(config.budget.money * keep), int(config.budget.items * keep)
    reserved = options.reserved(config)
    if config.overlap:
        # Room for the second tests: places everywhere alike, money at the usual price.
        items -= min(config.overlap, items - 1)
        usual = int(np.median(options.cost[options.possible])) if options.possible.any() else 0
        money = max(money - config.overlap * usual, 0)
        reserved = np.minimum(reserved + -(-config.overlap // len(capacity)), capacity)
    return Problem(
        value=value,
        cost=options.cost,
        possible=options.possible,
        laboratory=options.laboratory,
        capacity=capacity - reserved,
        money=money,
        items=items,
        cluster=np.arange(len(units)),
        seller=sellers,
        seller_room=np.full(count, config.seller_cap or len(units), dtype=np.int64),
        rules=_rules(candidates, units, config),
    )


def _rules(candidates: Candidates, units: np.ndarray, config: PlanConfig) -> tuple[Rule, ...]:
    categories = np.array([candidates.categories[u] for u in units], dtype=object)
    sold = candidates.units_sold[units]
    rules = []
    for entry in config.categories:
        inside = categories == entry.name
        rules.append(Rule(f"category {entry.name}", inside, entry.min, entry.max))
        if entry.best_sellers:
            rows = np.flatnonzero(inside)
            top = rows[np.argsort(-sold[rows], kind="stable")[: entry.best_sellers.among]]
            marked = np.zeros(len(units), dtype=bool)
            marked[top] = True
            rules.append(Rule(f"best sellers of {entry.name}", marked, entry.best_sellers.at_least))
    return tuple(rules)


def _only(problem: Problem, marked: np.ndarray, bonus: float) -> Problem:
    """Return the problem over marked units alone: as many as fit, the most valuable first; quotas only cap."""
    rules = tuple(Rule(rule.name, rule.items, 0, rule.most) for rule in problem.rules)
    return Problem(
        problem.value + bonus + 1.0, problem.cost, problem.possible & marked[:, None], problem.laboratory,
        problem.capacity, problem.money, problem.items, problem.cluster, problem.seller, problem.seller_room, rules,
    )  # fmt: skip


def _items(
    candidates: Candidates,
    units: np.ndarray,
    options: Options,
    solutions: tuple[Solution, Solution],
    drawn: Exploration,
    config: PlanConfig,
    taxonomy: Taxonomy,
    period: str,
    seed: int,
) -> tuple[PlannedItem, ...]:
    rows: list[tuple[int, int, Role, float, str, str]] = []
    outright: tuple[tuple[Role, Solution], ...] = (("ordered", solutions[0]), ("certainty", solutions[1]))
    for role, solution in outright:
        for unit, option in zip(solution.items.tolist(), solution.options.tolist(), strict=True):
            reason = "open_order" if role == "ordered" else _reason(options, unit, option, config)
            rows.append((unit, option, role, 1.0, "certainty", reason))
    for unit in np.flatnonzero(drawn.chosen).tolist():
        option, stratum = int(drawn.option[unit]), drawn.strata[int(drawn.stratum[unit])]
        rows.append((unit, option, "exploration", float(drawn.propensity[unit]), stratum, "drawn"))
    for unit, option in _overlap(rows, options, config, seed):
        rows.append((unit, option, "overlap", 1.0, "overlap", "overlap"))
    labs = list(config.laboratories)
    # By listing, whatever the role: a laboratory must not see from its number what an item was chosen for.
    order = sorted(range(len(rows)), key=lambda k: (candidates.ids[units[rows[k][0]]], rows[k][1]))
    return tuple(
        PlannedItem(
            f"{period}-{labs[options.laboratory[option]]}-{place:04d}",
            candidates.ids[units[unit]],
            candidates.clusters[units[unit]],
            role,
            labs[options.laboratory[option]],
            tuple(taxonomy.codes[h] for h in np.flatnonzero(options.covered(unit, option))),
            options.tests(unit, option),
            int(options.cost[unit, option]),
            propensity,
            stratum,
            float(options.harm[unit, option]),
            options.p_found(unit, option),
            reason,
        )
        for place, (unit, option, role, propensity, stratum, reason) in enumerate((rows[k] for k in order), 1)
    )


def _reason(options: Options, unit: int, option: int, config: PlanConfig) -> str:
    """Return what weighs more for a chosen item: harm found or what is learnt."""
    learnt = config.information * options.doubt[unit, option]
    return "information" if learnt > options.harm[unit, option] else "harm"


def _overlap(
    rows: list[tuple[int, int, Role, float, str, str]], options: Options, config: PlanConfig, seed: int
) -> list[tuple[int, int]]:
    """Choose items that a second laboratory tests with the same panel, within what money and capacity are left."""
    money = config.budget.money - sum(int(options.cost[u, o]) for u, o, *_ in rows)
    places = config.budget.items - len(rows)
    room = {lab: terms.capacity for lab, terms in enumerate(config.laboratories.values())}
    for _, option, *_ in rows:
        room[int(options.laboratory[option])] -= 1
    found: list[tuple[int, int]] = []
    for place in np.random.default_rng([seed, 1]).permutation(len(rows)).tolist():
        unit, option = rows[place][:2]
        same = [
            other
            for other in np.flatnonzero(options.possible[unit]).tolist()
            if options.laboratory[other] != options.laboratory[option]
            and room[int(options.laboratory[other])] > 0
            and options.cost[unit, other] <= money
            and np.array_equal(options.covered(unit, other), options.covered(unit, option))
        ]
        if len(found) >= min(config.overlap, places):
            break
        if same:
            other = min(same, key=lambda o: -room[int(options.laboratory[o])])
            found.append((unit, other))
            money -= int(options.cost[unit, other])
            room[int(options.laboratory[other])] -= 1
    return found


def _frame(
    candidates: Candidates,
    units: np.ndarray,
    options: Options,
    chosen: np.ndarray,
    chosen_options: np.ndarray,
    drawn: Exploration,
) -> tuple[FrameRow, ...]:
    certain = dict(zip(chosen.tolist(), chosen_options.tolist(), strict=True))
    rows = []
    for unit in range(len(units)):
        sure = unit in certain
        if not sure and drawn.propensity[unit] <= 0:
            continue
        row = int(units[unit])
        option = certain[unit] if sure else int(drawn.option[unit])
        rows.append(
            FrameRow(
                candidates.clusters[row],
                candidates.ids[row],
                candidates.categories[row],
                candidates.platforms[row],
                1.0 if sure else float(drawn.propensity[unit]),
                "certainty" if sure else drawn.strata[int(drawn.stratum[unit])],
                options.covered(unit, option),
                candidates.p[row],
                candidates.harm[row],
                sure or bool(drawn.chosen[unit]),
            )
        )
    return tuple(rows)
