"""From the answers of all systems to figures with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.relisting.collect import BASELINES, PLAIN, Answer
from benchmarks.relisting.edits import PAIRS, SEEN, UNSEEN
from benchmarks.relisting.photos import FOLDS, Original
from benchmarks.results_file import LABELS, OURS, Row
from features.image_match import Limits, PhotoMatcher, load_matcher
from training.image_matching import JudgedPair, fit_photo_matcher

FMR = 1e-4
FALSE_QUERIES = 5e-3
RECALL = "recall_at_fmr_1e-4"
BOTH_LIMITS = "recall_at_both_limits"
"""At the least threshold that keeps to `FMR` a pair and to `FALSE_QUERIES` of innocent queries, on all photos."""

EXACT = "exact_tier_recall"
NEGATIVES_KEPT = 3_000
STARTER = "starter"
"""Our system with the numbers that come with the package, which saw no photo."""

MATCHED = (OURS, STARTER)
SYSTEMS = (*MATCHED, *BASELINES)
_ROUNDS = 500
KINDS = ("copy", "other_product", "innocent", "innocent_unedited", "sibling")


@dataclass(frozen=True)
class Half:
    """One half's answers and what its photos are."""

    answers: Sequence[Answer]
    photos: Mapping[str, Original]

    @property
    def negative_pairs(self) -> int:
        """Pairs of an edited query and a bank photo of another product."""
        sizes: dict[str, int] = {}
        for one in self.photos.values():
            sizes[one.product] = sizes.get(one.product, 0) + 1
        total = len(self.photos)
        return sum(total - sizes[self.photos[a.photo].product] for a in self.answers if a.edit != PLAIN)

    def same(self, a: str, b: str) -> bool:
        """Say whether two photos show one product."""
        return self.photos[a].product == self.photos[b].product


def halves(photos: Sequence[Original], answers: Sequence[Sequence[Answer]]) -> list[Half]:
    """Put answers and photos of each half together."""
    return [
        Half(answers[fold], {one.name: one for one in photos if one.fold == fold}) for fold in range(FOLDS)
    ]


def fit(parts: Sequence[Half], note: str) -> PhotoMatcher:
    """Fit the matcher on the seen edits of some photos, as `training.image_matching` does for anyone."""
    seen = [Half([one for one in part.answers if one.edit in SEEN], part.photos) for part in parts]
    pairs = [
        JudgedPair(evidence, key == answer.photo, f"{answer.photo}|{answer.edit}")
        for part in seen
        for answer in part.answers
        for key, evidence in answer.pairs
        if key == answer.photo or not part.same(key, answer.photo)
    ]
    return fit_photo_matcher(
        pairs,
        n_negative_pairs=sum(part.negative_pairs for part in seen),
        n_innocent_queries=sum(len(part.answers) for part in seen),
        limits=Limits(),
        fitted_on=note,
    )


def scores(half: Half, matcher: PhotoMatcher) -> pd.DataFrame:
    """Every score that a figure is made of.

    Returns
    -------
    DataFrame
        Columns system, kind, photo, edit, other, score. ``copy``: a query with its original. ``other_product``: a
        query with a photo of another product (the highest of each system). ``innocent``: the best match of a query
        while its own product is not banned. ``sibling``: the best match with another photo of the same product.
    """
    rows: list[tuple[str, str, str, str, str, float]] = []
    starter = load_matcher()
    for answer in half.answers:
        rows += _ours(half, OURS, matcher, answer)
        rows += _ours(half, STARTER, starter, answer)
        rows += _theirs(half, answer)
    frame = pd.DataFrame(rows, columns=["system", "kind", "photo", "edit", "other", "score"])
    wrong = frame[frame["kind"] == "other_product"]
    top = wrong.sort_values("score", ascending=False, kind="stable").groupby("system", sort=False)
    return pd.concat([frame[frame["kind"] != "other_product"], top.head(NEGATIVES_KEPT)], ignore_index=True)


