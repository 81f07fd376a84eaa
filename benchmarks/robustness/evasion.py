"""Does a flagged listing stay flagged when its seller disguises it, and do honest listings stay as they were?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.resample import Interval, draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from benchmarks.robustness import plain
from benchmarks.robustness.attacks import ATTACKS, HARMLESS_PHRASES, Attack, attacked, phrase
from benchmarks.robustness.attacks_late import LATE_ATTACKS
from benchmarks.robustness.attacks_second import SECOND_ATTACKS
from benchmarks.robustness.covert_camera import review_point
from benchmarks.robustness.items import (
    FILES,
    as_listing,
    covert_titles,
    harmless_titles,
    real_listings,
    recall_names,
    sample,
    thinned,
    truth,
)
from benchmarks.robustness.items import Row as Item
from benchmarks.robustness.ours import FLAGGED_FROM, actions, batch

CLEAN = "clean"
SOURCES = ("sample", "covert", "cpsc")
REAL_COUNT, ATTACKS_EACH = 5_000, 4
LONGEST = 1_000


def attacks() -> dict[str, Attack]:
    """Return all attacks, those known while the normaliser was worked on first."""
    return {**ATTACKS, **SECOND_ATTACKS, **LATE_ATTACKS}


def late(names: Iterable[str]) -> frozenset[str]:
    """Return the attacks that were written after the normaliser was frozen, told by their names."""
    return frozenset(name for name in names if name.startswith("late_"))


def hazardous(data: Path, half: str = "test") -> list[Item]:
    """Return goods that should be flagged; id ``<source>/...``."""
    facts = truth()
    found: list[Item] = []
    for row in sample("test" if half == "test" else "dev"):
        hazards = facts[row["id"]]["hazards"]
        if hazards:
            found.append({**row, "id": f"{'covert' if 'covert_camera' in hazards else 'sample'}/{row['id']}"})
    found += [as_listing(row) for row in covert_titles(half) if row["label"] == "covert"]
    return found + (recall_names(data) if half == "test" else [])


def _clipped(row: Item) -> Item:
    return {**row, "title": row["title"][:LONGEST].strip() or "?"}


def _of_hazardous(data: Path, half: str) -> Iterator[Item]:
    for row in thinned(hazardous(data, half), data):
        yield {**row, "id": f"{CLEAN}/{row['id']}"}
        for name in attacks():
            if changed := attacked(name, row, attacks()):
                yield changed
        for name in HARMLESS_PHRASES if row["id"].startswith("sample/") else ():
            yield {**phrase(name, row), "id": f"phrase_{name}/{row['id']}"}
    facts = truth()
    for row in sample("test" if half == "test" else "dev"):
        if not facts[row["id"]]["hazards"]:
            yield {**row, "id": f"{CLEAN}/harmless/{row['id']}"}
    for row in harmless_titles(half):
        name, item = row["id"].split("/")
        yield {**row, "id": f"phrase_{name}/covert/{item}"}


def _of_real(data: Path, count: int) -> Iterator[Item]:
    names = list(attacks())
    for at, row in enumerate(thinned(real_listings(data, 0, count), data)):
        row = {**row, "id": f"real/{row['id']}"}
        yield {**row, "id": f"{CLEAN}/{row['id']}"}
        for turn in range(ATTACKS_EACH):
            name = names[(at + turn * (len(names) // ATTACKS_EACH)) % len(names)]
            if changed := attacked(name, row, attacks()):
                yield changed


@cache
def tested(data: Path, half: str = "test") -> tuple[Item, ...]:
    """Return every row that is scored, clean ones and disguised ones; id ``<attack>/<source>/...``."""
    real = _of_real(data, REAL_COUNT) if half == "test" else _of_real(data, REAL_COUNT // 5)
    return tuple(map(_clipped, [*_of_hazardous(data, half), *real]))


def labels(data: Path, half: str = "test") -> Labels:
    """Return 1 for goods that should be flagged; one part an attack and a source."""
    ids = tuple(row["id"] for row in tested(data, half))
    return labels_of(ids)


def labels_of(ids: tuple[str, ...]) -> Labels:
    """Return labels and parts from ids alone."""
    manner = np.array([one.split("/")[0] for one in ids])
    source = np.array([one.split("/")[1] for one in ids])
    parts = {f"manner_{name}": manner == name for name in dict.fromkeys(manner.tolist())}
    parts |= {f"source_{name}": source == name for name in (*SOURCES, "real", "harmless")}
    return Labels(ids, ("",), np.isin(source, SOURCES).astype(float)[:, None], parts)


def ours(data: Path, half: str = "test") -> np.ndarray:
    """Return the strictness of the action; for covert cameras, their probability, scaled to the same threshold.

    A covert clock that is sent to a laboratory as a clock was not found.
    """
    rows = tested(data, half)
    scores = batch(rows)
    covert = np.array([row["id"].split("/")[1] == "covert" for row in rows])
    camera = scores["p_covert_camera"].to_numpy(np.float64) / review_point() * FLAGGED_FROM
    return np.where(covert, camera, actions(scores))[:, None]


def _keywords(data: Path) -> np.ndarray:
    return plain.keyword_scores(tested(data))[:, None]


def _tfidf(data: Path) -> np.ndarray:
    return plain.goods_flagger(data).scores(tested(data))[:, None]


def thresholds(truth_: Labels, scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return from which score each system flags: the others flag as many clean real listings as ours, or fewer."""
    clean = truth_.parts[f"manner_{CLEAN}"] & truth_.parts["source_real"]
    share = float((scores[OURS][clean, 0] >= FLAGGED_FROM).mean()) if OURS in scores else 0.1
    found = {}
    for name, S in scores.items():
        values = np.unique(S[clean, 0])
        shares = [(S[clean, 0] >= value).mean() for value in values]
        fitting = [float(v) for v, s in zip(values, shares, strict=True) if s <= share]
        found[name] = FLAGGED_FROM if name == OURS else min(fitting, default=float(values[-1]))
    return found


