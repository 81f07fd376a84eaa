"""Label noise: results that contradict each other, their own values, or what everything else says.

The last is confident learning (Northcutt, Jiang and Chuang 2021, J. Artif. Intell. Res. 70, 1373-1411) by the library
cleanlab, on probabilities from folds that share no product.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from features.taxonomy import Taxonomy
from training.findings import CheckData, Finding
from training.labels import LabelMatrix
from training.splits import clusters, group_folds

_FEWEST = 30
_SURE = 0.75
_SHARE = 0.015
_SEPARABLE = 0.88


def contradictions(data: CheckData, taxonomy: Taxonomy) -> list[Finding]:
    """Find one sample, or one listing title tested several times, that both failed and passed for one hazard."""
    seen: dict[tuple[str, int], set[float]] = defaultdict(set)
    of: dict[tuple[str, int], str] = {}
    for i, item in enumerate(data.lab.items):
        sample = next((key for key in item.keys if key.startswith("sample:")), "")
        if not sample:
            continue
        for k in np.flatnonzero(data.lab.known[i]):
            place = (f"{sample}\0{item.name}", int(k))
            seen[place].add(float(data.lab.value[i, k]))
            of[place] = item.id
    bad = [place for place, values in seen.items() if len(values) > 1]
    if not bad:
        return []
    grave = len(bad) > 0.02 * len(seen) and len(bad) >= 3
    return [
        Finding(
            "noise.contradiction",
            "look" if grave else "note",
            f"{len(bad)} of {len(seen)} samples both failed and passed for the same hazard "
            f"({', '.join(sorted({taxonomy.codes[k] for _, k in bad}))}).",
            "Parts of one product may differ, and a repeated test replaces an earlier one: keep the one that counts.",
            len(bad),
            len(seen),
            tuple(of[place] for place in bad[:5]),
        )
    ]


def verdict_against_value(data: CheckData) -> list[Finding]:
    """Find verdicts that the measured value denies by the configured cut: a pass above it, a fail far below it."""
    judged, above, below = 0, [], []
    for result in data.raw_results:
        cut = data.cuts.get(result.hazard)
        if cut is None or result.failed is None or result.value is None or result.comparator != "=":
            continue
        if result.unit.lower() not in {
            cut.unit.lower(),
            *({"ppm", "mg/kg"} if cut.unit.lower() in {"ppm", "mg/kg"} else ()),
        }:
            continue
        judged += 1
        if not result.failed and result.value >= cut.value:
            above.append(result.native_id)
        elif result.failed and result.value < cut.value:
            below.append(result.native_id)
    bad = [*above, *below]
    if not bad:
        return []
    return [
        Finding(
            "noise.verdict",
            "look" if len(bad) > 0.02 * judged and len(bad) >= 3 else "note",
            f"{len(bad)} of {judged} verdicts disagree with the measured value and the cut: {len(above)} passed above "
            f"it, {len(below)} failed below it.",
            "Other goods may have other limits: set the cut to the limit that holds, or correct the verdict.",
            len(bad),
            judged,
            tuple(bad[:5]),
        )
    ]


def doubtful_labels(data: CheckData, taxonomy: Taxonomy, n_folds: int) -> list[Finding]:
    """Find labels that products like them deny on both sides, where names tell failed from passed well.

    Goods of one name may truly differ; so this speaks only where held-out scores separate failed from passed (AUC of
    0.88) and where failed goods look passed AND passed goods look failed.
    """
    findings: list[Finding] = []
    for k, code in enumerate(taxonomy.codes):
        rows = np.flatnonzero(data.lab.known[:, k]) if len(data.lab) else np.zeros(0, int)
        y = data.lab.value[rows, k].astype(int) if len(rows) else np.zeros(0, int)
        if min(int(y.sum()), int((1 - y).sum())) < _FEWEST:
            continue
        labels = data.lab.take(rows)
        texts = [data.lab_readings[int(i)].lab_text for i in rows]
        finding = _doubt(code, labels, texts, y, n_folds)
        findings += [finding] if finding else []
    return findings


def _doubt(code: str, labels: LabelMatrix, texts: list[str], y: np.ndarray, n_folds: int) -> Finding | None:
    from cleanlab.filter import find_label_issues
    from sklearn.metrics import roc_auc_score

    p = _held_out(labels, texts, y, n_folds)
    if roc_auc_score(y, p) < _SEPARABLE:
        return None
    both = np.column_stack([1 - p, p])
    ranked = find_label_issues(
        y, both, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    sure = [int(i) for i in ranked if both[i, y[i]] < 1 - _SURE]
    as_failed = sum(int(y[i] == 1) for i in sure)
    as_passed = len(sure) - as_failed
    if (
        as_failed < _SHARE * int(y.sum())
        or as_passed < _SHARE * int((1 - y).sum())
        or min(as_failed, as_passed) < 2
    ):
        return None
    return Finding(
        "noise.doubtful",
        "look",
        f"{code}: {len(sure)} of {len(y)} labels are denied by products like them ({as_failed} failed that look "
        f"passed, {as_passed} passed that look failed).",
        "Have the results that are named looked up; mixed-up sample numbers look like this.",
        len(sure),
        len(y),
        tuple(labels.items[i].id for i in sure[:10]),
    )


def _held_out(labels: LabelMatrix, texts: list[str], y: np.ndarray, n_folds: int) -> np.ndarray:
    """Return P(failed) of each row from a plain model that saw no row of its product; shape (n,)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    X = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True).fit_transform(
        texts
    )
    samples = [[key for key in item.keys if key.startswith("sample:")] for item in labels.items]
    groups = clusters(texts, samples)
    if len(np.unique(groups)) < 2 * n_folds:
        groups = np.arange(len(texts))
    p = np.full(len(texts), float(y.mean()))
    for fold in group_folds(groups, n_folds, np.random.default_rng(0)):
        train = np.setdiff1d(np.arange(len(texts)), fold)
        if 0 < y[train].sum() < len(train) and len(fold):
            model = LogisticRegression(C=5.0, max_iter=500).fit(X[train], y[train])
            p[fold] = model.predict_proba(X[fold])[:, 1]
    return p