def _ours(
    half: Half, system: str, matcher: PhotoMatcher, answer: Answer
) -> Iterable[tuple[str, str, str, str, str, float]]:
    found = {key: matcher.probability(evidence) for key, evidence in answer.pairs}
    if answer.edit != PLAIN:
        yield system, "copy", answer.photo, answer.edit, answer.photo, found.get(answer.photo, 0.0)
        for key, p in found.items():
            if not half.same(key, answer.photo):
                yield system, "other_product", answer.photo, answer.edit, key, p
    elif answer.siblings["phash"] is not None:
        siblings = [p for key, p in found.items() if half.same(key, answer.photo) and key != answer.photo]
        yield system, "sibling", answer.photo, answer.edit, "", max(siblings, default=0.0)
    if answer.innocent is not None:
        kind = "innocent_unedited" if answer.edit == PLAIN else "innocent"
        best = max((matcher.probability(evidence) for _, evidence in answer.innocent), default=0.0)
        yield system, kind, answer.photo, answer.edit, "", best


def _theirs(half: Half, answer: Answer) -> Iterable[tuple[str, str, str, str, str, float]]:
    for system in BASELINES:
        best = answer.others[system][0][1]
        sibling = answer.siblings[system]
        if answer.edit != PLAIN:
            yield system, "copy", answer.photo, answer.edit, answer.photo, answer.own[system]
            for key, value in answer.others[system]:
                yield system, "other_product", answer.photo, answer.edit, key, value
        elif sibling is not None:
            yield system, "sibling", answer.photo, answer.edit, "", sibling
        if answer.innocent is not None:
            kind = "innocent_unedited" if answer.edit == PLAIN else "innocent"
            yield system, kind, answer.photo, answer.edit, "", best


def threshold_at(frame: pd.DataFrame, system: str, pairs: int) -> float:
    """Least score that at most one in ten thousand pairs of different products exceeds."""
    wrong = frame[(frame["system"] == system) & (frame["kind"] == "other_product")]["score"].to_numpy()
    ordered = np.sort(wrong)[::-1]
    place = int(FMR * pairs)
    return float(ordered[place]) if place < len(ordered) else float(ordered[-1]) if len(ordered) else 0.0


@dataclass(frozen=True)
class Judged:
    """One half's scores and the thresholds they are held against.

    Attributes
    ----------
    frame
        As `scores` gives it.
    pairs
        Pairs of different products.
    fitted
        Per system, the threshold found on the other half.
    here
        Per system, the threshold at which this half itself has the false-match rate.
    exact
        Per system of ours, its operating point, found on the other half or, for the starter, on drawn pictures.
    """

    frame: pd.DataFrame
    pairs: int
    fitted: dict[str, float]
    here: dict[str, float]
    exact: dict[str, float]


def figures(judged: Sequence[Judged], seed: int = 0) -> list[Row]:
    """All rows of the results file."""
    rows: list[Row] = []
    pairs = sum(one.pairs for one in judged)
    for system in SYSTEMS:
        both = pd.concat([_against(one, system) for one in judged], ignore_index=True)
        both["hit_both"] = both["score"] > _limit(both, pairs)
        copies = both[both["kind"] == "copy"]
        rows.append(_row(system, RECALL, copies, "hit", seed))
        rows.append(_row(system, BOTH_LIMITS, copies, "hit_both", seed))
        rows.append(_row(system, "recall_at_fitted_threshold", copies, "hit_fitted", seed))
        wrong = both[(both["kind"] == "other_product")]
        rows.append(
            Row(system=system, metric="fmr", value=float(wrong["hit"].sum() / pairs), n=pairs, unit="share")
        )
        fitted = float(wrong["hit_fitted"].sum() / pairs)
        rows.append(Row(system=system, metric="fmr_at_fitted_threshold", value=fitted, n=pairs, unit="share"))
        for name, part in _parts(copies):
            rows.append(_row(system, f"{RECALL}/{name}", part, "hit", seed))
            rows.append(_row(system, f"{BOTH_LIMITS}/{name}", part, "hit_both", seed))
            if system in MATCHED:
                rows.append(_row(system, f"{EXACT}/{name}", part, "hit_exact", seed))
        for kind, metric in (
            ("innocent", "false_query_rate"),
            ("innocent_unedited", "false_query_rate_unedited"),
            ("sibling", "other_photo_recall"),
        ):
            part = both[both["kind"] == kind]
            if len(part):
                rows.append(_row(system, metric, part, "hit", seed))
        if system in MATCHED:
            rows += _operating(system, both, pairs, seed)
    return rows


