"""Fits the two factors on prepared labels, each calibrated on folds that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.expectations import Expectations, expected_words
from features.taxonomy import Taxonomy
from features.text import NgramVocabulary
from training.calibration import fit_platt
from training.config import Config
from training.dataset import decimal_years
from training.heads import HazardTypeHeads, TextHeads, sigmoid
from training.labels import LabelMatrix
from training.model import (
    HeadSettings,
    TypeData,
    calibrate_hazard_type,
    design_matrix,
    fit_binary_heads,
    fit_hazard_type,
)
from training.prepare import Prepared, kinds_of
from training.splits import group_folds
from training.untaught import untaught_type_heads
from training.weights import LabHeads

_LEAST_OF_A_RUNG = 10
"""Results on either side of a value of the ladder, below which it teaches nothing."""


def fit_type_model(
    recalls: Prepared, taxonomy: Taxonomy, config: Config
) -> tuple[HazardTypeHeads, np.ndarray, tuple[str, ...]]:
    """Fit and calibrate the second factor; also its held-out probabilities and the kinds of product."""
    n_hazards = len(taxonomy.codes)
    if len(recalls.labels) < 2 * config.folds:
        heads = untaught_type_heads(n_hazards, recalls.embeddings.shape[1])
        return heads, np.full((len(recalls.labels), n_hazards), np.nan), ()
    settings = HeadSettings(**config.heads.model_dump())
    kinds, names = kinds_of(recalls.labels)
    data = TypeData(
        [reading.type_text for reading in recalls.readings],
        recalls.embeddings,
        recalls.labels.value,
        recalls.labels.known,
        kinds,
        decimal_years(recalls.labels),
    )
    expectations = Expectations(expected_words(), tuple(taxonomy.codes))
    heads = fit_hazard_type(data, len(names), settings, expectations)
    folds = group_folds(recalls.groups, config.folds, np.random.default_rng(config.seed))
    calibrated, held_out = calibrate_hazard_type(heads, data, folds, len(names), settings)
    return calibrated, held_out, names


def fit_lab_model(
    lab: Prepared, taxonomy: Taxonomy, config: Config
) -> tuple[LabHeads | None, dict[str, dict[str, float]]]:
    """Fit direct models for hazards with enough failed and passed results, with held-out figures of each."""
    failed = (lab.labels.value * lab.labels.known).sum(axis=0)
    passed = lab.labels.known.sum(axis=0) - failed
    hazards = np.flatnonzero((failed >= config.lab.min_failed) & (passed >= config.lab.min_failed))
    if not len(hazards):
        return None, {}
    texts = [reading.lab_text for reading in lab.readings]
    rng = np.random.default_rng(config.seed)
    folds = group_folds(lab.groups, config.folds, rng)
    heads, held_out = _lab_heads(
        lab, texts, hazards, folds, config, rungs(lab.labels, hazards, taxonomy, config)
    )
    slope, offset, figures = [], [], {}
    for j, k in enumerate(hazards):
        rows = np.flatnonzero(lab.labels.known[:, k] & ~np.isnan(held_out[:, j]))
        y = lab.labels.value[rows, k]
        a, b = fit_platt(held_out[rows, j], y)
        slope.append(a)
        offset.append(b)
        figures[taxonomy.codes[k]] = held_out_figures(y, sigmoid(a * held_out[rows, j] + b))
    codes = tuple(taxonomy.groups)
    support = np.zeros((len(codes) + 1, len(hazards)), dtype=np.float32)
    for reading, known in zip(lab.readings, lab.labels.known[:, hazards], strict=True):
        for row in _line(taxonomy, codes, reading.group):
            support[row] += known
    return LabHeads(heads, hazards.astype(np.int64), np.array(slope), np.array(offset), support), figures


def _line(taxonomy: Taxonomy, codes: tuple[str, ...], group: str) -> list[int]:
    """Return the row of a group. Results without a group vouch for no listing: it may be anything."""
    return [codes.index(group)] if group in taxonomy.groups else []


Rung = tuple[np.ndarray, np.ndarray]


def rungs(labels: LabelMatrix, hazards: np.ndarray, taxonomy: Taxonomy, config: Config) -> list[Rung]:
    """Return what the direct models learn: labels by the cut itself, then by each value of ``config.lab.ladder``.

    Where a hazard has no cut, or too few results on either side of a value, the labels by the cut stand in.

    Returns
    -------
    list of (value, known)
        ndarrays of shape (n, n_lab_hazards).
    """
    Y, known = labels.value[:, hazards], labels.known[:, hazards]
    cuts = [config.cuts.get(taxonomy.codes[k]) for k in hazards]
    measured = np.isfinite(labels.measured)
    found = [(Y, known)]
    for factor in config.lab.ladder:
        value, told = Y.copy(), known.copy()
        for j, cut in enumerate(cuts):
            rows = known[:, j] & measured
            reached = labels.measured >= (np.inf if cut is None else factor * cut.value)
            if min((rows & reached).sum(), (rows & ~reached).sum()) >= _LEAST_OF_A_RUNG:
                value[:, j], told[:, j] = reached, rows
        found.append((value, told))
    return found


def _lab_heads(
    lab: Prepared,
    texts: list[str],
    hazards: np.ndarray,
    folds: Sequence[np.ndarray],
    config: Config,
    ladder: Sequence[Rung],
) -> tuple[TextHeads, np.ndarray]:
    weight = np.array([item.weight for item in lab.labels.items])

    def fit(rows: np.ndarray) -> TextHeads:
        part = [texts[i] for i in rows]
        vocabulary = NgramVocabulary.fit(part, min_documents=config.lab.min_documents)
        X = design_matrix(vocabulary, part, lab.embeddings[rows])
        fitted = [
            fit_binary_heads(X, Y[rows], known[rows], weight[rows], config.lab.strength)
            for Y, known in ladder
        ]
        # A mean of linear models is a linear model: serving pays nothing for the ladder.
        weights = np.stack([one[0] for one in fitted]).mean(axis=0)
        intercept = np.stack([one[1] for one in fitted]).mean(axis=0)
        cut = len(vocabulary)
        return TextHeads(vocabulary, weights[:cut], weights[cut:], intercept)

    everything = np.arange(len(texts))
    held_out = np.full((len(texts), len(hazards)), np.nan)
    for fold in folds:
        heads = fit(np.setdiff1d(everything, fold))
        for i in fold:
            held_out[i] = heads.logits(texts[i], lab.embeddings[i])
    return fit(everything), held_out


def held_out_figures(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return average precision, Brier score and counts of held-out probabilities."""
    from sklearn.metrics import average_precision_score

    figures = {"positives": float(y.sum()), "n": float(len(y)), "brier": float(np.mean((p - y) ** 2))}
    if 0 < y.sum() < len(y):
        figures["average_precision"] = float(average_precision_score(y, p))
    return figures
