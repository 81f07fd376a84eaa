"""Choose the weight of the critical model on the training year: ``python -m benchmarks.tuning.customs``.

Learns on January to September 2020 and judges on October to December; the test file is never opened. Writes
``benchmarks/results/tuning_customs.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from benchmarks.quality.customs import TRAIN, native_boosted, our_parts, published, read_part
from benchmarks.results_file import RESULTS, code_commit, now
from training.metrics import at_budget

SPLIT = "2020-10-01"
WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)


def figures(fraud: np.ndarray, critical: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return what the task counts."""
    return {
        "p_at_5": round(at_budget(fraud, score, 0.05)[0], 4),
        "p_at_10": round(at_budget(fraud, score, 0.10)[0], 4),
        "critical_recall_at_5": round(at_budget(critical, score, 0.05)[1], 4),
    }


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
def main(data: Path) -> None:
    """Judge every weight and write what came out."""
    year = read_part(data, TRAIN)
    before, after = np.flatnonzero(year.days < SPLIT), np.flatnonzero(year.days >= SPLIT)
    train, valid = year.take(before), year.take(after)
    ours = our_parts(train, valid)
    plain = tuple(
        native_boosted(published(train), y, published(valid)) for y in (train.fraud, train.critical)
    )
    report = {
        "command": "python -m benchmarks.tuning.customs",
        "commit": code_commit(),
        "date": now().isoformat(),
        "learned_from": f"{len(before):,} declarations before {SPLIT}; judged on {len(after):,} of them after",
        "critical_rows": int(valid.critical.sum()),
        "rows": [
            {"system": name, "weight": w, **figures(valid.fraud, valid.critical, parts[0] + w * parts[1])}
            for name, parts in (("ours", ours), ("native", plain))
            for w in WEIGHTS
        ],
    }
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (RESULTS / "tuning_customs.json").write_text(text + "\n", encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