def _operating(system: str, both: pd.DataFrame, pairs: int, seed: int) -> list[Row]:
    """What the policy feels: the exact tier as fitted."""
    copies, wrong = both[both["kind"] == "copy"], both[both["kind"] == "other_product"]
    rows = [_row(system, EXACT, copies, "hit_exact", seed)]
    rate = float(wrong["hit_exact"].sum() / pairs)
    rows.append(Row(system=system, metric="exact_tier_fmr", value=rate, n=pairs, unit="share"))
    for kind in ("innocent", "innocent_unedited"):
        part = both[both["kind"] == kind]
        metric = f"exact_tier_false_query_rate{'' if kind == 'innocent' else '_unedited'}"
        rows.append(_row(system, metric, part, "hit_exact", seed))
    bank = pairs / max(1, len(copies))
    rows.append(
        Row(system=system, metric="bank_photos_a_query_met", value=bank, n=len(copies), unit="photos")
    )
    low, high = _poisson(int(wrong["hit_exact"].sum()))
    grown = [1 - (1 - min(1.0, count / pairs)) ** 10_000 for count in (rate * pairs, low, high)]
    rows.append(
        Row(
            system=system,
            metric="exact_tier_false_query_rate_10000_bans",
            value=grown[0],
            low=grown[1],
            high=grown[2],
            n=pairs,
            unit="extrapolated",
        )
    )
    return rows


def _limit(both: pd.DataFrame, pairs: int) -> float:
    """Least score at which pairs and innocent queries keep to both limits."""
    wrong = np.sort(both[both["kind"] == "other_product"]["score"].to_numpy())[::-1]
    innocent = np.sort(both[both["kind"] == "innocent"]["score"].to_numpy())[::-1]
    places = ((wrong, int(FMR * pairs)), (innocent, int(FALSE_QUERIES * len(innocent))))
    return max((float(ordered[place]) for ordered, place in places if place < len(ordered)), default=0.0)


def _poisson(count: int) -> tuple[float, float]:
    """95 % interval of a count (exact; Garwood, 1936), as if false matches came one by one."""
    from scipy.stats import chi2

    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2


def _against(one: Judged, system: str) -> pd.DataFrame:
    """Scores of one system with what they come to at each threshold."""
    frame = one.frame[one.frame["system"] == system].copy()
    # The stricter of both: a threshold from elsewhere that happens to be lax here would not be at this rate.
    frame["hit"] = frame["score"] > max(one.fitted[system], one.here[system])
    frame["hit_fitted"] = frame["score"] > one.fitted[system]
    frame["hit_exact"] = frame["score"] >= one.exact.get(system, np.inf)
    return frame


