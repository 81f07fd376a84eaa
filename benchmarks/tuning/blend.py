"""Choose how a bundle blends prior, recalls and laboratory results: ``python -m benchmarks.tuning.blend``.

Bundles are trained on earlier years of the two training parts and judged on later years of them; test years are never
read. Writes ``benchmarks/results/tuning_blend.json``. The constants are those of `training.bundle`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click
import numpy as np

import training.bundle
from benchmarks.quality import hazard_type, lab_lead
from benchmarks.quality.baselines import logistic, tfidf
from benchmarks.quality.task import squeezed
from benchmarks.results_file import RESULTS, code_commit, now
from benchmarks.tuning.hazard_type import YEARS, macro_ap
from features.schema import parse_listing
from training.bundle import Bundle
from training.config import load_config
from training.heads import sigmoid
from training.metrics import average_precision, brier_skill, calibration_error
from training.pipeline import train

LAB_YEARS = ((2014, 2016), (2016, 2018))
TYPE_BLENDS: tuple[Mapping[str, float], ...] = (
    {},
    {"PRIOR_STRENGTH": 5.0},
    {"PRIOR_STRENGTH": 30.0},
    {"HEARD_FROM": 1.0},
    {"HEARD_FROM": 15.0},
)
LAB_BLENDS: tuple[Mapping[str, float], ...] = tuple(
    {"LAB_STRENGTH": x} for x in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
)


@contextmanager
def constants(values: Mapping[str, float]) -> Iterator[None]:
    """Change constants of `training.bundle` for a while."""
    before = {name: getattr(training.bundle, name) for name in values}
    try:
        for name, value in values.items():
            setattr(training.bundle, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(training.bundle, name, value)


def trained(config: Path, data: Path, last: int, folder: Path) -> Path:
    """Train on what was known at the end of a year."""
    train(load_config(config).model_copy(update={"as_of": date(last, 12, 31)}), data, folder)
    return folder


def judge_type(data: Path, last: int, end: int, bundle: Path) -> dict[str, float]:
    """Return macro AP on the recalls of later training years, one figure a blend."""
    known, _ = hazard_type.read_recalls(data)
    later = [recall for recall in known if last < recall.day.year <= end]
    listings = [parse_listing({"id": recall.number, "title": recall.name[:1000]}) for recall in later]
    Y = hazard_type.outcomes(later)
    figures = {}
    for blend in TYPE_BLENDS:
        with constants(blend):
            loaded = Bundle.load(bundle)
            q = loaded.score(listings).q
        parts = [[loaded.taxonomy.index(code) for code in codes] for codes in hazard_type.OURS_OF.values()]
        S = np.stack([1 - np.prod(1 - q[:, columns], axis=1) for columns in parts], axis=1)
        figures[json.dumps(dict(blend))] = round(macro_ap(Y, S), 4)
    return figures


def lab_figures(y: np.ndarray, p: np.ndarray, new: np.ndarray) -> dict[str, float]:
    """Return average precision over all rows and new names, Brier skill and calibration error."""
    figures = {
        "ap_all": average_precision(y, p),
        "ap_unseen_names": average_precision(y[new], p[new]),
        "brier_skill": brier_skill(y, p),
        "ece": calibration_error(y, p),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def judge_lab(data: Path, last: int, end: int, bundle: Path) -> dict[str, dict[str, float]]:
    """Return figures on laboratory results of later training years, one set a blend, and those of TF-IDF."""
    known, _ = lab_lead.read_samples(data)
    before = [sample for sample in known if sample.day.year <= last]
    later = [sample for sample in known if last < sample.day.year <= end]
    seen = set(squeezed([sample.name for sample in before]))
    new = np.array([name not in seen for name in squeezed([sample.name for sample in later])])
    y = lab_lead.outcomes(later)[:, 0]
    left, right = tfidf([lab_lead.tokens(s) for s in before], [lab_lead.tokens(s) for s in later])
    p = sigmoid(logistic(left, lab_lead.outcomes(before), right, 10.0))[:, 0]
    figures = {"tfidf_lr": lab_figures(y, p, new)}
    listings = [parse_listing(lab_lead.listing_of(sample)) for sample in later]
    for blend in LAB_BLENDS:
        with constants(blend):
            loaded = Bundle.load(bundle)
            p = loaded.score(listings).p[:, loaded.taxonomy.index("lead")]
        figures[json.dumps(dict(blend))] = lab_figures(y, p, new)
    return figures


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LISTING_RISK_DATA",
    required=True,
)
def main(data: Path) -> None:
    """Judge every blend and write what came out."""
    report: dict[str, object] = {
        "command": "python -m benchmarks.tuning.blend",
        "commit": code_commit(),
        "date": now().isoformat(),
        "in_force": {
            name: getattr(training.bundle, name) for name in ("PRIOR_STRENGTH", "HEARD_FROM", "LAB_STRENGTH")
        },
    }
    with tempfile.TemporaryDirectory() as name:
        for last, end in LAB_YEARS:
            bundle = trained(lab_lead.HERE / "lab_lead.yaml", data, last, Path(name) / f"lab{last}")
            report[f"lab_lead <={last} -> {end}"] = judge_lab(data, last, end, bundle)
        for last, end in YEARS:
            bundle = trained(hazard_type.HERE / "hazard_type.yaml", data, last, Path(name) / f"type{last}")
            report[f"hazard_type <={last} -> {end}, macro AP"] = judge_type(data, last, end, bundle)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    (RESULTS / "tuning_blend.json").write_text(text + "\n", encoding="utf-8")
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
