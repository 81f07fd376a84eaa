"""Write the typed client from the service's OpenAPI document: ``python client/generate.py``.

The models are made by datamodel-code-generator, the calls from the document's operations. A test makes both again and
compares, so that the client never lags behind the service.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent / "listing_risk_client"
_HEAD = '"""Made by client/generate.py from the service\'s OpenAPI document; do not edit."""\n'
_REF = "#/components/schemas/"


def models(document: Mapping[str, Any]) -> str:
    """Return the module of the models."""
    with TemporaryDirectory() as place:
        source, target = Path(place) / "openapi.json", Path(place) / "models.py"
        source.write_text(json.dumps(document), encoding="utf-8")
        command = [
            sys.executable, "-m", "datamodel_code_generator", "--input", str(source), "--output", str(target),
            "--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel",
            "--target-python-version", "3.11", "--use-annotated", "--use-standard-collections", "--use-union-operator",
            "--use-schema-description", "--disable-timestamp", "--formatters", "ruff-format",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"datamodel-code-generator ended with {done.returncode}: {done.stderr[-800:]}")
        lines = target.read_text(encoding="utf-8").splitlines()
    body = "\n".join(line for line in lines if not line.startswith("#")).strip()
    return _HEAD + "\n" + body + "\n"


def calls(document: Mapping[str, Any]) -> str:
    """Return the module of the calls: a method an operation that takes or gives JSON."""
    methods: list[str] = []
    used: set[str] = set()
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            if verb in ("get", "post", "put", "delete", "patch") and "operationId" in operation:
                methods.append(_method(path, verb, operation, used))
    names = "".join(f"    {name},\n" for name in sorted(used))
    return (
        f"{_HEAD}\nfrom __future__ import annotations\n\nfrom typing import Any\n\n"
        f"from listing_risk_client.models import (\n{names})\n"
        "from listing_risk_client.transport import Transport\n\n\n"
        "class Calls(Transport):\n"
        '    """Every operation of the service; see `listing_risk_client.transport.Transport` for how to connect."""\n'
        + "".join(methods)
    )


def _method(path: str, verb: str, operation: Mapping[str, Any], used: set[str]) -> str:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation["operationId"]).lower()
    parts = re.findall(r"{(\w+)}", path)
    body = _named(operation.get("requestBody", {}), used)
    answer, mime = _answer(operation, used)
    arguments = ["self", *(f"{part}: str | int" for part in parts)]
    if "requestBody" in operation:
        arguments.append(f"body: {body + ' | ' if body else ''}dict[str, Any]")
    arguments += ["**query: Any"]
    address = re.sub(r"{(\w+)}", r"{self.quoted(\1)}", path)
    sent = "body" if "requestBody" in operation else "None"
    text = f'f"{address}"' if parts else f'"{address}"'
    says = " ".join(str(operation.get("summary") or operation.get("description") or name).split())
    says = says.replace("\\", "").replace('"', "'").rstrip(".")[:90]
    kind = answer or ("Any" if mime == "application/json" else "bytes")
    call = f'self.call("{verb.upper()}", {text}, {sent}, query)'
    result = (
        f"{answer}.model_validate({call})"
        if answer
        else (
            call if mime == "application/json" else f'self.content("{verb.upper()}", {text}, {sent}, query)'
        )
    )
    return f'\n    def {name}({", ".join(arguments)}) -> {kind}:\n        """{says}."""\n        return {result}\n'


def _named(part: Mapping[str, Any], used: set[str]) -> str:
    schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    reference = schema.get("$ref", "")
    if not reference.startswith(_REF):
        return ""
    used.add(reference.removeprefix(_REF))
    return reference.removeprefix(_REF)


def _answer(operation: Mapping[str, Any], used: set[str]) -> tuple[str, str]:
    good = next((one for code, one in operation["responses"].items() if code.startswith("2")), {})
    content = good.get("content", {})
    if not content or "application/json" in content:
        return _named(good, used), "application/json"
    return "", next(iter(content))


def files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return every generated file by name, formatted."""
    made = {"models.py": models(document), "api.py": calls(document)}
    return {name: _formatted(text) for name, text in made.items()}


def _formatted(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length", "110", "-"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def main() -> None:
    """Write the files."""
    from serving.http.openapi import openapi_document
    from serving.settings import Limits

    for name, text in files(openapi_document(Limits())).items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
