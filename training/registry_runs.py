"""Runs in MLflow: what was trained, measured and evaluated. Part of the gate to MLflow, beside `training.registry`."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from training.manifest import Manifest

_LONGEST = 500
_AT_ONCE = 100


def default_tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, else a SQLite file below the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('.listing-risk/mlflow.db').absolute()}"


def open_client(tracking_uri: str | None) -> MlflowClient:
    """Return a client of the tracking server; None for `default_tracking_uri`."""
    uri = tracking_uri or default_tracking_uri()
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri)


def experiment_of(client: MlflowClient, name: str, tracking_uri: str | None) -> str:
    """Return the id of the experiment of a name, made where there is none."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    uri = tracking_uri or default_tracking_uri()
    # Beside a SQLite file by default: MLflow's own default litters the working folder.
    place = None
    if uri.startswith("sqlite:///"):
        place = (Path(uri.removeprefix("sqlite:///")).parent / "mlruns").absolute().as_uri()
    return client.create_experiment(name, artifact_location=place)


def plain(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "_", name)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings with dotted names."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        else:
            yield name, value


def log_values(
    client: MlflowClient,
    run_id: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Log values of one run, many at once; metrics that are no finite number are left out."""
    now = int(time.time() * 1000)
    numbers = [
        Metric(plain(name), float(value), now, 0)
        for name, value in (metrics or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
    given = [Param(plain(name), str(value)[:_LONGEST]) for name, value in (parameters or {}).items()]
    marks = [RunTag(plain(name), str(value)) for name, value in (tags or {}).items()]
    for start in range(0, max(len(numbers), len(given), len(marks)), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        client.log_batch(run_id, metrics=numbers[part], params=given[part], tags=marks[part])


@dataclass(frozen=True, slots=True)
class Run:
    """A measurement as MLflow keeps it.

    Attributes
    ----------
    experiment, name
        Where it is filed, and what it is called there.
    parameters
        Settings and SHA-256 of the data.
    metrics
        Figures by name.
    tags
        Commit and so on.
    artifacts
        Files to keep with it; they must hold no listing text.
    """

    experiment: str
    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: tuple[Path, ...] = ()


def record_run(run: Run, *, tracking_uri: str | None = None) -> str:
    """Record a measurement that makes no bundle; return the id of the run."""
    client = open_client(tracking_uri)
    made = client.create_run(experiment_of(client, run.experiment, tracking_uri), run_name=run.name)
    run_id = made.info.run_id
    try:
        log_values(client, run_id, parameters=run.parameters, metrics=run.metrics, tags=run.tags)
        for path in run.artifacts:
            client.log_artifact(run_id, str(path))
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return run_id


def record_evaluation(
    manifest: Manifest, report: Mapping[str, Any], folder: Path, *, tracking_uri: str | None = None
) -> str:
    """Keep a report with the run that made its bundle, or with a run of its own where the registry has no such one.

    Parameters
    ----------
    report
        As `training.evaluate.evaluate_bundle` returns it.
    folder
        Where that wrote ``report.json`` and ``report.png``.

    Returns
    -------
    str
        Id of the run.
    """
    client = open_client(tracking_uri)
    figures = dict(_figures(report))
    until = report["until"] or "now"
    span = f"{report['after'] or report['as_of'] or 'beginning'} to {until}"
    run_id = _run_of(client, manifest)
    if run_id is None:
        files = (folder / "report.json", folder / "report.png", folder / "card.md")
        run = Run(
            manifest.name,
            f"evaluation {manifest.digest[:8]}",
            {"evaluated on": span},
            figures,
            {"bundle_sha256": manifest.digest, "code_commit": manifest.code_commit},
            tuple(path for path in files if path.is_file()),
        )
        return record_run(run, tracking_uri=tracking_uri)
    log_values(client, run_id, metrics=figures, tags={"evaluated_on": span})
    for name in ("report.json", "report.png"):
        client.log_artifact(run_id, str(folder / name), "evaluation")
    return run_id


def _run_of(client: MlflowClient, manifest: Manifest) -> str | None:
    for version in client.search_model_versions(f"name = '{manifest.name}'"):
        if version.tags.get("bundle_sha256") == manifest.digest and version.run_id:
            return version.run_id
    return None


def _figures(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the figures of a report that are worth comparing between runs."""
    for name, part in report["parts"].items():
        macro = part["macro_average_precision"]
        if macro:
            yield f"evaluation.{name}.macro_average_precision", macro["value"]
        for code, figures in part["hazards"].items():
            for key in ("average_precision", "roc_auc", "brier_skill", "calibration_error"):
                yield f"evaluation.{name}.{code}.{key}", figures[key]["value"]
            yield f"evaluation.{name}.{code}.positives", figures["positives"]