class Pairs:
    """Each disguised row beside its clean one, by position."""

    def __init__(self, items: tuple[str, ...]) -> None:
        place = {item: at for at, item in enumerate(items)}
        self.manner = np.array([item.split("/", 1)[0] for item in items])
        self.source = np.array([item.split("/")[1] for item in items])
        clean = (f"{CLEAN}/{item.split('/', 1)[1]}" for item in items)
        # A title that was written as harmless has no other form; it stands for itself.
        self.clean = np.array([place.get(name, at) for at, name in enumerate(clean)])

    def rows(self, manners: frozenset[str], sources: tuple[str, ...]) -> np.ndarray:
        """Return the positions of disguised rows."""
        return np.flatnonzero(np.isin(self.manner, list(manners)) & np.isin(self.source, sources))


def kept(flagged: np.ndarray, clean: np.ndarray, rows: np.ndarray) -> tuple[float, Interval, int]:
    """Return the share of rows flagged clean that are flagged disguised; goods are redrawn with all disguises."""
    rows = rows[flagged[clean[rows]]]
    if not len(rows):
        return float("nan"), Interval(float("nan"), float("nan")), 0
    owner = np.unique(clean[rows], return_inverse=True)[1]
    hits = np.bincount(owner, flagged[rows])
    sizes = np.bincount(owner)
    counts = draw_counts(len(sizes))
    return float(hits.sum() / sizes.sum()), interval(counts @ hits / (counts @ sizes)), len(rows)


def added(flagged: np.ndarray, clean: np.ndarray, rows: np.ndarray) -> tuple[float, Interval, int]:
    """Return by what share the alarms on real listings rise: alarms disguised over alarms clean, less one."""
    if not len(rows) or not flagged[clean[rows]].any():
        return float("nan"), Interval(float("nan"), float("nan")), 0
    owner = np.unique(clean[rows], return_inverse=True)[1]
    after, before = np.bincount(owner, flagged[rows]), np.bincount(owner, flagged[clean[rows]])
    counts = draw_counts(len(after))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = counts @ after / (counts @ before) - 1
    return float(after.sum() / before.sum() - 1), interval(drawn[np.isfinite(drawn)]), len(rows)


