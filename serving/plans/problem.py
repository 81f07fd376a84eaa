"""The choice of items, laboratories and panels as a problem, and its solution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Between ``least`` and ``most`` of the marked items; ``least`` gives way, at a price, where it cannot be met."""

    name: str
    items: np.ndarray
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What may be chosen.

    Attributes
    ----------
    value
        ndarray of shape (n_items, n_options): what choosing the option is worth, 0 or more.
    cost
        ndarray of shape (n_items, n_options), int64.
    possible
        ndarray of shape (n_items, n_options), bool.
    laboratory
        ndarray of shape (n_options,), int: laboratory of each option.
    capacity
        Items per laboratory.
    money, items
        Budget.
    cluster
        ndarray of shape (n_items,), int: at most one item per cluster.
    seller
        ndarray of shape (n_items,), int; -1 for unknown sellers, who are not capped.
    seller_room
        ndarray: how many more items each seller may have.
    rules
        Quotas.
    """

    value: np.ndarray
    cost: np.ndarray
    possible: np.ndarray
    laboratory: np.ndarray
    capacity: np.ndarray
    money: int
    items: int
    cluster: np.ndarray
    seller: np.ndarray
    seller_room: np.ndarray
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Chosen options.

    Attributes
    ----------
    items, options
        ndarrays of int: item and option of each choice.
    value
        Sum of values.
    bound
        No choice at all, of all columns, can be worth more (less what unmet quotas cost).
    gap
        (bound - value) / bound.
    shortfalls
        By rule: how many items are missing from its least.
    """

    items: np.ndarray
    options: np.ndarray
    value: float
    bound: float
    gap: float
    shortfalls: dict[str, int]


def without(problem: Problem, solution: Solution) -> Problem:
    """Return what is left to choose after a first choice: less budget, fewer places, its clusters gone."""
    i, o = solution.items, solution.options
    capacity = problem.capacity - np.bincount(problem.laboratory[o], minlength=len(problem.capacity))
    sellers = problem.seller_room.copy()
    np.subtract.at(sellers, problem.seller[i][problem.seller[i] >= 0], 1)
    taken = np.isin(problem.cluster, problem.cluster[i])
    rules = tuple(
        replace(
            rule,
            least=max(rule.least - int(rule.items[i].sum()), 0),
            most=None if rule.most is None else rule.most - int(rule.items[i].sum()),
        )
        for rule in problem.rules
    )
    return replace(
        problem,
        possible=problem.possible & ~taken[:, None],
        capacity=capacity,
        money=problem.money - int(problem.cost[i, o].sum()),
        items=problem.items - len(i),
        seller_room=sellers,
        rules=rules,
    )
