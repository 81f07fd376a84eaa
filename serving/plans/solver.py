"""Choice of items, laboratories and panels: a mixed-integer programme in HiGHS, through SciPy.

The programme has a column for every (item, laboratory, panel). With a hundred thousand items few of them matter, so
columns are priced in: the linear relaxation is solved over a small set, its prices say which other columns could
improve it, those are added, and so on. The prices also give an upper bound for ALL columns, the Lagrangian bound
(Geoffrion 1974), and the gap that is reported is against that bound, never against the reduced programme.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.plans.problem import Problem, Solution

_ROUNDS = 25
_FIRST = 4_000
_ADDED = 4_000
_KEPT = 12_000
_CLOSE = 1e-4


@dataclass(slots=True, eq=False)
class _Prices:
    """Dual prices of the shared resources."""

    money: float
    items: float
    capacity: np.ndarray
    seller: np.ndarray
    least: np.ndarray
    most: np.ndarray


class Programme:
    """One problem being solved: columns in play, and the rows over them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.flat = np.flatnonzero(problem.possible.ravel())
        width = problem.value.shape[1]
        self.item, self.option = self.flat // width, self.flat % width
        self.value = problem.value.ravel()[self.flat].astype(np.float64)
        self.cost = problem.cost.ravel()[self.flat].astype(np.float64)
        self.lab = problem.laboratory[self.option]
        self.cluster = problem.cluster[self.item]
        self.seller = problem.seller[self.item]
        # In the largest unit that divides all costs: whole numbers, and no row out of scale.
        self.unit = max(int(np.gcd.reduce(problem.cost.ravel()[self.flat])) if len(self.flat) else 1, 1)
        # A quota that can be met is met: one item short costs more than the best item is worth.
        self.penalty = 2 * float(self.value.max(initial=0.0)) + 1.0

    def first_columns(self) -> np.ndarray:
        """Return columns that look good by value, by value for money, or because a quota wants them."""
        dense = self.value / np.maximum(self.cost, 1.0)
        picked = [_top(self.value, _FIRST), _top(dense, _FIRST)]
        for rule in self.problem.rules:
            if rule.least:
                mine = np.flatnonzero(rule.items[self.item])
                few = min(_FIRST, 10 * rule.least + 50)
                picked += [mine[_top(by[mine], few)] for by in (self.value, dense)]
        return np.unique(np.concatenate(picked))

    def rows(self, columns: np.ndarray) -> tuple[Any, np.ndarray, list[tuple[str, int]]]:
        """Return matrix, right-hand side and meaning of the rows ``A x <= b``; slack columns of quotas come last."""
        p, n = self.problem, len(columns)
        lines: list[tuple[np.ndarray, np.ndarray]] = []
        right: list[float] = []
        names: list[tuple[str, int]] = []

        def add(where: np.ndarray, what: np.ndarray, limit: float, name: tuple[str, int]) -> None:
            lines.append((where, what))
            right.append(limit)
            names.append(name)

        every = np.arange(n)
        add(every, self.cost[columns] / self.unit, p.money // self.unit, ("money", 0))
        add(every, np.ones(n), p.items, ("items", 0))
        for lab, room in enumerate(p.capacity):
            mine = np.flatnonzero(self.lab[columns] == lab)
            add(mine, np.ones(len(mine)), float(room), ("capacity", lab))
        short = 0
        for place, rule in enumerate(p.rules):
            mine = np.flatnonzero(rule.items[self.item[columns]])
            if rule.most is not None:
                add(mine, np.ones(len(mine)), rule.most, ("most", place))
            if rule.least:
                where, what = np.append(mine, n + short), -np.ones(len(mine) + 1)
                add(where, what, -rule.least, ("least", place))
                short += 1
        for name, of, room in (
            ("seller", self.seller[columns], p.seller_room),
            ("cluster", self.cluster[columns], None),
        ):
            self._groups(name, of, room, add)
        matrix = _matrix(lines, n + short)
        return matrix, np.array(right), names

    @staticmethod
    def _groups(name: str, of: np.ndarray, room: np.ndarray | None, add: Callable[..., None]) -> None:
        """Add a row for each group that could break its limit."""
        order = np.argsort(of, kind="stable")
        codes, starts, sizes = np.unique(of[order], return_index=True, return_counts=True)
        for code, start, size in zip(codes.tolist(), starts.tolist(), sizes.tolist(), strict=True):
            limit = 1.0 if room is None else (float(room[code]) if code >= 0 else np.inf)
            if code >= 0 and size > limit:
                where = order[start : start + size]
                add(where, np.ones(size), limit, (name, code))

    def relaxed(self, columns: np.ndarray) -> tuple[_Prices, float]:
        """Solve the linear relaxation over some columns; returns prices and its value."""
        matrix, right, names = self.rows(columns)
        extra = matrix.shape[1] - len(columns)
        worth = np.concatenate([self.value[columns], np.full(extra, -self.penalty)])
        # No x <= 1 for items: their cluster's row says so; alone in its cluster, the bound does.
        upper = [(0, 1)] * len(columns) + [(0, None)] * extra
        from scipy.optimize import (
            linprog,  # at first use: 40 MB that a service that plans nothing does without
        )

        found = linprog(-worth, A_ub=matrix, b_ub=right, bounds=upper, method="highs")
        if found.x is None:
            raise RuntimeError(f"the linear relaxation failed: {found.message}")
        return self._prices(-np.minimum(found.ineqlin.marginals, 0.0), names), float(-found.fun)

    def _prices(self, dual: np.ndarray, names: list[tuple[str, int]]) -> _Prices:
        p = self.problem
        prices = _Prices(
            0.0,
            0.0,
            np.zeros(len(p.capacity)),
            np.zeros(len(p.seller_room)),
            np.zeros(len(p.rules)),
            np.zeros(len(p.rules)),
        )
        for value, (name, code) in zip(dual.tolist(), names, strict=True):
            if name == "money":
                prices.money = value / self.unit
            elif name == "items":
                prices.items = value
            elif name != "cluster":
                getattr(prices, name)[code] = value
        # A price above the penalty would not be a price of the problem with slack.
        prices.least = np.minimum(prices.least, self.penalty)
        return prices

    def reduced(self, prices: _Prices) -> np.ndarray:
        """Return what each column is worth beyond what it uses up, at the given prices."""
        p = self.problem
        profit = self.value - prices.money * self.cost - prices.items - prices.capacity[self.lab]
        if len(prices.seller):
            profit -= np.where(self.seller >= 0, prices.seller[self.seller], 0.0)
        for place, rule in enumerate(p.rules):
            net = prices.least[place] - prices.most[place]
            if net:
                profit += net * rule.items[self.item]
        return profit

    def bound(self, prices: _Prices, profit: np.ndarray) -> float:
        """Return the Lagrangian bound over all columns."""
        p = self.problem
        best = np.zeros(int(self.cluster.max(initial=-1)) + 1)
        np.maximum.at(best, self.cluster, profit)
        total = prices.money * p.money + prices.items * p.items + float(prices.capacity @ p.capacity)
        total += float(prices.seller @ p.seller_room) if len(prices.seller) else 0.0
        for place, rule in enumerate(p.rules):
            total += prices.most[place] * (rule.most or 0) - prices.least[place] * rule.least
        return total + float(np.maximum(best, 0).sum())

    def integral(self, columns: np.ndarray, seconds: float, gap: float) -> np.ndarray:
        """Solve the integer programme over some columns; returns the chosen ones."""
        matrix, right, _ = self.rows(columns)
        n = len(columns)
        extra = matrix.shape[1] - n
        worth = np.concatenate([self.value[columns], np.full(extra, -self.penalty)])
        upper = np.concatenate([np.ones(n), np.full(extra, np.inf)])
        from scipy.optimize import Bounds, LinearConstraint, milp

        found: Any = milp(
            -worth,
            constraints=LinearConstraint(matrix, ub=right),  # pyright: ignore[reportArgumentType]
            integrality=np.ones(n + extra),
            bounds=Bounds(np.zeros(n + extra), upper),  # pyright: ignore[reportArgumentType]
            options={"time_limit": seconds, "mip_rel_gap": gap},
        )
        if found.x is None:
            return np.zeros(0, np.intp)
        return columns[found.x[:n] > 0.5]


def _top(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(-values, count - 1)[:count]


def _matrix(lines: list[tuple[np.ndarray, np.ndarray]], width: int) -> Any:
    starts = np.cumsum([0, *(len(where) for where, _ in lines)])
    where = np.concatenate([where for where, _ in lines]) if lines else np.zeros(0, int)
    what = np.concatenate([what for _, what in lines]) if lines else np.zeros(0)
    from scipy import sparse

    return sparse.csr_matrix((what, where, starts), shape=(len(lines), width))


def solve(problem: Problem, seconds: float = 30.0, gap: float = 1e-3) -> Solution:
    """Choose the most valuable options within budget, capacity, caps and quotas.

    Parameters
    ----------
    problem
        What may be chosen.
    seconds
        Time for the optimisation; what is best by then is returned with its gap.
    gap
        Relative gap at which to stop.

    Returns
    -------
    Solution
        Never above any limit; quotas that cannot be met are in ``shortfalls``.
    """
    started = time.monotonic()
    programme = Programme(problem)
    empty = np.zeros(0, np.intp)
    if not len(programme.flat) or problem.items < 1:
        unmet = {rule.name: rule.least for rule in problem.rules if rule.least}
        return Solution(empty, empty, 0.0, 0.0, 0.0, unmet)
    columns = programme.first_columns()
    bound, profit = np.inf, programme.value
    for _ in range(_ROUNDS):
        prices, value = programme.relaxed(columns)
        now = programme.reduced(prices)
        here = programme.bound(prices, now)
        if here < bound:
            bound, profit = here, now
        if here <= value + _CLOSE * abs(value) + 1e-9 or time.monotonic() - started > seconds / 2:
            break
        fresh = np.setdiff1d(_top(now, _ADDED), columns)
        fresh = fresh[now[fresh] > 0]
        if not len(fresh):
            break
        columns = np.union1d(columns, fresh)
    kept = np.union1d(columns[_top(profit[columns], _KEPT)], _top(profit, _KEPT // 2))
    left = max(seconds - (time.monotonic() - started), seconds / 4)
    chosen = programme.integral(kept, left, gap)
    chosen = _within(programme, chosen, programme.value)
    unmet = _unmet(programme, chosen)
    # Out of time the solver may stop at a poor choice: what the prices alone would take can be better.
    quick = _within(programme, kept, profit)
    quick_unmet = _unmet(programme, quick)
    if _net(programme, quick, quick_unmet) > _net(programme, chosen, unmet):
        chosen, unmet = quick, quick_unmet
    total, net = float(programme.value[chosen].sum()), _net(programme, chosen, unmet)
    worst = max(abs(bound), 1e-12)
    # The bound is on value less penalties; shown without the penalties that nothing can avoid.
    return Solution(
        programme.item[chosen],
        programme.option[chosen],
        total,
        bound + programme.penalty * sum(unmet.values()),
        max(bound - net, 0.0) / max(worst, abs(total)),
        unmet,
    )


def _net(programme: Programme, chosen: np.ndarray, unmet: dict[str, int]) -> float:
    return float(programme.value[chosen].sum()) - programme.penalty * sum(unmet.values())


def _unmet(programme: Programme, chosen: np.ndarray) -> dict[str, int]:
    items = programme.item[chosen]
    short = {rule.name: rule.least - int(rule.items[items].sum()) for rule in programme.problem.rules}
    return {name: missing for name, missing in short.items() if missing > 0}


def _within(programme: Programme, chosen: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Take choices, the best first, while no limit is exceeded; in whole numbers, whatever the solver rounded."""
    p = programme.problem
    order = chosen[np.argsort(-by[chosen], kind="stable")]
    money, items = p.money, p.items
    capacity, sellers = p.capacity.astype(np.int64).copy(), p.seller_room.astype(np.int64).copy()
    most = [np.inf if rule.most is None else rule.most for rule in p.rules]
    clusters: set[int] = set()
    kept = []
    for column in order.tolist():
        cost, lab = int(programme.cost[column]), int(programme.lab[column])
        seller, cluster = int(programme.seller[column]), int(programme.cluster[column])
        item = int(programme.item[column])
        mine = [place for place, rule in enumerate(p.rules) if rule.items[item]]
        fits = cost <= money and items > 0 and capacity[lab] > 0 and cluster not in clusters
        fits = fits and (seller < 0 or sellers[seller] > 0) and all(most[place] > 0 for place in mine)
        if not fits:
            continue
        money, items = money - cost, items - 1
        capacity[lab] -= 1
        clusters.add(cluster)
        if seller >= 0:
            sellers[seller] -= 1
        for place in mine:
            most[place] -= 1
        kept.append(column)
    return np.array(kept, dtype=np.intp)
