"""The bill of materials of a release, CycloneDX 1.6: ``python deploy/sbom.py dist/sbom.json``.

cyclonedx-bom describes the environment that it runs in. What only developers need is left out, and what no package
manager knows of is added: the weight files with the hashes they are checked against, the starter bundle and matcher.
The result is validated against CycloneDX's schema before it is written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, Any]:
    """Describe the packages of this environment."""
    command = [
        sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--sv", "1.6",
        "--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application", sys.executable,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise SystemExit(f"cyclonedx-py ended with {done.returncode}: {done.stderr[-800:]}")
    return json.loads(done.stdout)


def shipped(bom: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Leave the components of these names alone, and of the graph what lies between them."""
    from serving.supply.licences import PACKAGE, normal

    kept = {name for name in names if name != PACKAGE}
    components = [one for one in bom.get("components", ()) if normal(one["name"]) in kept]
    root = bom["metadata"]["component"]["bom-ref"]
    refs = {one["bom-ref"] for one in components} | {root}
    graph = [
        one | {"dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in refs]}
        for one in bom.get("dependencies", ())
        if one["ref"] in refs
    ]
    return {**bom, "components": components, "dependencies": graph}


def models() -> list[dict[str, Any]]:
    """Describe weight files, the starter bundle and the matcher, with hashes and licences."""
    from features import weights
    from features.image_encoder import EFFICIENTNET_WEIGHTS
    from serving.bans.office import STARTER_MATCHER
    from serving.settings import STARTER
    from serving.supply.licences import licence_file, normal

    licence = {normal(part.package): part.licence for part in licence_file().models}
    found = []
    for file in (weights.USE_WEIGHTS, weights.USE_TOKENIZER, weights.E5_WEIGHTS, EFFICIENTNET_WEIGHTS):
        package, _, version = file.requirement.partition("==")
        found.append(_model(f"{package}/{file.path}", version, file.sha256, licence[normal(package)]))
    own = licence["listing-risk"]
    manifest = json.loads((STARTER / "manifest.json").read_text("utf-8"))
    for name, digest in manifest["files"].items():
        found.append(_model(f"starter/{name}", manifest["name"], digest, own))
    found.append(
        _model("starter/manifest.json", manifest["name"], weights.sha256_of(STARTER / "manifest.json"), own)
    )
    found.append(_model(STARTER_MATCHER.name, "1", weights.sha256_of(STARTER_MATCHER), own))
    return found


def _model(name: str, version: str, sha256: str, licence: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": [{"license": {"id": licence}}],
    }


def validate(text: str) -> None:
    """Check against CycloneDX's own schema.

    Raises
    ------
    SystemExit
        With the first thing that is wrong.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise SystemExit(f"the bill of materials is not valid CycloneDX: {str(wrong)[:800]}")


def bill() -> dict[str, Any]:
    """Return the bill of materials of this environment."""
    from serving.supply.licences import closure, shipped_requirements

    bom = shipped(environment(), closure(shipped_requirements()))
    added = models()
    bom["components"] += added
    bom["dependencies"] += [{"ref": one["bom-ref"]} for one in added]
    return bom


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    bom = bill()
    text = json.dumps(bom, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    validate(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(f"{output}: {len(bom['components'])} components")  # noqa: T201


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
