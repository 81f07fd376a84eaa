"""The one gate to MLflow: versions and aliases of bundles; runs are in `training.registry_runs`.

Nothing that serves imports this file; `training.registry_path` asks it from a short-lived process.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from features.errors import UserError
from training.manifest import Manifest, read_manifest
from training.registry_runs import experiment_of, flat, log_values, open_client
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
    client = open_client(tracking_uri)
    run = client.create_run(experiment_of(client, manifest.name, tracking_uri), run_name=manifest.digest[:8])
    run_id = run.info.run_id
    try:
        log_values(
            client,
            run_id,
            parameters=dict(flat(manifest.settings))
            | {f"data.{name}": digest for name, digest in manifest.data.items()},
            metrics=dict(flat(manifest.metrics)),
            tags=_hashes(manifest),
        )
        client.log_figure(run_id, draw_held_out(manifest.metrics), "figures/held_out.png")
        client.log_artifact(run_id, str(folder / "card.md"))
        _log_model(client, run_id, folder, manifest)
        version = _new_version(client, manifest, run_id)
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return version


def _hashes(manifest: Manifest) -> dict[str, str]:
    """Return what says which code and which data made a bundle."""
    return {
        "code_commit": manifest.code_commit,
        "code_sha256": manifest.code_sha256 or "unknown",
        "package_version": _package_version(),
        "bundle_sha256": manifest.digest,
        "labels_sha256": manifest.labels_sha256,
        "taxonomy_sha256": manifest.taxonomy_sha256,
        "encoder_sha256": manifest.encoder.sha256,
        "as_of": manifest.as_of or "",
    }


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
    client = open_client(tracking_uri)
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
    name, version = _found(open_client(tracking_uri), address)
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
