"""How many goods of a product group fail: rounds of inspections, each predicted from the other rounds alone.

A row is a group's description with how many goods were tested and how many failed. Systems read the description and
nothing else: neither agency nor date, platform nor size. They answer with a beta-binomial, given as alpha and beta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import betaln, gammaln
from scipy.stats import betabinom

from benchmarks.quality.baselines import embed, keyword_counts, lexicon
from benchmarks.quality.resample import draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from features.groups import of_inspection
from features.taxonomy import load_taxonomy
from training.config import load_config
from training.rates import GroupCount, fit_concentration, group_rates
from training.records import InspectionRound
from training.round_effects import RoundCount, fit_round_effect, predict_round
from training.sources.inspections import InspectionRounds

FILE = "kr-inspections/inspection_rounds.csv"
HERE = Path(__file__).parent
LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Group:
    """A leaf row: one group of one round."""

    id: str
    round: str
    name: str
    code: str
    tested: int
    failed: int


@cache
def read_groups(data: Path) -> tuple[Group, ...]:
    """Read the rows that do not overlap and whose group the taxonomy knows."""
    records = [r for r in InspectionRounds().read(data / FILE) if isinstance(r, InspectionRound) and r.leaf]
    groups = []
    for r in records:
        name = r.group_name.removesuffix("#rest")
        code = of_inspection(name, r.group_name_ko)
        if code in load_taxonomy().groups:
            text = f"{name} {r.group_name_ko}".strip()
            groups.append(Group(r.native_id, r.native_id.split("#")[0], text, code, r.n_tested, r.n_failed))
    return tuple(groups)


def labels(data: Path) -> Labels:
    """Read the labels: tested and failed, where other tasks have 0 or 1; the classes name what a system answers."""
    groups = read_groups(data)
    Y = np.array([(g.tested, g.failed) for g in groups], dtype=np.float64)
    return Labels(tuple(g.id for g in groups), ("alpha", "beta"), Y, {})


Answer = Callable[[Sequence[Group], Sequence[Group]], np.ndarray]


def _left_out(answer: Answer) -> Callable[[Path], np.ndarray]:
    """Let a system answer for each round from the rows of all others; shape (n, 2)."""

    def system(data: Path) -> np.ndarray:
        groups = read_groups(data)
        found = np.zeros((len(groups), 2))
        for name in dict.fromkeys(group.round for group in groups):
            at = [i for i, group in enumerate(groups) if group.round == name]
            others = [group for group in groups if group.round != name]
            found[at] = answer(others, [groups[i] for i in at])
        return found

    return system


def _counts(groups: Sequence[Group]) -> list[GroupCount]:
    return [GroupCount(group.code, group.tested, group.failed) for group in groups]


def _pooled(groups: Sequence[Group]) -> float:
    return sum(g.failed for g in groups) / sum(g.tested for g in groups)


def _around(means: np.ndarray, concentration: float) -> np.ndarray:
    return np.column_stack([means * concentration, (1 - means) * concentration])


def _spread(groups: Sequence[Group], means: np.ndarray) -> float:
    """Return the concentration that makes the rows most likely around their own means."""
    grid = np.exp(np.linspace(np.log(0.5), np.log(500), 60))
    n, k = (np.array([getattr(g, name) for g in groups], dtype=float) for name in ("tested", "failed"))
    gains = [
        np.sum(betaln(k + s * means, n - k + s * (1 - means)) - betaln(s * means, s * (1 - means)))
        for s in grid
    ]
    return float(grid[int(np.argmax(gains))])


def _global_mean(others: Sequence[Group], held: Sequence[Group]) -> np.ndarray:
    mean = _pooled(others)
    return _around(np.full(len(held), mean), fit_concentration(_counts(others), mean))


def _binomial(others: Sequence[Group], held: Sequence[Group]) -> np.ndarray:
    """The pooled rate as if all goods were alike: what ignoring the rounds' spread costs."""
    return _around(np.full(len(held), _pooled(others)), 1e5)


def _keywords(others: Sequence[Group], held: Sequence[Group]) -> np.ndarray:
    """Groups that a person would call risky or harmless, each at the rate of its like in the other rounds."""
    words = lexicon(HERE / "inspection_lexicon.yaml")

    def side(groups: Sequence[Group]) -> np.ndarray:
        counts = keyword_counts([g.name for g in groups], ("risky", "harmless"), words)
        return np.sign(counts[:, 0] - counts[:, 1])

    mean, of = _pooled(others), side(others)
    rates = {}
    for kind in (-1.0, 0.0, 1.0):
        alike = [g for g, s in zip(others, of, strict=True) if s == kind]
        n, k = sum(g.tested for g in alike), sum(g.failed for g in alike)
        rates[kind] = (k + 30 * mean) / (n + 30)
    means = np.array([rates[s] for s in side(held)])
    return _around(means, _spread(others, np.array([rates[s] for s in of])))


