"""Measure the words' side of re-listing: ``python -m benchmarks.relisting.text --data DIR``.

Three questions. Are two published offers one product (F1, the publishers' own splits)? Is a listing found again after
its seller changed the title (recall at one false pair in 10,000, through the shortlist as served)? How often does an
innocent listing meet a ban (half of all real listings banned, the other half innocent)?
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.quality.resample import draw_counts, interval
from benchmarks.quality.task import existing, figure
from benchmarks.results_file import (
    RESULTS,
    SCORE_COLUMNS,
    Look,
    Results,
    Row,
    code_commit,
    data_sha256,
    log_look,
    machine,
    now,
    write_results,
    write_scores,
)
from features.encoders import load_encoder
from features.encoding import Encoder
from features.offer import OfferView, view_of_listing
from features.offer_index import OfferIndex, Query, print_of
from serving.bans.office import STARTER_MATCHER
from training.matcher import SHORTLIST, Matcher
from training.matcher_fit import PairSet, cosines, embed
from training.matcher_sets import LISTINGS, PUBLISHED, part_of, read_published, read_real, read_snapshots
from training.matcher_train import PUBLISHED_FOLDER, SNAPSHOTS, for_training, train_matcher

TASK = "matching_text"
FALSE_PAIRS = 1e-4
_FILES = (
    *(f"{PUBLISHED_FOLDER}/{name}.csv.gz" for name in PUBLISHED),
    SNAPSHOTS,
    *(f"listings/{name}" for name in LISTINGS.values()),
)

Score = Callable[[PairSet], np.ndarray]


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures and the scores behind them."""

    rows: list[Row | None]
    scores: pd.DataFrame


def best_threshold(same: np.ndarray, score: np.ndarray) -> float:
    """Return the threshold of the highest F1."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(same[order])
    f1 = 2 * hits / (np.arange(1, len(same) + 1) + same.sum())
    f1[:-1][np.diff(score[order]) == 0] = 0  # equal scores fall on one side
    return float(score[order][f1.argmax()])


def f1_draws(same: np.ndarray, said: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """F1 of each draw, shape (draws,)."""
    return 2 * (counts @ (same & said)) / np.maximum(counts @ same + counts @ said, 1)


def systems_of(ours: Matcher, starter: Matcher, encoder: Encoder, train: PairSet) -> dict[str, Score]:
    """Return what is compared on published pairs; TF-IDF is fitted on the training split's offers."""
    tfidf = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\S+")
    tfidf.fit([offer.text for offer in dict.fromkeys((*train.left, *train.right))])

    def words(pairs: PairSet) -> np.ndarray:
        left = tfidf.transform([offer.text for offer in pairs.left])
        return np.asarray(
            left.multiply(tfidf.transform([offer.text for offer in pairs.right])).sum(axis=1)
        ).ravel()

    def meaning(pairs: PairSet) -> np.ndarray:
        return cosines(pairs, embed(encoder, (*pairs.left, *pairs.right)))

    def matched(matcher: Matcher) -> Score:
        return lambda pairs: matcher.compare(
            list(zip(pairs.left, pairs.right, strict=True)), list(meaning(pairs))
        )

    return {
        "ours": matched(ours),
        "starter": matched(starter),
        "tfidf_cosine": words,
        "embedding_cosine": meaning,
    }


def measure_published(data: Path, ours: Matcher, starter: Matcher, encoder: Encoder) -> Measured:
    """F1 on the publishers' test splits, thresholds chosen on their validation splits."""
    rows: list[Row | None] = []
    frames: list[pd.DataFrame] = []
    for name in PUBLISHED:
        path = data / PUBLISHED_FOLDER / f"{name}.csv.gz"
        train, valid, test = (read_published(path, split, name) for split in ("train", "valid", "test"))
        counts = draw_counts(len(test.same))
        metric = name.replace("-", "_")
        for system, score in systems_of(ours, starter, encoder, train).items():
            threshold = best_threshold(valid.same, score(valid))
            found = score(test).astype(np.float32)
            said = found >= np.float32(threshold)
            value = f1_draws(test.same, said, np.ones((1, len(said))))[0]
            rows.append(
                figure(system, f"f1_{metric}", value, interval(f1_draws(test.same, said, counts)), len(said))
            )
            rows.append(figure(system, f"threshold_{metric}", threshold, None, len(valid.same), "score"))
            frames.append(_frame([f"{name}/{i}" for i in range(len(said))], system, metric, found))
    return Measured(rows, pd.concat(frames))