def _parts(copies: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    pairs = {f"{a}+{b}" for a, b in PAIRS}
    for name, chosen in (("seen", set(SEEN)), ("unseen", set(UNSEEN)), ("pairs", pairs)):
        yield f"all_{name}", copies[copies["edit"].isin(chosen)]
    for name in (*SEEN, *UNSEEN, *sorted(pairs)):
        part = copies[copies["edit"] == name]
        if len(part):
            yield name, part


def _row(system: str, metric: str, frame: pd.DataFrame, column: str, seed: int) -> Row:
    """Share with an interval over photos: a photo's edits stand and fall together."""
    by_photo = frame.groupby("photo", sort=True)[column].agg(["sum", "count"]).to_numpy(float)
    value = float(by_photo[:, 0].sum() / max(1.0, by_photo[:, 1].sum()))
    low, high = _interval(by_photo, np.random.default_rng(seed))
    return Row(
        system=system,
        metric=metric,
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=int(by_photo[:, 1].sum()),
        unit="share",
    )


def _interval(by_photo: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % by drawing photos anew; where all or none hit, by the rule of three over photos."""
    n = len(by_photo)
    if not n:
        return 0.0, 1.0
    total = by_photo.sum(0)
    if total[0] in (0, total[1]):
        edge = 1 - 0.05 ** (1 / n)
        return (0.0, edge) if total[0] == 0 else (1 - edge, 1.0)
    drawn = by_photo[rng.integers(n, size=(_ROUNDS, n))].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


def judge(both: Sequence[Half], matchers: Sequence[PhotoMatcher]) -> list[Judged]:
    """Score each half by the matcher and the thresholds of the other."""
    frames = [scores(half, matchers[1 - fold]) for fold, half in enumerate(both)]
    found: list[Judged] = []
    for fold, half in enumerate(both):
        other = both[1 - fold]
        # Thresholds are found where the matcher was fitted: the other half, seen edits only.
        base = scores(Half([a for a in other.answers if a.edit in SEEN], other.photos), matchers[1 - fold])
        n = Half([a for a in other.answers if a.edit in SEEN], other.photos).negative_pairs
        fitted = {system: threshold_at(base, system, n) for system in SYSTEMS}
        here = {system: threshold_at(frames[fold], system, half.negative_pairs) for system in SYSTEMS}
        exact = {OURS: matchers[1 - fold].exact, STARTER: load_matcher().exact}
        found.append(Judged(frames[fold], half.negative_pairs, fitted, here, exact))
    return found


def stored(judged: Sequence[Judged]) -> pd.DataFrame:
    """Scores in the form of all tasks: the item is the query and what it was held against."""
    frames = []
    for fold, one in enumerate(judged):
        frame = one.frame
        item = f"{fold}|" + frame["kind"] + "|" + frame["photo"] + "|" + frame["other"]
        columns = {"item": item, "system": frame["system"], "class": frame["edit"], "score": frame["score"]}
        frames.append(pd.DataFrame(columns))
        said = [(f"{fold}|fitted||", system, "", value) for system, value in one.fitted.items()]
        said += [(f"{fold}|here||", system, "", value) for system, value in one.here.items()]
        said += [(f"{fold}|exact||", system, "", value) for system, value in one.exact.items()]
        said.append((f"{fold}|pairs||", LABELS, "", one.pairs))
        frames.append(pd.DataFrame(said, columns=["item", "system", "class", "score"]))
    return pd.concat(frames, ignore_index=True)


def judged_of(frame: pd.DataFrame) -> list[Judged]:
    """Read back what `stored` gave; figures are made of this, so that anyone can make them again."""
    frame = frame.assign(score=frame["score"].astype(np.float32))
    parts = frame["item"].str.split("|", n=3, expand=True)
    frame = frame.assign(fold=parts[0], kind=parts[1], photo=parts[2], other=parts[3])
    found: list[Judged] = []
    for _, one in frame.groupby("fold", sort=True):
        said = {kind: dict(zip(part["system"], part["score"], strict=True)) for kind, part in one.groupby("kind")
                if kind in ("fitted", "here", "exact", "pairs")}  # fmt: skip
        scored = one[one["kind"].isin(KINDS)].rename(columns={"class": "edit"})
        pairs = int(said["pairs"][LABELS])
        found.append(Judged(scored, pairs, said["fitted"], said["here"], said["exact"]))
    return found