def _use_knn(others: Sequence[Group], held: Sequence[Group], width: float = 0.2) -> np.ndarray:
    """Rates of the groups whose description is near, in one multilingual space, drawn toward the pooled rate."""
    left, right = embed([g.name for g in others]), embed([g.name for g in held])
    n, k = (np.array([getattr(g, name) for g in others], dtype=float) for name in ("tested", "failed"))
    # A round of 400 is not 40 rounds of 10: a row counts for 20 goods at most.
    k, n = k * np.minimum(1, 20 / n), np.minimum(n, 20)
    mean = _pooled(others)

    def near(vectors: np.ndarray, own: bool) -> np.ndarray:
        weight = np.exp((vectors @ left.T - 1) / width)
        if own:
            np.fill_diagonal(weight, 0.0)
        return (weight @ k + 5 * mean * weight.max()) / (weight @ n + 5 * weight.max())

    return _around(near(right, own=False), _spread(others, near(left, own=True)))


def _ours(others: Sequence[Group], held: Sequence[Group]) -> np.ndarray:
    """The rates that a bundle would hold, with the spread of a new round around them."""
    groups = load_taxonomy().groups
    root = load_config(HERE / "hazard_type.yaml").root_rate
    parents: dict[str, str | None] = {code: group.parent for code, group in groups.items()} | {"": None}
    stated = {code: g.failure_rate for code, g in groups.items() if g.failure_rate is not None}

    def means(learned: Sequence[Group], asked: Sequence[Group]) -> np.ndarray:
        rates = group_rates(_counts(learned), parents, root_rate=root, stated=stated)
        return np.array([rates[group.code].rate for group in asked])

    # Spread and round effect are read off rounds predicted from the others, as the held-out round will be.
    rows = []
    for name in dict.fromkeys(group.round for group in others):
        inside = [group for group in others if group.round == name]
        apart = means([group for group in others if group.round != name], inside)
        rows += [RoundCount(name, float(m), g.tested, g.failed) for m, g in zip(apart, inside, strict=True)]
    effect = fit_round_effect(rows)
    return np.array([predict_round(effect, float(mean)) for mean in means(others, held)])


def log_scores(Y: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Return the log probability of each row's fails under its beta-binomial, in nats; shape (n,)."""
    n, k, a, b = Y[:, 0], Y[:, 1], S[:, 0], S[:, 1]
    chosen = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen + betaln(k + a, n - k + b) - betaln(a, b)


def covered(Y: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Return whether the fails lie inside the central interval of each beta-binomial, shape (n,), float64."""
    n, k, a, b = Y[:, 0], Y[:, 1], S[:, 0], S[:, 1]
    low, high = betabinom.ppf((1 - LEVEL) / 2, n, a, b), betabinom.ppf((1 + LEVEL) / 2, n, a, b)
    return ((low <= k) & (k <= high)).astype(np.float64)


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return mean log score, coverage of the 90 % interval, error of the rate, and our paired gain in log score."""
    n = len(truth.items)
    counts = draw_counts(n)
    rate = truth.Y[:, 1] / truth.Y[:, 0]
    rows: list[Row | None] = []
    found = {system: log_scores(truth.Y, S) for system, S in scores.items()}
    for system, S in scores.items():
        inside, error = covered(truth.Y, S), np.abs(S[:, 0] / S.sum(axis=1) - rate)
        for metric, values, unit in (
            ("log_score", found[system], "nats"), ("coverage", inside, "share"), ("rate_error", error, "share"),
        ):  # fmt: skip
            rows.append(figure(system, metric, float(values.mean()), interval(counts @ values / n), n, unit))
    for system, values in found.items():
        if system != OURS and OURS in found:
            gain = found[OURS] - values
            spread = interval(counts @ gain / n)
            rows.append(figure(OURS, f"log_score_over_{system}", float(gain.mean()), spread, n, "difference"))
    rows.append(figure(LABELS, "goods_tested", float(truth.Y[:, 0].sum()), None, n, "goods"))
    return existing(rows)


TASK = Task(
    name="inspection_groups",
    files=(FILE,),
    labels=labels,
    systems={
        "global_mean": _left_out(_global_mean),
        "pooled_binomial": _left_out(_binomial),
        "keyword_lexicon": _left_out(_keywords),
        "use_knn": _left_out(_use_knn),
        OURS: _left_out(_ours),
    },
    measure=measure,
    note="inspection rounds, each left out in turn",
)
