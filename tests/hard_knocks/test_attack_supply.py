"""What the service is made of: licences of packages, models and data, and the bill of materials."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from serving.cli import main
from serving.supply import licences as parts

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FILE = parts.licence_file()


def required(*, tools: bool) -> list[str]:
    """What pyproject names, rather than what was installed one day; with tools only those."""
    extras = PROJECT["optional-dependencies"]
    if tools:
        return [text for name in parts.TOOLS for text in extras[name]]
    return PROJECT["dependencies"] + [
        text for name, listed in extras.items() if name not in parts.TOOLS for text in listed
    ]


def test_no_package_that_is_given_away_has_a_licence_outside_the_list():
    rows = [row for row in parts.licences(required(tools=False)) if row.kind == "package"]
    assert len(rows) > 80
    assert not [row for row in rows if not row.allowed]


def test_tools_of_developers_are_known_too():
    """They are not given away: the GPL may be among them, an unknown licence may not."""
    packages = parts.closure(required(tools=True))
    found = {name: parts.licence_of(package, FILE.packages).licence for name, package in packages.items()}
    allowed = {*FILE.allowed, "GPL-2.0-only", "GPL-3.0-only"}
    unknown = {name: licence for name, licence in found.items() if not parts.is_allowed(licence, allowed)}
    assert not unknown


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("AGPL-3.0-or-later", False),
        ("Proprietary", False),
        ("unknown", False),
        ("MIT AND", False),
        ("", False),
    ],
)
def test_an_expression_is_read_as_spdx_means_it(expression, good):
    assert parts.is_allowed(expression, FILE.allowed) == good


def test_models_and_data_are_all_listed():
    from features import weights
    from features.image_encoder import EFFICIENTNET_WEIGHTS

    packages = {parts.normal(model.package) for model in FILE.models}
    for file in (weights.USE_WEIGHTS, weights.USE_TOKENIZER, weights.E5_WEIGHTS, EFFICIENTNET_WEIGHTS):
        assert parts.normal(file.requirement.partition("==")[0]) in packages
    manifest = json.loads((ROOT / "serving" / "starter" / "manifest.json").read_text("utf-8"))
    for path in manifest["data"]:
        assert any(part.used and path.startswith(part.used) for part in FILE.data), path
    assert all(part.licence in FILE.allowed for part in (*FILE.models, *FILE.data))


def test_what_the_file_says_of_packages_is_needed():
    """An entry of a package that is gone, or that says its licence by now, is to be taken out."""
    known = set(FILE.packages)
    assert known <= {parts.normal(name) for name in _pinned()}


def _pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [re.split(r"==", line)[0] for line in lines if line and not line.startswith("#")]


def test_the_command_lists_and_checks(monkeypatch):
    run = CliRunner()
    listed = run.invoke(main, ["licences", "--json"])
    rows = json.loads(listed.stdout)
    assert {row["kind"] for row in rows} == {"package", "model", "data"}
    assert run.invoke(main, ["licences", "--check"]).exit_code == 0
    less = FILE.model_copy(update={"allowed": {"MIT": "permissive"}})
    monkeypatch.setattr(parts, "licence_file", lambda: less)
    refused = run.invoke(main, ["licences", "--check"])
    assert refused.exit_code == 1 and "may not be used" in refused.stdout and "numpy" in refused.stdout


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_sbom", ROOT / "deploy" / "sbom.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_bill_names_what_is_given_away_with_hashes_of_the_weights(sbom, long, monkeypatch):
    """Quick: of three packages; long: of the whole environment, as a release has it."""
    if not long:
        monkeypatch.setattr(sbom, "environment", lambda: _environment("numpy", "httpx", "pytest"))
    bill = sbom.bill()
    sbom.validate(json.dumps(bill))
    names = {one["name"] for one in bill["components"]}
    assert "numpy" in names and "pytest" not in names and "schemathesis" not in names
    models = {one["name"]: one for one in bill["components"] if one["type"] == "machine-learning-model"}
    assert {"starter/model.safetensors", "starter/manifest.json", "matcher.safetensors"} <= set(models)
    assert all(re.fullmatch("[0-9a-f]{64}", one["hashes"][0]["content"]) for one in models.values())
    refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert all(set(one.get("dependsOn", ())) <= refs for one in bill["dependencies"])


def _environment(*names: str) -> dict:
    components = [
        {"type": "library", "bom-ref": name, "name": name, "version": metadata.version(name)}
        for name in names
    ]
    root = {"type": "application", "bom-ref": "root", "name": "listing-risk"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": "root", "dependsOn": list(names)}],
    }


def test_a_bill_that_is_none_is_refused(sbom):
    with pytest.raises(SystemExit, match="not valid CycloneDX"):
        sbom.validate('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": 1}]}')
