"""The one gate to MLflow: runs, versions and aliases of bundles.

Nothing that serves imports this file; `training.registry_path` asks it from a short-lived process.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from features.errors import UserError
from training.manifest import Manifest, read_manifest
from training.report import draw_held_out

CHAMPION, CHALLENGER = "champion", "challenger"
_ARTIFACT = "model"
_BUNDLE = "bundle"
_ADDRESS = re.compile(r"^models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))$")


class RegistryError(UserError):
    """A registry address that names no bundle."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered bundle."""

    name: str
    version: str
    run_id: str
    aliases: tuple[str, ...]

    def __str__(self) -> str:
        named = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return f"models:/{self.name}/{self.version}{named}"


def default_tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, else a SQLite file below the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('.listing-risk/mlflow.db').absolute()}"


def _client(tracking_uri: str | None) -> MlflowClient:
    uri = tracking_uri or default_tracking_uri()
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri)


def _experiment(client: MlflowClient, name: str, tracking_uri: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    uri = tracking_uri or default_tracking_uri()
    # Beside a SQLite file by default: MLflow's own default litters the working folder.
    place = None
    if uri.startswith("sqlite:///"):
        place = (Path(uri.removeprefix("sqlite:///")).parent / "mlruns").absolute().as_uri()
    return client.create_experiment(name, artifact_location=place)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def register(folder: Path, manifest: Manifest | None = None, *, tracking_uri: str | None = None) -> Version:
    """Record a bundle as a run and a new version; the first becomes champion, later ones challenger.

    Parameters
    ----------
    folder
        A whole bundle; it is checked before it is sent.

    Raises
    ------
    BundleError
        When the folder is no whole bundle.
    """
    manifest = manifest or read_manifest(folder)
    client = _client(tracking_uri)
    run = client.create_run(_experiment(client, manifest.name, tracking_uri), run_name=manifest.digest[:8])
    run_id = run.info.run_id
    try:
        for name, value in _flat(manifest.settings):
            client.log_param(run_id, name, str(value)[:500])
        for name, digest in manifest.data.items():
            client.log_param(run_id, "data." + re.sub(r"[^A-Za-z0-9_./ -]", "_", name), digest)
        for name, value in _flat(manifest.metrics):
            if isinstance(value, int | float) and not isinstance(value, bool):
                client.log_metric(run_id, re.sub(r"[^A-Za-z0-9_./ -]", "_", name), float(value))
        for key, value in (("code_commit", manifest.code_commit), ("bundle_sha256", manifest.digest)):
            client.set_tag(run_id, key, value)
        client.log_figure(run_id, draw_held_out(manifest.metrics), "figures/held_out.png")
        client.log_artifact(run_id, str(folder / "card.md"))
        _log_model(client, run_id, folder, manifest)
        version = _new_version(client, manifest, run_id)
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return version


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
    client = _client(tracking_uri)
    made = client.create_run(_experiment(client, run.experiment, tracking_uri), run_name=run.name)
    run_id = made.info.run_id
    try:
        for name, value in run.parameters.items():
            client.log_param(run_id, _plain(name), value[:500])
        for name, number in run.metrics.items():
            client.log_metric(run_id, _plain(name), float(number))
        for name, value in run.tags.items():
            client.set_tag(run_id, _plain(name), value)
        for path in run.artifacts:
            client.log_artifact(run_id, str(path))
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return run_id


def _plain(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "_", name)


def _log_model(client: MlflowClient, run_id: str, folder: Path, manifest: Manifest) -> None:
    """Send the bundle as a model that `mlflow.pyfunc` loads, with signature and input example."""
    from training import pyfunc

    with TemporaryDirectory() as place:
        bundle, model = Path(place) / pyfunc.BUNDLE, Path(place) / "model"
        shutil.copytree(folder, bundle)
        mlflow.pyfunc.save_model(
            model,
            python_model=str(Path(pyfunc.__file__).with_name("pyfunc_code.py")),
            artifacts={pyfunc.BUNDLE: str(bundle)},
            signature=pyfunc.signature(manifest.hazards),
            input_example=pyfunc.input_example(),
            # Asking pip what is installed takes most of a minute; what a bundle needs is this package.
            pip_requirements=[f"listing-risk[train]=={_package_version()}"],
            metadata={"bundle": f"{manifest.name}+{manifest.digest[:8]}", "bundle_sha256": manifest.digest},
            mlflow_model=Model(artifact_path=_ARTIFACT, run_id=run_id),
        )
        client.log_artifacts(run_id, str(model), _ARTIFACT)


def _package_version() -> str:
    from importlib.metadata import version

    return version("listing-risk")


def _new_version(client: MlflowClient, manifest: Manifest, run_id: str) -> Version:
    try:
        client.create_registered_model(manifest.name)
    except MlflowException as error:
        if "already exists" not in str(error):
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{_ARTIFACT}"
    made = client.create_model_version(manifest.name, source, run_id, tags={"bundle_sha256": manifest.digest})
    alias = CHALLENGER if _has_alias(client, manifest.name, CHAMPION) else CHAMPION
    client.set_registered_model_alias(manifest.name, alias, made.version)
    return Version(manifest.name, str(made.version), run_id, (alias,))


def _has_alias(client: MlflowClient, name: str, alias: str) -> bool:
    try:
        client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return False
    return True


def _found(client: MlflowClient, address: str) -> tuple[str, ModelVersion]:
    match = _ADDRESS.match(address)
    if match is None:
        raise RegistryError(f"Got {address!r}; expected models:/name@alias or models:/name/version.")
    name = match["name"]
    try:
        if match["alias"]:
            return name, client.get_model_version_by_alias(name, match["alias"])
        return name, client.get_model_version(name, match["version"])
    except MlflowException as error:
        raise RegistryError(f"The registry has no {address}: {error.message}") from None


def set_alias(address: str, alias: str, *, tracking_uri: str | None = None) -> None:
    """Let an alias name a registered version.

    Parameters
    ----------
    address
        ``models:/name@alias`` or ``models:/name/version``.

    Raises
    ------
    RegistryError
        When the address has another form or names nothing.
    """
    client = _client(tracking_uri)
    name, version = _found(client, address)
    client.set_registered_model_alias(name, alias, version.version)


def download(address: str, cache: Path, *, tracking_uri: str | None = None) -> Path:
    """Return the folder of a registered bundle, fetched once per version.

    Parameters
    ----------
    address
        ``models:/name@alias`` or ``models:/name/version``.
    cache
        Folder for fetched versions.

    Raises
    ------
    RegistryError
        When the address has another form or names nothing.
    """
    name, version = _found(_client(tracking_uri), address)
    folder = cache / f"{name}-{version.version}-{(version.run_id or 'none')[:8]}"
    if not (folder / "manifest.json").is_file():
        partial = cache / f".{folder.name}.{os.getpid()}"
        partial.mkdir(parents=True, exist_ok=True)
        fetched = Path(download_artifacts(version.source, dst_path=str(partial)))
        inner = (
            fetched / "artifacts" / _BUNDLE
        )  # versions from before there was a model around the bundle have none
        (inner if inner.is_dir() else fetched).replace(folder)
        shutil.rmtree(partial, ignore_errors=True)
    read_manifest(folder)
    return folder


def main(arguments: list[str]) -> int:
    """Print the folder of one address; for `training.registry_path`."""
    address, cache = arguments
    try:
        folder = download(address, Path(cache))
    except (RegistryError, ValueError) as error:
        sys.stderr.write(str(error))
        return 2
    except MlflowException as error:
        sys.stderr.write(str(error))
        return 3
    sys.stdout.write(str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
