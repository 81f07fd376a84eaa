"""Does a model see who wrote a text, not what it is about? A source probe, and recall names dressed as titles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from benchmarks.quality import hazard_type
from benchmarks.quality.baselines import embed, keyword_counts, lexicon, logistic, tfidf
from benchmarks.quality.ours import train_and_batch
from benchmarks.quality.resample import Interval, average_precision_draws, draw_counts, interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, Row
from benchmarks.robustness.items import FILES, as_listing, order_of, real_listings
from benchmarks.robustness.items import Row as Item
from features.schema import parse_listing
from features.scripts import language
from features.taxonomy import load_taxonomy
from training.metrics import average_precision, roc_auc
from training.reading import Reader

SOURCE = "source"
CLASSES = (SOURCE, *hazard_type.CLASSES)
DRESSES = ("clean", "dressed", "dressed_hard")
_ENGLISH = ("amazon_in", "amazon_us_toys", "shein", "resale", "lazada")
_WORD = re.compile(r"\S+")
_MOST_WORDS, _LEAST_WORDS = 14, 4
FOLDS = 5


@cache
def english_listings(data: Path) -> tuple[Item, ...]:
    """Return real listings whose titles are English."""
    rows = [as_listing(row) for row in real_listings(data) if row["id"].split("/")[0] in _ENGLISH]
    return tuple(row for row in rows if language(row["title"]) == "en")


def _names(data: Path) -> list[Item]:
    return [
        {"id": recall.number, "title": recall.name[:1000]} for recall in hazard_type.read_recalls(data)[1]
    ]


@cache
def matched(data: Path) -> tuple[tuple[str, str, bool, str], ...]:
    """Return as many recall names as listings of each product group: (title, group, is a recall, name-only view)."""
    reader = Reader(load_taxonomy())
    found: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
    for recall, rows in ((True, _names(data)), (False, english_listings(data))):
        for row in sorted(rows, key=lambda row: order_of(row["title"])):
            # The title alone, as a recall has it: a category path would tell the source.
            reading = reader.read(parse_listing({"id": "x", "title": row["title"]}))
            if reading.group:
                found.setdefault(reading.group, ([], []))[not recall].append(
                    (row["title"], reading.view.text)
                )
    pairs: list[tuple[str, str, bool, str]] = []
    for group, (recalls, listings) in sorted(found.items()):
        n = min(len(recalls), len(listings))
        pairs += [(title, group, True, view) for title, view in recalls[:n]]
        pairs += [(title, group, False, view) for title, view in listings[:n]]
    return tuple(pairs)


def _stem(word: str) -> str:
    return re.sub(r"(?:e?s|ing)$", "", re.sub(r"[^a-z]", "", word.lower()))


def _remaining(title: str, left_out: Callable[[str], bool]) -> list[str]:
    return [word for word in title.split() if not left_out(_stem(word))][:_MOST_WORDS]


@cache
def wraps(data: Path) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Return what is left of real titles: without words of recall names, and without words of their own category."""
    names = [recall.name for recall in hazard_type.read_recalls(data)[0]]
    common = Counter(stem for name in names for stem in {_stem(word) for word in name.split()})
    known = {stem for stem, count in common.items() if count >= 2} - {""}
    soft, hard = [], []
    for row in english_listings(data):
        own = {_stem(word) for part in row.get("category", ()) for word in part.split()}
        if len(words := _remaining(row["title"], known.__contains__)) >= _LEAST_WORDS:
            soft.append(tuple(words))
        if own and len(words := _remaining(row["title"], own.__contains__)) >= _LEAST_WORDS:
            hard.append(tuple(words))
    return tuple(soft), tuple(hard)


def dressed(data: Path) -> dict[str, list[str]]:
    """Return the recall names as they are and wrapped in the two kinds of remaining words."""
    names = [row["title"] for row in _names(data)]
    soft, hard = wraps(data)
    return {
        "clean": names,
        "dressed": [_wrap(name, soft[at % len(soft)]) for at, name in enumerate(names)],
        "dressed_hard": [_wrap(name, hard[at % len(hard)]) for at, name in enumerate(names)],
    }


def _wrap(name: str, words: Sequence[str]) -> str:
    half = len(words) // 2
    return " ".join([*words[:half], name, *words[half:]])[:1000]


def labels(data: Path) -> Labels:
    """Return the source of probed rows, the hazards of the others; parts by product group and by dress."""
    recalls = hazard_type.read_recalls(data)[1]
    ids = [
        f"probe/{'recall' if is_recall else 'listing'}/{at}/{group}"
        for at, (_, group, is_recall, _) in enumerate(matched(data))
    ]
    ids += [f"{dress}/{at}/{recall.number}" for dress in DRESSES for at, recall in enumerate(recalls)]
    return labels_of(tuple(ids), data)