def _frame(items: Sequence[str], system: str, kind: str, scores: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"item": items, "system": system, "class": kind, "score": scores})
    return frame.loc[:, list(SCORE_COLUMNS)]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Offers with their embeddings, shape (n_offers, n_dimensions)."""

    offers: list[OfferView]
    vectors: np.ndarray

    @classmethod
    def of(cls, offers: Sequence[OfferView], encoder: Encoder) -> Shelf:
        """Encode offers."""
        return cls(list(offers), encoder.encode([offer.title for offer in offers]))


def served_scores(
    matcher: Matcher, queries: Shelf, bank: Shelf, index: OfferIndex | None = None
) -> list[dict[int, float]]:
    """P(same product) per query and shortlisted bank offer, as the service computes it; the others are taken for 0."""
    index = index or _index(bank)
    found: list[dict[int, float]] = []
    for offer, vector in zip(queries.offers, queries.vectors, strict=True):
        near = index.nearest(Query.of(offer, vector, matcher.weights), SHORTLIST)
        pairs = [(offer, bank.offers[int(one.key)]) for one in near]
        p = matcher.compare(pairs, [one.cosine for one in near])
        found.append({int(one.key): float(value) for one, value in zip(near, p, strict=True)})
    return found


def _index(bank: Shelf) -> OfferIndex:
    index = OfferIndex(bank.vectors.shape[1])
    index.add(
        [(str(i), print_of(o, v)) for i, (o, v) in enumerate(zip(bank.offers, bank.vectors, strict=True))]
    )
    return index


def measure_retitled(data: Path, matchers: Mapping[str, Matcher], encoder: Encoder) -> Measured:
    """Recall of listings by their last title, among the first titles of all, at one false pair in 10,000."""
    seen = {k: v for k, v in sorted(read_snapshots(data / SNAPSHOTS).items()) if not for_training(k)}
    keys = list(seen)
    bank = Shelf.of([seen[key][0][1] for key in keys], encoder)
    changed = [i for i, key in enumerate(keys) if len(seen[key]) > 1]
    queries = Shelf.of([seen[keys[i]][-1][1] for i in changed], encoder)
    # The shop lists some goods twice under one title: those pairs are one product, not a mistake.
    twins = [{j for j, b in enumerate(bank.offers) if b.title in (q.title, bank.offers[i].title)}
             for i, q in zip(changed, queries.offers, strict=True)]  # fmt: skip
    tfidf = TfidfVectorizer(analyzer="char", ngram_range=(2, 3), sublinear_tf=True)
    whole: Any = tfidf.fit_transform([offer.title for offer in bank.offers])
    dense = {
        "tfidf_cosine": np.asarray((tfidf.transform([o.title for o in queries.offers]) @ whole.T).todense()),
        "embedding_cosine": queries.vectors @ bank.vectors.T,
    }
    for system, matcher in matchers.items():
        scores = np.zeros((len(changed), len(keys)))
        for row, found in enumerate(served_scores(matcher, queries, bank)):
            scores[row, list(found)] = list(found.values())
        dense[system] = scores
    items = [f"retitled/{keys[i]}" for i in changed]
    rows, frames = [], []
    for system, scores in dense.items():
        own, threshold = _own_and_threshold(scores, changed, twins)
        hits = own >= threshold
        counts = draw_counts(len(hits))
        spread = interval(counts @ hits / len(hits))
        rows.append(figure(system, "retitled_recall_at_fmr_1e-4", float(hits.mean()), spread, len(hits)))
        rows.append(figure(system, "retitled_threshold", threshold, None, scores.size, "score"))
        frames.append(_frame(items, system, "retitled", own))
    for system, matcher in matchers.items():
        own, _ = _own_and_threshold(dense[system], changed, twins)
        for name in ("near", "exact"):
            hits = own >= matcher.header.points[name]
            spread = interval(draw_counts(len(hits)) @ hits / len(hits))
            rows.append(figure(system, f"retitled_recall_{name}", float(hits.mean()), spread, len(hits)))
    return Measured(rows, pd.concat(frames))


def _own_and_threshold(
    scores: np.ndarray, changed: Sequence[int], twins: Sequence[set[int]]
) -> tuple[np.ndarray, float]:
    own = np.array([scores[row, i] for row, i in enumerate(changed)])
    wrong = scores.copy()
    for row, same in enumerate(twins):
        wrong[row, [changed[row], *same]] = -1.0
    ranked = np.sort(wrong[wrong >= 0])[::-1]
    return own, float(np.nextafter(ranked[int(FALSE_PAIRS * len(ranked))], np.inf))


def read_all(data: Path, step: int = 1) -> list[tuple[str, OfferView]]:
    """Read every real listing: (id, offer), each different title once."""
    found: dict[str, tuple[str, OfferView]] = {}
    for part in (1, 3):  # parts 0 and 2 were trained on
        for key, listing in read_real(data, part):
            view = view_of_listing(listing)
            found.setdefault(view.title, (key, view))
    for key, titles in read_snapshots(data / SNAPSHOTS).items():
        if not for_training(f"tmall/{key}") and not for_training(key):
            found.setdefault(titles[-1][1].title, (f"tmall/{key}", titles[-1][1]))
    return list(found.values())[::step]


def measure_innocent(data: Path, matchers: Mapping[str, Matcher], encoder: Encoder, step: int) -> Measured:
    """Share of innocent listings that meet any of the bans: half of the real listings banned, half innocent.

    Some innocent listings truly are a banned product under other words, so these shares are upper bounds.
    """
    listings = read_all(data, step)
    banned = [one for one in listings if part_of(one[0]) == 1]
    innocent = [one for one in listings if part_of(one[0]) == 3]
    bank, queries = Shelf.of([v for _, v in banned], encoder), Shelf.of([v for _, v in innocent], encoder)
    index = _index(bank)
    rows: list[Row | None] = [figure("labels", "banned", len(banned), None, len(banned), "listings")]
    frames: list[pd.DataFrame] = []
    for system, matcher in matchers.items():
        began = time.perf_counter()
        found = served_scores(matcher, queries, bank, index)
        took = 1000 * (time.perf_counter() - began) / len(innocent)
        top = np.array([max(one.values(), default=0.0) for one in found])
        frames.append(_frame([key for key, _ in innocent], system, "innocent", top))
        for name in ("near", "exact"):
            hit = top >= matcher.header.points[name]
            spread = interval(draw_counts(len(hit)) @ hit / len(hit))
            rows.append(figure(system, f"false_query_rate_{name}", float(hit.mean()), spread, len(hit)))
            at_10k = 1 - (1 - float(hit.mean())) ** (10_000 / len(banned))
            rows.append(figure(system, f"false_query_rate_{name}_at_10000_bans", at_10k, None, len(hit)))
            rows.append(
                figure(system, f"point_{name}", matcher.header.points[name], None, len(hit), "probability")
            )
        rows.append(figure(system, "lookup_words_ms", took, None, len(innocent), "ms"))
    return Measured(rows, pd.concat(frames))


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
    help="Folder of past results. [env: LISTING_RISK_DATA]",
)
@click.option(
    "--matcher", "path", type=click.Path(path_type=Path), help="A trained matcher. [default: train one]"
)
@click.option("--every", default=1, show_default=True, help="Take every n-th real listing.")
@click.option("--note", default="", help="Why the test part is looked at, for the log.")
@click.option("--results", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
def main(data: Path, path: Path | None, every: int, note: str, folder: Path) -> None:
    """Measure the words' side of re-listing."""
    encoder = load_encoder("use")
    trained = folder / "matcher.safetensors.tmp"
    ours = (
        Matcher.load(path)
        if path
        else train_matcher(data, trained, say=lambda step: click.echo(step, err=True))
    )
    trained.unlink(missing_ok=True)
    starter = Matcher.load(STARTER_MATCHER)
    log_look(
        Look(
            TASK,
            now().isoformat(),
            code_commit(),
            ("ours", "starter", "tfidf_cosine", "embedding_cosine"),
            note,
        ),
        folder,
    )
    matchers = {"ours": ours, "starter": starter}
    parts = []
    for name, measure in (
        ("published", lambda: measure_published(data, ours, starter, encoder)),
        ("retitled", lambda: measure_retitled(data, matchers, encoder)),
        ("innocent", lambda: measure_innocent(data, matchers, encoder, every)),
    ):
        click.echo(name, err=True)
        parts.append(measure())
    results = Results(
        task=TASK,
        command="python -m benchmarks.relisting.text",
        commit=code_commit(),
        date=now(),
        machine=machine(),
        data_sha256=data_sha256(data, _FILES),
        rows=tuple(existing([row for part in parts for row in part.rows])),
    )
    write_scores(TASK, pd.concat([part.scores for part in parts], ignore_index=True), folder)
    write_results(results, folder)
    for row in results.rows:
        spread = "" if row.low is None else f"  [{row.low:.3f}, {row.high:.3f}]"
        click.echo(f"{row.system:18} {row.metric:40} {row.value:.4f}{spread}  n={row.n}")


if __name__ == "__main__":
    main()
