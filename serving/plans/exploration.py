"""The drawn part of a plan: every cluster the optimiser left has a known chance above zero.

Each cluster is dealt to one laboratory before the draw, in proportion to the places reserved there, and within a
laboratory to a cost class; a fixed number is drawn from each such stratum. So no draw can exceed capacity, and because
places are counted at the cost of the dearest goods of the stratum, none can exceed the money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.plans.config import PlanConfig
from serving.plans.options import FULL, Options
from training.sampling_design import draw

if TYPE_CHECKING:
    from serving.plans.types import Candidates

# Cost classes are worth having once each stratum still gets this many draws: fewer show too little of their spread.
_CLASSES, _PER_STRATUM = (3, 2, 1), 5


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """What was drawn.

    Attributes
    ----------
    chosen
        ndarray of shape (n_units,), bool.
    propensity
        ndarray of shape (n_units,): 0 for what the optimiser took and for what is outside the frame.
    option
        ndarray of shape (n_units,), int: how each would be tested.
    stratum
        ndarray of shape (n_units,), int: place in ``strata``.
    strata
        Names.
    outside
        Units that no laboratory with places left can test.
    """

    chosen: np.ndarray
    propensity: np.ndarray
    option: np.ndarray
    stratum: np.ndarray
    strata: tuple[str, ...]
    outside: np.ndarray


def explore(
    candidates: Candidates,
    units: np.ndarray,
    options: Options,
    taken: np.ndarray,
    config: PlanConfig,
    random: np.random.Generator,
) -> Exploration:
    """Draw from all units that were not taken.

    Parameters
    ----------
    candidates, units, options
        The catalogue, its units, and how they can be tested.
    taken
        Units of the certainty set.
    config
        Budget, laboratories, exploration.
    random
        Source of chance.
    """
    n = len(units)
    free = np.ones(n, dtype=bool)
    free[taken] = False
    reserved = options.reserved(config)
    money = config.budget.money - int(config.budget.money * (1 - config.exploration.share))
    places = config.budget.items - int(config.budget.items * (1 - config.exploration.share))
    score = np.sqrt(_p_any(options) * (1 - _p_any(options))) + 1e-6
    active = reserved > 0
    while True:
        option, lab = _deal(options, free, np.where(active, reserved, 0), config, random)
        held = free & (option >= 0)
        sized = _sizes(options, option, lab, held, score, reserved, money, places)
        if sized is not None or not active.any():
            break
        # Not one place for each laboratory: the dearest takes no part in the draw.
        dearest = max(
            np.flatnonzero(active),
            key=lambda at: float(
                np.max(options.cost[held & (lab == at), option[held & (lab == at)]], initial=0)
            ),
        )
        active[dearest] = False
    outside = np.flatnonzero(free & ~held)
    if sized is None or not held.any():
        empty = np.zeros(n)
        return Exploration(empty > 0, empty, option, np.full(n, -1), (), np.flatnonzero(free))
    stratum, sizes = sized
    codes = list(config.laboratories)
    names = tuple(f"{codes[at]}/{kind + 1}" for at, kind in sizes)
    rows = np.flatnonzero(held)
    labels = np.array([names[code] for code in stratum[rows]], dtype=object)
    drawn = draw(
        score[rows], labels, dict(zip(names, sizes.values(), strict=True)), config.exploration.floor, random
    )
    chosen, propensity = np.zeros(n, dtype=bool), np.zeros(n)
    chosen[rows], propensity[rows] = drawn.chosen, drawn.propensity
    return Exploration(chosen, propensity, option, stratum, names, outside)


def _p_any(options: Options) -> np.ndarray:
    return 1 - np.prod(1 - np.where(options.panels[FULL], options.p, 0.0), axis=1)


def _deal(
    options: Options, free: np.ndarray, room: np.ndarray, config: PlanConfig, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Deal each free unit to a laboratory that covers enough of it, by chance in proportion to the room.

    Returns
    -------
    option, laboratory
        ndarrays of shape (n_units,), int; -1 where no laboratory with room can test the unit.
    """
    full = np.flatnonzero(options.panel == FULL)
    labs = options.laboratory[full]
    risk = np.where(options.panels[FULL], options.p + 1e-9, 0.0)
    covered = np.stack([risk @ options.accredited[lab] for lab in labs], axis=1)
    able = options.possible[:, full] & (room[labs] > 0)[None, :]
    best = np.max(np.where(able, covered, 0.0), axis=1, keepdims=True)
    able &= covered >= config.exploration.coverage * best
    weight = np.where(able, room[labs][None, :].astype(float), 0.0)
    total = np.cumsum(weight, axis=1)
    pick = random.random(len(risk))[:, None] * total[:, -1:]
    place = np.minimum((total <= pick).sum(axis=1), len(full) - 1)
    fits = free & able.any(axis=1)
    return np.where(fits, full[place], -1), np.where(fits, labs[place], -1)


