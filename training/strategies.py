"""Sampling strategies for the replay, each a small class or function with `training.replay.Strategy`'s call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.histories import Key, crosses
from training.ordered import ordered_rates, rates_of
from training.replay import Choice, Goods, Seen, Strategy
from training.sampling_design import inclusion_probabilities, pivotal

# Before this many results, of which this many fails, a model has nothing to learn from.
_ENOUGH, _ENOUGH_FAILS = 60, 5
_CATEGORIES = 254


def _evenly(rows: np.ndarray, size: int, random: np.random.Generator) -> Choice:
    picked = random.choice(rows, size, replace=False)
    return Choice(picked, np.full(size, size / len(rows)))


def _highest(rows: np.ndarray, score: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Return the rows with the highest score, ties in random order."""
    order = np.lexsort((random.random(len(rows)), -score))
    return rows[order[:size]]


def _mixed(
    rows: np.ndarray,
    score: np.ndarray,
    size: int,
    share: float,
    random: np.random.Generator,
    spread: np.ndarray | None = None,
    floor: float = 0.3,
) -> Choice:
    """Take the best by score, and draw a share of the budget from all others (evenly, or in proportion to `spread`)."""
    explore = min(round(share * size), size) if size < len(rows) else 0
    best = _highest(rows, score, size - explore, random)
    if not explore:
        return Choice(best, np.ones(len(best)))
    rest = ~np.isin(rows, best)
    weight = np.ones(int(rest.sum())) if spread is None else spread[rest]
    p = inclusion_probabilities(weight, explore, floor)
    drawn = pivotal(p, random)
    return Choice(np.concatenate([best, rows[rest][drawn]]), np.concatenate([np.ones(len(best)), p[drawn]]))


def random_choice(
    goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
) -> Choice:
    """All goods alike."""
    return _evenly(rows, budget, random)


@dataclass(slots=True)
class Highest:
    """The goods with the highest amount, such as units sold or value: the best-seller rule."""

    column: int

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose the highest."""
        picked = _highest(rows, goods.amounts[rows, self.column], budget, random)
        return Choice(picked, np.ones(budget))


@dataclass(slots=True)
class History:
    """Goods whose key (seller, importer, group) failed most often so far; unknown keys at the mean rate."""

    columns: tuple[int, ...]
    strength: float = 3.0

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose by past fails."""
        if seen.failed.sum() < 1:
            return _evenly(rows, budget, random)
        score, mean = np.zeros(len(rows)), seen.failed.mean()
        for column in self.columns:
            size = int(goods.codes[:, column].max()) + 1
            key = goods.codes[seen.rows, column]
            n, k = np.bincount(key, minlength=size), np.bincount(key, seen.failed, minlength=size)
            of = goods.codes[rows, column]
            score += (k[of] + self.strength * mean) / (n[of] + self.strength)
        return Choice(_highest(rows, score, budget, random), np.ones(budget))


@dataclass(slots=True)
class Boosting:
    """Gradient boosting with native categories, refitted every few weeks; a share of the budget drawn evenly.

    Columns with more categories than the library takes keep their most frequent ones.
    """

    explore: float = 0.0
    every: int = 2
    _model: Any = None
    _weeks: int = 0
    _table: np.ndarray | None = None
    _categorical: np.ndarray | None = None

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose by predicted failure."""
        score = self.score(goods, rows, seen, random)
        return _evenly(rows, budget, random) if score is None else self._choose(rows, score, budget, random)

    def score(
        self, goods: Goods, rows: np.ndarray, seen: Seen, random: np.random.Generator
    ) -> np.ndarray | None:
        """Return predicted probabilities of failing, None while there is too little to learn from."""
        if len(seen.rows) < _ENOUGH or seen.failed.sum() < _ENOUGH_FAILS:
            return None
        if self._table is None:
            self._table, self._categorical = _native(goods)
        if self._model is None or self._weeks % self.every == 0:
            self._model = _classifier(
                self._table[seen.rows], seen.failed, random, categorical=self._categorical
            )
        self._weeks += 1
        return self._model.predict_proba(self._table[rows])[:, 1]

    def _choose(
        self, rows: np.ndarray, score: np.ndarray, budget: int, random: np.random.Generator
    ) -> Choice:
        return _mixed(rows, score, budget, self.explore, random)


def _native(goods: Goods) -> tuple[np.ndarray, np.ndarray]:
    columns = []
    for column in goods.codes.T:
        common = np.argsort(-np.bincount(column), kind="stable")[:_CATEGORIES]
        place = np.full(int(column.max()) + 1, np.nan)
        place[common] = np.arange(len(common))
        columns.append(place[column])
    table = np.column_stack([*columns, goods.amounts])
    return table, np.arange(table.shape[1]) < goods.codes.shape[1]


def _classifier(table: np.ndarray, outcome: np.ndarray, random: np.random.Generator, **options: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    settings: dict[str, Any] = {
        "max_iter": 60,
        "learning_rate": 0.12,
        "random_state": int(random.integers(2**31)),
        "early_stopping": False,
        "categorical_features": options.get("categorical"),
    }
    model = HistGradientBoostingClassifier(**settings)
    return model.fit(table, outcome)


@dataclass(slots=True)
class Bandit:
    """Boosting whose exploration share is adapted by exponential weights (EXP3, Auer and others 2002).

    Each week one share is played; its reward is the precision of the week after, when what was explored is used.
    """

    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3)
    rate: float = 0.15
    boosting: Boosting = field(default_factory=Boosting)
    _log_weight: np.ndarray | None = None
    _played: tuple[int, float] | None = None
    _before: int = 0

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose by predicted failure, with this week's exploration share."""
        score = self.boosting.score(goods, rows, seen, random)
        if score is None:
            self._before = len(seen.rows)
            return _evenly(rows, budget, random)
        weight = np.zeros(len(self.shares)) if self._log_weight is None else self._log_weight
        if self._played is not None and len(seen.rows) > self._before:
            arm, chance = self._played
            weight[arm] += self.rate * float(seen.failed[self._before :].mean()) / chance / len(self.shares)
        p = np.exp(weight - weight.max())
        p = 0.8 * p / p.sum() + 0.2 / len(self.shares)
        arm = int(random.choice(len(self.shares), p=p))
        self._log_weight, self._played, self._before = weight, (arm, float(p[arm])), len(seen.rows)
        return _mixed(rows, score, budget, self.shares[arm], random)


