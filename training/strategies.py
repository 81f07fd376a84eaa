"""Sampling strategies for the replay, each a small class or function with `training.replay.Strategy`'s call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.histories import Histories, Key, crosses, pairs
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
        Weight of a critical fail beside that of any fail.
    explore
        Share of the budget drawn from all other goods with known probabilities.
    information
        Weight of the standard deviation of what is believed of a good's keys: the value of finding out.
    every, keys_every
        Weeks between fits of the model, and between choices of keys.
    keys
        Keys in use at most.
    """

    severity: float = 0.0
    explore: float = 0.05
    information: float = 0.5
    every: int = 2
    keys_every: int = 8
    keys: int = 6


@dataclass(slots=True)
class Ours:
    """Past results per key, keys found on the results themselves, boosting on top; harm, information, designed draw."""

    options: OursOptions = OursOptions()
    _numbers: np.ndarray | None = None
    _keys: list[Key] = field(default_factory=list)
    _history: Histories | None = None
    _critical: Histories | None = None
    _model: Any = None
    _weeks: int = 0

    def __call__(
        self, goods: Goods, rows: np.ndarray, budget: int, seen: Seen, random: np.random.Generator
    ) -> Choice:
        """Choose by expected harm found plus value of information; draw the rest."""
        if len(seen.rows) < _ENOUGH or seen.failed.sum() < _ENOUGH_FAILS:
            return _evenly(rows, budget, random)
        if self._numbers is None:
            self._keys = pairs(goods.codes.shape[1])
            self._numbers = crosses(goods.codes, self._keys)
        if self._history is None or self._weeks % self.options.keys_every == 0:
            self._choose_keys(goods, seen)
        p, doubt = self._beliefs(goods, rows, seen, random)
        harm = p + self.options.severity * self._critical_rate(rows, seen)
        self._weeks += 1
        spread = np.sqrt(p * (1 - p))
        score = harm + self.options.information * doubt
        return _mixed(rows, score, budget, self.options.explore, random, spread)

    def _choose_keys(self, goods: Goods, seen: Seen) -> None:
        assert self._numbers is not None
        first = Histories(self._numbers, self._keys)
        first.fit(seen.rows, seen.failed, self.options.keys)
        # Crosses of three columns are too many to try all: those that extend a good pair.
        width = goods.codes.shape[1]
        known = [self._keys[key] for key in first.chosen]
        longer = list(
            dict.fromkeys(
                tuple(sorted({*key, extra}))
                for key in known
                if len(key) == 2
                for extra in range(width)
                if extra not in key
            )
        )
        good = sorted({*first.chosen, *range(width)})
        numbers = np.column_stack([self._numbers[:, good], crosses(goods.codes, longer)])
        self._history = Histories(numbers, [*(self._keys[key] for key in good), *longer])
        self._history.fit(seen.rows, seen.failed, self.options.keys)
        self._model = None
        if self.options.severity > 0 and seen.critical.sum() >= _ENOUGH_FAILS:
            self._critical = Histories(numbers, self._history.keys)
            self._critical.fit(seen.rows, seen.critical, 3)

    def _beliefs(
        self, goods: Goods, rows: np.ndarray, seen: Seen, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return P(fails) and how unsure it is, per row."""
        assert self._history is not None
        both = self._history.features(seen.rows, seen.failed, np.concatenate([seen.rows, rows]))
        cut, keys = len(seen.rows), len(self._history.chosen)
        table = np.column_stack([both, goods.amounts[np.concatenate([seen.rows, rows])]])
        if self._model is None or self._weeks % self.options.every == 0:
            self._model = _classifier(table[:cut], seen.failed, random)
        p = self._model.predict_proba(table[cut:])[:, 1]
        if not keys:
            return p, np.zeros(len(p))
        chain, tests = both[cut:, keys - 1], np.expm1(both[cut:, 2 * keys - 1])
        return p, np.sqrt(chain * (1 - chain) / (tests + self._history.strength[-1] + 1))

    def _critical_rate(self, rows: np.ndarray, seen: Seen) -> np.ndarray:
        if self._critical is None or not self._critical.chosen:
            return np.zeros(len(rows))
        keys = len(self._critical.chosen)
        return self._critical.features(seen.rows, seen.critical, rows)[:, keys - 1]


def named(amount: int, history: tuple[int, ...]) -> dict[str, Callable[[], Strategy]]:
    """The strategies by name, each made fresh when called.

    Parameters
    ----------
    amount
        Column of the amounts that the best-seller rule goes by.
    history
        Columns of the codes that the history rule goes by.
    """
    return {
        "random": lambda: random_choice,
        "best_seller": lambda: Highest(amount),
        "history": lambda: History(history),
        "boosting": lambda: Boosting(),
        "boosting_90_random_10": lambda: Boosting(explore=0.1),
        "bandit": lambda: Bandit(),
        "ours": lambda: Ours(),
    }
