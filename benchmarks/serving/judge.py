"""How well ours and the peer sort, on the public task of hazard types: the speed of a worse model would be no gain."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.quality.hazard_type import CLASSES, CUT, FILE, HERE, our_classes, outcomes, read_recalls
from benchmarks.quality.resample import average_precision_draws, draw_counts, interval
from benchmarks.quality.task import existing, figure
from benchmarks.results_file import OURS, Row
from benchmarks.serving.listings import write_lines
from benchmarks.serving.systems import HERE as BESIDE
from benchmarks.serving.systems import PEER
from training.metrics import average_precision

__all__ = ["FILE", "judge"]


def judge(python: Path, data: Path, folder: Path) -> list[Row]:
    """Train both on the same recalls and return the mean average precision over classes on later ones."""
    train, test = read_recalls(data)
    names = tuple(CLASSES)
    parts = {}
    for name, recalls in (("train", train), ("test", test)):
        examples = [{"product": one.name, "hazards": [names[k] for k in one.classes]} for one in recalls]
        parts[name] = write_lines(folder / f"judge_{name}.jsonl", examples)
    output = folder / "judged.jsonl"
    command = [
        str(python),
        str(BESIDE / "peer.py"),
        "judge",
        str(parts["train"]),
        str(parts["test"]),
        str(output),
    ]
    subprocess.run(command, check=True, capture_output=True)
    peer = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    scores = {
        OURS: our_classes(HERE / "hazard_type.yaml", data, CUT, test),
        PEER: np.array([[one[name] for name in names] for one in peer]),
    }
    truth, counts = outcomes(test), draw_counts(len(test))
    rows: list[Row | None] = []
    for system, S in scores.items():
        columns = list(zip(truth.T, S.T, strict=True))
        value = np.nanmean([average_precision(y, s) for y, s in columns])
        draws = np.nanmean(np.array([average_precision_draws(y, s, counts) for y, s in columns]), axis=0)
        rows.append(figure(system, "macro_ap", float(value), interval(draws), len(test)))
    return existing(rows)