@dataclass(frozen=True, slots=True)
class OursOptions:
    """Settings of `Ours`.

    Attributes
    ----------
    severity
        Weight of the probability of a critical fail beside that of any fail.
    explore
        Share of the budget drawn from all other goods with known probabilities.
    every
        Weeks between fits.
    orders
        Random orders of past results, each with a model of its own; their mean is what counts.
    crosses
        Columns whose crosses are keys too, besides every column with many kinds.
    """

    severity: float = 0.0
    explore: float = 0.1
    every: int = 3
    orders: int = 2
    crosses: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Ours:
    """Boosting on categories and on how often goods of the same key failed before, key by key; a designed draw.

    Past results enter in random orders: each result is described by those before it alone (`ordered_rates`), so none
    explains itself, and the mean over several orders steadies what few results say.
    """

    options: OursOptions = OursOptions()
    _keys: np.ndarray | None = None
    _table: np.ndarray | None = None
    _categorical: np.ndarray | None = None
    _models: list[tuple[Any, Any]] = field(default_factory=list)
    _weeks: int = 0

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose by probability of failing plus severity; draw the rest with known probabilities."""
        if len(seen.rows) < _ENOUGH or seen.failed.sum() < _ENOUGH_FAILS:
            return _evenly(rows, budget, random)
        if self._table is None or self._keys is None:
            self._table, self._categorical = _native(goods)
            self._keys = crosses(goods.codes, _many_kinds(goods, self.options.crosses))
        if not self._models or self._weeks % self.options.every == 0:
            self._models = [self._fit(seen, random) for _ in range(self.options.orders)]
        self._weeks += 1
        p, critical = self._predict(rows, seen)
        return _mixed(rows, p + self.options.severity * critical, budget, self.options.explore, random)

    def _fit(self, seen: Seen, random: np.random.Generator) -> tuple[Any, Any]:
        assert self._table is not None and self._keys is not None and self._categorical is not None
        rates = ordered_rates(self._keys[seen.rows], seen.failed, random)
        table = np.column_stack([self._table[seen.rows], rates])
        kinds = np.concatenate([self._categorical, np.zeros(rates.shape[1], dtype=bool)])
        failing = _classifier(table, seen.failed, random, categorical=kinds)
        critical = None
        if self.options.severity > 0 and seen.critical.sum() >= _ENOUGH_FAILS:
            critical = _classifier(table, seen.critical, random, categorical=kinds)
        return failing, critical

    def _predict(self, rows: np.ndarray, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        assert self._table is not None and self._keys is not None
        rates = rates_of(self._keys[seen.rows], seen.failed, self._keys[rows])
        table = np.column_stack([self._table[rows], rates])
        p = np.mean([failing.predict_proba(table)[:, 1] for failing, _ in self._models], axis=0)
        found = [critical.predict_proba(table)[:, 1] for _, critical in self._models if critical is not None]
        return p, np.mean(found, axis=0) if found else np.zeros(len(rows))


_MANY = 300


def _many_kinds(goods: Goods, more: tuple[tuple[str, ...], ...]) -> list[Key]:
    """Return the columns with many kinds, each a key, and the crosses that were named."""
    single: list[Key] = [
        (column,) for column in range(goods.codes.shape[1]) if goods.codes[:, column].max(initial=0) >= _MANY
    ]
    return [*single, *(tuple(goods.names.index(name) for name in names) for names in more)]


def named(
    amount: int,
    history: tuple[int, ...],
    crossed: tuple[tuple[str, ...], ...] = (),
    severities: tuple[float, ...] = (),
) -> dict[str, Callable[[], Strategy]]:
    """The strategies by name, each made fresh when called.

    Parameters
    ----------
    amount
        Column of the amounts that the best-seller rule goes by.
    history
        Columns of the codes that the history rule goes by.
    crossed
        Names of columns whose crosses `Ours` keeps results by.
    severities
        Weights of critical fails for which `Ours` and boosting stand in the list once more.
    """
    found: dict[str, Callable[[], Strategy]] = {
        "random": lambda: random_choice,
        "best_seller": lambda: Highest(amount),
        "history": lambda: History(history),
        "boosting": lambda: Boosting(),
        "boosting_90_random_10": lambda: Boosting(explore=0.1),
        "bandit": lambda: Bandit(),
        "ours": lambda: Ours(OursOptions(crosses=crossed)),
    }
    for severity in severities:
        options = OursOptions(severity=severity, crosses=crossed)
        found[f"ours_severity_{severity:g}"] = lambda options=options: Ours(options)
    return found
