"""Champion and challenger on the same later results: paired figures with intervals, calibration, speed, size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from features.schema import Listing
from features.taxonomy import packaged_taxonomy
from training.bundle import Bundle
from training.config import Config
from training.dataset import load_dataset
from training.evaluate import later_than
from training.gate import LOWER_IS_BETTER, Calibration, GateError, GateEvidence, OffPolicyFigure, Paired
from training.intervals import clopper_pearson
from training.labels import LabelMatrix
from training.manifest import BundleError
from training.metrics import brier
from training.quick_figures import quick_average_precision, quick_roc_auc
from training.reading import item_as_listing
from training.scores import Scores
from training.splits import clusters

FEWEST = 5
_FIGURES = {"average_precision": quick_average_precision, "roc_auc": quick_roc_auc, "brier": brier}
_DRAWS = 300
_TIMED = 60


@dataclass(frozen=True, slots=True)
class _Part:
    """One kind of later result with what both bundles say of it."""

    name: str
    labels: LabelMatrix
    old: np.ndarray
    new: np.ndarray
    groups: np.ndarray
    slices: Mapping[str, Sequence[str]]


def collect(
    champion: Path,
    challenger: Path,
    data: Path,
    *,
    after: date | None = None,
    until: date | None = None,
    config: Config | None = None,
    off_policy: Sequence[OffPolicyFigure] = (),
    seed: int = 0,
) -> GateEvidence:
    """Measure both bundles on the results that came after both were trained.

    Parameters
    ----------
    champion, challenger
        Folders of bundles. A champion of the package's taxonomy is read with that one where the challenger has another;
        they are compared on the hazards that both know.
    data
        Folder of past results; ``config``, by default the challenger's own, says which files.
    after, until
        Days; ``after`` by default the later of the two bundles' as-of days.

    Raises
    ------
    GateError
        When the champion was trained with a taxonomy that is not at hand.
    """
    new = Bundle.load(challenger)
    old = _champion(champion, new)
    cut, caveats = _cut(old, new, after)
    config = (config or Config.model_validate(new.manifest.settings)).model_copy(update={"as_of": None})
    dataset = load_dataset(config, data, new.taxonomy)
    rng = np.random.default_rng(seed)
    parts = [
        part
        for name, labels in (("laboratory", dataset.lab), ("hazard_type", dataset.recalls))
        if (part := _part(name, labels, old, new, cut, until)) is not None
    ]
    pairs = [pair for part in parts for pair in _pairs(part, new.taxonomy.codes, rng)]
    laboratory = next((part for part in parts if part.name == "laboratory"), None)
    return GateEvidence(
        champion=old.version,
        challenger=new.version,
        after="" if cut is None else cut.isoformat(),
        until="" if until is None else until.isoformat(),
        results=sum(len(part.labels) for part in parts),
        positives=sum(int((part.labels.value * part.labels.known).sum()) for part in parts),
        pairs=tuple(pairs),
        calibration=() if laboratory is None else _calibration(laboratory, new.taxonomy.codes),
        milliseconds=_speed(old, new, parts),
        megabytes=sum(f.stat().st_size for f in challenger.iterdir() if f.is_file()) / 1e6,
        off_policy=tuple(off_policy),
        data=dict(dataset.files),
        caveats=caveats,
    )


def _cut(old: Bundle, new: Bundle, after: date | None) -> tuple[date | None, tuple[str, ...]]:
    caveats: list[str] = []
    days = [date.fromisoformat(b.manifest.as_of) for b in (old, new) if b.manifest.as_of]
    cut = after or max(days, default=None)
    shared = set(old.manifest.data.values()) & set(new.manifest.data.values())
    if new.manifest.as_of is None and after is None:
        caveats.append(
            "the challenger has no as-of day: it was trained on the results it is measured on. "
            "Train it with --as-of, or give --after"
        )
    if old.manifest.as_of is None and shared:
        caveats.append("the champion was trained on files that it is measured on here")
    if alone := [code for code in new.manifest.hazards if code not in old.manifest.hazards]:
        caveats.append(f"the champion does not know {', '.join(alone)}: nothing is compared there")
    if cut is not None and any(day > cut for day in days):
        caveats.append(f"a bundle was trained on results later than {cut}")
    return cut, tuple(caveats)


def _part(
    name: str, labels: LabelMatrix, old: Bundle, new: Bundle, cut: date | None, until: date | None
) -> _Part | None:
    later = later_than(labels, cut, until)
    if not len(later):
        return None
    listings = [item_as_listing(item) for item in later.items]
    before, now = old.score(listings), new.score(listings)
    readings, _ = new.read(listings)
    views = [reading.view.text for reading in readings]
    earlier = labels.take([i for i, day in enumerate(labels.dates) if cut and day and day <= cut])
    known = (
        {reading.view.text for reading in new.read([item_as_listing(item) for item in earlier.items])[0]}
        if len(earlier)
        else set()
    )
    return _Part(
        name,
        later,
        _in_order_of(new, old, _said(before, name)),
        _said(now, name),
        clusters(views, [item.keys for item in later.items]),
        {
            "language": now.languages,
            "group": now.groups,
            "name": ["seen in training" if view in known else "unseen" for view in views],
            "source": [item.source for item in later.items],
        },
    )


def _champion(folder: Path, new: Bundle) -> Bundle:
    """Load the champion with the challenger's taxonomy, or with the package's where it was made for that one."""
    try:
        return Bundle.load(folder, new.taxonomy, new.encoder)
    except BundleError as error:
        try:
            return Bundle.load(folder, packaged_taxonomy())
        except BundleError:
            raise GateError(
                f"The champion cannot be compared with {new.version}: {error} Or pass the gate over with a reason."
            ) from None


def _in_order_of(new: Bundle, old: Bundle, said: np.ndarray) -> np.ndarray:
    """Put the champion's columns into the challenger's order; NaN for hazards that the champion does not know."""
    place = {code: k for k, code in enumerate(old.manifest.hazards)}
    unknown = np.full(len(said), np.nan)
    return np.column_stack([said[:, place[c]] if c in place else unknown for c in new.manifest.hazards])


def _said(scores: Scores, name: str) -> np.ndarray:
    return scores.p if name == "laboratory" else scores.q


def _pairs(part: _Part, codes: Sequence[str], rng: np.random.Generator) -> list[Paired]:
    usable = [
        k
        for k in range(len(codes))
        if _positives(part, k) >= FEWEST and not np.isnan([part.old[:, k], part.new[:, k]]).any()
    ]
    everything = np.arange(len(part.labels))
    found = []
    for figure in _FIGURES:
        found.append(_pair(part, "all", "all", figure, usable, everything, rng))
        found += [_pair(part, "hazards", codes[k], figure, [k], everything, rng) for k in usable]
    for over, values in part.slices.items():
        array = np.array(values, dtype=object)
        for label in sorted({str(value) for value in values}):
            rows = np.flatnonzero(array == label)
            columns = [k for k in usable if _positives(part, k, rows) >= FEWEST]
            found.append(_pair(part, over, label or "(none)", "average_precision", columns, rows, rng))
    return [pair for pair in found if pair is not None]


def _positives(part: _Part, k: int, rows: np.ndarray | None = None) -> int:
    chosen = slice(None) if rows is None else rows
    return int((part.labels.value[chosen, k] * part.labels.known[chosen, k]).sum())


def _pair(
    part: _Part,
    over: str,
    label: str,
    figure: str,
    columns: Sequence[int],
    rows: np.ndarray,
    rng: np.random.Generator,
) -> Paired | None:
    """Compare one figure, averaged over hazards; the interval redraws whole products for both bundles alike."""
    if not columns:
        return None
    sign = -1.0 if figure in LOWER_IS_BETTER else 1.0

    def both(at: np.ndarray) -> tuple[float, float]:
        values = []
        for k in columns:
            seen = at[part.labels.known[at, k]]
            y = part.labels.value[seen, k]
            if len(seen):
                values.append(
                    (_FIGURES[figure](y, part.old[seen, k]), _FIGURES[figure](y, part.new[seen, k]))
                )
        table = np.array(values, dtype=float)
        table = table[~np.isnan(table).any(axis=1)] if len(table) else table
        return (float(table[:, 0].mean()), float(table[:, 1].mean())) if len(table) else (np.nan, np.nan)

    before, now = both(rows)
    if np.isnan(now):
        return None
    labels, inverse = np.unique(part.groups[rows], return_inverse=True)
    members = [rows[inverse == g] for g in range(len(labels))]
    gains = []
    for draw in rng.integers(0, len(members), (_DRAWS, len(members))):
        a, b = both(np.concatenate([members[g] for g in draw]))
        gains.append(sign * (b - a))
    known = np.array(gains)[~np.isnan(gains)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    positives = sum(_positives(part, k, rows) for k in columns)
    gain = sign * (now - before) + 0.0
    return Paired(
        part.name, over, label, figure, len(rows), positives, before, now, gain, float(low), float(high)
    )


def _calibration(part: _Part, codes: Sequence[str]) -> tuple[Calibration, ...]:
    found = []
    for k, code in enumerate(codes):
        rows = part.labels.known[:, k]
        n, observed = int(rows.sum()), _positives(part, k)
        expected = float(part.new[rows, k].sum())
        if n < 20 or observed < FEWEST:
            continue
        seen = clopper_pearson(observed, n)
        found.append(
            Calibration(
                code,
                expected,
                observed,
                expected / observed,
                expected / (seen.high * n),
                expected / max(seen.low * n, 1e-9),
            )
        )
    return tuple(found)


def _speed(old: Bundle, new: Bundle, parts: Sequence[_Part]) -> tuple[float, float]:
    """Time single listings, in turns, so that what else the machine does falls on both alike; milliseconds."""
    items = [item_as_listing(item) for part in parts for item in part.labels.items[:_TIMED]][:_TIMED]
    items = items or [Listing(id=str(i), title=f"wooden toy block set {i}") for i in range(20)]
    for bundle in (old, new):
        bundle.score(items[:1])
    taken: dict[int, list[float]] = {0: [], 1: []}
    for listing in items:
        for which, bundle in enumerate((old, new)):
            taken[which].append(min(_once(bundle, listing) for _ in range(3)))
    return float(np.median(taken[0]) * 1000), float(np.median(taken[1]) * 1000)


def _once(bundle: Bundle, listing: Listing) -> float:
    fresh = listing.model_copy()  # a bundle remembers the listings it has just read
    began = time.perf_counter()
    bundle.score([fresh])
    return time.perf_counter() - began