def measure(truth_: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return recall kept and alarms added, overall, by attack, by source, for late attacks, and harmless phrases."""
    pairs = Pairs(truth_.items)
    present = [name.removeprefix("manner_") for name in truth_.parts if name.startswith("manner_")]
    disguises = frozenset(name for name in present if name != CLEAN and not name.startswith("phrase_"))
    rows: list[Row | None] = []
    points = thresholds(truth_, scores)
    for system, point in sorted(points.items(), key=lambda pair: pair[0] != OURS):
        flagged = scores[system][:, 0] >= np.float32(point) - 1e-6
        rows += _of_system(system, flagged, pairs, disguises)
        rows += _gone(system, flagged, pairs, [name for name in present if name.startswith("phrase_")])
        clean = truth_.parts[f"manner_{CLEAN}"]
        for source in (*SOURCES, "real", "harmless"):
            part = clean & truth_.parts[f"source_{source}"]
            if part.any():
                value = float(flagged[part].mean())
                rows.append(figure(system, f"flagged_clean_{source}", value, None, int(part.sum())))
    rows += _disguised(pairs, disguises)
    rows.append(figure(LABELS, "attacks", float(len(disguises)), None, len(disguises), "attacks"))
    after = len(late(disguises))
    rows.append(figure(LABELS, "attacks_after_freeze", float(after), None, after, "attacks"))
    return existing(rows)


def _groups(disguises: frozenset[str]) -> dict[str, frozenset[str]]:
    groups = {"late": late(disguises), "known": disguises - late(disguises)}
    return groups | {name: frozenset({name}) for name in sorted(disguises)}


def _disguised(pairs: Pairs, disguises: frozenset[str]) -> list[Row | None]:
    """Return how many hazardous goods each manner changes."""
    sizes = {name: len(pairs.rows(manners, SOURCES)) for name, manners in _groups(disguises).items()}
    sizes |= {f"of_{source}": len(pairs.rows(disguises, (source,))) for source in SOURCES}
    return [figure(LABELS, f"disguised_{name}", float(n), None, n, "rows") for name, n in sizes.items()]


def _gone(system: str, flagged: np.ndarray, pairs: Pairs, phrases: list[str]) -> list[Row | None]:
    """Return how often a phrase that makes something else of the goods clears them: goods, and words of cameras."""
    rows: list[Row | None] = []
    for name in phrases:
        metric = f"flag_gone_{name.removeprefix('phrase_')}"
        value, spread, n = kept(flagged, pairs.clean, pairs.rows(frozenset({name}), ("sample",)))
        rows.append(
            figure(system, f"{metric}_goods", 1 - value, Interval(1 - spread.high, 1 - spread.low), n)
        )
        written = pairs.rows(frozenset({name}), ("covert",))
        if len(written):
            gone = 1.0 - flagged[written]
            drawn = draw_counts(len(gone)) @ gone / len(gone)
            rows.append(figure(system, f"{metric}_cameras", float(gone.mean()), interval(drawn), len(gone)))
    return rows


def _of_system(system: str, flagged: np.ndarray, pairs: Pairs, disguises: frozenset[str]) -> list[Row | None]:
    groups = {"": disguises} | {f"_{name}": manners for name, manners in _groups(disguises).items()}
    rows: list[Row | None] = []
    for suffix, manners in groups.items():
        value, spread, n = kept(flagged, pairs.clean, pairs.rows(manners, SOURCES))
        rows.append(figure(system, f"recall_kept{suffix}", value, spread, n))
        value, spread, n = added(flagged, pairs.clean, pairs.rows(manners, ("real",)))
        rows.append(figure(system, f"false_alarms_added{suffix}", value, spread, n, "difference"))
    for source in SOURCES:
        value, spread, n = kept(flagged, pairs.clean, pairs.rows(disguises, (source,)))
        rows.append(figure(system, f"recall_kept_of_{source}", value, spread, n))
    return rows


TASK = Task(
    name="evasion",
    files=FILES,
    labels=labels,
    systems={"keyword_lexicon": _keywords, "tfidf_lr": _tfidf, OURS: ours},
    measure=measure,
    note="locked sample, covert titles, US recall names 2010-2013, 5,000 real listings",
)
