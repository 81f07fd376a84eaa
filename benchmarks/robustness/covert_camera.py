"""Cameras made to pass for something else: found in any of three languages, ordinary cameras left alone.

Half of the invented positives name neither spying nor hiding. False alarms are counted on every real listing
and, apart, on those that look like cameras.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.quality.resample import Interval
from benchmarks.quality.task import Labels, Task, existing, figure
from benchmarks.results_file import LABELS, OURS, ROOT, Row
from benchmarks.robustness import plain
from benchmarks.robustness.items import FILES, SECOND, as_listing, covert_titles, real_listings, sample, truth
from benchmarks.robustness.items import Row as Item
from benchmarks.robustness.ours import batch

LANGUAGES = ("en", "ko", "zh")
# Camera words in the title, chosen by hand without looking at what any detector does with them.
_CAMERA_LIKE = re.compile(
    r"camera|(?<![a-z])cam(?![a-z])|webcam|camcorder|cctv|dvr|dash ?cam|카메라|캠코더|웹캠|홈캠|블랙박스"
    r"|摄像|相机|记录仪|监控|cámara|camara|kamera",
    re.IGNORECASE,
)
MANIFEST = ROOT / "serving" / "starter" / "manifest.json"


@cache
def review_point() -> float:
    """Return the probability from which a person looks, as the starter bundle names it."""
    return json.loads(MANIFEST.read_text(encoding="utf-8"))["operating_points"]["review"]["covert_camera"]


def camera_like(row: Item) -> bool:
    """Whether a listing's title speaks of a camera."""
    return _CAMERA_LIKE.search(row["title"]) is not None


def tested(data: Path, half: str = "test") -> list[Item]:
    """Return invented titles, the sample's half and real listings, each with ``label``, ``language`` and ``kind``."""
    facts = truth()
    found = list(covert_titles(half)) + (list(covert_titles(SECOND)) if half == "test" else [])
    for row in sample("test" if half == "test" else "dev"):
        fact = facts[row["id"]]
        covert = "covert_camera" in fact["hazards"]
        kind = ("named" if fact["names_itself"] else "unnamed") if covert else "sample"
        label = "covert" if covert else "ordinary"
        found.append({**row, "label": label, "kind": kind, "language": fact["language"]})
    if half == "test":
        found += [{**row, "label": "real", "kind": "", "language": ""} for row in real_listings(data)]
    return found


def labels(data: Path, half: str = "test") -> Labels:
    """Return 1 for covert cameras; parts by language, by where a row comes from and by what it looks like."""
    rows = tested(data, half)
    known = np.array([row["label"] for row in rows])
    kinds = np.array([row["kind"] for row in rows])
    invented = np.array([str(row["id"]).startswith("covert/") for row in rows])
    language = np.array([row["language"] for row in rows])
    real = known == "real"
    new = {row["id"] for row in covert_titles(SECOND)}
    second = np.array([row["id"] in new for row in rows])
    parts = {
        "invented": invented,
        "second": second,
        "sample": ~invented & ~real,
        "real": real,
        "cameras": real & np.array([camera_like(row) for row in rows]),
        "ordinary": known == "ordinary",
        "named": kinds == "named",
        "unnamed": kinds == "unnamed",
        **{code: language == code for code in LANGUAGES},
    }
    return Labels(tuple(row["id"] for row in rows), ("",), (known == "covert").astype(float)[:, None], parts)


def _ours(data: Path, half: str = "test") -> np.ndarray:
    scores = batch([as_listing(row) for row in tested(data, half)])
    return scores["p_covert_camera"].to_numpy(np.float64)[:, None]


def _keywords(data: Path) -> np.ndarray:
    return plain.keyword_scores(tested(data), covert=True)[:, None]


def _tfidf(data: Path) -> np.ndarray:
    # As a probability, so that half and more counts as found.
    return 1 / (1 + np.exp(-plain.covert_flagger(data).scores(tested(data))))[:, None]


def found(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what each system flags, shape (n,): ours from the review point, words from one, TF-IDF from 0.5."""
    points = {OURS: review_point(), "keyword_lexicon": 1.0, "tfidf_lr": 0.5}
    # The scores are stored in single precision.
    return {name: (S[:, 0] >= np.float32(points[name])).astype(float) for name, S in scores.items()}


def measure(truth_: Labels, scores: Mapping[str, np.ndarray]) -> list[Row]:
    """Return recall and false-alarm rates: overall, by language, by whether the goods name themselves."""
    everything, parts = truth_.Y[:, 0] == 1, truth_.parts
    # The figures that count are of the half that was locked last; the first one is shown beside it.
    renewed = bool(parts["second"].any())
    positive = everything & parts["second"] if renewed else everything
    first = everything & ~parts["second"] if renewed else np.zeros_like(everything)
    lookalikes = parts["ordinary"] & (parts["second"] if renewed else parts["invented"])
    groups: dict[str, np.ndarray] = {
        "recall": positive,
        "recall_first_half": first,
        "recall_first_half_unnamed": first & parts["unnamed"],
        "recall_named": positive & parts["named"],
        "recall_unnamed": positive & parts["unnamed"],
        "recall_invented": positive & parts["invented"],
        "recall_sample": everything & parts["sample"],
        **{f"recall_{code}": positive & parts[code] for code in LANGUAGES},
        **{f"recall_unnamed_{code}": positive & parts["unnamed"] & parts[code] for code in LANGUAGES},
        "false_alarm_rate": parts["real"],
        "false_alarm_rate_cameras": parts["cameras"],
        "false_alarm_rate_lookalikes": lookalikes,
        "false_alarm_rate_sample": parts["ordinary"] & parts["sample"],
        **{f"false_alarm_rate_lookalikes_{code}": lookalikes & parts[code] for code in LANGUAGES},
    }
    rows: list[Row | None] = []
    for system, flagged in found(scores).items():
        for metric, part in groups.items():
            if part.any():
                rows.append(_share(system, metric, flagged[part]))
    for metric, part in groups.items():
        if part.any():
            rows.append(figure(LABELS, f"n_{metric}", float(part.sum()), None, int(part.sum()), "rows"))
    return existing(rows)


def _share(system: str, metric: str, flagged: np.ndarray) -> Row | None:
    """Return a share with the 95 % interval of Wilson, which also speaks where every or no item was flagged."""
    n, p, z = len(flagged), float(flagged.mean()), 1.959964
    middle, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)
    return figure(system, metric, p, Interval(max(low, 0.0), min(high, 1.0)), n)


TASK = Task(
    name="covert_camera",
    files=FILES,
    labels=labels,
    systems={"keyword_lexicon": _keywords, "tfidf_lr": _tfidf, OURS: _ours},
    measure=measure,
    note="invented titles and sample catalogue (locked halves), all real listings",
)