def labels_of(ids: tuple[str, ...], data: Path) -> Labels:
    """Return labels and parts from ids: which listings are matched depends on the reader of product groups."""
    recalls = hazard_type.read_recalls(data)[1]
    kind = np.array([one.split("/")[0] for one in ids])
    probed = kind == "probe"
    Y = np.zeros((len(ids), len(CLASSES)))
    Y[probed, 0] = [one.startswith("probe/recall/") for one in np.array(ids)[probed]]
    Y[~probed, 1:] = np.tile(hazard_type.outcomes(recalls), (len(DRESSES), 1))
    groups = np.array([one.split("/", 3)[3] if one.startswith("probe/") else "" for one in ids])
    parts = {name: kind == name for name in ("probe", *DRESSES)}
    parts |= {f"group_{name}": groups == name for name in sorted(set(groups.tolist()) - {""})}
    return Labels(ids, CLASSES, Y, parts)


def probe(X: csr_matrix | np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return out-of-fold log-odds that a row is a recall's, shape (n,)."""
    S = np.zeros(len(y))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y):
        model = LogisticRegression(C=10.0, max_iter=500, solver="liblinear", random_state=0)
        S[test] = model.fit(X[train], y[train]).decision_function(X[test])
    return S


def _assembled(probed: np.ndarray, hazards: np.ndarray) -> np.ndarray:
    n = len(probed)
    S = np.zeros((n + len(hazards), len(CLASSES)))
    S[:n, 0], S[n:, 1:] = probed, hazards
    return S


def _source(data: Path) -> np.ndarray:
    return np.array([float(pair[2]) for pair in matched(data)])


def _texts(data: Path) -> list[str]:
    return [text for texts in dressed(data).values() for text in texts]


def _ours(data: Path) -> np.ndarray:
    views = [pair[3] for pair in matched(data)]
    probed = probe(tfidf(views, views)[0], _source(data))
    listings = [{"id": str(at), "title": text} for at, text in enumerate(_texts(data))]
    scores = train_and_batch(hazard_type.HERE / "hazard_type.yaml", data, hazard_type.CUT, listings)
    none = [
        np.prod([1 - np.asarray(scores[f"q_{code}"]) for code in codes], axis=0)
        for codes in hazard_type.OURS_OF.values()
    ]
    return _assembled(probed, 1 - np.stack(none, axis=1))


def _tfidf(data: Path) -> np.ndarray:
    titles = [pair[0] for pair in matched(data)]
    train = hazard_type.read_recalls(data)[0]
    left, right = tfidf([recall.name for recall in train], _texts(data))
    return _assembled(
        probe(tfidf(titles, titles)[0], _source(data)),
        logistic(left, hazard_type.outcomes(train), right, 10.0),
    )


def _use(data: Path) -> np.ndarray:
    train = hazard_type.read_recalls(data)[0]
    hazards = logistic(
        embed([recall.name for recall in train]), hazard_type.outcomes(train), embed(_texts(data)), 10.0
    )
    return _assembled(probe(embed([pair[0] for pair in matched(data)]), _source(data)), hazards)


def _keywords(data: Path) -> np.ndarray:
    words = lexicon(hazard_type.HERE / "lexicon.yaml")
    names = tuple(hazard_type.CLASSES)
    titles = [pair[0] for pair in matched(data)]
    return _assembled(
        probe(keyword_counts(titles, names, words), _source(data)), keyword_counts(_texts(data), names, words)
    )


def measure(truth: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return the probe's AUC within product groups, macro AP by dress, and the ratio of dressed to clean."""
    groups = [part for name, part in truth.parts.items() if name.startswith("group_")]
    rows: list[Row | None] = []
    n = int(truth.parts["clean"].sum())
    counts = draw_counts(n)
    for system, S in scores.items():
        value, spread = _within(truth.Y[:, 0], S[:, 0], groups)
        rows.append(figure(system, "auc", value, spread, int(truth.parts["probe"].sum())))
        draws: dict[str, np.ndarray] = {}
        values: dict[str, float] = {}
        for dress in DRESSES:
            part = truth.parts[dress]
            pairs = list(zip(truth.Y[part, 1:].T, S[part, 1:].T, strict=True))
            values[dress] = float(np.mean([average_precision(y, s) for y, s in pairs]))
            draws[dress] = np.nanmean([average_precision_draws(y, s, counts) for y, s in pairs], axis=0)
            rows.append(figure(system, f"macro_ap_{dress}", values[dress], interval(draws[dress]), n))
        for dress in DRESSES[1:]:
            spread = interval(draws[dress] / draws["clean"])
            rows.append(figure(system, f"{dress}_ratio", values[dress] / values["clean"], spread, n, "ratio"))
    rows.append(figure(LABELS, "product_groups", float(len(groups)), None, len(groups), "groups"))
    return existing(rows)


def _within(y: np.ndarray, s: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[float, Interval]:
    """Return the AUC among rows of the same product group, weighted by rows; groups are redrawn."""
    values = np.array([roc_auc(y[part], s[part]) for part in groups])
    sizes = np.array([float(part.sum()) for part in groups])
    counts = draw_counts(len(groups))
    return float(values @ sizes / sizes.sum()), interval(counts @ (values * sizes) / (counts @ sizes))


TASK = Task(
    name="style_probe",
    files=FILES,
    labels=labels,
    systems={"keyword_lexicon": _keywords, "tfidf_lr": _tfidf, "use_lr": _use, OURS: _ours},
    measure=measure,
    note="US recall names 2010-2013 against English listings of the same product groups, and dressed as titles",
)