def _sizes(
    options: Options,
    option: np.ndarray,
    lab: np.ndarray,
    held: np.ndarray,
    score: np.ndarray,
    reserved: np.ndarray,
    money: int,
    places: int,
) -> tuple[np.ndarray, dict[tuple[int, int], int]] | None:
    """Form strata and say how many to draw from each; None when there is not a place for each laboratory."""
    if not held.any():
        return None
    cost = np.where(held, options.cost[np.arange(len(option)), option], 0)
    for classes in _CLASSES:
        kind = _cost_class(cost, lab, held, classes)
        keys = sorted({(int(a), int(b)) for a, b in zip(lab[held], kind[held], strict=True)})
        if classes > 1 and places < _PER_STRATUM * len(keys):
            continue
        stratum = np.full(len(option), -1)
        for place, (at, which) in enumerate(keys):
            stratum[held & (lab == at) & (kind == which)] = place
        sizes = _fill(stratum, keys, cost, score, reserved, money, places)
        if sizes is not None:
            return stratum, sizes
    return None


def _cost_class(cost: np.ndarray, lab: np.ndarray, held: np.ndarray, classes: int) -> np.ndarray:
    kind = np.zeros(len(cost), dtype=np.int64)
    for at in set(lab[held].tolist()):
        rows = np.flatnonzero(held & (lab == at))
        ends = np.quantile(cost[rows], np.arange(1, classes) / classes)
        kind[rows] = np.searchsorted(np.unique(ends), cost[rows], side="left")
    return kind


def _fill(
    stratum: np.ndarray,
    keys: list[tuple[int, int]],
    cost: np.ndarray,
    score: np.ndarray,
    reserved: np.ndarray,
    money: int,
    places: int,
) -> dict[tuple[int, int], int] | None:
    """Give each stratum a place, then place after place to the one that lags its wanted share most."""
    dearest = [np.sort(cost[stratum == place])[::-1] for place in range(len(keys))]
    sizes = [1] * len(keys)
    spent = sum(int(costs[0]) for costs in dearest)
    room = reserved.copy()
    for at, _ in keys:
        room[at] -= 1
    if spent > money or len(keys) > places or room.min() < 0:
        return None
    wanted = np.array([score[stratum == place].sum() for place in range(len(keys))])
    open_strata = set(range(len(keys)))
    while open_strata and sum(sizes) < places:
        place = min(open_strata, key=lambda k: (sizes[k] / wanted[k], k))
        at, costs = keys[place][0], dearest[place]
        # Counted at the dearest goods of the stratum: whatever is drawn then costs no more.
        if sizes[place] >= len(costs) or room[at] < 1 or spent + int(costs[sizes[place]]) > money:
            open_strata.discard(place)
            continue
        spent += int(costs[sizes[place]])
        sizes[place] += 1
        room[at] -= 1
    return dict(zip(keys, sizes, strict=True))
